//! The daemon's loop: watch, schedule, run cycles, take commands, stop at once.
//!
//! One thread does everything that matters; the watcher's only leaves hints, and the control socket's tasks only leave commands
//! and read the board. A stop signal in the middle of a cycle ends the process where it stands: nothing in a cycle needs to be
//! finished, for whatever a crash leaves behind the next start picks up, and a stop that waits for a slow upload is one that
//! gets killed. The lock on the vault is held by the caller.

mod announce;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::clock::{Clock, Entropy};
use crate::control::api::{ErrorDocument, HoldDocument, Problem, State, SyncDocument, holds, moment};
use crate::control::board::{Board, Command};
use crate::control::events::Events;
use crate::control::recovery;
use crate::fs::Fs;
use crate::service::notify::Heart;
use crate::sync::scheduler::{Ask, Next, Outcome, Scheduler, Timing};
use crate::sync::{Advice, Engine, Progress, Report, Request, SyncError, Trouble, Watcher, Weight};
use crate::vault::{Filter, Watch, WatchEvent};
use announce::Announcer;

/// Hints that may pile up; more than these say nothing new.
const HINTS: usize = 4096;

/// What the daemon is given.
#[derive(Debug)]
pub struct Daemon {
    /// The engine.
    pub engine: Engine,
    /// What is synced.
    pub filter: Filter,
    /// How the time is divided.
    pub timing: Timing,
    /// The disk.
    pub fs: Arc<dyn Fs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for jitter.
    pub entropy: Arc<dyn Entropy>,
    /// What it shows.
    pub board: Board,
    /// What it tells those who listen.
    pub events: Events,
    /// What it tells the service manager.
    pub heart: Heart,
    /// What others want done.
    pub commands: mpsc::Receiver<Command>,
}

/// What the loop carries along.
#[derive(Debug)]
struct Course {
    scheduler: Scheduler,
    announcer: Announcer,
}

impl Daemon {
    /// Runs until the process ends. Blocks its thread now and then: it wants one of its own.
    pub async fn run(mut self) {
        let (hints, mut hinted) = mpsc::channel(HINTS);
        let mut watch = self.watch(hints);
        let mut course = Course {
            scheduler: Scheduler::new(self.timing.clone(), self.clock.monotonic()),
            announcer: Announcer::new(self.events.clone(), self.board.read().state),
        };
        course.scheduler.watching(watch.is_some());
        loop {
            self.heart.waits();
            let now = self.clock.monotonic();
            let pause = match course.scheduler.next(now) {
                Next::Run(ask) => {
                    // How it ended stands in the log and on the board.
                    let _told = self.turn(&mut course, Request { ask, derived: false }, false).await;
                    self.watch_more(watch.as_mut(), &mut course.scheduler);
                    continue;
                }
                Next::Wait(until) => until.saturating_sub(now),
                Next::Stopped => Duration::from_secs(3600),
            };
            tokio::select! {
                () = tokio::time::sleep(pause.min(self.heart.period())) => {}
                Some(hint) = hinted.recv() => self.take(hint, &mut course),
                Some(command) = self.commands.recv() => self.obey(command, &mut course).await,
            }
            while let Ok(hint) = hinted.try_recv() {
                self.take(hint, &mut course);
            }
        }
    }

    /// Starts the watcher. Without it the scan finds everything, only later.
    fn watch(&self, hints: mpsc::Sender<WatchEvent>) -> Option<Watch> {
        let on_event = move |event| {
            // A queue that is full says the same as one more hint would: there is something to look at.
            let _full_or_stopping = hints.try_send(event);
        };
        let watch = Watch::start(self.fs.as_ref(), self.engine.layout(), &self.filter, on_event);
        let without = |error: &_| tracing::warn!(%error, "going on without a watcher: the vault is scanned at every poll");
        watch.inspect_err(without).ok()
    }

    /// Watches folders that are new since the last scan.
    fn watch_more(&self, watch: Option<&mut Watch>, scheduler: &mut Scheduler) {
        match watch.map(|watch| watch.refresh(self.fs.as_ref())) {
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
            WatchEvent::Overflow => scheduler.overflow(now),
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

    async fn obey(&mut self, command: Command, course: &mut Course) {
        let (reply, answer) = match command {
            Command::Retry => return course.scheduler.retry(self.clock.monotonic()),
            Command::Recover { job, reply } => {
                let answer = recovery::run(&mut self.engine, &job, &self.board).await;
                if job.changes() {
                    // What came of it stands in the answer; the board learns how things stand now.
                    let _told = self.turn(course, Request::FULL, false).await;
                }
                let _gone = reply.send(answer.map_err(|error| Problem::from(&error)));
                return;
            }
            Command::Sync { dry_run: true, derived, reply } => (reply, self.plan(derived).await),
            Command::Sync { dry_run: false, derived, reply } => {
                (reply, self.turn(course, Request { derived, ..Request::FULL }, true).await)
            }
            Command::Decide { hold, approve, reply } => {
                let (approved, rejected) = if approve { (vec![hold], vec![]) } else { (vec![], vec![hold]) };
                let answer = match self.engine.decide(&approved, &rejected) {
                    Ok(()) => self.turn(course, Request::FULL, true).await,
                    Err(error) => Err(Problem::from(&error)),
                };
                (reply, answer)
            }
        };
        // Whoever asked may have gone; what was done is done.
        let _gone = reply.send(answer);
    }

    async fn plan(&mut self, derived: bool) -> Result<SyncDocument, Problem> {
        let survey = self.engine.dry_run(derived, &self.watcher()).await;
        survey
            .map(|survey| SyncDocument::of_plan(&survey.plan, survey.generation()))
            .map_err(|error| Problem::from(&error))
    }

    /// One cycle, and what the scheduler and the board learn from it. `settle`: wait for what was written a moment ago.
    async fn turn(
        &mut self,
        course: &mut Course,
        request: Request,
        settle: bool,
    ) -> Result<SyncDocument, Problem> {
        let started = self.clock.monotonic();
        self.heart.works();
        let watcher = self.watcher();
        let result = if settle {
            self.engine.settled_cycle(request, &watcher).await
        } else {
            self.engine.cycle(request, &watcher).await
        };
        let outcome = outcome(&result);
        let now = self.clock.monotonic();
        course.scheduler.ended(started, now, request.ask, outcome, self.entropy.unit());
        if let Ok(report) = &result {
            log(report, now.saturating_sub(started));
        }
        let passing = result.as_ref().map(passing).unwrap_or_default();
        let answer = self.note(course, request.ask, outcome, now, result);
        let status = self.board.read();
        course.announcer.cycle(&mut self.engine, &status, &passing).await;
        answer
    }

    /// Puts how a cycle ended into the log and on the board.
    fn note(
        &self,
        course: &Course,
        ask: Ask,
        outcome: Outcome,
        now: Duration,
        result: Result<Report, SyncError>,
    ) -> Result<SyncDocument, Problem> {
        match result {
            Ok(report) => {
                self.show(&report, ask);
                Ok(SyncDocument::from(&report))
            }
            Err(error) => {
                let attempts = course.scheduler.failures();
                tracing::error!(%error, attempts, next = error.next(), "the cycle did not go through");
                let retry = match course.scheduler.next(now) {
                    Next::Wait(until) => Some(until.saturating_sub(now)),
                    Next::Run(_) => Some(Duration::ZERO),
                    Next::Stopped => None,
                };
                self.show_error(&error, outcome, attempts, retry);
                Err(Problem::from(&error))
            }
        }
    }

    /// Whoever is told how far a cycle is.
    fn watcher(&self) -> impl Watcher + use<> {
        Watched { board: self.board.clone(), events: self.events.clone(), heart: self.heart.clone() }
    }

    fn show(&self, report: &Report, ask: Ask) {
        if report.moved() || ask.scan {
            self.engine.note_success();
        }
        let now = moment(self.clock.now_ms());
        let weighs = |trouble: &&Trouble| trouble.weight != Weight::Skipped;
        let any = |weight| report.problems.iter().any(|trouble| trouble.weight == weight);
        self.board.update(|status| {
            status.progress = None;
            status.errors = report.problems.iter().filter(weighs).map(ErrorDocument::from).collect();
            status.generation = report.generation;
            status.remote_generation = report.generation;
            status.last_sync = Some(now);
            if let Some(standing) = report.standing {
                status.holds = holds(&report.holds);
                (status.files, status.bytes) = (standing.here.files, standing.here.bytes);
                status.pending.up = standing.waiting;
                status.conflicts = standing.conflicts;
            }
            if let Some(holdings) = &report.holdings {
                status.content = serde_json::to_value(holdings).ok();
            }
            status.state = match () {
                () if !status.holds.is_empty() => State::Held,
                () if any(Weight::Overdue) => State::Error,
                () if report.again() || any(Weight::Invalid) => State::Pending,
                () => State::InSync,
            };
            self.heart.says(&format!("{}, generation {}", status.state, status.generation));
        });
    }

    fn show_error(&self, error: &SyncError, outcome: Outcome, attempts: u32, retry: Option<Duration>) {
        let millis = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let at = |wait| moment(self.clock.now_ms().saturating_add(millis(wait)));
        let next = if retry.is_some() {
            error.next().to_owned()
        } else {
            format!("{}, then `cogzy-vault retry`", error.next())
        };
        let document = ErrorDocument {
            path: None,
            message: error.to_string(),
            attempts,
            next_retry: retry.map(at),
            next,
        };
        self.board.update(|status| {
            status.progress = None;
            status.errors = vec![document];
            status.state = if outcome == Outcome::Offline { State::Offline } else { State::Error };
            self.heart.says(&format!("{}: {error}", status.state));
        });
    }
}

/// Paths whose trouble goes away by itself.
fn passing(report: &Report) -> BTreeSet<String> {
    let passing = report.problems.iter().filter(|trouble| trouble.weight == Weight::Passing);
    passing.map(|trouble| trouble.path.clone()).collect()
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
        self.board.progress(progress);
        if let Some(shown) = self.board.read().progress {
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

/// One line for each cycle.
fn log(report: &Report, took: Duration) {
    let Report { generation, pushed, pulled, deleted_local, deleted_remote, transfer, .. } = *report;
    tracing::info!(
        generation,
        pushed,
        pulled,
        deleted_local,
        deleted_remote,
        conflicts = report.conflicts.len(),
        held = report.holds.len(),
        left_out = report.problems.len(),
        requests = transfer.requests,
        bytes_up = transfer.bytes_up,
        bytes_down = transfer.bytes_down,
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "{}",
        if report.moved() { "synced" } else { "nothing new" }
    );
    for hold in report.holds.iter().map(HoldDocument::from) {
        tracing::warn!(id = %hold.id, next = hold.next, "held: {}", hold.reason);
    }
}

/// The signals that mean stop.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Catches them from now on: before it is said that anything runs, so that whoever heard of it can stop it.
    ///
    /// # Errors
    /// Where signals cannot be caught.
    pub fn catch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub async fn arrive(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
