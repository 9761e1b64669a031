//! What was committed, for people: who made which generation, when, and what it changed.
//!
//! The *line* of a head is the head, its first parent, that one's first parent, and so on: one commit for each generation. Other
//! ancestors came in by merges; they are told of too, but only the line has a state for every number.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{Log, LogError};
use crate::model::{Change, Commit, CommitKey, CommitKind, ConflictId, Device, Hlc, VaultPath};

/// How many commits are read at once.
const PARALLEL_READS: usize = 8;

/// One commit of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Which commit.
    pub key: CommitKey,
    /// What it builds on: two for a merge.
    pub parents: Vec<CommitKey>,
    /// Whether it is on the line of the head.
    pub on_line: bool,
    /// When, in milliseconds since the Unix epoch: as its device said, but never before its parents. A merge has its parents' time.
    pub time_ms: u64,
    /// Who; nobody for a merge.
    pub device: Option<Device>,
    /// Its transaction; none for a merge.
    pub txn: Option<Hlc>,
    /// What made it.
    pub kind: CommitKind,
    /// What it changed in its first parent's state.
    pub changes: Vec<Change>,
    /// Conflicts that it listed.
    pub kept: Vec<ConflictId>,
    /// Conflicts that it decided.
    pub resolved: Vec<ConflictId>,
}

impl Past {
    /// `sync`, `merge`, `restore`, `undo`, `resolve`, `import` or `prune`.
    #[must_use]
    pub fn made_by(&self) -> &'static str {
        if self.parents.len() > 1 { "merge" } else { self.kind.name() }
    }
}

impl Log {
    /// A commit and all it builds on, newest first.
    ///
    /// # Errors
    /// Those of the remote, for what the cache does not have.
    pub async fn past(&self, head: CommitKey) -> Result<Vec<Past>, LogError> {
        let line: BTreeSet<CommitKey> = self.line(head).into_iter().collect();
        let keys = self.graph.ancestry(head);
        let mut reads = stream::iter(keys).map(|key| self.read_commit(key)).buffered(PARALLEL_READS);
        let mut times: BTreeMap<CommitKey, u64> = BTreeMap::new();
        let mut past = Vec::new();
        // In order of rank, so parents come before their children.
        while let Some((key, commit)) = reads.try_next().await? {
            let time_ms = time(&commit, &times);
            times.insert(key, time_ms);
            let Commit { parents, device, txn, kind, changes, kept, resolved, .. } = commit;
            past.push(Past {
                key,
                parents,
                on_line: line.contains(&key),
                time_ms,
                device,
                txn,
                kind,
                changes,
                kept: kept.iter().map(|conflict| conflict.id).collect(),
                resolved: resolved.iter().map(|resolution| resolution.id).collect(),
            });
        }
        past.reverse();
        Ok(past)
    }

    /// The paths that one commit changed.
    ///
    /// # Errors
    /// Those of the remote, for what the cache does not have.
    pub async fn changed_by(&self, key: CommitKey) -> Result<Vec<VaultPath>, LogError> {
        let (_, commit) = self.read_commit(key).await?;
        Ok(commit.changes.into_iter().map(|change| change.path).collect())
    }

    /// The line of a head, newest first.
    #[must_use]
    pub fn line(&self, head: CommitKey) -> Vec<CommitKey> {
        let parent = |key: &CommitKey| self.graph.get(*key)?.parents.first().copied();
        std::iter::successors(Some(head), parent).collect()
    }
}

/// Clocks of devices differ; a child that claims to be older than its parents is as old as the youngest of them.
fn time(commit: &Commit, times: &BTreeMap<CommitKey, u64>) -> u64 {
    let parents = commit.parents.iter().filter_map(|parent| times.get(parent).copied());
    parents.chain(commit.txn.map(|txn| txn.wall_ms)).max().unwrap_or(0)
}
