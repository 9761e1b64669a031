//! The cost of the daemon in a month, at Backblaze B2's prices: arithmetic over the settings, with
//! every number shown.
//!
//! It counts the requests that this program makes by itself, on devices that are always on: one at
//! work, the others waiting. Uploads are free there; downloads of other devices are free up to
//! three times the stored amount.

use std::time::Duration;

use serde::Serialize;

/// The date of the prices: those that Backblaze has published since October 2023, in US dollars.
/// <https://www.backblaze.com/cloud-storage/transaction-pricing>
const PRICES_OF: &str = "2023-10";
/// The price of a thousand listings (class C: ListObjectsV2).
const PER_1000_LISTINGS: f64 = 0.004;
/// Free listings a day, for the whole account.
const FREE_LISTINGS_A_DAY: f64 = 2500.0;
/// The price of a terabyte stored for a month.
const PER_TB: f64 = 6.0;
/// Bytes that are stored for free.
const FREE_BYTES: f64 = 10e9;

/// A month, in days.
const DAYS: f64 = 30.0;
/// The time that the remote is polled faster after a change.
const ACTIVE: Duration = Duration::from_secs(120);
/// Spells of work a day: a guess at a long day's work.
const SPELLS_A_DAY: f64 = 50.0;
/// Listings of a change beside the polls: before it, after it, and once more in a race. It puts a
/// pack and a commit.
const LISTINGS_PER_CHANGE: f64 = 3.0;
const PUTS_PER_CHANGE: f64 = 2.0;

/// The times between two polls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Polls {
    /// Where something changes now and then.
    pub usual: Duration,
    /// For a while after a change.
    pub active: Duration,
    /// Where nothing has changed for hours.
    pub idle: Duration,
}

/// An estimate for a month.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Estimate {
    /// The date of the prices.
    pub prices_of: &'static str,
    /// Devices of this vault.
    pub devices: usize,
    /// Polls while nothing happens.
    pub idle_polls: u64,
    /// Listings around changes.
    pub busy_listings: u64,
    /// Objects that are uploaded.
    pub puts: u64,
    /// Listings beyond the free ones.
    pub paid_listings: u64,
    /// The price of the requests, in US dollars.
    pub requests_usd: f64,
    /// The price of the storage, in US dollars.
    pub storage_usd: f64,
}

/// The month of a vault with `bytes` on so many devices. The one at work polls every `poll`, and
/// every `poll_active` after a change; the others have come to poll every `poll_idle`.
pub(super) fn estimate(polls: Polls, devices: usize, bytes: u64) -> Estimate {
    let seconds = |duration: Duration| duration.as_secs_f64().max(0.1);
    let others = f64::from(u32::try_from(devices.saturating_sub(1)).unwrap_or(u32::MAX));
    let waiting = 86_400.0 / seconds(polls.idle.max(polls.usual));
    // A long day's work leaves half a day in which nothing changes.
    let at_work = (43_200.0 / seconds(polls.usual)) + waiting / 2.0;
    let idle = at_work + others * (waiting + 1.0);
    let busy = SPELLS_A_DAY * (seconds(ACTIVE) / seconds(polls.active) + LISTINGS_PER_CHANGE) + 1.0;
    let paid = (idle + busy - FREE_LISTINGS_A_DAY).max(0.0) * DAYS;
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let stored = (bytes as f64 - FREE_BYTES).max(0.0) / 1e12;
    Estimate {
        prices_of: PRICES_OF,
        devices,
        idle_polls: whole(idle * DAYS),
        busy_listings: whole(busy * DAYS),
        puts: whole(SPELLS_A_DAY * PUTS_PER_CHANGE * DAYS),
        paid_listings: whole(paid),
        requests_usd: cents(paid / 1000.0 * PER_1000_LISTINGS),
        storage_usd: cents(stored * PER_TB),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and far from the end"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

fn cents(usd: f64) -> f64 {
    (usd * 100.0).ceil() / 100.0
}

#[cfg(test)]
mod tests;
