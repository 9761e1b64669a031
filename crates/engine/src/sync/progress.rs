//! Progress of a long piece of work, its watcher, and an estimate of the time left.
//!
//! Nothing is written; a crash leaves nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::report::Amount;
use crate::plan::Plan;

/// Progress of a long piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Work being done.
    pub phase: Phase,
    /// Files done.
    pub files_done: usize,
    /// Files in all.
    pub files_total: usize,
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

/// Phase of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Looking at the vault's files.
    #[default]
    Scan,
    /// Sending.
    Upload,
    /// Fetching.
    Download,
    /// Putting fetched files in their places.
    Apply,
    /// Deleting old data from the bucket; its objects count as files.
    Delete,
    /// Looking what of the bucket is needed; the steps of that count as files.
    Weigh,
    /// Reading the bucket's packs to check them.
    Verify,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scan => "scan",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Apply => "apply",
            Self::Delete => "delete",
            Self::Weigh => "weigh",
            Self::Verify => "verify",
        })
    }
}

/// The watcher of a run.
pub trait Watcher: Send + Sync {
    /// Called often; must return at once.
    fn progress(&self, progress: Progress);
    /// Called with the plan of a cycle before it is carried out.
    fn planned(&self, _plan: &Plan) {}
    /// Called with the remote's newest generation and what is to be fetched of it, before that is
    /// carried out.
    fn surveyed(&self, _generation: u64, _coming: Amount) {}
    /// Called with the number of places that a look was at, if it was not at all of the vault.
    fn named(&self, _places: usize) {}
}

/// A watcher that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watcher for Unwatched {
    fn progress(&self, _: Progress) {}
}

/// Shortest time from which the rest can be estimated.
const TOO_EARLY: Duration = Duration::from_secs(2);

/// Pace of the current phase.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace(Option<Under>);

#[derive(Debug, Clone, Copy)]
struct Under {
    what: (Phase, u64),
    since: Duration,
    first: u64,
    last: u64,
}

impl Pace {
    /// Takes in the progress at `now`, and returns the time that the rest of this phase takes at
    /// the same pace. None while that cannot be told. Bytes decide if they are known, else files.
    pub fn left(&mut self, progress: &Progress, now: Duration) -> Option<Duration> {
        let (done, total) = if progress.bytes_total > 0 {
            (progress.bytes_done, progress.bytes_total)
        } else {
            (progress.files_done as u64, progress.files_total as u64)
        };
        let what = (progress.phase, total);
        // Less progress than before, or another total, means another piece of work.
        let same = self.0.filter(|under| under.what == what && under.last <= done);
        let under = same.unwrap_or(Under { what, since: now, first: done, last: done });
        self.0 = Some(Under { last: done, ..under });
        let (took, moved) = (now.saturating_sub(under.since), done - under.first);
        if took < TOO_EARLY || moved == 0 || done > total {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let share = (total - done) as f64 / moved as f64;
        Duration::try_from_secs_f64(took.as_secs_f64() * share).ok()
    }

    /// Bytes a second since the phase began, as [`Pace::left`] was told; none where bytes are not
    /// known or it is too early to tell.
    #[must_use]
    pub fn rate(&self, progress: &Progress, now: Duration) -> Option<u64> {
        let under = self.0.filter(|under| under.what == (progress.phase, progress.bytes_total))?;
        let took = now.saturating_sub(under.since);
        if took < TOO_EARLY || progress.bytes_total == 0 {
            return None;
        }
        let moved = u128::from(under.last - under.first) * 1000;
        u64::try_from(moved / took.as_millis().max(1)).ok()
    }
}

#[cfg(test)]
mod tests;
