//! The graph of commits and their ancestors. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{CommitKey, VaultId};

/// Node of one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Parents of the commit, the higher first.
    pub parents: Vec<CommitKey>,
    /// Vault that the commit names.
    pub vault: VaultId,
}

/// All known commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    nodes: BTreeMap<CommitKey, Node>,
    /// Number of known children, of commits that have any, whether or not they are known
    /// themselves.
    children: BTreeMap<CommitKey, usize>,
    /// Commits without a child.
    heads: BTreeSet<CommitKey>,
    /// Commits without a parent.
    roots: BTreeSet<CommitKey>,
}

impl Graph {
    /// Adds a commit.
    pub fn insert(&mut self, key: CommitKey, node: Node) {
        self.remove(key);
        for parent in &node.parents {
            *self.children.entry(*parent).or_default() += 1;
            self.heads.remove(parent);
        }
        if !self.children.contains_key(&key) {
            self.heads.insert(key);
        }
        if node.parents.is_empty() {
            self.roots.insert(key);
        }
        self.nodes.insert(key, node);
    }

    /// Removes a commit.
    pub(super) fn remove(&mut self, key: CommitKey) {
        let Some(node) = self.nodes.remove(&key) else { return };
        self.heads.remove(&key);
        self.roots.remove(&key);
        for parent in node.parents {
            let left = self.children.get(&parent).map_or(0, |children| children.saturating_sub(1));
            if left > 0 {
                self.children.insert(parent, left);
                continue;
            }
            self.children.remove(&parent);
            if self.nodes.contains_key(&parent) {
                self.heads.insert(parent);
            }
        }
    }

    /// True if the commit is known.
    #[must_use]
    pub fn contains(&self, key: CommitKey) -> bool {
        self.nodes.contains_key(&key)
    }

    /// Node of a commit.
    #[must_use]
    pub fn get(&self, key: CommitKey) -> Option<&Node> {
        self.nodes.get(&key)
    }

    /// The commit that `key` is a difference to; none for a first commit and for one that is not
    /// known.
    #[must_use]
    pub fn first_parent(&self, key: CommitKey) -> Option<CommitKey> {
        self.get(key).and_then(|node| node.parents.first().copied())
    }

    /// Commits whose first parent is `key`.
    pub fn children(&self, key: CommitKey) -> impl Iterator<Item = CommitKey> {
        let later = self.nodes.range(key..);
        later.filter(move |(_, node)| node.parents.first() == Some(&key)).map(|(child, _)| *child)
    }

    /// Commits without a child, the highest first.
    #[must_use]
    pub fn heads(&self) -> Vec<CommitKey> {
        self.heads.iter().rev().copied().collect()
    }

    /// Commits without a parent.
    #[must_use]
    pub const fn roots(&self) -> &BTreeSet<CommitKey> {
        &self.roots
    }

    /// A commit and all its ancestors.
    #[must_use]
    pub fn ancestry(&self, of: CommitKey) -> BTreeSet<CommitKey> {
        self.ancestry_from(of, 0)
    }

    /// A commit and its ancestors of generation `from` or later.
    #[must_use]
    pub fn ancestry_from(&self, of: CommitKey, from: u64) -> BTreeSet<CommitKey> {
        let mut seen = BTreeSet::from([of]);
        let mut open = vec![of];
        while let Some(key) = open.pop() {
            for parent in self.nodes.get(&key).into_iter().flat_map(|node| &node.parents) {
                if parent.seq >= from && seen.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
        seen
    }

    /// Commits that `key` adds to the past of its first parent: itself, and in a merge what only
    /// the second parent had.
    #[must_use]
    pub fn brought(&self, key: CommitKey) -> BTreeSet<CommitKey> {
        let mut found = match self.parents(key) {
            [first, second] => self.only_in(*second, *first),
            _ => BTreeSet::new(),
        };
        found.insert(key);
        found
    }

    /// Commits in the past of `one` that are not in the past of `other`, each with itself. This
    /// looks no further back than the two branches reach.
    #[must_use]
    pub fn only_in(&self, one: CommitKey, other: CommitKey) -> BTreeSet<CommitKey> {
        let mut found = BTreeSet::new();
        // Branches to walk down: true if the other one has the commit, too.
        let mut open = BTreeMap::from([(other, true)]);
        open.entry(one).or_insert(false);
        while open.values().any(|known| !known) {
            let Some((key, known)) = open.pop_last() else { break };
            if !known {
                found.insert(key);
            }
            for parent in self.parents(key) {
                *open.entry(*parent).or_insert(known) |= known;
            }
        }
        found
    }

    /// Parents of a commit; none of one that is not known.
    fn parents(&self, key: CommitKey) -> &[CommitKey] {
        self.nodes.get(&key).map_or(&[], |node| node.parents.as_slice())
    }

    /// Commits in the past of `head` that may be new to a device that knows it up to generation
    /// `seq`. If a fork spans that generation, the number does not tell which branch the device was
    /// on. Then both branches count, back to their fork.
    #[must_use]
    pub fn since(&self, head: CommitKey, seq: u64) -> BTreeSet<CommitKey> {
        let mut found = BTreeSet::new();
        let mut open = BTreeSet::from([head]);
        while let Some(key) = open.last().copied() {
            // Higher commits are done, so the open ones are the ends of the branches.
            if key.seq <= seq && open.len() == 1 {
                break;
            }
            open.remove(&key);
            found.insert(key);
            open.extend(self.nodes.get(&key).into_iter().flat_map(|node| node.parents.iter().copied()));
        }
        found
    }

    /// True if `older` is `newer` or one of its ancestors.
    #[must_use]
    pub fn descends(&self, newer: CommitKey, older: CommitKey) -> bool {
        // Parents have lower generations, so the search can stop at `older`'s.
        let mut seen = BTreeSet::new();
        let mut open = vec![newer];
        while let Some(key) = open.pop() {
            if key == older {
                return true;
            }
            if key.seq > older.seq && seen.insert(key) {
                open.extend(self.nodes.get(&key).into_iter().flat_map(|node| node.parents.iter().copied()));
            }
        }
        false
    }

    /// Common ancestors of two commits that are not ancestors of another common one, the highest
    /// first. There are several if merges crossed.
    #[must_use]
    pub fn nearest_common(&self, one: CommitKey, other: CommitKey) -> Vec<CommitKey> {
        let theirs = self.ancestry(other);
        let mut open: BTreeSet<CommitKey> =
            self.ancestry(one).into_iter().filter(|key| theirs.contains(key)).collect();
        let mut nearest = Vec::new();
        while let Some(key) = open.pop_last() {
            let below = self.ancestry(key);
            open.retain(|other| !below.contains(other));
            nearest.push(key);
        }
        nearest
    }

    /// These commits with their nodes, as far as they are known.
    #[must_use]
    pub fn part(&self, keys: &BTreeSet<CommitKey>) -> BTreeMap<CommitKey, Node> {
        keys.iter().filter_map(|key| Some((*key, self.nodes.get(key)?.clone()))).collect()
    }

    /// Times of commits, with those of commits that the listing does not have: what was lost was there
    /// before anything that builds on it.
    #[must_use]
    pub fn with_missing(&self, listed: &BTreeMap<CommitKey, i64>) -> BTreeMap<CommitKey, i64> {
        let mut times = listed.clone();
        // Children come first.
        for (key, node) in self.iter().rev() {
            let Some(time) = times.get(&key).copied() else { continue };
            for parent in &node.parents {
                times.entry(*parent).and_modify(|before| *before = time.min(*before)).or_insert(time);
            }
        }
        times
    }

    /// All commits in order of rank, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (CommitKey, &Node)> {
        self.nodes.iter().map(|(key, node)| (*key, node))
    }
}

#[cfg(test)]
mod tests;
