//! Looks at both sides: at the remote's commits; and at the vault, at the places that a watcher has
//! named or at all of it.
//!
//! Decided here: when a look at all of it need not wait for the remote's answer, nor for the
//! commits to be read. Whichever came first, a file is looked at once more when it is read or
//! replaced; what was deleted since is seen by the next look, as it is when the deletion comes a
//! moment later. A crash leaves what the stat cache has taken by then.

use std::sync::Arc;
use std::time::Duration;

use super::{Local, Scope, Sides};
use crate::log::{Depth, Log, LogError, Snapshot, Wishes};
use crate::model::{CommitKey, VaultId, VaultPath};
use crate::planted::{Bug, planted};
use crate::state::LastSync;
use crate::sync::session::{Context, Session};
use crate::sync::{Phase, Progress, SyncError, Watcher, blocking};
use crate::vault::{Scan, ScanOptions, Snapshots, Together, Verdict, scan};

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

/// A look at all of the vault, on whichever thread.
#[derive(Clone, Copy)]
pub(super) struct Scout<'e> {
    pub context: &'e Context,
    pub vault: VaultId,
    pub watcher: &'e dyn Watcher,
}

impl Session<'_> {
    /// The remote's one head, after forks are merged, and the commit that this device agreed on.
    pub(crate) async fn look_at_remote(
        &mut self,
        record: Option<&LastSync>,
        whole: bool,
    ) -> Result<Sides, SyncError> {
        self.list(if whole { Depth::Whole } else { Depth::Near }).await?;
        let agreed_key = record.and_then(|record| record.commit);
        if let Some(agreed) = agreed_key {
            self.log.check_agreed(agreed).await?;
        }
        if whole && let Err(error) = self.log.put_back_commits().await {
            tracing::warn!(%error, "commits are missing from the bucket, and could not be put back");
        }
        let agreed = self.log.snapshot(agreed_key).await?;
        self.log.trust_packs(&agreed);
        let head = self.log.settle().await?;
        self.weigh_claims(head, agreed_key).await;
        let remote = self.log.snapshot(head).await?;
        let remote = self.log.at_hand(remote);
        let agreed = self.log.snapshot(before_void(self.log, agreed_key, &remote)).await?;
        Ok(Sides { head, remote, agreed })
    }

    /// Notes what new commits say and is not true. Nothing depends on it.
    async fn weigh_claims(&mut self, head: Option<CommitKey>, known: Option<CommitKey>) {
        let Context { settings, .. } = self.context;
        let is_never = |path: &VaultPath| settings.filter.verdict(path) == Verdict::Never;
        let generations = settings.retention.generations;
        let wishes = Wishes { device: self.marker.device, generations, is_never: &is_never };
        if let Err(error) = self.log.weigh_claims(head, known, wishes).await {
            tracing::debug!(%error, "the claims of new commits are not weighed");
        }
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
        let scout = Scout { context: self.context, vault: self.marker.vault, watcher: self.watcher };
        let (scan, snapshots) = blocking(|| scout.scan(Some(&known), scope))?;
        Ok(Look { held, noted, local: Local::of(scan, manifest).with(snapshots) })
    }
}

impl Scout<'_> {
    /// Looks before the remote has answered.
    pub(super) fn look_early(&self) -> Result<Early, SyncError> {
        let held = self.context.groups_right()?.is_held();
        let noted = self.context.noted_together()?;
        // Which of two names that clash counts, the remote says.
        let (scan, snapshots) = self.scan(None, Scope::default())?;
        // A command that ended since may have left half of its files in the scan.
        let held = held || self.context.groups_right()?.is_held();
        Ok(Early { held, noted, scan, snapshots, ended: self.context.ports.clock.monotonic() })
    }

    /// Scans the vault. `prefer` says which paths win a clash of names.
    fn scan(
        &self,
        prefer: Option<&dyn Fn(&VaultPath) -> bool>,
        scope: Scope,
    ) -> Result<(Scan, Snapshots), SyncError> {
        let Context { ports, settings, layout, .. } = self.context;
        let known = ports.database.rows();
        // Matching is fastest for the thread that matched first: this one has patterns of its own.
        let filter = settings.filter.clone();
        let now_ns = ports.clock.now_ns();
        let snapshots = Snapshots::new(Arc::clone(&ports.fs), layout);
        let rehash = i64::try_from(settings.rehash.as_nanos()).unwrap_or(i64::MAX);
        let options = ScanOptions {
            vault: self.vault,
            filter: &filter,
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

/// The last agreed commit that is not void. The device sends anything beyond it again.
pub(super) fn before_void(log: &Log, agreed: Option<CommitKey>, head: &Snapshot) -> Option<CommitKey> {
    let mut agreed = agreed;
    while let Some(void) = agreed.filter(|key| head.void.contains(key) && !planted(Bug::KeepVoid)) {
        tracing::warn!(commit = %void, "this commit relied on data that was removed meanwhile; its changes are sent again");
        agreed = log.graph().first_parent(void);
    }
    agreed
}
