//! Reads commits: lists them, decodes them, and checks that this device's past is still among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::format::{COMMITS, before_seq, commit_key, decode_commit, parse_commit_key};
use super::{Depth, LOOK_BACK, Log, LogError, Node, Snapshot};
use crate::model::{Commit, CommitKey, PackId, limits};
use crate::planted::{Bug, planted};
use crate::remote::{RemoteErrorKind, Span, list_all};

/// Number of concurrent reads of commits.
const PARALLEL_READS: usize = 8;
/// Maximum number of packs to check one by one. For more, a listing is cheaper.
const HEADS_BEFORE_LIST: usize = 16;

impl Log {
    /// Lists commits and reads the unknown ones.
    ///
    /// # Errors
    /// Errors of the remote; damaged or newer commits.
    pub async fn refresh(&mut self, depth: Depth) -> Result<(), LogError> {
        let newest = self.graph.heads().first().map_or(0, |key| key.seq);
        let from = match depth {
            _ if planted(Bug::OnlyAboveTheHead) => newest + 1,
            Depth::Near => newest.saturating_sub(LOOK_BACK),
            Depth::Whole => 0,
        };
        let listed = self.list_commits(from).await?;
        self.set_visible(&listed);
        self.learn(listed).await
    }

    /// Records a listing as the current state of the remote.
    pub(super) fn set_visible(&mut self, listed: &[CommitKey]) {
        self.visible = listed.iter().copied().collect();
    }

    pub(super) async fn list_commits(&mut self, from_seq: u64) -> Result<Vec<CommitKey>, LogError> {
        let objects = list_all(self.remote.as_ref(), COMMITS, Some(&before_seq(from_seq))).await?;
        let newest = objects.iter().map(|object| object.modified_ms).max();
        self.newest_ms = self.newest_ms.max(newest);
        Ok(objects.iter().filter_map(|object| parse_commit_key(&object.key)).collect())
    }

    /// Reads the commits among `keys` that are not known, and what they build on: all, or, where that
    /// fails or nobody waits for it any more, none. A commit without its past would hide that past.
    pub(super) async fn learn(&mut self, keys: Vec<CommitKey>) -> Result<(), LogError> {
        let mut learnt: BTreeMap<CommitKey, Node> = BTreeMap::new();
        let mut open: BTreeSet<CommitKey> =
            keys.into_iter().filter(|key| !self.graph.contains(*key)).collect();
        while !open.is_empty() {
            let read = stream::iter(&open).map(|key| self.read_commit(*key)).buffered(PARALLEL_READS);
            let commits: Vec<Result<(CommitKey, Commit), LogError>> = read.collect().await;
            open.clear();
            for commit in commits {
                let (key, commit) = commit?;
                self.header_of(commit.vault).await?;
                open.extend(&commit.parents);
                learnt.insert(key, Node { parents: commit.parents, vault: commit.vault });
            }
            open.retain(|key| !self.graph.contains(*key) && !learnt.contains_key(key));
        }
        learnt.into_iter().for_each(|(key, node)| self.graph.insert(key, node));
        Ok(())
    }

    /// Reads a commit from the cache or the remote.
    pub(super) async fn read_commit(&self, key: CommitKey) -> Result<(CommitKey, Commit), LogError> {
        let name = commit_key(key);
        if let Some(bytes) = self.cache.get(&name) {
            match decode_commit(&name, &bytes) {
                Ok((found, commit)) if found == key => return Ok((key, commit)),
                _ => self.cache.remove(&name),
            }
        }
        let bytes: Bytes = self.remote.get(&name, Span::UpTo(limits::COMMIT_STORED)).await?;
        let (found, commit) = decode_commit(&name, &bytes)?;
        if found != key {
            return Err(LogError::corrupt(name, format!("its content belongs under {found}")));
        }
        self.cache.put(&name, &bytes);
        Ok((key, commit))
    }

    /// State of the vault at `key`, from the cache as far as possible. This does not check that the
    /// remote still has the commit.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn recall(&mut self, key: CommitKey) -> Result<Arc<Snapshot>, LogError> {
        self.learn(vec![key]).await?;
        self.snapshot(Some(key)).await
    }

    /// Checks that `agreed`, this device's last agreed commit, is still part of the log. If a
    /// listing does not show it, this lists all of `commits/` and asks for the commit itself before
    /// it fails.
    ///
    /// # Errors
    /// [`LogError::RolledBack`] if it is not.
    pub async fn check_agreed(&mut self, agreed: CommitKey) -> Result<(), LogError> {
        if self.is_visible(agreed) {
            return Ok(());
        }
        self.refresh(Depth::Whole).await?;
        if self.is_visible(agreed) {
            return Ok(());
        }
        // Do not use read_commit: a copy in the cache says nothing about the bucket.
        match self.remote.head(&commit_key(agreed)).await? {
            Some(_) => {
                self.visible.insert(agreed);
                self.learn(vec![agreed]).await
            }
            None => Err(LogError::RolledBack { agreed }),
        }
    }

    /// Checks that the remote still has every head that this process knows, even from its cache. No
    /// commit may build on a lost one.
    ///
    /// # Errors
    /// [`LogError::RolledBack`] if one is missing.
    pub async fn check_heads(&mut self) -> Result<(), LogError> {
        for head in self.graph.heads() {
            self.check_agreed(head).await?;
        }
        Ok(())
    }

    /// True if the newest listing shows `agreed` or a descendant. Commits known only to this
    /// process do not count.
    fn is_visible(&self, agreed: CommitKey) -> bool {
        self.visible.iter().rev().any(|listed| self.graph.descends(*listed, agreed))
    }

    /// Checks that all packs of `snapshot` exist, except those that another head has `swept`. No
    /// merge and no commit may build on it before.
    ///
    /// # Errors
    /// [`LogError::MissingPack`] if one does not exist.
    pub(super) async fn ensure_packs(
        &mut self,
        snapshot: &Snapshot,
        swept: &BTreeSet<PackId>,
    ) -> Result<(), LogError> {
        let unseen = snapshot.packs.keys().filter(|id| !self.seen_packs.contains(id) && !swept.contains(id));
        let unseen: Vec<_> = unseen.copied().collect();
        let Some(commit) = snapshot.key else { return Ok(()) };
        if unseen.len() > HEADS_BEFORE_LIST {
            let listed = list_all(self.remote.as_ref(), super::chunks::PACKS, None).await?;
            self.seen_packs
                .extend(listed.iter().filter_map(|object| super::chunks::parse_pack_key(&object.key)));
        }
        for pack in unseen {
            if self.seen_packs.contains(&pack) {
                continue;
            }
            match self.remote.head(&super::chunks::pack_key(pack)).await {
                Ok(Some(_)) => self.seen_packs.insert(pack),
                Ok(None) => return Err(LogError::MissingPack { commit, pack }),
                Err(error) if error.kind == RemoteErrorKind::NotFound => {
                    return Err(LogError::MissingPack { commit, pack });
                }
                Err(error) => return Err(error.into()),
            };
        }
        Ok(())
    }

    /// Records the packs of `snapshot` as existing: this device saw them when it agreed on the
    /// snapshot.
    pub fn trust_packs(&mut self, snapshot: &Snapshot) {
        self.seen_packs.extend(snapshot.packs.keys().copied());
    }
}
