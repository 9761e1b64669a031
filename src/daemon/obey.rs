//! Commands from the socket.

use super::{Course, Daemon};
use crate::control::board::Command;
use crate::control::jobs;
use cogzy_client::documents::{Problem, State, moment};
use cogzy_engine::state::Paused;
use cogzy_engine::sync::{Request, SyncError};

impl Daemon {
    pub(super) async fn obey(&mut self, command: Command, course: &mut Course) {
        let (reply, answer) = match command {
            Command::Retry => return course.scheduler.retry(self.clock.monotonic()),
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
            Command::Recover { job, reply } => {
                self.heart.works();
                let watcher = self.watcher();
                let answer = jobs::run(&mut self.engine, &job, &watcher).await;
                self.board.update(|status| status.progress = None);
                // The answer has the result; this cycle brings the board up to date.
                let _told = self.turn(course, Request::FULL, false).await;
                let _gone = reply.send(answer.map_err(|error| Problem::from(&error)));
                return;
            }
            Command::Sync { derived, reply } => {
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
        // The client may have gone; the work is done all the same.
        let _gone = reply.send(answer);
    }

    /// Begins a pause: no cycle runs by itself from now on.
    pub(super) fn pause(&self, paused: Paused, course: &mut Course) {
        course.paused = Some(paused);
        self.board.update(|status| {
            status.state = State::Paused;
            status.paused_until = paused.until_ms.map(moment);
        });
        course.announcer.state(State::Paused);
    }

    /// Ends a pause.
    pub(super) fn go_on(&self, course: &mut Course) -> Result<(), SyncError> {
        if course.paused.take().is_some() {
            course.scheduler.wake(self.clock.monotonic());
            self.board.update(|status| {
                status.state = State::Pending;
                status.paused_until = None;
            });
            course.announcer.state(State::Pending);
        }
        self.engine.set_paused(None)
    }
}

/// The answer to a client whose cycle was broken off for a pause.
pub(super) fn paused() -> Problem {
    Problem {
        kind: "about:cogzy-vault/paused".to_owned(),
        title: "Somebody wants a pause".to_owned(),
        status: 409,
        detail: "the cycle was broken off because somebody wants a pause".to_owned(),
        next: "cogzy-vault resume".to_owned(),
        advice: None,
    }
}
