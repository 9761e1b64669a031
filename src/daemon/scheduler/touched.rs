//! Files that were touched and that no scan has seen yet. Each settles by itself: one that never
//! stands still must not put off the others.

use std::collections::BTreeMap;
use std::time::Duration;

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
