//! Looks at both sides: at the remote's commits; and at the vault, at the places that a watcher has
//! named or at all of it.
//!
//! Decided here: when a look at all of it need not wait for the remote's answer. Whichever came
//! first, a file is looked at once more when it is read or replaced; what was deleted since is seen
//! by the next look, as it is when the deletion comes a moment later. A crash leaves what the stat
//! cache has taken by then.

use std::sync::Arc;
use std::time::Duration;

use super::{Local, Request, Scope, Sides};
use crate::log::{Depth, LogError};
use crate::model::VaultPath;
use crate::planted::{Bug, planted};
use crate::sync::session::{Context, Session};
use crate::sync::{Phase, Progress, SyncError, blocking};
use crate::vault::{Scan, ScanOptions, Snapshots, Together, scan};

/// Age from which a listing that was asked for ahead is asked for again, and an early look made
/// again: the other side has moved on meanwhile.
const STALE: Duration = Duration::from_secs(2);

/// Findings of a look.
pub(super) struct Look {
    /// True if a command had the right to the groups before the look.
    pub held: bool,
    /// Transactions that were noted before the look.
    pub noted: Vec<Together>,
    /// The files.
    pub local: Local,
}

/// A look at all of the vault that was made before the remote had answered.
pub(crate) struct Early {
    held: bool,
    noted: Vec<Together>,
    scan: Scan,
    snapshots: Snapshots,
    /// Time at which it ended, by the monotonic clock.
    ended: Duration,
}

impl Session<'_> {
    /// Looks at the vault while a listing is on its way, if it is to be a look at all of it, and
    /// most of it is known. A look that fails is made again, and reported, when the remote has
    /// answered.
    pub(super) fn look_meanwhile(&mut self, request: Request, is_known: bool) {
        let needs_all = request.ask.scan && self.hints.is_none() && !planted(Bug::TrustTheWatcher);
        if needs_all && is_known && self.ahead.is_some() {
            self.memory.last = None;
            self.early = self.look_early().ok();
        }
    }

    fn look_early(&self) -> Result<Early, SyncError> {
        let held = self.context.groups_right()?.is_held();
        let noted = self.context.noted_together()?;
        // Which of two names that clash counts, the remote says.
        let (scan, snapshots) = blocking(|| self.scan(None, Scope::default()))?;
        // A command that ended since may have left half of its files in the scan.
        let held = held || self.context.groups_right()?.is_held();
        Ok(Early { held, noted, scan, snapshots, ended: self.context.ports.clock.monotonic() })
    }

    /// Lists the commits: by the listing that was asked for ahead, unless it is old by now.
    pub(super) async fn list(&mut self, depth: Depth) -> Result<(), SyncError> {
        let now = self.context.ports.clock.monotonic();
        let ahead = self.ahead.take().filter(|ahead| now - ahead.asked() <= STALE);
        let listed = self.log.refresh_by(depth, ahead).await;
        let is_offline = |error: &LogError| matches!(error, LogError::Remote(error) if error.kind.offline());
        self.memory.unreached = listed.as_ref().is_err_and(is_offline);
        Ok(listed?)
    }

    /// Looks at the vault, as `sides` has to be compared with it.
    pub(super) fn look(&mut self, sides: &Sides, scope: Scope) -> Result<Look, SyncError> {
        let manifest = &sides.remote.tree;
        let is_fresh = |early: &Early| self.context.ports.clock.monotonic() - early.ended <= STALE;
        if let Some(Early { held, noted, scan, snapshots, .. }) = self.early.take().filter(is_fresh) {
            return Ok(Look { held, noted, local: Local::of(scan, manifest).with(snapshots) });
        }
        let held = self.context.groups_right()?.is_held();
        let noted = self.context.noted_together()?;
        // Whatever ends this run early, the next one looks at all of the vault again.
        let last = self.memory.last.take();
        if let Some(local) = blocking(|| self.look_at_hints(last, sides, &noted, scope))? {
            return Ok(Look { held, noted, local });
        }
        let known = |path: &VaultPath| manifest.contains_key(path);
        let (scan, snapshots) = blocking(|| self.scan(Some(&known), scope))?;
        Ok(Look { held, noted, local: Local::of(scan, manifest).with(snapshots) })
    }

    /// Scans the vault. `prefer` says which paths win a clash of names.
    fn scan(
        &self,
        prefer: Option<&dyn Fn(&VaultPath) -> bool>,
        scope: Scope,
    ) -> Result<(Scan, Snapshots), SyncError> {
        let Context { ports, settings, layout, .. } = self.context;
        let known = ports.database.rows();
        let now_ns = ports.clock.now_ns();
        let snapshots = Snapshots::new(Arc::clone(&ports.fs), layout);
        let rehash = i64::try_from(settings.rehash.as_nanos()).unwrap_or(i64::MAX);
        let options = ScanOptions {
            vault: self.marker.vault,
            filter: &settings.filter,
            cache: &known,
            now_ns,
            settle: settings.settle,
            rehash_before: if scope.rehash { now_ns } else { now_ns.saturating_sub(rehash) },
            threads: settings.threads,
            prefer,
            snapshots: Some(&snapshots),
            progress: &|scan| {
                self.watcher.progress(Progress {
                    phase: Phase::Scan,
                    files_done: usize::try_from(scan.hashed).unwrap_or(usize::MAX),
                    files_total: usize::try_from(scan.to_hash).unwrap_or(usize::MAX),
                    bytes_done: scan.hashed_bytes,
                    bytes_total: scan.to_hash_bytes,
                });
            },
        };
        let scan = scan(self.context.fs(), layout, &options)?;
        if let Err(error) = ports.database.update_stats(&scan.news, &known.gone()) {
            tracing::warn!(%error, "the stat cache could not be written; files are hashed again next time");
        }
        Ok((scan, snapshots))
    }
}
