//! A commit of this device: begun on a state of the remote, written down, sent; and sent again
//! while its outcome is unknown.
//!
//! Decided here: when a commit may be sent, and which time it names. A crash before `sync/pending`
//! is written leaves everything as it was. After it, the next cycle sends the same bytes once more.
//! One in the middle of a decision leaves it made or not made.

use std::collections::HashMap;

use crate::log::{Depth, HEADS_BEFORE_LIST, LogError, PACKS, Prepared, Snapshot, pack_key};
use crate::model::{
    Commit, CommitKind, Device, FIRST_FORMAT, FORMAT, Feature, Hlc, Keeps, MAX_AHEAD_MS, PackInfo, Prune,
    Reads, VaultId,
};
use crate::planted::{Bug, planted};
use crate::remote::{RemoteErrorKind, list_all};
use crate::state::{LastSync, Pending};
use crate::sync::SyncError;
use crate::sync::session::{Context, Session};
use crate::vault::Marker;

/// Time for which the store must have refused all commits before one is given up: 15 minutes.
const REFUSED_FOR_MS: u64 = 15 * 60 * 1000;
/// Name of the note since when commits are refused.
const REFUSED: &str = "commits-refused";

impl Session<'_> {
    /// Begins a commit that follows `head` and changes nothing yet.
    pub(crate) async fn draft(
        &self,
        head: &Snapshot,
        txn: Hlc,
        kind: CommitKind,
    ) -> Result<Commit, SyncError> {
        // Every reader of a vault that uses features also reads a commit of format 2.
        let reads = (!head.needs.is_empty()).then(Reads::ours);
        let base = self.log.base_for(head).await?;
        let name = self.context.settings.device_name.clone();
        let device = Device { id: self.marker.device, name, reads };
        Ok(Commit {
            format: FIRST_FORMAT,
            vault: self.log.vault().unwrap_or(self.marker.vault),
            seq: head.seq() + 1,
            parents: head.key.into_iter().collect(),
            txn: Some(txn),
            device: Some(device),
            changes: Vec::new(),
            recipes: Vec::new(),
            packs: Vec::new(),
            enclosed: None,
            groups: None,
            kept: Vec::new(),
            resolved: Vec::new(),
            kind,
            prune: Prune::default(),
            needs: Vec::new(),
            base,
            ext: None,
        })
    }

    /// Sends a commit; `record` holds once it is there.
    pub(crate) async fn publish(&mut self, prepared: &Prepared, record: LastSync) -> Result<(), SyncError> {
        let context = self.context;
        self.announce().await?;
        // From here on the commit may exist: its bytes are fixed on disk before the first PUT.
        let pending = Pending { record, object: prepared.bytes.to_vec() };
        pending.save(context.fs(), &context.layout.pending())?;
        let published = self.log.publish(prepared).await;
        context.note_outcome(&published);
        published?;
        context.committed(&pending.record)
    }

    /// Says what this program reads and this device wants to be kept, once before its first commit
    /// to a vault, and whenever that changes.
    pub(super) async fn announce(&self) -> Result<(), SyncError> {
        let database = &self.context.ports.database;
        let keeps = self.context.settings.retention.keeps();
        let Keeps { generations, seconds } = keeps;
        let (Marker { vault, device, .. }, features) = (&self.marker, Feature::ALL.len());
        let noted = format!("announced:{vault}:{device}:{FORMAT}:{features}:{generations}:{seconds}");
        if database.noted(&noted).unwrap_or_default().is_some() {
            return Ok(());
        }
        self.log.announce(self.marker.device, keeps).await?;
        if let Err(error) = database.note(&noted, self.context.ports.clock.now_ms()) {
            tracing::warn!(%error, "what this device reads is said again with its next commit");
        }
        Ok(())
    }

    /// Repeats the PUT of a commit whose outcome is unknown, before anything new is planned.
    pub(crate) async fn finish_pending(&mut self) -> Result<(), SyncError> {
        let path = self.context.layout.pending();
        let Some(pending) = Pending::load(self.context.fs(), &path)? else { return Ok(()) };
        // It may not show what is sent now.
        self.ahead = None;
        let prepared = Prepared::from_bytes(pending.object)?;
        tracing::info!(commit = %prepared.key, "a commit whose outcome was unknown is sent again");
        self.log.refresh(Depth::Near).await?;
        // The commit builds on the agreed one: in a bucket that has lost that, it would have no
        // parent.
        if let Some(agreed) = self.context.agreed()? {
            self.log.check_agreed(agreed).await?;
        }
        if !self.can_stand(&prepared.commit).await? {
            tracing::warn!(
                commit = %prepared.key,
                "the bucket no longer has what this commit names, so it is not sent: what it was about is sent anew"
            );
            return Ok(Pending::clear(self.context.fs(), &path)?);
        }
        if planted(Bug::NewCommitOnRetry) {
            return self.commit_anew(prepared.commit.as_ref().clone(), pending.record).await;
        }
        let published = self.log.publish(&prepared).await;
        self.context.note_outcome(&published);
        if let Err(error) = published {
            if !is_refusal(&error) {
                return Err(error.into());
            }
            self.log.refresh(Depth::Near).await?;
            match self.log.graph().contains(prepared.key) {
                true => {} // It came before the store began to refuse.
                false if self.context.is_refused() => {
                    tracing::warn!(
                        commit = %prepared.key,
                        "the store refuses commits, so this one is given up: what it was about is sent anew once the store takes it"
                    );
                    return Ok(Pending::clear(self.context.fs(), &path)?);
                }
                false => return Err(error.into()),
            }
        }
        self.context.committed(&pending.record)?;
        self.report.sent(&prepared.commit);
        Ok(())
    }

    /// Plays [`Bug::NewCommitOnRetry`].
    async fn commit_anew(&mut self, mut commit: Commit, mut record: LastSync) -> Result<(), SyncError> {
        if let Some(device) = &commit.device {
            commit.txn = Some(Hlc::next(commit.txn, self.context.ports.clock.now_ms(), device.id));
        }
        let prepared = Prepared::new(commit)?;
        self.log.publish(&prepared).await?;
        record.commit = Some(prepared.key);
        self.context.committed(&record)?;
        Ok(())
    }

    /// True if the remote holds everything that a commit builds on and names.
    async fn can_stand(&mut self, commit: &Commit) -> Result<bool, SyncError> {
        for parent in &commit.parents {
            match self.log.check_agreed(*parent).await {
                Err(LogError::RolledBack { .. }) => return Ok(false),
                checked => checked?,
            }
        }
        for pack in &commit.packs {
            if !self.context.has_pack(pack).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The transaction id after `last`. A clock that is more than a day ahead of the server's is
    /// not believed: the id never runs backwards, so one bad day would mark all later generations
    /// with its date. The server is asked only where the newest commit does not settle the matter.
    pub(crate) async fn next_txn(&self, last: Option<Hlc>) -> Result<Hlc, SyncError> {
        let device = self.marker.device;
        let now = self.context.ports.clock.now_ms();
        let ahead =
            |server: i64| u64::try_from(server).is_ok_and(|server| now > server.saturating_add(MAX_AHEAD_MS));
        if self.log.newest_ms().is_none_or(ahead)
            && let Some(server) = self.server_now().await?
            && ahead(server)
        {
            let server = u64::try_from(server).unwrap_or_default();
            tracing::warn!(
                ahead_s = now.saturating_sub(server) / 1000,
                "this device's clock is more than a day ahead of the server's: the server's time is noted instead; set the clock"
            );
            return Ok(Hlc::next(last, server, device));
        }
        Ok(Hlc::next(last, now, device))
    }

    /// The server's time, in milliseconds since the Unix epoch. None if the store does not tell it.
    async fn server_now(&self) -> Result<Option<i64>, SyncError> {
        match self.context.ports.remote.server_ms().await {
            Err(error) if error.kind == RemoteErrorKind::Malformed => Ok(None),
            told => Ok(Some(told?)),
        }
    }
}

fn is_refusal(error: &LogError) -> bool {
    matches!(error, LogError::Remote(error) if error.kind.is_refusal())
}

impl Context {
    /// Packs that an earlier run uploaded and did not commit. A pack that is gone from the remote
    /// is forgotten.
    pub(crate) async fn left_over(&self) -> Result<Vec<PackInfo>, SyncError> {
        let packs = self.ports.database.uploaded().unwrap_or_default();
        let mut there = Vec::new();
        if packs.len() > HEADS_BEFORE_LIST {
            let listed = list_all(self.ports.remote.as_ref(), PACKS, None).await?;
            let sizes: HashMap<&str, u64> =
                listed.iter().map(|object| (object.key.as_str(), object.size)).collect();
            there.extend(packs.into_iter().filter(|pack| {
                let key = pack_key(pack.id);
                sizes.get(key.as_str()) == Some(&pack.size)
            }));
            return Ok(there);
        }
        for pack in packs {
            if self.has_pack(&pack).await? {
                there.push(pack);
            }
        }
        Ok(there)
    }

    /// True if the remote holds this pack whole.
    pub(crate) async fn has_pack(&self, pack: &PackInfo) -> Result<bool, SyncError> {
        let object = self.ports.remote.head(&pack_key(pack.id)).await?;
        Ok(object.is_some_and(|object| object.size == pack.size))
    }

    /// Notes since when the store has done nothing with commits but refuse them.
    fn note_outcome(&self, published: &Result<(), LogError>) {
        let database = &self.ports.database;
        let since = database.noted(REFUSED).unwrap_or_default();
        let is_refused = published.as_ref().is_err_and(is_refusal);
        let noted = match since {
            None if is_refused => database.note(REFUSED, self.ports.clock.now_ms()),
            Some(_) if !is_refused => database.forget(REFUSED),
            _ => Ok(()),
        };
        if let Err(error) = noted {
            tracing::warn!(%error, "since when the store refuses commits could not be noted");
        }
    }

    /// True if the store has refused all commits for so long that no PUT can still be on its way:
    /// until then the outcome may yet be another.
    fn is_refused(&self) -> bool {
        let since = self.ports.database.noted(REFUSED).unwrap_or_default();
        since.is_some_and(|since| self.ports.clock.now_ms().saturating_sub(since) >= REFUSED_FOR_MS)
    }

    /// Notes that a commit is visible: its record is valid from now on.
    fn committed(&self, record: &LastSync) -> Result<(), SyncError> {
        self.save_record(record)?;
        Ok(Pending::clear(self.fs(), &self.layout.pending())?)
    }

    /// Changes the decisions that this device has on record. A commit whose outcome is unknown has a
    /// record of its own, which takes the other one's place: it gets them, too.
    pub(crate) fn decide(&self, vault: VaultId, decide: impl Fn(&mut LastSync)) -> Result<(), SyncError> {
        let path = self.layout.pending();
        if let Some(mut pending) = Pending::load(self.fs(), &path)? {
            decide(&mut pending.record);
            pending.save(self.fs(), &path)?;
        }
        let mut record = self.record_or_first(vault)?;
        decide(&mut record);
        self.save_record(&record)
    }

    /// Forgets the uploaded packs: commits name those that are needed.
    pub(crate) fn clear_uploaded(&self) {
        if let Err(error) = self.ports.database.clear_uploaded() {
            tracing::warn!(%error, "the outbox could not be cleared; its packs are named twice at worst");
        }
    }
}
