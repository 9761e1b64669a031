//! Packs that are named and not in the bucket.
//!
//! Decided here: a pack that was named a moment ago may not have shown up yet, so a device that
//! builds on it waits. One that was named long ago is lost: nothing new relies on it, and
//! everything that does not need it goes on. Nothing is written, and each look at the log asks for
//! lost packs again.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::chunks::{PACKS, pack_key, parse_pack_key};
use super::{Log, LogError, Snapshot};
use crate::model::{CommitKey, PackId, SharedMap};
use crate::remote::{RemoteErrorKind, list_all};

/// Maximum number of packs to check one by one. For more, a listing is cheaper.
pub const HEADS_BEFORE_LIST: usize = 16;
/// Packs that are asked for at once.
pub(super) const PARALLEL_HEADS: usize = 8;
/// Time after which a pack that was named counts as lost if it is not there, by the server's clock.
const SHOWS_UP_MS: i64 = 3600 * 1000;

impl Log {
    /// Packs of `snapshot` that do not exist, except those that another head has `swept` and those
    /// that are known to be lost.
    pub(super) async fn missing_packs(
        &mut self,
        snapshot: &Snapshot,
        swept: &BTreeSet<PackId>,
    ) -> Result<BTreeSet<PackId>, LogError> {
        // Packs that were not trusted with the last state, and those that are asked for each time.
        let fresh = self.trusted.diff(&snapshot.packs).filter(|(_, _, now)| now.is_some()).map(|(id, ..)| id);
        let lost = self.lost_packs.iter().filter(|id| snapshot.packs.contains_key(*id));
        let unseen = fresh.chain(lost).filter(|id| !self.seen_packs.contains(id) && !swept.contains(id));
        let mut unseen: BTreeSet<PackId> = unseen.copied().collect();
        // A pack in a commit is there with it, and need not be read for that, unless it was missed.
        let held = self.held(unseen.difference(&self.lost_packs).copied()).await?;
        unseen.retain(|pack| !held.contains_key(pack));
        self.seen_packs.extend(held.into_keys());
        if unseen.len() > HEADS_BEFORE_LIST {
            let listed = list_all(self.remote.as_ref(), PACKS, None).await?;
            self.seen_packs.extend(listed.iter().filter_map(|object| parse_pack_key(&object.key)));
        }
        let gone = self.not_found(&unseen).await?;
        self.lost_packs.retain(|pack| gone.contains(pack) || !unseen.contains(pack));
        Ok(gone.difference(&self.lost_packs).copied().collect())
    }

    /// Notes the missing packs of `head` that were named long ago as lost. Returns one that was
    /// named lately.
    pub(super) async fn note_missing(
        &mut self,
        head: CommitKey,
        mut missing: BTreeSet<PackId>,
    ) -> Result<Option<PackId>, LogError> {
        if missing.is_empty() {
            return Ok(None);
        }
        let old = self.named_long_ago(head).await?;
        if let Some(pack) = missing.iter().find(|pack| !old.contains(pack)) {
            return Ok(Some(*pack));
        }
        tracing::warn!(
            packs = missing.len(),
            "packs are missing from the bucket: run `cogzy-vault verify --deep` to see what is lost"
        );
        self.lost_packs.append(&mut missing);
        Ok(None)
    }

    /// Asks for those of `packs` that were not seen yet, and records the ones that exist. Returns
    /// the others.
    pub(super) async fn not_found(&mut self, packs: &BTreeSet<PackId>) -> Result<BTreeSet<PackId>, LogError> {
        let remote = self.remote.as_ref();
        let asked = stream::iter(packs.difference(&self.seen_packs)).map(|pack| async move {
            match remote.head(&pack_key(*pack)).await {
                Ok(found) => Ok((*pack, found.is_some())),
                Err(error) if error.kind == RemoteErrorKind::NotFound => Ok((*pack, false)),
                Err(error) => Err(LogError::from(error)),
            }
        });
        let answers: Vec<(PackId, bool)> = asked.buffered(PARALLEL_HEADS).try_collect().await?;
        let (found, gone): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, found)| *found);
        self.seen_packs.extend(found.into_iter().map(|(pack, _)| pack));
        Ok(gone.into_iter().map(|(pack, _)| pack).collect())
    }

    /// True if a commit was put so long ago that its packs would have shown up.
    pub(super) async fn is_long_ago(&mut self, key: CommitKey) -> Result<bool, LogError> {
        let Some(seen) = self.visible.get(&key).copied() else { return Ok(false) };
        Ok(seen.modified_ms <= self.remote.server_ms().await?.saturating_sub(SHOWS_UP_MS))
    }

    /// Packs of the newest state before `head` that is old enough for its packs to have shown up.
    ///
    /// Whoever puts a commit again makes it look new in the bucket, so a commit counts as old, too,
    /// if it says so itself and its parent does not say otherwise. If that is a lie, its packs are
    /// looked for at once.
    async fn named_long_ago(&mut self, head: CommitKey) -> Result<BTreeSet<PackId>, LogError> {
        let until = self.remote.server_ms().await?.saturating_sub(SHOWS_UP_MS);
        let times = self.commit_times().await?;
        for key in self.line(head) {
            let is_old = times.get(&key).is_some_and(|time| *time <= until);
            if is_old || self.says_it_is_old(key, until).await? {
                return Ok(self.snapshot(Some(key)).await?.packs.keys().copied().collect());
            }
        }
        Ok(BTreeSet::new())
    }

    /// True if a commit and its parent say that they were made by then.
    async fn says_it_is_old(&self, key: CommitKey, until_ms: i64) -> Result<bool, LogError> {
        for key in [Some(key), self.graph.first_parent(key)].into_iter().flatten() {
            let (_, commit) = self.read_commit(key).await?;
            let made_ms = commit.txn.map_or(u64::MAX, |made| made.wall_ms);
            if i64::try_from(made_ms).unwrap_or(i64::MAX) > until_ms {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The state as the bucket can give it: without lost packs.
    pub fn at_hand(&self, state: Arc<Snapshot>) -> Arc<Snapshot> {
        if self.lost_packs.is_empty() {
            return state;
        }
        let mut left = state.as_ref().clone();
        left.lost =
            self.lost_packs.iter().filter(|pack| left.packs.remove(pack).is_some()).copied().collect();
        Arc::new(left)
    }

    /// Records the packs of `snapshot` as existing: this device saw them when it agreed on the
    /// snapshot.
    pub fn trust_packs(&mut self, snapshot: &Snapshot) {
        let fresh = self.trusted.diff(&snapshot.packs).filter(|(_, _, now)| now.is_some()).map(|(id, ..)| id);
        self.seen_packs.extend(fresh.filter(|pack| !self.lost_packs.contains(pack)));
        self.trusted = snapshot.packs.clone();
    }

    /// Forgets that these packs exist, because they were deleted or not found.
    pub fn forget_packs(&mut self, packs: &BTreeSet<PackId>) {
        self.trusted = SharedMap::new();
        self.seen_packs.retain(|pack| !packs.contains(pack));
    }

    /// Records packs as lost, after a search for them.
    pub fn note_lost(&mut self, packs: &BTreeSet<PackId>) {
        self.forget_packs(packs);
        self.lost_packs.extend(packs);
    }

    /// Records those of `packs` that do not exist as lost. Returns one of them that was named so
    /// lately that it may still show up.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn note_gone(
        &mut self,
        head: CommitKey,
        packs: &BTreeSet<PackId>,
    ) -> Result<Option<PackId>, LogError> {
        self.seen_packs.retain(|pack| !packs.contains(pack));
        let gone = self.not_found(packs).await?;
        let old = self.named_long_ago(head).await?;
        if let Some(pack) = gone.iter().find(|pack| !old.contains(pack)) {
            return Ok(Some(*pack));
        }
        self.note_lost(&gone);
        Ok(None)
    }

    /// Records packs as existing, after they were seen.
    pub fn note_there(&mut self, packs: &BTreeSet<PackId>) {
        self.lost_packs.retain(|pack| !packs.contains(pack));
        self.seen_packs.extend(packs);
    }
}
