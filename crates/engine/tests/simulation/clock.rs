//! Virtual time: tokio's paused clock, a little time for each effect on a disk, and the error of
//! this device's clock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use cogzy_engine::clock::Clock;
use tokio::time::Instant;

/// The start of virtual time: 2023-11-14.
const START_NS: i64 = 1_700_000_000_000_000_000;
/// Time that one effect on a disk takes.
const EFFECT_NS: u64 = 20_000;

#[derive(Debug)]
pub struct SimClock {
    start: Instant,
    effects: AtomicU64,
    skew_ns: AtomicI64,
}

impl SimClock {
    /// Made within the runtime, whose clock stands still.
    pub fn new() -> Self {
        Self { start: Instant::now(), effects: AtomicU64::new(0), skew_ns: AtomicI64::new(0) }
    }

    /// A clock that shows what this one showed at `then`.
    pub fn copy(&self, then: Instant) -> Self {
        Self {
            start: self.start + then.elapsed(),
            effects: AtomicU64::new(self.effects.load(Ordering::Relaxed)),
            skew_ns: AtomicI64::new(self.skew_ns.load(Ordering::Relaxed)),
        }
    }

    /// An effect takes its time.
    pub fn tick(&self) {
        self.effects.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets the device's clock forward or back, which takes some seconds.
    pub fn jump(&self, seconds: i64) {
        self.skew_ns.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
        // Nobody sets a clock within one tick of a disk's times.
        self.effects.fetch_add(5_000_000_000 / EFFECT_NS, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now_ns(&self) -> i64 {
        START_NS + i64::try_from(self.monotonic().as_nanos()).unwrap() + self.skew_ns.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed() + Duration::from_nanos(self.effects.load(Ordering::Relaxed) * EFFECT_NS)
    }
}
