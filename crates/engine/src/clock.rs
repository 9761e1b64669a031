//! Time and randomness. No other module asks the system for either.
//!
//! All other code takes a [`Clock`] or an [`Entropy`]. So a test or a simulation controls the time
//! and the random draws, and the same seed gives the same run.

use std::fmt::Debug;
use std::time::Duration;

/// Source of time.
pub trait Clock: Send + Sync + Debug {
    /// Nanoseconds since the Unix epoch by this machine's clock, which may jump in either
    /// direction.
    fn now_ns(&self) -> i64;

    /// Time since a fixed moment. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Milliseconds since the Unix epoch; 0 if the clock is before it.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.now_ns() / 1_000_000).unwrap_or(0)
    }
}

/// Source of randomness for jitter and the ids of packs and devices. Never for keys.
pub trait Entropy: Send + Sync + Debug {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// Random number in `0.0..1.0`.
    fn unit(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Random bytes of fixed length, for identifiers.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// Clock of the system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// Creates a clock whose monotonic time starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module wraps the system's clock and entropy")]
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this module wraps the system's clock and entropy")]
    fn now_ns(&self) -> i64 {
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => nanos(since),
            Err(before) => -nanos(before.duration()),
        }
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Randomness of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this module wraps the system's clock and entropy")]
    fn fill(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // Without randomness, ids would repeat and objects be overwritten. A running system
            // always has some.
            std::process::abort();
        }
    }
}
