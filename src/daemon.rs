//! The daemon's loop: watch, schedule, run cycles, take commands, stop at once.
//!
//! One thread does everything that matters; the watcher's only leaves hints, and the control socket's tasks only leave commands
//! and read the board. A stop signal in the middle of a cycle ends the process where it stands: nothing in a cycle needs to be
//! finished, for whatever a crash leaves behind the next start picks up, and a stop that waits for a slow upload is one that
//! gets killed. A pause breaks a cycle off in the same way, and lets go of the vault.
//!
//! Each turn compares what stands at the vault's path with what is held open. A vault that is missing is waited for. One that
//! was replaced, or whose lock was, is said and ends the daemon, for all that it knows is of the other one: the service starts
//! it anew.

mod alarm;
mod announce;
mod daily;
mod grip;
mod ground;
mod heart;
mod hooks;
mod look;
mod obey;
pub mod scheduler;
mod show;
mod signals;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::control::board::{Board, Command};
use crate::control::events::Events;
use crate::daemon::scheduler::{Next, Outcome, Scheduler, Timing};
use alarm::Alarm;
pub use alarm::overdue;
use announce::Announcer;
use cogzy_client::documents::{Problem, State, SyncDocument};
use cogzy_engine::clock::{Clock, Entropy};
use cogzy_engine::state::{Paused, WaitingList};
use cogzy_engine::sync::{Advice, Engine, Interrupt, Progress, Report, Request, SyncError, Watcher};
use cogzy_engine::vault::{Filter, Watch, WatchEvent};
pub use grip::Grip;
pub use ground::Ended;
pub use heart::Heart;
pub use hooks::Hooks;
pub use signals::StopSignals;

/// Hints that may pile up; more than these say nothing new.
const HINTS: usize = 4096;
/// The loop comes round at least this often, to see whether the machine was asleep.
const TICK: Duration = Duration::from_secs(5);
/// The wall clock was put forward by more than this against the other: the machine was asleep.
const ASLEEP: Duration = Duration::from_secs(10);

/// What the daemon is given.
#[derive(Debug)]
pub struct Daemon {
    /// The engine.
    pub engine: Engine,
    /// What is synced.
    pub filter: Filter,
    /// How the time is divided.
    pub timing: Timing,
    /// What it has open in the vault.
    pub grip: Grip,
    /// Where it listens.
    pub socket: PathBuf,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for jitter.
    pub entropy: Arc<dyn Entropy>,
    /// What it shows.
    pub board: Board,
    /// What it tells those who listen.
    pub events: Events,
    /// What it starts when something happens.
    pub hooks: Hooks,
    /// What it tells the service manager.
    pub heart: Heart,
    /// What others want done.
    pub commands: mpsc::Receiver<Command>,
    /// Whether old data is removed once a day.
    pub prune: bool,
    /// Set: the cycle that runs is to be broken off.
    pub interrupt: watch::Sender<bool>,
}

/// What the loop carries along.
#[derive(Debug)]
struct Course {
    scheduler: Scheduler,
    announcer: Announcer,
    hooks: hooks::Runner,
    alarm: Alarm,
    waiting: WaitingList,
    paused: Option<Paused>,
    /// Something had not settled when the vault was scanned last.
    unsettled: bool,
    /// Something has been wrong for too long.
    overdue: bool,
    /// Both clocks, when the loop came round last.
    came_round: (u64, Duration),
    /// The vault was not at its path when the loop came round last.
    away: bool,
    /// What keeps a pause from ending, if it was said.
    stuck: Option<String>,
    /// The watcher is to begin anew.
    rewatch: bool,
    /// Why the daemon ends.
    ended: Option<Ended>,
}

impl Daemon {
    /// Runs until the process ends, or until the vault is another one. Blocks its thread now and then: it wants one of its own.
    pub async fn run(mut self) -> Ended {
        let (hints, mut hinted) = mpsc::channel(HINTS);
        let mut watch = None;
        let mut course = self.course();
        loop {
            self.heart.waits();
            self.come_round(&mut course).await;
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command, &mut course).await;
            }
            if let Some(ended) = course.ended.take() {
                self.say_farewell(&ended, &mut course).await;
                return ended;
            }
            if std::mem::take(&mut course.rewatch) {
                // The old one first: two would count against the system's limit.
                drop(watch.take());
                watch = self.watch(hints.clone());
                course.scheduler.watching(watch.is_some());
            }
            let now = self.clock.monotonic();
            let next = if course.paused.is_some() {
                course.scheduler.next_look(now)
            } else {
                course.scheduler.next(now)
            };
            let pause = match next {
                Next::Run(ask) => {
                    // How it ended stands in the log and on the board.
                    let told = self.turn(&mut course, Request { ask, derived: false }, false).await;
                    if told.is_ok() {
                        self.prune_daily().await;
                    }
                    self.watch_more(watch.as_mut(), &mut course.scheduler);
                    // Commands that have come meanwhile go first, also where a cycle was broken off for one of them.
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
                Next::Wait(until) => until.saturating_sub(now),
                Next::Stopped => TICK,
            };
            tokio::select! {
                () = tokio::time::sleep(pause.min(self.heart.period()).min(TICK)) => {}
                Some(hint) = hinted.recv() => self.take(hint, &mut course),
                Some(command) = self.commands.recv() => self.obey(command, &mut course).await,
            }
            while let Ok(hint) = hinted.try_recv() {
                self.take(hint, &mut course);
            }
        }
    }

    fn course(&mut self) -> Course {
        let (now_ms, now) = (self.clock.now_ms(), self.clock.monotonic());
        let paused = self.engine.paused();
        // A wish that cannot be read is none to act on: whoever made it sees that the daemon syncs.
        let paused =
            paused.inspect_err(|error| tracing::error!(%error, "the pause cannot be read")).ok().flatten();
        let mut course = Course {
            scheduler: Scheduler::new(self.timing.clone(), now),
            announcer: Announcer::new(self.events.clone(), self.board.read().state),
            hooks: self.hooks.clone().start(),
            alarm: Alarm::new(self.engine.awaiting_since()),
            waiting: self.engine.waiting_list(),
            paused: None,
            unsettled: false,
            overdue: false,
            came_round: (now_ms, now),
            away: false,
            stuck: None,
            rewatch: true,
            ended: None,
        };
        if let Some(paused) = paused {
            tracing::info!("paused, as it was before");
            self.pause(paused, &mut course);
        }
        course
    }

    /// What is due whatever is scheduled: waking up, the end of a pause, the alarm.
    async fn come_round(&mut self, course: &mut Course) {
        let (now_ms, now) = (self.clock.now_ms(), self.clock.monotonic());
        let (then_ms, then) = std::mem::replace(&mut course.came_round, (now_ms, now));
        let wall = Duration::from_millis(now_ms.saturating_sub(then_ms));
        if wall > now.saturating_sub(then) + ASLEEP {
            tracing::info!(slept_s = wall.as_secs(), "the machine was asleep");
            course.scheduler.wake(now);
        }
        if course.paused.is_some_and(|paused| paused.is_over(now_ms)) {
            self.end_pause(course);
        }
        self.look_at_ground(course);
        if course.paused.is_some() {
            course.alarm.excuse(now_ms);
        } else if let Some((document, true)) = course.alarm.check(now_ms) {
            tracing::error!(next = document.next, "{}", document.message);
            self.board.update(|status| status.errors.insert(0, document));
            self.announce(course, &std::collections::BTreeSet::new()).await;
        }
    }

    /// Starts the watcher. Without it the scan finds everything, only later.
    fn watch(&self, hints: mpsc::Sender<WatchEvent>) -> Option<Watch> {
        let on_event = move |event| {
            // A queue that is full says the same as one more hint would: there is something to look at.
            let _full_or_stopping = hints.try_send(event);
        };
        let watch = Watch::start(self.grip.disk.as_ref(), self.engine.layout(), &self.filter, on_event);
        let without = |error: &_| tracing::warn!(%error, "going on without a watcher: the vault is scanned at every poll");
        watch.inspect_err(without).ok()
    }

    /// Watches folders that are new since the last scan.
    fn watch_more(&self, watch: Option<&mut Watch>, scheduler: &mut Scheduler) {
        match watch.map(|watch| watch.refresh(self.grip.disk.as_ref())) {
            None | Some(Ok(false)) => {}
            Some(Ok(true)) => scheduler.touch(self.clock.monotonic()),
            Some(Err(error)) => {
                tracing::warn!(%error, "not everything is watched; the scan finds the rest");
                scheduler.watching(false);
            }
        }
    }

    fn take(&self, hint: WatchEvent, course: &mut Course) {
        let (now, scheduler) = (self.clock.monotonic(), &mut course.scheduler);
        match hint {
            WatchEvent::Touched => scheduler.touch(now),
            WatchEvent::Overflow => {
                tracing::warn!("events of the watcher were lost: the whole vault is scanned");
                scheduler.overflow(now);
            }
            WatchEvent::Failed(why) => {
                tracing::warn!(why, "the watcher failed: the vault is scanned at every poll");
                scheduler.watching(false);
                scheduler.overflow(now);
            }
        }
        self.board.update(|status| {
            if status.state == State::InSync {
                status.state = State::Pending;
                course.announcer.state(State::Pending);
            }
        });
    }

    /// One cycle, and what the scheduler, the board and those who listen learn from it. `settle`: wait for what was written a
    /// moment ago.
    async fn turn(
        &mut self,
        course: &mut Course,
        request: Request,
        settle: bool,
    ) -> Result<SyncDocument, Problem> {
        let started = self.clock.monotonic();
        self.heart.works();
        let (watcher, interrupt) = (self.watcher(), Interrupt::new(self.interrupt.subscribe()));
        self.engine.heed(interrupt.clone());
        let cycle = async {
            if settle {
                self.engine.settled_cycle(request, &watcher).await
            } else {
                self.engine.cycle(request, &watcher).await
            }
        };
        let result = tokio::select! {
            result = cycle => result,
            () = interrupt.wanted() => Err(SyncError::Interrupted),
        };
        if matches!(result, Err(SyncError::Interrupted)) {
            tracing::info!("a cycle is broken off for a pause");
            self.board.update(|status| status.progress = None);
            return Err(obey::paused());
        }
        let outcome = outcome(&result);
        let now = self.clock.monotonic();
        course.scheduler.ended(started, now, request.ask, outcome, self.entropy.unit());
        if let Ok(report) = &result {
            show::log(report, now.saturating_sub(started));
        }
        let passing = self.note_waiting(course, &result, now);
        let answer = self.show(course, request.ask, outcome, now, result);
        self.announce(course, &passing).await;
        answer
    }

    /// Tells what is new, and starts the hooks for it.
    async fn announce(&mut self, course: &mut Course, passing: &std::collections::BTreeSet<String>) {
        let status = self.board.read();
        let told = course.announcer.cycle(&mut self.engine, &status, passing).await;
        course.hooks.hear(&told);
    }

    /// Whoever is told how far a cycle is.
    fn watcher(&self) -> impl Watcher + use<> {
        Watched { board: self.board.clone(), events: self.events.clone(), heart: self.heart.clone() }
    }
}

/// A cycle's progress is for the board, for those who listen and for the watchdog.
struct Watched {
    board: Board,
    events: Events,
    heart: Heart,
}

impl Watcher for Watched {
    fn progress(&self, progress: Progress) {
        self.heart.beats();
        if let Some(shown) = self.board.shown(progress) {
            self.events.progress(shown);
        }
    }
}

fn outcome(result: &Result<Report, SyncError>) -> Outcome {
    match result {
        Ok(report) => Outcome::Done { moved: report.moved(), again: report.again() },
        Err(error) => match error.advice() {
            Advice::Offline => Outcome::Offline,
            // A disk may be mounted, a bucket be put right: it is tried for ever, and says so all the time.
            Advice::Again | Advice::Stopped | Advice::Corrupt | Advice::Usage => Outcome::Failed,
            Advice::Refused => Outcome::Permanent,
        },
    }
}
