//! One cycle of the daemon, and its news for the scheduler, the board and the subscribers.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::heart::Heart;
use super::meanwhile::Meanwhile;
use super::scheduler::CycleOutcome;
use super::{Course, Daemon, obey, show};
use crate::control::board::Board;
use crate::control::events::Events;
use crate::memory;
use cogzy_client::documents::{Problem, SyncDocument};
use cogzy_engine::model::VaultPath;
use cogzy_engine::sync::{Advice, Amount, Interrupt, Progress, Report, Request, SyncError, Watcher};

impl Daemon {
    /// Runs one cycle, and hands its news to the scheduler, the board and the subscribers. With
    /// `settle` it first waits for files that were written a moment ago; with `places` it looks
    /// only at those, where that is enough.
    pub(super) async fn turn(
        &mut self,
        course: &mut Course,
        request: Request,
        places: Option<BTreeSet<VaultPath>>,
        settle: bool,
    ) -> Result<SyncDocument, Problem> {
        let (started, whole) = (self.clock.monotonic(), places.is_none());
        let slept = course.sleep.times();
        self.heart.works();
        let (watcher, interrupt) = (self.watcher(), Interrupt::new(self.interrupt.subscribe()));
        self.engine.heed(interrupt.clone());
        let mut meanwhile = Meanwhile {
            board: self.board.clone(),
            clock: Arc::clone(&self.clock),
            renew: self.engine.renewal(),
            heard: Vec::new(),
        };
        meanwhile.begins();
        let cycle = async {
            if settle {
                self.engine.settled_cycle(request, &watcher).await
            } else {
                self.engine.cycle_at(request, places, &watcher).await
            }
        };
        let result = tokio::select! {
            result = cycle => result,
            () = interrupt.wanted() => Err(SyncError::Interrupted),
            never = meanwhile.watch(&mut course.hints, &mut course.sleep) => match never {},
        };
        // What a pull writes gives hints, too: they are the next cycle's.
        let late = if result.as_ref().is_ok_and(|report| report.pulled + report.deleted_local > 0) {
            std::mem::take(&mut meanwhile.heard)
        } else {
            Vec::new()
        };
        self.take_all(meanwhile.heard, course);
        if matches!(result, Err(SyncError::Interrupted)) {
            tracing::info!("a cycle is broken off for a pause");
            self.board.update(|status| status.progress = None);
            return Err(obey::paused());
        }
        let outcome = outcome(&result);
        let now = self.clock.monotonic();
        course.scheduler.ended(started, now, request.ask, outcome, self.entropy.unit());
        match &result {
            Ok(report) => show::log(report, now.saturating_sub(started)),
            // One that lay in a sleep fails of that, and the next one begins at once.
            Err(_) if course.sleep.times() != slept => course.alarm.wakes(),
            Err(_) => course.alarm.fails(),
        }
        if let Some(passing) = self.note_waiting(course, &result, now) {
            course.passing = passing;
        }
        let answer = self.show(course, request.ask, outcome, now, result);
        self.take_all(late, course);
        self.announce(course).await;
        if whole {
            // A look at everything needs much that nothing else does.
            memory::give_back();
        }
        answer
    }

    /// Announces the news, and starts the hooks for it.
    pub(super) async fn announce(&mut self, course: &mut Course) {
        let status = self.board.read();
        let told = course.announcer.cycle(&mut self.engine, &status, &course.passing).await;
        course.hooks.hear(&told);
    }

    /// The watcher of the daemon's own cycles.
    pub(super) fn watcher(&self) -> impl Watcher + use<> {
        CycleWatcher { board: self.board.clone(), events: self.events.clone(), heart: self.heart.clone() }
    }
}

/// A watcher that hands a cycle's progress to the board, to the subscribers and to the watchdog.
struct CycleWatcher {
    board: Board,
    events: Events,
    heart: Heart,
}

impl Watcher for CycleWatcher {
    fn progress(&self, progress: Progress) {
        self.heart.beats();
        if let Some(shown) = self.board.shown(progress) {
            self.events.progress(shown);
        }
    }

    fn surveyed(&self, generation: u64, coming: Amount) {
        self.board.update(|status| {
            status.remote_generation = generation;
            status.pending.down = coming;
        });
    }
}

fn outcome(result: &Result<Report, SyncError>) -> CycleOutcome {
    match result {
        Ok(report) => CycleOutcome::Done {
            moved: report.moved(),
            sent: report.pushed + report.deleted_remote + report.conflicts.len() > 0,
            again: report.again(),
        },
        Err(error) => match error.advice() {
            Advice::Offline => error.slow_down().map_or(CycleOutcome::Offline, CycleOutcome::Throttled),
            // A disk may be mounted, a bucket may be put right: the daemon tries for ever, and
            // reports it all the time.
            Advice::Again | Advice::Stopped | Advice::Corrupt | Advice::Usage => CycleOutcome::Failed,
            Advice::Refused => CycleOutcome::Permanent,
        },
    }
}
