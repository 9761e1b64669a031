//! Reads commits: lists them, decodes them, and checks that this device's past is still among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::claims::note_odd_names;
use super::format::{commit_key, decode_commit, parse_commit_key};
use super::{Ahead, Depth, Log, LogError, Node, ObjectCache, Snapshot};
use crate::model::{Commit, CommitKey, limits};
use crate::planted::{Bug, planted};
use crate::remote::{Object, Remote, Span};

/// Number of concurrent reads of commits.
pub(super) const PARALLEL_READS: usize = 8;

/// A commit object as a listing shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Length in bytes.
    pub size: u64,
    /// Time of the PUT, in milliseconds since the Unix epoch.
    pub modified_ms: i64,
}

/// Commits of a listing.
pub(super) type Listed = BTreeMap<CommitKey, Seen>;

impl Log {
    /// Lists commits and reads the unknown ones. An object that is no commit of the history is set
    /// aside.
    ///
    /// # Errors
    /// Errors of the remote; commits of a newer format; a history that this device cannot begin
    /// with.
    pub async fn refresh(&mut self, depth: Depth) -> Result<(), LogError> {
        self.refresh_by(depth, None).await
    }

    /// [`Log::refresh`] by a listing that was asked for ahead, if that has all it needs.
    ///
    /// # Errors
    /// See [`Log::refresh`].
    pub async fn refresh_by(&mut self, depth: Depth, ahead: Option<Ahead>) -> Result<(), LogError> {
        let from = match depth {
            _ if planted(Bug::OnlyAboveTheHead) => self.graph.heads().first().map_or(0, |key| key.seq) + 1,
            Depth::Near => self.near(),
            Depth::Whole => 0,
        };
        let objects = self.listing(from, ahead).await?;
        let listed = self.commits_of(from, &objects);
        self.set_visible(&listed);
        self.take_in(&listed).await?;
        if depth == Depth::Whole {
            self.asides.retain_listed(&self.visible);
        }
        self.look_for_packs().await?;
        self.asides.keep(self.cache.as_ref());
        self.check_first()
    }

    /// Tells the log which commit this device has agreed on. Everything that it builds on is the
    /// history.
    pub fn build_on(&mut self, agreed: Option<CommitKey>) {
        self.agreed = agreed;
        self.waited = 0;
        // The listing of the opening is for whoever has opened it.
        self.listed = None;
    }

    /// Records a listing as the current state of the remote.
    pub(super) fn set_visible(&mut self, listed: &Listed) {
        self.visible.clone_from(listed);
    }

    pub(super) async fn list_commits(&mut self, from_seq: u64) -> Result<Listed, LogError> {
        let objects = self.listing(from_seq, None).await?;
        Ok(self.commits_of(from_seq, &objects))
    }

    /// The commits among the objects of a listing.
    pub(super) fn commits_of(&mut self, from_seq: u64, objects: &[Object]) -> Listed {
        let newest = objects.iter().map(|object| object.modified_ms).max();
        self.newest_ms = self.newest_ms.max(newest);
        let is_odd = |object: &&Object| {
            // A hidden file in a folder is some system's, or a program's that copies it.
            parse_commit_key(&object.key).is_none() && !object.key.contains("/.")
        };
        let odd: Vec<&str> = objects.iter().filter(is_odd).map(|odd| odd.key.as_str()).collect();
        note_odd_names(self.cache.as_ref(), &odd, from_seq == 0);
        let seen = |object: &Object| {
            let seen = Seen { size: object.size, modified_ms: object.modified_ms };
            Some((parse_commit_key(&object.key)?, seen))
        };
        objects.iter().filter_map(seen).collect()
    }

    /// Reads a commit and everything that it builds on: all, or, if that fails or its caller stops
    /// waiting, none. A commit without its past would hide that past.
    pub(super) async fn learn(&mut self, key: CommitKey) -> Result<(), LogError> {
        let mut learnt: BTreeMap<CommitKey, Node> = BTreeMap::new();
        let mut open = BTreeSet::from([key]);
        open.retain(|key| !self.graph.contains(*key));
        while !open.is_empty() {
            let commits: Vec<Result<(CommitKey, Commit), LogError>> =
                self.reads(open.iter().copied()).collect().await;
            open.clear();
            for commit in commits {
                let (key, commit) = commit?;
                self.header_of(commit.vault).await?;
                open.extend(&commit.parents);
                learnt.insert(key, Node { parents: commit.parents, vault: commit.vault });
            }
            open.retain(|key| !self.graph.contains(*key) && !learnt.contains_key(key));
        }
        self.asides.take_back(learnt.keys());
        learnt.into_iter().for_each(|(key, node)| self.know(key, node));
        Ok(())
    }

    /// Reads commits in the order of `keys`, several at a time.
    pub(super) fn reads(
        &self,
        keys: impl IntoIterator<Item = CommitKey>,
    ) -> impl Stream<Item = Result<(CommitKey, Commit), LogError>> {
        stream::iter(keys).map(|key| self.read_commit(key)).buffered(PARALLEL_READS)
    }

    /// Reads a commit from the cache or the remote.
    pub(super) async fn read_commit(&self, key: CommitKey) -> Result<(CommitKey, Commit), LogError> {
        Ok((key, read_commit(self.remote.as_ref(), self.cache.as_ref(), key).await?))
    }

    /// Verified copy of a commit in the cache.
    pub(super) fn cached_commit(&self, key: CommitKey) -> Option<Commit> {
        cached_commit(self.cache.as_ref(), key)
    }

    /// State of the vault at `key`, from the cache as far as possible. This does not check that the
    /// remote still has the commit.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn recall(&mut self, key: CommitKey) -> Result<Arc<Snapshot>, LogError> {
        self.learn(key).await?;
        self.snapshot(Some(key)).await
    }

    /// Checks that `agreed`, this device's last agreed commit, is still part of the log. If a
    /// listing does not show it, this lists all of `commits/` and asks for the commit itself before
    /// it fails.
    ///
    /// # Errors
    /// [`LogError::RolledBack`] if it is not.
    pub async fn check_agreed(&mut self, agreed: CommitKey) -> Result<(), LogError> {
        self.agreed = Some(agreed);
        self.check_there(agreed).await
    }

    async fn check_there(&mut self, agreed: CommitKey) -> Result<(), LogError> {
        if self.is_visible(agreed) {
            return self.learn(agreed).await;
        }
        self.refresh(Depth::Whole).await?;
        if self.is_visible(agreed) {
            return self.learn(agreed).await;
        }
        // Do not use read_commit: a copy in the cache says nothing about the bucket.
        match self.remote.head(&commit_key(agreed)).await? {
            Some(object) => {
                let seen = Seen { size: object.size, modified_ms: object.modified_ms };
                self.visible.insert(agreed, seen);
                self.learn(agreed).await
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
            self.check_there(head).await?;
        }
        Ok(())
    }

    /// True if the newest listing shows `agreed` or a descendant. Commits known only to this
    /// process do not count.
    fn is_visible(&self, agreed: CommitKey) -> bool {
        self.visible.keys().rev().any(|listed| self.graph.descends(*listed, agreed))
    }
}

/// Reads a commit from the cache or the remote, and keeps it.
pub(super) async fn read_commit(
    remote: &dyn Remote,
    cache: &dyn ObjectCache,
    key: CommitKey,
) -> Result<Commit, LogError> {
    if let Some(commit) = cached_commit(cache, key) {
        return Ok(commit);
    }
    let bytes = remote.get(&commit_key(key), Span::UpTo(limits::COMMIT_STORED)).await?;
    opened_commit(cache, key, &bytes)
}

fn cached_commit(cache: &dyn ObjectCache, key: CommitKey) -> Option<Commit> {
    let name = commit_key(key);
    let bytes = cache.get(&name)?;
    match decode_commit(&name, &bytes) {
        Ok((found, commit)) if found == key => Some(commit),
        _ => {
            cache.remove(&name);
            None
        }
    }
}

/// Decodes a commit that was read, and keeps it.
pub(super) fn opened_commit(
    cache: &dyn ObjectCache,
    key: CommitKey,
    bytes: &[u8],
) -> Result<Commit, LogError> {
    let name = commit_key(key);
    let (found, commit) = decode_commit(&name, bytes)?;
    if found != key {
        return Err(LogError::corrupt(name, format!("its content belongs under {found}")));
    }
    cache.put(&name, bytes);
    Ok(commit)
}
