//! Files that were touched and that no scan has seen yet. Each settles by itself: one that never
//! stands still must not put off the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Scheduler;
use cogzy_engine::model::VaultPath;

/// The largest number of files that are told apart; more of them are many in any case.
const MOST: usize = 1024;

/// Touched files, and the times of their last touches.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    /// The first touch.
    pub first: Duration,
    paths: BTreeMap<VaultPath, Duration>,
    /// The last touch of something that has no name here, and the number of such touches.
    somewhere: Option<(Duration, usize)>,
}

impl Touched {
    /// Nothing, from `now` on.
    pub(super) fn from(now: Duration) -> Self {
        Self { first: now, ..Self::default() }
    }

    /// Notes a touch of `path`, or of something that has no name here.
    pub(super) fn note(&mut self, now: Duration, path: Option<VaultPath>) {
        match path.filter(|path| self.paths.len() < MOST || self.paths.contains_key(path)) {
            Some(path) => {
                self.paths.insert(path, now);
            }
            None => self.somewhere = Some((now, self.somewhere.map_or(0, |(_, count)| count) + 1)),
        }
    }

    /// The last touch of what has stood still for longest.
    pub(super) fn stillest(&self) -> Duration {
        let somewhere = self.somewhere.map(|(last, _)| last);
        self.paths.values().copied().chain(somewhere).min().unwrap_or(self.first)
    }

    /// The paths, if that is all.
    pub(super) fn named(&self) -> Option<BTreeSet<VaultPath>> {
        self.somewhere.is_none().then(|| self.paths.keys().cloned().collect())
    }

    /// The number of files, as far as they are told apart.
    pub(super) fn count(&self) -> usize {
        self.paths.len() + self.somewhere.map_or(0, |(_, count)| count)
    }

    /// Paths that a scan which began at `started` may not have seen.
    pub(super) fn since(mut self, started: Duration) -> Option<Self> {
        self.paths.retain(|_, last| *last >= started);
        self.somewhere = self.somewhere.filter(|(last, _)| *last >= started);
        self.first = self.first.max(started);
        (self.count() > 0).then_some(self)
    }
}

impl Scheduler {
    /// The places that a cycle at `now` need look at. None if it must scan the whole vault: if that
    /// is due, or if something was touched and nobody knows where.
    pub fn named(&mut self, now: Duration) -> Option<BTreeSet<VaultPath>> {
        let is_due = self.rescan_at <= now || self.whole_at <= now;
        let blind = !self.watching || self.failures > 0 || self.offline;
        let touched = self.touched.as_ref();
        let named = touched.map_or_else(|| Some(BTreeSet::new()), Touched::named);
        let named = named.filter(|_| !is_due && !blind);
        self.whole_scan = named.is_none();
        named
    }

    /// The time to push the touched files: when one has stood still, not too soon after the last
    /// push, and not put off for ever by further changes.
    pub(super) fn push_at(&self) -> Option<Duration> {
        let touched = self.touched.as_ref()?;
        let settled = touched.stillest() + self.timing.settle;
        if touched.count() >= self.timing.batch_files {
            return Some(settled.min(touched.first + self.timing.batch_interval.max(self.timing.settle)));
        }
        let batched = self.last_push.map_or(settled, |last| settled.max(last + self.timing.batch_interval));
        Some(batched.min(touched.first + self.timing.max_delay))
    }
}
