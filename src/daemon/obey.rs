//! Commands from the socket.

use super::grip::Ground;
use super::ground::Ended;
use super::{Course, Daemon};
use crate::control::board::Command;
use crate::control::jobs::{self, Job};
use cogzy_client::documents::{ErrorDocument, Problem, State, moment};
use cogzy_engine::state::Paused;
use cogzy_engine::sync::{Request, SyncError};
use cogzy_engine::vault::MarkerError;

impl Daemon {
    /// Carries out the command that has waited longest, if there is one. Between two of them the loop
    /// comes round: they may take hours.
    pub(super) async fn obey_next(&mut self, course: &mut Course) -> bool {
        let Ok(command) = self.commands.try_recv() else { return false };
        self.obey(command, course).await;
        true
    }

    pub(super) async fn obey(&mut self, command: Command, course: &mut Course) {
        let works =
            matches!(command, Command::Recover { .. } | Command::Sync { .. } | Command::Decide { .. });
        if works && !self.grip.is_held() {
            return self.obey_in_pause(command, course).await;
        }
        let (reply, answer) = match command {
            Command::Retry => {
                self.engine.renew_remote();
                return course.scheduler.retry(self.clock.monotonic());
            }
            Command::Pause { seconds, reply } => {
                let millis = |seconds: u64| seconds.saturating_mul(1000);
                let until_ms = seconds.map(|seconds| self.clock.now_ms().saturating_add(millis(seconds)));
                let paused = Paused { until_ms };
                let kept = self.engine.set_paused(Some(paused));
                self.pause(paused, course);
                self.interrupt.send_replace(false);
                let _gone = reply.send(kept.map_err(|error| Problem::from(&error)));
                return;
            }
            Command::Resume { reply } => {
                let _gone = reply.send(self.go_on(course).map_err(|error| Problem::from(&error)));
                return;
            }
            Command::Recover { job: Job::Prune { dry_run: false }, reply } if course.paused.is_none() => {
                Self::prune_for(course, reply);
                return;
            }
            Command::Recover { job, reply } => {
                self.heart.works();
                let watcher = self.watcher();
                let answer = jobs::run(&mut self.engine, &job, &watcher).await;
                self.board.update(|status| status.progress = None);
                // The answer has the result; this cycle brings the board up to date.
                let _told = self.turn(course, Request::FULL, None, false).await;
                let problem = |error: SyncError| match error {
                    SyncError::Interrupted => paused(),
                    error => Problem::from(&error),
                };
                let _gone = reply.send(answer.map_err(problem));
                return;
            }
            Command::Sync { derived, reply, ticket } => {
                // A save from here on may be too late for this cycle.
                drop(ticket);
                let request = self.engine.due(derived);
                (reply, self.turn(course, request, None, true).await)
            }
            Command::Decide { holds, approve, reply } => {
                let (approved, rejected) = if approve { (holds, vec![]) } else { (vec![], holds) };
                let answer = match self.engine.decide(&approved, &rejected) {
                    Ok(()) => self.turn(course, Request::FULL, None, true).await,
                    Err(error) => Err(Problem::from(&error)),
                };
                (reply, answer)
            }
        };
        // The client may have gone; the work is done anyway.
        let _gone = reply.send(answer);
    }

    /// Runs a command that the user gave during a pause. The vault is held while it lasts.
    async fn obey_in_pause(&mut self, command: Command, course: &mut Course) {
        match self.take_hold(course) {
            Ok(()) => {
                // Boxed, because it calls this function again; by then the vault is held.
                Box::pin(self.obey(command, course)).await;
                if course.paused.is_some() {
                    self.grip.let_go();
                }
            }
            Err(error) => refuse(command, &Problem::from(&error)),
        }
    }

    /// Takes hold of the vault again. If another one stands there, the daemon ends.
    fn take_hold(&mut self, course: &mut Course) -> Result<(), SyncError> {
        let taken = self.grip.take();
        if let (Err(SyncError::Marker(MarkerError::Replaced(_))), Ground::Replaced(message)) =
            (&taken, self.grip.ground())
        {
            course.ended = Some(Ended::of(message));
        }
        taken
    }

    /// Begins a pause: no cycle runs by itself, and nothing in the vault is open.
    pub(super) fn pause(&mut self, paused: Paused, course: &mut Course) {
        course.paused = Some(paused);
        let kept = self.socket.starts_with(self.grip.layout.root()).then(|| self.socket.clone());
        self.board.update(|status| {
            status.state = State::Paused;
            status.paused_until = paused.until_ms.map(moment);
            status.open = kept.into_iter().collect();
        });
        course.announcer.state(State::Paused);
        self.grip.let_go();
    }

    /// Ends a pause whose time is over. While the vault is missing the pause goes on, and that is
    /// logged once.
    pub(super) fn end_pause(&mut self, course: &mut Course) {
        match self.go_on(course) {
            Ok(()) => tracing::info!("the pause is over"),
            Err(error) => {
                let message = format!("the pause is over, but the vault cannot be kept: {error}");
                if course.stuck.as_ref() != Some(&message) {
                    tracing::error!(next = error.next(), "{message}");
                    self.board.update(|status| {
                        status.errors.retain(|error| error.path.is_some());
                        status.errors.insert(0, ErrorDocument::of(&message, error.next()));
                    });
                    course.stuck = Some(message);
                }
            }
        }
    }

    /// Ends a pause: takes hold of the vault and goes on.
    pub(super) fn go_on(&mut self, course: &mut Course) -> Result<(), SyncError> {
        if course.paused.is_some() {
            if let Err(error) = self.take_hold(course) {
                if course.ended.is_some() {
                    self.grip.end_pause_of_successor()?;
                }
                return Err(error);
            }
            course.paused = None;
            course.stuck = None;
            course.rewatch = true;
            course.scheduler.wake(self.clock.monotonic());
            self.board.update(|status| {
                status.state = State::Pending;
                status.paused_until = None;
                status.open.clear();
                status.errors.retain(|error| error.path.is_some());
            });
            course.announcer.state(State::Pending);
        }
        self.engine.set_paused(None)
    }
}

/// Answers a client whose request cannot be carried out.
fn refuse(command: Command, problem: &Problem) {
    // The client may have gone.
    let _gone = match command {
        Command::Sync { reply, .. } | Command::Decide { reply, .. } => {
            reply.send(Err(problem.clone())).is_err()
        }
        Command::Recover { reply, .. } => reply.send(Err(problem.clone())).is_err(),
        Command::Pause { reply, .. } | Command::Resume { reply } => reply.send(Err(problem.clone())).is_err(),
        Command::Retry => false,
    };
}

/// Answer to a client whose cycle was broken off for a pause.
pub(super) fn paused() -> Problem {
    Problem {
        kind: "about:cogzy-vault/paused".to_owned(),
        title: "Syncing is paused".to_owned(),
        status: 409,
        detail: "the sync was stopped: a pause has begun".to_owned(),
        next: "cogzy-vault resume".to_owned(),
        advice: None,
    }
}
