//! The daemon's signs of life, for clients of the socket and for the service manager's watchdog.
//!
//! Both are fed by the daemon's own loop, whenever it comes round, and by the progress of the
//! running cycle: no timer goes on feeding them while the loop hangs. A cycle may wait long for one
//! slow request, so it asks for more patience.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::control::pulse::Pulse;
use crate::service::notify::Notifier;
use cogzy_engine::clock::Clock;

/// The longest time of a cycle without progress: longer than all tries of the slowest request take
/// with the default timeouts.
const WORKING: Duration = Duration::from_secs(3600);
/// The longest time of a round of the loop: it waits for a few seconds, then does small things.
const WAITING: Duration = Duration::from_secs(60);
/// The shortest time between two signs to the watchdog during a cycle: progress comes more often.
const WATCHDOG_EVERY: Duration = Duration::from_secs(1);

/// The heart of one daemon. Clones share it.
#[derive(Debug, Clone)]
pub struct Heart {
    notifier: Notifier,
    pulse: Pulse,
    /// The moment of the last sign to the watchdog during a cycle.
    fed: Arc<Mutex<Duration>>,
    clock: Arc<dyn Clock>,
}

impl Heart {
    /// A heart that tells the service manager through `notifier`.
    #[must_use]
    pub fn new(notifier: Notifier, clock: Arc<dyn Clock>) -> Self {
        Self { notifier, pulse: Pulse::new(WAITING, Arc::clone(&clock)), fed: Arc::default(), clock }
    }

    /// The signs of life, for those who ask.
    #[must_use]
    pub const fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// The longest time between two rounds of the loop that the watchdog allows.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.notifier.watchdog().map_or(Duration::MAX, |every| every / 3)
    }

    /// Tells the manager that the daemon keeps its vault from now on.
    pub fn ready(&self) {
        self.notifier.ready();
    }

    /// Tells the manager that the daemon is about to stop.
    pub fn stopping(&self) {
        self.notifier.stopping();
    }

    /// Tells the manager the state, in a few words.
    pub fn says(&self, words: &str) {
        self.notifier.status(words);
    }

    /// Notes that the loop has come round and waits.
    pub fn waits(&self) {
        self.pulse.beat_with(WAITING);
        self.notifier.alive_for(Duration::ZERO);
    }

    /// Notes that a cycle begins.
    pub fn works(&self) {
        self.pulse.beat_with(WORKING);
        self.notifier.alive_for(WORKING);
    }

    /// Notes that the cycle has made progress.
    pub fn beats(&self) {
        self.pulse.beat();
        if self.notifier.watchdog().is_none() {
            return;
        }
        let now = self.clock.monotonic();
        let mut fed = self.fed.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(*fed) >= WATCHDOG_EVERY {
            *fed = now;
            self.notifier.alive();
        }
    }
}

#[cfg(test)]
mod tests;
