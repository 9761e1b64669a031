//! What the daemon tells the manager that started it: that it is ready, how it is, that it lives. Without such a manager nothing
//! is said to anybody.
//!
//! The watchdog is fed by the daemon's own loop, whenever it comes round, and by the progress of the cycle that it runs: there is
//! no timer that would go on feeding it while the loop hangs. A cycle may wait long for one slow request, so while one runs the
//! manager is asked for more patience.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::Clock;

/// How long a cycle may go without any progress: longer than all tries of the slowest request take with the default timeouts.
const WORKING: Duration = Duration::from_secs(3600);
/// Progress comes often: it is passed on at most this often.
const BEAT: Duration = Duration::from_secs(1);

/// The line to the service manager. Clones share it.
#[derive(Debug, Clone)]
pub struct Heart {
    watchdog: Option<Duration>,
    last: Arc<Mutex<Duration>>,
    clock: Arc<dyn Clock>,
}

impl Heart {
    /// The line of this process, as its manager has set it up.
    #[must_use]
    pub fn of_this_process(clock: Arc<dyn Clock>) -> Self {
        Self { watchdog: sd_notify::watchdog_enabled(), last: Arc::default(), clock }
    }

    /// No line to anybody.
    #[must_use]
    pub fn unheard(clock: Arc<dyn Clock>) -> Self {
        Self { watchdog: None, last: Arc::default(), clock }
    }

    /// How often the loop has to come round.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.watchdog.map_or(Duration::MAX, |every| every / 3)
    }

    /// The daemon keeps its vault from now on.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// It is about to stop.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// How things stand, in a few words.
    pub fn says(&self, words: &str) {
        tell(&[NotifyState::Status(words)]);
    }

    /// The loop has come round and waits.
    pub fn waits(&self) {
        if let Some(every) = self.watchdog {
            tell(&[NotifyState::WatchdogUsec(micros(every)), NotifyState::Watchdog]);
        }
    }

    /// A cycle begins.
    pub fn works(&self) {
        if let Some(every) = self.watchdog {
            tell(&[NotifyState::WatchdogUsec(micros(every.max(WORKING))), NotifyState::Watchdog]);
        }
    }

    /// The cycle has come further.
    pub fn beats(&self) {
        if self.watchdog.is_none() {
            return;
        }
        let now = self.clock.monotonic();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(*last) >= BEAT {
            *last = now;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
