//! The daemon's loop: watch, schedule, run cycles, take commands, stop at once.
//!
//! One thread does everything that matters. The watcher's thread only leaves hints, and the tasks
//! of the control socket only leave commands and read the board.
//!
//! A stop signal in the middle of a cycle ends the process where it stands. Nothing in a cycle has
//! to be finished, for the next start picks up whatever a crash leaves behind; a stop that waited
//! for a slow upload would get killed. A pause breaks a cycle off in the same way, and lets go of
//! the vault.
//!
//! Each turn compares the folder at the vault's path with the one that is held open. A vault that
//! is missing is waited for. One that was replaced, or whose lock was, ends the daemon, for
//! everything it knows is of the other one; the service manager starts it anew.

mod alarm;
mod announce;
mod daily;
mod grip;
mod ground;
mod guarded;
mod heart;
mod hooks;
mod look;
mod meanwhile;
mod notices;
mod obey;
mod rebuild;
pub mod scheduler;
mod show;
mod signals;
mod signs;
mod sleep;
mod turn;
mod watching;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::control::board::{Board, Command};
use crate::control::events::Events;
use crate::daemon::scheduler::{Next, Scheduler, Timing};
use alarm::Alarm;
pub use alarm::overdue;
use announce::Announcer;
use cogzy_client::documents::State;
use cogzy_engine::clock::{Clock, Entropy};
use cogzy_engine::state::{Paused, WaitingList};
use cogzy_engine::sync::{Engine, Request};
use cogzy_engine::vault::{Filter, WatchEvent};
use daily::Pruning;
pub use grip::Grip;
pub use ground::Ended;
pub use guarded::Guarded;
pub use heart::Heart;
pub use hooks::Hooks;
pub use rebuild::Rebuild;
pub use signals::StopSignals;
pub use signs::Signs;
use sleep::Sleep;

/// The number of hints that may pile up; if there are more, the vault is scanned.
const HINTS: usize = 4096;
/// The shortest time between two writes of the manifest of a large vault.
const MANIFEST_EVERY: Duration = Duration::from_secs(60);
/// The longest time between two rounds of the loop, which looks whether the machine was asleep.
const TICK: Duration = Duration::from_secs(5);

/// The daemon and its parts.
#[derive(Debug)]
pub struct Daemon {
    /// The engine.
    pub engine: Engine,
    /// The filters.
    pub filter: Filter,
    /// The timing of cycles.
    pub timing: Timing,
    /// Files that it has open in the vault.
    pub grip: Grip,
    /// The path where it listens.
    pub socket: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for jitter.
    pub entropy: Arc<dyn Entropy>,
    /// The status that clients read.
    pub board: Board,
    /// The events that clients follow.
    pub events: Events,
    /// The user's programs that events start.
    pub hooks: Hooks,
    /// The user's program that computes again what merges have left out.
    pub rebuild: Rebuild,
    /// The signs of life.
    pub heart: Heart,
    /// Places whose change is a reason to try again at once.
    pub signs: Signs,
    /// The queue of commands.
    pub commands: mpsc::Receiver<Command>,
    /// True if old data is removed once a day.
    pub prune: bool,
    /// Set to break off the running cycle.
    pub interrupt: watch::Sender<bool>,
}

/// The state of the loop.
#[derive(Debug)]
struct Course {
    scheduler: Scheduler,
    announcer: Announcer,
    hooks: hooks::Runner,
    rebuilds: rebuild::Rebuilds,
    alarm: Alarm,
    waiting: WaitingList,
    /// The paths on the board whose trouble should go away by itself.
    passing: BTreeSet<String>,
    paused: Option<Paused>,
    /// True if something had not settled at the last scan.
    unsettled: bool,
    /// True if something is not synced, and that does not pass by itself.
    wrong: bool,
    sleep: Sleep,
    hints: mpsc::Receiver<WatchEvent>,
    /// The vault was not at its path when the loop came round last.
    away: bool,
    /// Cause that keeps a pause from ending, once it was logged.
    stuck: Option<String>,
    /// The watcher is to begin anew.
    rewatch: bool,
    /// True if no watcher could be started.
    blind: bool,
    /// True once hints were lost because the queue was full.
    lost: Arc<AtomicBool>,
    /// Time since which `sync/manifest.json` lacks what was agreed.
    manifest_lacks: Option<Duration>,
    /// Why the daemon ends.
    ended: Option<Ended>,
    /// A prune under way.
    pruning: Option<Pruning>,
}

impl Course {
    fn next(&self, now: Duration) -> Next {
        if self.paused.is_some() { self.scheduler.next_look(now) } else { self.scheduler.next(now) }
    }
}

impl Daemon {
    /// Runs until the process ends, or until the vault is another one. Blocks its thread now and
    /// then, so it needs one of its own.
    pub async fn run(mut self) -> Ended {
        let (hints, hinted) = mpsc::channel(HINTS);
        let mut watch = None;
        let mut course = self.course(hinted);
        loop {
            self.heart.waits();
            self.come_round(&mut course).await;
            let obeyed = self.obey_next(&mut course).await;
            if let Some(ended) = course.ended.take() {
                self.say_farewell(&ended, &mut course).await;
                return ended;
            }
            if std::mem::take(&mut course.rewatch) {
                // The old one first: two would count against the system's limit.
                drop(watch.take());
                watch = self.watch(hints.clone(), &mut course);
                if watch.is_some() {
                    // Of what happened without a watcher nobody has heard.
                    course.scheduler.overflow(self.clock.monotonic());
                }
            }
            if obeyed {
                continue;
            }
            let now = self.clock.monotonic();
            let next = course.next(now);
            if self.prune_piece(&mut course, next).await {
                continue;
            }
            let pause = match next {
                Next::Run(ask) => {
                    // The result is in the log and on the board.
                    let places = course.scheduler.named(now);
                    let request = Request { ask, derived: false };
                    let told = self.turn(&mut course, request, places, false).await;
                    if told.is_ok() {
                        self.prune_daily(&mut course);
                    }
                    self.watch_more(watch.as_mut(), &mut course);
                    // Commands that have come meanwhile go first, also where one of them broke the
                    // cycle off.
                    tokio::task::yield_now().await;
                    continue;
                }
                Next::Probe => {
                    tokio::select! {
                        reached = self.engine.probe() => {
                            let now = self.clock.monotonic();
                            course.scheduler.probed(now, reached, self.entropy.unit());
                        }
                        Some(command) = self.commands.recv() => self.obey(command, &mut course).await,
                    }
                    continue;
                }
                Next::Look => {
                    self.look(&mut course).await;
                    continue;
                }
                Next::Wait(until) => {
                    self.write_manifest(now, &mut course).await;
                    until.saturating_sub(now)
                }
                Next::Stopped => TICK,
            };
            tokio::select! {
                () = tokio::time::sleep(pause.min(self.heart.period()).min(TICK)) => {}
                Some(hint) = course.hints.recv() => self.take(self.clock.monotonic(), hint, &mut course),
                Some(command) = self.commands.recv() => self.obey(command, &mut course).await,
            }
            while let Ok(hint) = course.hints.try_recv() {
                self.take(self.clock.monotonic(), hint, &mut course);
            }
            if course.lost.swap(false, Ordering::Relaxed) {
                self.take(self.clock.monotonic(), WatchEvent::Overflow, &mut course);
            }
        }
    }

    fn course(&mut self, hints: mpsc::Receiver<WatchEvent>) -> Course {
        let (now_ms, now) = (self.clock.now_ms(), self.clock.monotonic());
        let paused = self.engine.paused();
        // A pause that cannot be read is not kept: its user sees that the daemon syncs.
        let paused =
            paused.inspect_err(|error| tracing::error!(%error, "the pause cannot be read")).ok().flatten();
        let mut course = Course {
            scheduler: Scheduler::new(self.timing.clone(), now, self.engine.whole_listing_in()),
            announcer: Announcer::new(self.events.clone(), self.board.read().state),
            hooks: self.hooks.clone().start(),
            rebuilds: rebuild::Rebuilds::new(self.rebuild.clone()),
            alarm: Alarm::new(self.engine.awaiting_since()),
            waiting: self.engine.waiting_list(),
            passing: BTreeSet::new(),
            paused: None,
            unsettled: false,
            wrong: false,
            sleep: Sleep::new(now_ms, now),
            hints,
            away: false,
            stuck: None,
            rewatch: true,
            blind: false,
            lost: Arc::default(),
            manifest_lacks: None,
            ended: None,
            pruning: None,
        };
        if let Some(paused) = paused {
            tracing::info!("paused, as it was before");
            self.pause(paused, &mut course);
        }
        course
    }

    /// Does whatever is due beside the schedule: waking up, the end of a pause, the alarm.
    async fn come_round(&mut self, course: &mut Course) {
        let (now_ms, now) = (self.clock.now_ms(), self.clock.monotonic());
        if course.sleep.slept(now_ms, now) {
            // Connections do not outlive a sleep, and may not say so.
            self.engine.renew_remote();
            course.scheduler.wake(now);
            course.alarm.wakes();
        }
        if self.signs.changed().await && course.scheduler.failures() > 0 {
            tracing::info!("a key file or the remote's folder is another now: trying again");
            self.engine.renew_remote();
            course.scheduler.retry(now);
        }
        if course.paused.is_some_and(|paused| paused.is_over(now_ms)) {
            self.end_pause(course);
        }
        self.look_at_ground(course);
        self.compute_again(now, course).await;
        if course.paused.is_some() {
            course.alarm.excuse(now_ms);
        } else if let Some(document) = course.alarm.ring(now_ms) {
            tracing::error!(next = document.next, "{}", document.message);
            self.board.update(|status| status.errors.insert(0, document));
            self.announce(course).await;
        }
    }

    /// Brings `sync/manifest.json` up to date once it has lacked something for a minute. In a large
    /// vault it costs more than a small save.
    async fn write_manifest(&mut self, now: Duration, course: &mut Course) {
        if !self.engine.is_manifest_due() {
            course.manifest_lacks = None;
            return;
        }
        let since = *course.manifest_lacks.get_or_insert(now);
        if now.saturating_sub(since) < MANIFEST_EVERY {
            return;
        }
        course.manifest_lacks = Some(now);
        if let Err(error) = self.engine.write_manifest().await {
            tracing::warn!(%error, "sync/manifest.json could not be written; it is tried again in a minute");
        }
    }

    fn take(&self, now: Duration, hint: WatchEvent, course: &mut Course) {
        let scheduler = &mut course.scheduler;
        match hint {
            // The echo of our own pull: nothing waits.
            WatchEvent::Touched(Some(path)) if self.engine.has_brought(&path) => return,
            WatchEvent::Touched(path) => scheduler.touch(now, path),
            WatchEvent::Overflow => {
                tracing::warn!("events of the watcher were lost: the whole vault is scanned");
                scheduler.overflow(now);
            }
            WatchEvent::Failed(why) => {
                tracing::warn!(why, "the watcher failed: the vault is scanned at every poll");
                scheduler.watching(false);
                scheduler.overflow(now);
                // It may miss some folders from now on; a new one finds out which.
                course.rewatch = true;
            }
        }
        self.board.update(|status| {
            if status.state == State::InSync {
                status.state = State::Pending;
                course.announcer.state(State::Pending);
            }
        });
    }
}
