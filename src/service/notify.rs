//! The daemon's messages to the service manager that started it (sd_notify(3)): ready, state,
//! alive. Without such a manager they go nowhere.

use std::time::Duration;

use sd_notify::NotifyState;

/// The line to the service manager. The default one feeds no watchdog.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notifier {
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The line of this process, as its manager has set it up.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    /// The time within which the watchdog expects a sign of life, if there is one.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says that the service has started.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// Says that the service is about to stop.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Tells the state of the service, in a few words.
    pub fn status(&self, words: &str) {
        tell(&[NotifyState::Status(words)]);
    }

    /// Feeds the watchdog, if there is one.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// Feeds the watchdog, and asks it for `patience` from now on, or for its usual one if that is
    /// longer.
    pub fn alive_for(&self, patience: Duration) {
        if let Some(every) = self.watchdog {
            tell(&[NotifyState::WatchdogUsec(micros(every.max(patience))), NotifyState::Watchdog]);
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
