//! A commit of this device: begun on a state of the remote, written down, sent; and sent again where nobody knows what came of it.
//!
//! A crash before `sync/pending` is written leaves everything as it was. After it, the next cycle sends the same bytes once more.

use super::report::Report;
use super::{Engine, SyncError};
use crate::log::{Depth, Log, LogError, Prepared, Snapshot, pack_key};
use crate::model::{Commit, CommitKind, Device, FORMAT, Hlc, PackInfo, Prune};
use crate::planted::{Bug, planted};
use crate::state::{LastSync, Pending};
use crate::vault::Marker;

impl Engine {
    /// A commit that follows `head` and changes nothing yet.
    pub(super) fn draft(
        &self,
        log: &Log,
        marker: &Marker,
        head: &Snapshot,
        txn: Hlc,
        kind: CommitKind,
    ) -> Commit {
        Commit {
            format: FORMAT,
            vault: log.vault().unwrap_or(marker.vault),
            seq: head.seq() + 1,
            parents: head.key.into_iter().collect(),
            txn: Some(txn),
            device: Some(Device { id: marker.device, name: self.settings.device_name.clone() }),
            changes: Vec::new(),
            recipes: Vec::new(),
            packs: Vec::new(),
            groups: None,
            kept: Vec::new(),
            resolved: Vec::new(),
            kind,
            prune: Prune::default(),
        }
    }

    /// Sends a commit; `record` holds once it is there.
    pub(super) async fn publish(
        &self,
        log: &mut Log,
        prepared: &Prepared,
        record: LastSync,
    ) -> Result<(), SyncError> {
        // From here on the commit may exist: its bytes are fixed on disk before the first PUT.
        let pending = Pending { record, object: prepared.bytes.to_vec() };
        pending.save(self.fs(), &self.layout.pending())?;
        log.publish(prepared).await?;
        self.committed(&pending.record)
    }

    /// Repeats the PUT of a commit whose outcome is unknown, before anything new is planned.
    pub(super) async fn finish_pending(&self, log: &mut Log, report: &mut Report) -> Result<(), SyncError> {
        let path = self.layout.pending();
        let Some(pending) = Pending::load(self.fs(), &path)? else { return Ok(()) };
        let (prepared, commit) = Prepared::from_bytes(pending.object)?;
        tracing::info!(commit = %prepared.key, "a commit whose outcome was unknown is sent again");
        log.refresh(Depth::Near).await?;
        // It builds on what was agreed: in a bucket that has lost that, it would hang in the air.
        if let Some(agreed) = self.record()?.and_then(|record| record.commit) {
            log.check_agreed(agreed).await?;
        }
        if !self.can_stand(log, &commit).await? {
            tracing::warn!(
                commit = %prepared.key,
                "the bucket no longer has what this commit names, so it is not sent: what it was about is sent anew"
            );
            return Ok(Pending::clear(self.fs(), &path)?);
        }
        if planted(Bug::NewCommitOnRetry) {
            return self.commit_anew(log, commit, pending.record).await;
        }
        log.publish(&prepared).await?;
        self.committed(&pending.record)?;
        self.forget_uploaded();
        report.sent(&commit);
        Ok(())
    }

    /// [`Bug::NewCommitOnRetry`].
    async fn commit_anew(
        &self,
        log: &mut Log,
        mut commit: Commit,
        mut record: LastSync,
    ) -> Result<(), SyncError> {
        if let Some(device) = &commit.device {
            commit.txn = Some(Hlc::next(commit.txn, self.ports.clock.now_ms(), device.id));
        }
        let prepared = Prepared::new(&commit)?;
        log.publish(&prepared).await?;
        record.commit = Some(prepared.key);
        self.committed(&record)?;
        self.forget_uploaded();
        Ok(())
    }

    /// Whether the remote holds what a commit builds on and names.
    async fn can_stand(&self, log: &mut Log, commit: &Commit) -> Result<bool, SyncError> {
        for parent in &commit.parents {
            match log.check_agreed(*parent).await {
                Err(LogError::RolledBack { .. }) => return Ok(false),
                checked => checked?,
            }
        }
        for pack in &commit.packs {
            if !self.has_pack(pack).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the remote holds this pack whole.
    pub(super) async fn has_pack(&self, pack: &PackInfo) -> Result<bool, SyncError> {
        let object = self.ports.remote.head(&pack_key(pack.id)).await?;
        Ok(object.is_some_and(|object| object.size == pack.size))
    }

    /// A commit is visible: its record holds from now on.
    fn committed(&self, record: &LastSync) -> Result<(), SyncError> {
        record.save(self.fs(), &self.layout.last_sync())?;
        Ok(Pending::clear(self.fs(), &self.layout.pending())?)
    }

    /// The packs that were uploaded are named by a commit now.
    pub(super) fn forget_uploaded(&self) {
        if let Err(error) = self.ports.database.clear_uploaded() {
            tracing::warn!(%error, "the outbox could not be cleared; its packs are named twice at worst");
        }
    }
}
