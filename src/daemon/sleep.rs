//! Sleep of the machine, as two clocks tell it: the wall clock goes on, the monotonic one stands
//! still.

use std::time::Duration;

/// The advance of the wall clock over the monotonic one that means the machine was asleep.
const ASLEEP: Duration = Duration::from_secs(10);

/// Both clocks at the last look: the wall clock in milliseconds, and the monotonic one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sleep {
    then_ms: u64,
    then: Duration,
    times: u32,
}

impl Sleep {
    pub(super) const fn new(now_ms: u64, now: Duration) -> Self {
        Self { then_ms: now_ms, then: now, times: 0 }
    }

    /// The number of times that the machine was asleep.
    pub(super) const fn times(&self) -> u32 {
        self.times
    }

    /// True if the machine was asleep since the last look.
    pub(super) fn slept(&mut self, now_ms: u64, now: Duration) -> bool {
        let before = std::mem::replace(self, Self { times: self.times, ..Self::new(now_ms, now) });
        let wall = Duration::from_millis(now_ms.saturating_sub(before.then_ms));
        let slept = wall > now.saturating_sub(before.then) + ASLEEP;
        if slept {
            self.times = self.times.saturating_add(1);
            tracing::info!(slept_s = wall.as_secs(), "the machine was asleep");
        }
        slept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wall_clock_that_runs_ahead_means_sleep() {
        let mut sleep = Sleep::new(1000, Duration::from_secs(1));
        assert!(!sleep.slept(61_000, Duration::from_secs(61)), "a long round is no sleep");
        assert!(!sleep.slept(0, Duration::from_secs(62)), "nor is a clock that is set back");
        assert!(!sleep.slept(10_000, Duration::from_secs(62)));
        assert!(sleep.slept(21_000, Duration::from_secs(62)));
        assert!(!sleep.slept(22_000, Duration::from_secs(63)), "it is noticed once");
    }
}
