//! The check at each turn of the daemon that its vault still stands at its path. A missing one is
//! waited for. Another one ends the daemon, since everything it knows is of the first.

use std::time::Duration;

use super::grip::Ground;
use super::{Course, Daemon};
use cogzy_client::documents::{ErrorDocument, State};

/// Time for the last message to arrive.
const FAREWELL: Duration = Duration::from_millis(500);

/// Cause for which a daemon ends by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Cause, in words.
    pub message: String,
    /// Next step, in words.
    pub next: String,
}

impl Ended {
    pub(super) fn of(message: String) -> Self {
        let next = "start it again (a service does so by itself): it then keeps what stands there now";
        Self { message, next: next.to_owned() }
    }
}

impl Daemon {
    /// Checks that the vault at its path still is the one that is held.
    pub(super) fn look_at_ground(&self, course: &mut Course) {
        if !self.grip.is_held() {
            return;
        }
        match self.grip.ground() {
            Ground::Away => course.away = true,
            Ground::Replaced(message) => course.ended = Some(Ended::of(message)),
            Ground::Ours if std::mem::take(&mut course.away) => {
                tracing::info!("the vault is back");
                // Watches do not outlive a disk that was unmounted.
                course.rewatch = true;
                course.scheduler.retry(self.clock.monotonic());
            }
            Ground::Ours => {}
        }
    }

    /// Sends the last message to all clients and listeners.
    pub(super) async fn say_farewell(&mut self, ended: &Ended, course: &mut Course) {
        let Ended { message, next } = ended;
        tracing::error!(next, "{message}");
        let document = ErrorDocument::of(message, next);
        self.board.update(|status| {
            status.progress = None;
            status.state = State::Error;
            status.errors.insert(0, document);
        });
        self.announce(course).await;
        // Other tasks tell the listeners, and these hear nothing more once the process ends.
        tokio::time::sleep(FAREWELL).await;
    }
}
