//! When all of `commits/` is listed, and not its end alone.
//!
//! The end is enough to see what others commit. All of it shows what came late, from a device that
//! slept in the middle of a PUT, and what is missing. It is listed once a day, by this machine's
//! clock, and the note of that is in the cache: where it is lost, or the clock was set back, all is
//! listed. Every 1,000 saves add a request to that listing, so it is not for each process.

use std::sync::Arc;
use std::time::Duration;

use super::{Ask, Request};
use crate::log::{Ahead, LOOK_BACK, Log};
use crate::sync::session::Context;
use crate::sync::{Engine, Ports, object_cache};

/// Time after which all of `commits/` is listed again.
pub const WHOLE_LISTING: Duration = Duration::from_secs(24 * 3600);
/// Key in the cache: the time of the last one, in milliseconds since the Unix epoch.
const LISTED: &str = "listed-whole";

impl Engine {
    /// Time until all of `commits/` is to be listed again ([`super::Ask::whole`]); zero if it is
    /// now. A log that is not longer than its end is always listed whole.
    #[must_use]
    pub fn whole_listing_in(&self) -> Duration {
        let agreed = self.context.agreed().ok().flatten();
        if agreed.is_none_or(|agreed| agreed.seq <= LOOK_BACK) {
            return Duration::ZERO;
        }
        let cache = object_cache(&self.context.ports);
        let listed = cache.get(LISTED).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let age = listed.and_then(|listed| cache.now_ms().checked_sub(listed)).map(Duration::from_millis);
        age.map_or(Duration::ZERO, |age| WHOLE_LISTING.saturating_sub(age))
    }

    /// Order for a cycle that looks at everything here, and lists all of `commits/` if that is due.
    #[must_use]
    pub fn due(&self, derived: bool) -> Request {
        let whole = self.whole_listing_in().is_zero();
        Request { ask: Ask { whole, ..Request::FULL.ask }, derived }
    }

    /// Asks for the commits that a cycle will need, if it will look at all of the vault meanwhile;
    /// not while the remote is out of reach, since then each attempt would cost such a look.
    pub(super) fn ask_ahead(&self, request: Request, is_hinted: bool) -> Option<Ahead> {
        let looks = request.ask.whole || request.ask.scan && !is_hinted;
        if !looks || self.memory.unreached {
            return None;
        }
        let Ports { remote, clock, .. } = &self.context.ports;
        let near = || {
            let in_cache = || Log::near_in(object_cache(&self.context.ports).as_ref());
            self.log.as_ref().map_or_else(in_cache, Log::near)
        };
        let from = if request.ask.whole { 0 } else { near() };
        Some(Ahead::begin(Arc::clone(remote), from, clock.monotonic()))
    }
}

impl Context {
    /// Notes that all of `commits/` was listed, in a cycle that came to its end.
    pub(super) fn note_whole_listing(&self, log: &Log) {
        if log.near() > 0 {
            let cache = object_cache(&self.ports);
            cache.put(LISTED, &cache.now_ms().to_le_bytes());
        }
    }
}
