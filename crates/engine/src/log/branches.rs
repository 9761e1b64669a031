//! Versions on branches that merges have brought.
//!
//! The line of a head has one state for each generation. A branch has states of its own, and what a
//! later commit of it replaced is in no state of the line. Retention keeps that, too.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;

use super::error::unless_lost;
use super::{Log, LogError};
use crate::model::{Commit, CommitKey, ConflictId, Entry, VaultPath};

/// A file, or a file that a conflict keeps.
pub type Name = (Option<ConflictId>, VaultPath);

/// Version of a file that a commit beside the line made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchVersion {
    /// The file.
    pub name: Name,
    /// The version.
    pub entry: Entry,
    /// Generation that made it.
    pub from: u64,
    /// Last generation of the branch that has it.
    pub to: u64,
}

/// Versions that stand in a state, each by its place among all.
type Standing = BTreeMap<Name, usize>;

/// State of a walk over the branches.
#[derive(Default)]
struct Branches {
    versions: Vec<BranchVersion>,
    /// Versions that stand at commits whose children were not looked at yet.
    open: BTreeMap<CommitKey, Standing>,
    /// Children of each commit that were not looked at yet.
    children: BTreeMap<CommitKey, usize>,
}

impl Log {
    /// Versions that the commits in the past of `head` beside its line made, except those in
    /// `void`.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn branch_versions(
        &self,
        head: CommitKey,
        void: &BTreeSet<CommitKey>,
    ) -> Result<Vec<BranchVersion>, LogError> {
        let keys = self.beside_line(head);
        let mut branches = Branches::default();
        for parent in keys.iter().filter_map(|key| self.graph.first_parent(*key)) {
            *branches.children.entry(parent).or_default() += 1;
        }
        // Keys are in order of rank, so parents come before their children.
        let mut reads = std::pin::pin!(self.reads(keys));
        while let Some(read) = reads.next().await {
            // A lost one is a fault by itself, and nobody knows which versions it made.
            if let Some((key, commit)) = unless_lost(read)? {
                branches.step(key, &commit, void.contains(&key));
            }
        }
        Ok(branches.ended())
    }

    /// Commits in the past of `head` that are not on its line.
    #[must_use]
    pub fn beside_line(&self, head: CommitKey) -> BTreeSet<CommitKey> {
        let line: BTreeSet<CommitKey> = self.line(head).into_iter().collect();
        let mut keys = self.graph.ancestry(head);
        keys.retain(|key| !line.contains(key));
        keys
    }
}

impl Branches {
    fn step(&mut self, key: CommitKey, commit: &Commit, is_void: bool) {
        let mut standing = commit.parents.first().map(|parent| self.after(*parent)).unwrap_or_default();
        let decided: BTreeSet<ConflictId> =
            commit.resolved.iter().map(|of| of.id).chain(commit.prune.unkept.iter().copied()).collect();
        if !decided.is_empty() {
            let ends = |(id, _): &Name| id.is_some_and(|id| decided.contains(&id));
            standing.extract_if(.., |name, _| ends(name)).for_each(|(_, at)| self.lasts(at, key.seq - 1));
        }
        let files = commit.changes.iter().map(|change| ((None, change.path.clone()), change.entry));
        let kept = commit.kept.iter().flat_map(|conflict| {
            conflict.files.iter().map(|file| ((Some(conflict.id), file.path.clone()), file.entry))
        });
        for (name, entry) in files.chain(kept) {
            if let Some(before) = standing.remove(&name) {
                self.lasts(before, key.seq - 1);
            }
            if let Some(entry) = entry.filter(|_| !is_void) {
                standing.insert(name.clone(), self.versions.len());
                self.versions.push(BranchVersion { name, entry, from: key.seq, to: key.seq });
            }
        }
        self.open.insert(key, standing);
    }

    /// Versions that stand at a commit beside the line, for one of its children.
    fn after(&mut self, parent: CommitKey) -> Standing {
        let left = self.children.entry(parent).or_default();
        *left = left.saturating_sub(1);
        let is_last = *left == 0;
        let standing = if is_last { self.open.remove(&parent) } else { self.open.get(&parent).cloned() };
        standing.unwrap_or_default()
    }

    fn lasts(&mut self, at: usize, to: u64) {
        if let Some(version) = self.versions.get_mut(at) {
            version.to = version.to.max(to);
        }
    }

    fn ended(mut self) -> Vec<BranchVersion> {
        for (tip, standing) in std::mem::take(&mut self.open) {
            standing.into_values().for_each(|at| self.lasts(at, tip.seq));
        }
        self.versions
    }
}
