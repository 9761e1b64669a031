//! Tells which of the read commits belong to the history. Pure.
//!
//! A commit belongs to it if everything that it builds on does, down to first commits; and a
//! history has few of those. Anyone who writes to the bucket can put any number of first commits
//! there. So at most [`limits::ROOTS`] are merged just because they are there. One that a commit of
//! the history builds on always belongs to it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, Node};
use crate::model::{CommitKey, limits};

/// Commits that were read, parted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sifted {
    /// Commits of the history.
    pub good: BTreeSet<CommitKey>,
    /// Commits that build on one that is not at hand, each with that one.
    pub orphans: BTreeMap<CommitKey, CommitKey>,
    /// First commits that are too many.
    pub crowd: BTreeSet<CommitKey>,
}

/// Parts the commits of `read`, where those of `graph` are the history so far.
pub(super) fn sift(graph: &Graph, read: &BTreeMap<CommitKey, Node>) -> Sifted {
    let mut sifted = Sifted::default();
    let mut whole = BTreeMap::new();
    // Parents have lower keys, so they come first.
    for (key, node) in read {
        let lacks = |parent: &&CommitKey| !graph.contains(**parent) && !whole.contains_key(*parent);
        match node.parents.iter().find(lacks) {
            Some(missing) => drop(sifted.orphans.insert(*key, *missing)),
            None => drop(whole.insert(*key, node)),
        }
    }
    let roots: BTreeSet<CommitKey> =
        whole.iter().filter(|(_, node)| node.parents.is_empty()).map(|(key, _)| *key).collect();
    let before = graph.roots().len();
    let mut choice = Choice { graph, whole: &whole, good: BTreeSet::new() };
    if before + roots.len() <= limits::ROOTS {
        choice.good.extend(whole.keys());
    } else {
        choice.spread();
        if before == 0 {
            choice.take_highest();
        }
        let chosen = roots.iter().filter(|root| choice.good.contains(root)).count();
        let room = limits::ROOTS.saturating_sub(before + chosen);
        let left: Vec<CommitKey> = roots.iter().filter(|root| !choice.good.contains(root)).copied().collect();
        choice.good.extend(left.into_iter().rev().take(room));
        choice.spread();
    }
    sifted.good = choice.good;
    for (key, node) in whole.iter().filter(|(key, _)| !sifted.good.contains(key)) {
        match node.parents.iter().find(|parent| !graph.contains(**parent) && !sifted.good.contains(parent)) {
            Some(missing) => drop(sifted.orphans.insert(*key, *missing)),
            None => drop(sifted.crowd.insert(*key)),
        }
    }
    sifted
}

/// A choice among commits that lack nothing.
struct Choice<'a> {
    graph: &'a Graph,
    whole: &'a BTreeMap<CommitKey, &'a Node>,
    good: BTreeSet<CommitKey>,
}

impl Choice<'_> {
    /// Takes every commit that builds on the history, with everything it builds on.
    fn spread(&mut self) {
        loop {
            let known = self.good.len();
            for (key, node) in self.whole {
                let belongs = |parent: &CommitKey| self.graph.contains(*parent) || self.good.contains(parent);
                if node.parents.iter().any(belongs) {
                    self.take(*key);
                }
            }
            if self.good.len() == known {
                return;
            }
        }
    }

    /// Takes the highest commit, which has the most before it.
    fn take_highest(&mut self) {
        if let Some(highest) = self.whole.keys().next_back() {
            self.take(*highest);
        }
        self.spread();
    }

    /// Takes a commit and all that it builds on.
    fn take(&mut self, key: CommitKey) {
        let mut open = vec![key];
        while let Some(key) = open.pop() {
            if let Some(node) = self.whole.get(&key)
                && self.good.insert(key)
            {
                open.extend(&node.parents);
            }
        }
    }
}

#[cfg(test)]
mod tests;
