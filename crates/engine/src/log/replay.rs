//! Builds snapshots from commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};

use super::line::Line;
use super::read::PARALLEL_READS;
use super::waypoints::SPACING;
use super::{Log, LogError, Snapshot};
use crate::model::{Commit, CommitKey, Digest, Entry, PackId, Tree, VaultPath};

/// Number of snapshots kept in memory: base, head, and the two sides of a merge.
const RECENT: usize = 4;

impl Log {
    /// State of the vault at `key`. Without a key, the state before the first commit.
    ///
    /// # Errors
    /// Errors of the remote; commits that do not follow their parents.
    pub async fn snapshot(&mut self, key: Option<CommitKey>) -> Result<Arc<Snapshot>, LogError> {
        let Some(key) = key else {
            let groups = self.header()?.groups.clone();
            let empty =
                Snapshot::empty(groups).map_err(|error| LogError::groups("the vault header", &error))?;
            return Ok(Arc::new(empty));
        };
        self.replayed(key).await?.map_err(|(_, error)| error)
    }

    /// State of the vault at `key`. The inner error is a commit that does not follow its parent.
    pub(super) async fn replayed(
        &mut self,
        key: CommitKey,
    ) -> Result<Result<Arc<Snapshot>, (CommitKey, LogError)>, LogError> {
        if let Some(found) = self.remembered(key) {
            return Ok(Ok(found));
        }
        let (mut snapshot, mut path) = self.nearest_start(key).await?;
        // This device's newest commit need not be read again, if it is the last one.
        let own = self.fresh.take_if(|(own, _)| path.contains(own)).filter(|(own, _)| *own == key);
        path.pop_if(|last| own.as_ref().is_some_and(|(own, _)| own == last));
        let mut number = 0;
        for path in path.chunks(PARALLEL_READS) {
            let commits: Vec<Result<(CommitKey, Commit), LogError>> =
                self.reads(path.iter().copied()).collect().await;
            for commit in commits {
                let (step, commit) = commit?;
                number += 1;
                if let Err(error) = self.follow(&mut snapshot, step, &commit).await? {
                    return Ok(Err((step, error)));
                }
                if number % SPACING == 0 {
                    self.waypoints.keep(&snapshot);
                }
            }
        }
        if let Some((_, commit)) = own
            && let Err(error) = self.follow(&mut snapshot, key, &commit).await?
        {
            return Ok(Err((key, error)));
        }
        let snapshot = Arc::new(snapshot);
        self.remember(Arc::clone(&snapshot));
        Ok(Ok(snapshot))
    }

    /// Makes of a state the one that the commit `step` leaves. The inner error is that it does not
    /// follow.
    async fn follow(
        &self,
        state: &mut Snapshot,
        step: CommitKey,
        commit: &Commit,
    ) -> Result<Result<(), LogError>, LogError> {
        let marked = self.marked_elsewhere(step, commit, state).await?;
        if let Err(error) = state.apply(step, commit, &marked) {
            return Ok(Err(error));
        }
        for (key, node) in self.graph.part(&self.graph.brought(step)) {
            state.sum.add(&Line::Commit(key, node).bytes()?);
        }
        Ok(Ok(()))
    }

    /// Packs that a merge sweeps and that its first parent's state has not marked, but another
    /// commit of its past has. An ordinary commit sweeps what its parent's state has marked.
    async fn marked_elsewhere(
        &self,
        key: CommitKey,
        commit: &Commit,
        state: &Snapshot,
    ) -> Result<BTreeSet<PackId>, LogError> {
        let mut marked = BTreeSet::new();
        let unmarked = commit.prune.swept.iter().filter(|pack| !state.marked.contains_key(*pack));
        let mut open: BTreeSet<PackId> = unmarked.copied().collect();
        if commit.parents.len() < 2 || open.is_empty() {
            return Ok(marked);
        }
        // The newest first: a mark is seldom old.
        for past in self.graph.ancestry(key).into_iter().rev().filter(|past| *past != key) {
            let (_, past) = self.read_commit(past).await?;
            marked.extend(past.prune.marked.into_iter().filter(|pack| open.remove(pack)));
            if open.is_empty() {
                break;
            }
        }
        Ok(marked)
    }

    /// State of the vault at `key`, with the packs that hold its chunks now. Some chunks may have
    /// moved since, and their old packs may be gone.
    ///
    /// # Errors
    /// See [`Log::snapshot`].
    pub async fn readable(
        &mut self,
        key: CommitKey,
        head: Option<CommitKey>,
    ) -> Result<Arc<Snapshot>, LogError> {
        let (then, now) = (self.snapshot(Some(key)).await?, self.snapshot(head).await?);
        if now.swept.is_empty() {
            return Ok(self.at_hand(then));
        }
        let mut readable = then.as_ref().clone();
        readable.packs.extend(now.packs.iter().map(|(id, pack)| (*id, Arc::clone(pack))));
        readable.packs.retain(|id, _| !now.swept.contains(id));
        Ok(self.at_hand(Arc::new(readable)))
    }

    /// Nearest known snapshot among `key`'s first parents, and the commits from there to `key`.
    async fn nearest_start(&mut self, key: CommitKey) -> Result<(Snapshot, Vec<CommitKey>), LogError> {
        let (mut back, mut at) = (vec![key], key);
        // A state, or the vault of the first commit.
        let mut start = loop {
            let node = self.graph.get(at).ok_or_else(|| LogError::corrupt(at, "nothing is known of it"))?;
            let Some(parent) = node.parents.first().copied() else { break Err(node.vault) };
            if let Some(state) = self.remembered(parent) {
                break Ok(state);
            }
            back.push(parent);
            at = parent;
        };
        // Boxed: what is seldom needed must not make the future of each replay larger.
        if let Some(state) = Box::pin(self.earlier_state(&back)).await {
            self.waypoints.keep(&state);
            back.retain(|key| key.seq > state.seq());
            start = Ok(state);
        }
        back.reverse();
        match start {
            Ok(state) => Ok((state.as_ref().clone(), back)),
            Err(vault) => {
                let groups = self.header_of(vault).await?.groups.clone();
                let empty =
                    Snapshot::empty(groups).map_err(|error| LogError::groups("the vault header", &error))?;
                Ok((empty, back))
            }
        }
    }

    pub(super) fn remembered(&self, key: CommitKey) -> Option<Arc<Snapshot>> {
        let recent = self.recent.iter().find(|snapshot| snapshot.key == Some(key));
        recent.cloned().or_else(|| self.waypoints.get(key))
    }

    /// [`Log::snapshot`] of a state whose files are mostly those of `tree`: it shares them. A
    /// replayed state has copies of its own of all that its commits brought.
    ///
    /// # Errors
    /// See [`Log::snapshot`].
    pub async fn snapshot_sharing(&mut self, key: CommitKey, tree: &Tree) -> Result<Arc<Snapshot>, LogError> {
        drop(self.snapshot(Some(key)).await?);
        if let Some(state) = self.recent.iter_mut().find(|state| state.key == Some(key)) {
            Arc::make_mut(state).tree.share_by(tree, Entry::is_same);
        }
        self.snapshot(Some(key)).await
    }

    pub(super) fn remember(&mut self, snapshot: Arc<Snapshot>) {
        self.remember_leaving(&snapshot);
        let pinned = self.start.as_ref().map(|start| start.commit);
        if self.recent.len() >= RECENT {
            // Keep the checkpoint's: without it a replay would start at the first commit.
            if let Some(oldest) = self.recent.iter().position(|known| known.key != pinned) {
                self.recent.remove(oldest);
            }
        }
        self.recent.push(snapshot);
    }
}

/// All versions that paths have had.
pub type PathVersions = BTreeMap<VaultPath, BTreeSet<Digest>>;

impl Log {
    /// All versions that each of `paths` has had up to `head`, as far back as the log reaches.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn versions(
        &self,
        head: CommitKey,
        paths: &BTreeSet<VaultPath>,
    ) -> Result<PathVersions, LogError> {
        let mut versions = PathVersions::new();
        let mut reads = std::pin::pin!(self.reads(self.graph.ancestry(head)));
        while let Some((_, commit)) = reads.try_next().await? {
            for change in commit.changes.iter().filter(|change| paths.contains(&change.path)) {
                let digests = versions.entry(change.path.clone()).or_default();
                digests.extend(change.entry.map(|entry| entry.digest));
            }
        }
        Ok(versions)
    }
}

impl Log {
    /// Commits in the past of `head` that are not in the past of `known`, the oldest first. Without
    /// `known`, only `head` itself.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn news(
        &mut self,
        head: CommitKey,
        known: Option<CommitKey>,
    ) -> Result<Vec<(CommitKey, Commit)>, LogError> {
        self.learn(head).await?;
        let mut keys = BTreeSet::from([head]);
        if let Some(known) = known {
            keys = self.graph.only_in(head, known);
        }
        self.commits(keys).await
    }

    /// True if `key` is known once everything is read that `head` builds on. One of another remote
    /// is not.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn reaches(&mut self, head: CommitKey, key: CommitKey) -> Result<bool, LogError> {
        self.learn(head).await?;
        Ok(self.graph.contains(key))
    }

    /// Commits of [`super::Graph::since`], the oldest first.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn since(&mut self, head: CommitKey, seq: u64) -> Result<Vec<(CommitKey, Commit)>, LogError> {
        self.learn(head).await?;
        self.commits(self.graph.since(head, seq)).await
    }

    async fn commits(&self, keys: BTreeSet<CommitKey>) -> Result<Vec<(CommitKey, Commit)>, LogError> {
        self.reads(keys).try_collect().await
    }
}
