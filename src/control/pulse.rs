//! Signs of life of the daemon's loop, for clients that ask whether it hangs.
//!
//! The loop gives them, and says how long it may be silent after each; no timer gives any in its
//! place. Readers wait for no other thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cogzy_engine::clock::Clock;

/// The signs of life of one loop. Clones share them.
#[derive(Debug, Clone)]
pub struct Pulse {
    last: Arc<Mutex<Beat>>,
    clock: Arc<dyn Clock>,
}

/// One sign of life.
#[derive(Debug, Clone, Copy)]
struct Beat {
    /// The moment, in monotonic time.
    at: Duration,
    /// The longest silence that may follow it.
    patience: Duration,
}

/// The time without a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The length until now.
    pub length: Duration,
    /// True if it is longer than the loop announced: the loop hangs.
    pub is_too_long: bool,
}

impl Pulse {
    /// A pulse that begins with a sign of life now, and may be silent for `patience` after it.
    #[must_use]
    pub fn new(patience: Duration, clock: Arc<dyn Clock>) -> Self {
        let beat = Beat { at: clock.monotonic(), patience };
        Self { last: Arc::new(Mutex::new(beat)), clock }
    }

    /// Gives a sign of life; the patience stays as it was.
    pub fn beat(&self) {
        let now = self.clock.monotonic();
        self.last().at = now;
    }

    /// Gives a sign of life, after which there may be none for `patience`.
    pub fn beat_with(&self, patience: Duration) {
        let beat = Beat { at: self.clock.monotonic(), patience };
        *self.last() = beat;
    }

    /// The silence since the last sign of life.
    #[must_use]
    pub fn silence(&self) -> Silence {
        let Beat { at, patience } = *self.last();
        let length = self.clock.monotonic().saturating_sub(at);
        Silence { length, is_too_long: length > patience }
    }

    fn last(&self) -> MutexGuard<'_, Beat> {
        // Half a sign of life is one.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
