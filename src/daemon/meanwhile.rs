//! Events of the time in which a cycle runs: a save, a sleep of the machine, a store that falls
//! silent.
//!
//! A cycle may wait long for a store that gives no answer. What is saved meanwhile must not look
//! synced.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::sleep::Sleep;
use super::{Course, Daemon, HINTS};
use crate::control::board::Board;
use cogzy_client::documents::State;
use cogzy_engine::clock::Clock;
use cogzy_engine::vault::WatchEvent;

/// The time between two looks at the clocks and the store.
const ROUND: Duration = Duration::from_secs(1);

/// The watch beside a cycle.
pub(super) struct Meanwhile<R> {
    pub board: Board,
    pub clock: Arc<dyn Clock>,
    /// Has connections made anew.
    pub renew: R,
    /// Hints of the watcher, and their times.
    pub heard: Vec<(Duration, WatchEvent)>,
}

impl<R: Fn()> Meanwhile<R> {
    /// Shows that saves which waited to settle are no longer what is waited for.
    pub(super) fn begins(&self) {
        self.board.update(|status| {
            if status.state == State::Pending {
                status.state = State::Syncing;
            }
        });
    }

    /// Watches until it is dropped.
    pub(super) async fn watch(
        &mut self,
        hints: &mut mpsc::Receiver<WatchEvent>,
        sleep: &mut Sleep,
    ) -> Infallible {
        let mut rounds = tokio::time::interval(ROUND);
        loop {
            tokio::select! {
                _ = rounds.tick() => self.come_round(sleep),
                Some(hint) = hints.recv() => self.hear(hint),
            }
        }
    }

    fn hear(&mut self, hint: WatchEvent) {
        // Of many, nobody needs to know where.
        let hint = match hint {
            WatchEvent::Touched(_) if self.heard.len() == HINTS => WatchEvent::Overflow,
            WatchEvent::Touched(_) if self.heard.len() > HINTS => return,
            hint => hint,
        };
        self.heard.push((self.clock.monotonic(), hint));
        self.board.update(|status| {
            if status.state == State::InSync {
                status.state = State::Syncing;
            }
        });
    }

    fn come_round(&self, sleep: &mut Sleep) {
        if sleep.slept(self.clock.now_ms(), self.clock.monotonic()) {
            // Connections do not outlive a sleep, and may not say so.
            (self.renew)();
        }
        let silent = self.board.hears_nothing();
        self.board.update(|status| match status.state {
            State::InSync | State::Pending | State::Syncing if silent => status.state = State::Offline,
            State::Offline if !silent && status.errors.iter().all(|error| error.path.is_some()) => {
                status.state = State::Syncing;
            }
            _ => {}
        });
    }
}

impl Daemon {
    /// Takes in the hints of a time that is over.
    pub(super) fn take_all(&self, heard: Vec<(Duration, WatchEvent)>, course: &mut Course) {
        for (at, hint) in heard {
            self.take(at, hint, course);
        }
    }
}

#[cfg(test)]
mod tests;
