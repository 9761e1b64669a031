//! History of commits for people: the author, time and changes of each generation.
//!
//! The *line* of a head is the head, its first parent, the first parent of that, and so on: one
//! commit per generation. Other ancestors came in by merges. The history includes them, but only
//! the line has a state for every generation.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;

use super::error::unless_lost;
use super::{Log, LogError};
use crate::model::{
    Change, Commit, CommitKey, CommitKind, Conflict, ConflictId, Device, DeviceId, Hlc, Resolution, VaultPath,
};

/// Generations that a first look into the history goes back; each further look goes back this many
/// times as far.
const FIRST_LOOK: u64 = 64;
const FURTHER: u64 = 8;

/// Generations from which on to look into the history of `head`, one after the other, until what is
/// sought is found. The last is 0: all of it. Most of what is sought lies near, and a device that
/// has not read the old commits yet fetches each.
pub fn looks_back(head: CommitKey) -> impl Iterator<Item = u64> {
    let depths = std::iter::successors(Some(FIRST_LOOK), |depth| depth.checked_mul(FURTHER));
    let near = depths.map_while(move |depth| head.seq.checked_sub(depth)).take_while(|from| *from > 0);
    near.chain(std::iter::once(0))
}

/// One commit of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Key of the commit.
    pub key: CommitKey,
    /// Commits that it builds on: two for a merge.
    pub parents: Vec<CommitKey>,
    /// True if the commit is on the line of the head.
    pub on_line: bool,
    /// Time in milliseconds since the Unix epoch: as its device gave it, but never before its
    /// parents'. A merge has the latest time of its parents.
    pub time_ms: u64,
    /// Device that made it. `None` for a merge.
    pub device: Option<Device>,
    /// Transaction of the commit. `None` for a merge.
    pub txn: Option<Hlc>,
    /// Kind of the commit.
    pub kind: CommitKind,
    /// Changes to the state of its first parent.
    pub changes: Vec<Change>,
    /// Conflicts that it lists.
    pub kept: Vec<Conflict>,
    /// Decisions of conflicts.
    pub resolved: Vec<Resolution>,
}

impl Past {
    /// Name of the commit's kind: `sync`, `merge`, `restore`, `undo`, `resolve`, `import` or
    /// `prune`.
    #[must_use]
    pub fn made_by(&self) -> &'static str {
        if self.parents.len() > 1 { "merge" } else { self.kind.name() }
    }

    /// True if it lists this conflict as open.
    pub(crate) fn lists(&self, id: ConflictId) -> bool {
        self.kept.iter().any(|conflict| conflict.id == id)
    }

    /// True if both belong to one push.
    fn is_one_with(&self, other: &Self) -> bool {
        let push = |past: &Self| past.device.as_ref().map(|device| device.id).zip(past.txn);
        push(self).is_some() && push(self) == push(other)
    }

    /// Takes in the changes of an earlier commit of the same push.
    fn add_earlier(&mut self, earlier: Self) {
        self.parents = earlier.parents;
        self.changes.splice(0..0, earlier.changes);
        self.changes.sort_by(|a, b| a.path.cmp(&b.path));
        self.kept.splice(0..0, earlier.kept);
        self.resolved.splice(0..0, earlier.resolved);
    }
}

impl Log {
    /// A commit and all its ancestors, newest first. The commits of one push are one entry, under
    /// the key of its last. What the bucket has lost is left out.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn past(&self, head: CommitKey) -> Result<Vec<Past>, LogError> {
        self.past_from(head, 0).await
    }

    /// The part of [`Log::past`] that has generation `from` and later ones. A push that began
    /// before is left out, and times are those of the commits alone at the far end.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn past_from(&self, head: CommitKey, from: u64) -> Result<Vec<Past>, LogError> {
        self.read_past(head, from, false).await
    }

    /// The same, if the bucket has lost nothing of it.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache: also that one is not there.
    pub async fn whole_past_from(&self, head: CommitKey, from: u64) -> Result<Vec<Past>, LogError> {
        self.read_past(head, from, true).await
    }

    async fn read_past(&self, head: CommitKey, from: u64, whole: bool) -> Result<Vec<Past>, LogError> {
        let on_line = |key: &CommitKey| key.seq >= from;
        let line: BTreeSet<CommitKey> = self.first_parents(head).take_while(on_line).collect();
        let keys = self.graph.ancestry_from(head, from);
        let mut cut: BTreeSet<CommitKey> = BTreeSet::new();
        let mut reads = std::pin::pin!(self.reads(keys));
        let mut times: BTreeMap<CommitKey, u64> = BTreeMap::new();
        let mut past: Vec<Past> = Vec::new();
        // Keys are in order of rank, so parents come before their children.
        while let Some(read) = reads.next().await {
            let Some((key, commit)) = (if whole { Some(read?) } else { unless_lost(read)? }) else {
                continue;
            };
            if self.is_cut(&commit, from, &cut).await? {
                cut.insert(key);
                continue;
            }
            let time_ms = time(&commit, &times);
            times.insert(key, time_ms);
            let Commit { parents, device, txn, kind, changes, kept, resolved, .. } = commit;
            let mut entry = Past {
                key,
                parents,
                on_line: line.contains(&key),
                time_ms,
                device,
                txn,
                kind,
                changes,
                kept,
                resolved,
            };
            let first_parent = entry.parents.first().copied();
            let before = first_parent.and_then(|parent| past.iter().rposition(|past| past.key == parent));
            if let Some(before) =
                before.filter(|at| past.get(*at).is_some_and(|past| past.is_one_with(&entry)))
            {
                entry.add_earlier(past.remove(before));
            }
            past.push(entry);
        }
        past.reverse();
        Ok(past)
    }

    /// True for a part of a push that has another part before generation `from`. `cut` are such
    /// parts.
    async fn is_cut(&self, commit: &Commit, from: u64, cut: &BTreeSet<CommitKey>) -> Result<bool, LogError> {
        let [parent] = commit.parents.as_slice() else { return Ok(false) };
        if parent.seq >= from && !cut.contains(parent) {
            return Ok(false);
        }
        let push = pushed_as(commit);
        let Some((_, before)) = unless_lost(self.read_commit(*parent).await)? else { return Ok(false) };
        Ok(push.is_some() && pushed_as(&before) == push)
    }

    /// The commits of one push that `key` is one of, oldest first. Most pushes are one commit.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn parts(&self, key: CommitKey) -> Result<Vec<CommitKey>, LogError> {
        let (_, commit) = self.read_commit(key).await?;
        let push = pushed_as(&commit);
        let mut parts = vec![key];
        let Some(push) = push else { return Ok(parts) };
        let mut at = key;
        while let Some(parent) = self.graph.first_parent(at)
            && self.is_of(parent, push).await?
        {
            parts.insert(0, parent);
            at = parent;
        }
        at = key;
        'later: loop {
            for child in self.graph.children(at) {
                if self.is_of(child, push).await? {
                    parts.push(child);
                    at = child;
                    continue 'later;
                }
            }
            return Ok(parts);
        }
    }

    /// True for a commit of that push. Of one that the bucket has lost nobody can tell.
    async fn is_of(&self, key: CommitKey, push: (DeviceId, Hlc)) -> Result<bool, LogError> {
        let commit = unless_lost(self.read_commit(key).await)?;
        Ok(commit.and_then(|(_, commit)| pushed_as(&commit)) == Some(push))
    }

    /// Paths that one commit changed.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn changed_by(&self, key: CommitKey) -> Result<Vec<VaultPath>, LogError> {
        let (_, commit) = self.read_commit(key).await?;
        Ok(commit.changes.into_iter().map(|change| change.path).collect())
    }

    /// Line of a head, newest first.
    #[must_use]
    pub fn line(&self, head: CommitKey) -> Vec<CommitKey> {
        self.first_parents(head).collect()
    }

    pub(super) fn first_parents(&self, head: CommitKey) -> impl Iterator<Item = CommitKey> {
        std::iter::successors(Some(head), |key| self.graph.first_parent(*key))
    }
}

/// The push that a commit belongs to.
pub(super) fn pushed_as(commit: &Commit) -> Option<(DeviceId, Hlc)> {
    commit.device.as_ref().map(|device| device.id).zip(commit.txn)
}

/// Time of a commit. Clocks of devices differ, so a child that claims to be older than its parents
/// gets the latest time of them.
fn time(commit: &Commit, times: &BTreeMap<CommitKey, u64>) -> u64 {
    let parents = commit.parents.iter().filter_map(|parent| times.get(parent).copied());
    parents.chain(commit.txn.map(|txn| txn.wall_ms)).max().unwrap_or(0)
}
