//! What the daemon tells the manager that started it: that it is ready, how it is, that it lives. Without such a manager it tells
//! only those who ask.
//!
//! The watchdog, and whoever asks, is fed by the daemon's own loop, whenever it comes round, and by the progress of the cycle that it runs: there is
//! no timer that would go on feeding it while the loop hangs. A cycle may wait long for one slow request, so while one runs the
//! manager is asked for more patience.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

use cogzy_engine::clock::Clock;

/// How long a cycle may go without any progress: longer than all tries of the slowest request take with the default timeouts.
const WORKING: Duration = Duration::from_secs(3600);
/// How long the loop may take to come round: it waits for a few seconds, and then does small things.
const WAITING: Duration = Duration::from_secs(60);
/// Progress comes often: it is passed on at most this often.
const BEAT: Duration = Duration::from_secs(1);

/// The line to the service manager. Clones share it.
#[derive(Debug, Clone)]
pub struct Heart {
    watchdog: Option<Duration>,
    pulse: Arc<Mutex<Pulse>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Pulse {
    /// The last sign of life, in monotonic time.
    beat: Duration,
    /// When the manager was told of one last.
    told: Duration,
    /// How long there may be none.
    patience: Duration,
}

impl Heart {
    /// The line of this process, as its manager has set it up.
    #[must_use]
    pub fn of_this_process(clock: Arc<dyn Clock>) -> Self {
        Self { watchdog: sd_notify::watchdog_enabled(), ..Self::unheard(clock) }
    }

    /// No line to any manager.
    #[must_use]
    pub fn unheard(clock: Arc<dyn Clock>) -> Self {
        let pulse = Pulse { beat: clock.monotonic(), patience: WAITING, ..Pulse::default() };
        Self { watchdog: None, pulse: Arc::new(Mutex::new(pulse)), clock }
    }

    /// How long there was no sign of life, and whether that is too long.
    #[must_use]
    pub fn silence(&self) -> (Duration, bool) {
        let pulse = *self.pulse();
        let silent = self.clock.monotonic().saturating_sub(pulse.beat);
        (silent, silent > pulse.patience)
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
        self.sign(WAITING);
        if let Some(every) = self.watchdog {
            tell(&[NotifyState::WatchdogUsec(micros(every)), NotifyState::Watchdog]);
        }
    }

    /// A cycle begins.
    pub fn works(&self) {
        self.sign(WORKING);
        if let Some(every) = self.watchdog {
            tell(&[NotifyState::WatchdogUsec(micros(every.max(WORKING))), NotifyState::Watchdog]);
        }
    }

    /// The cycle has come further.
    pub fn beats(&self) {
        let now = self.clock.monotonic();
        let mut pulse = self.pulse();
        pulse.beat = now;
        if self.watchdog.is_some() && now.saturating_sub(pulse.told) >= BEAT {
            pulse.told = now;
            tell(&[NotifyState::Watchdog]);
        }
    }

    fn sign(&self, patience: Duration) {
        let mut pulse = self.pulse();
        (pulse.beat, pulse.patience) = (self.clock.monotonic(), patience);
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        // Half a sign of life is one.
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Hands(Mutex<Duration>);

    impl Clock for Hands {
        fn now_ns(&self) -> i64 {
            0
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn a_loop_that_does_not_come_round_and_a_cycle_that_comes_no_further_are_told() {
        let hands = Arc::new(Hands::default());
        let heart = Heart::unheard(hands.clone());
        let pass = |time: Duration| *hands.0.lock().unwrap() += time;
        let second = Duration::from_secs(1);
        pass(WAITING);
        assert_eq!(heart.silence(), (WAITING, false));
        pass(second);
        assert_eq!(heart.silence(), (WAITING + second, true));
        heart.waits();
        assert_eq!(heart.silence(), (Duration::ZERO, false));
        heart.works();
        pass(WORKING);
        assert!(!heart.silence().1, "one slow request is no death");
        heart.beats();
        pass(WORKING);
        assert!(!heart.silence().1, "it came further");
        pass(second);
        assert!(heart.silence().1);
        heart.waits();
        pass(WAITING + second);
        assert!(heart.silence().1, "the patience for a cycle is over with the cycle");
    }
}
