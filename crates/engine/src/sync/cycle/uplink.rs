//! The speed of the uplink, and the size of packs that suits it.
//!
//! A pack is sent whole or not at all: what a break of the connection costs is one pack. So a pack
//! is no larger than the line carries in a few seconds, within bounds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::content::PACK_TARGET;

/// The time that one pack should take.
const PACK_TIME: u64 = 5;
/// The size of packs before anything was measured.
const FIRST: u64 = 512 << 10;
/// The smallest pack: more of them would cost more in requests than they save.
const SMALLEST: u64 = 64 << 10;
/// The time over which the speed is measured.
const WINDOW: Duration = Duration::from_secs(30);

/// The uplink as this process knows it. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uplink(Arc<Mutex<Measured>>);

#[derive(Debug, Default)]
struct Measured {
    /// Bytes per second.
    rate: Option<u64>,
    under_way: usize,
    since: Duration,
    arrived: u64,
}

impl Uplink {
    /// Notes that a run begins: what an earlier one had on its way is given up.
    pub(super) fn run_begins(&self) {
        self.lock().under_way = 0;
    }

    /// Notes that a pack is on its way.
    pub(super) fn begins(&self, now: Duration) {
        let mut measured = self.lock();
        if measured.under_way == 0 {
            (measured.since, measured.arrived) = (now, 0);
        }
        measured.under_way += 1;
    }

    /// Notes that a pack of `bytes` has arrived, or not.
    pub(super) fn ended(&self, now: Duration, bytes: u64, arrived: bool) {
        let mut measured = self.lock();
        measured.under_way = measured.under_way.saturating_sub(1);
        if !arrived {
            measured.rate = Some(measured.target() / PACK_TIME / 2);
            (measured.since, measured.arrived) = (now, 0);
            return;
        }
        measured.arrived += bytes;
        let nanos = now.saturating_sub(measured.since).as_nanos().max(1);
        // A small pack measures the way there and back, not the width of the line.
        if measured.arrived >= SMALLEST {
            let rate = u128::from(measured.arrived) * 1_000_000_000 / nanos;
            let rate = u64::try_from(rate).unwrap_or(u64::MAX);
            measured.rate = Some(measured.rate.map_or(rate, |before| before / 2 + rate / 2));
        }
        let elapsed = now.saturating_sub(measured.since);
        if elapsed > WINDOW {
            // What is long ago counts for less and less.
            measured.since += elapsed / 2;
            measured.arrived /= 2;
        }
    }

    /// The size at which a pack is sent.
    pub(super) fn pack_target(&self) -> usize {
        usize::try_from(self.lock().target()).unwrap_or(PACK_TARGET)
    }

    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    fn target(&self) -> u64 {
        let carried = self.rate.map_or(FIRST, |rate| rate.saturating_mul(PACK_TIME));
        carried.clamp(SMALLEST, PACK_TARGET as u64)
    }
}

#[cfg(test)]
mod tests;
