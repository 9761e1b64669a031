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
    let before = graph.iter().filter(|(_, node)| node.parents.is_empty()).count();
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
mod tests {
    use super::*;
    use crate::model::{CommitId, VaultId};

    fn key(seq: u64, id: u16) -> CommitKey {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&id.to_be_bytes());
        CommitKey { seq, id: CommitId::from_bytes(bytes) }
    }

    fn node(parents: &[CommitKey]) -> Node {
        Node { parents: parents.to_vec(), vault: VaultId::from_bytes([0; 16]) }
    }

    fn sifted(history: &[(CommitKey, &[CommitKey])], read: &[(CommitKey, &[CommitKey])]) -> Sifted {
        let mut graph = Graph::default();
        history.iter().for_each(|(key, parents)| graph.insert(*key, node(parents)));
        sift(&graph, &read.iter().map(|(key, parents)| (*key, node(parents))).collect())
    }

    #[test]
    fn what_hangs_on_a_commit_that_is_not_there_is_an_orphan_and_so_is_what_builds_on_it() {
        let (root, next, gone, child, grandchild) = (key(1, 1), key(2, 1), key(7, 9), key(8, 1), key(9, 1));
        let mixed = key(9, 2);
        let found = sifted(
            &[(root, &[])],
            &[(next, &[root]), (child, &[gone]), (grandchild, &[child]), (mixed, &[child, next])],
        );
        assert_eq!(found.good, [next].into());
        assert_eq!(found.orphans, [(child, gone), (grandchild, child), (mixed, child)].into());
        let late = sifted(&[(root, &[])], &[(gone, &[root]), (child, &[gone])]);
        assert_eq!(late.good, [gone, child].into(), "the parent came");
    }

    #[test]
    fn two_thousand_first_commits_are_not_the_history() {
        let crowd: Vec<CommitKey> = (100..2100).map(|id| key(1, id)).collect();
        let lone: Vec<(CommitKey, &[CommitKey])> = crowd.iter().map(|root| (*root, [].as_slice())).collect();
        let (root, second, third) = (key(1, 1), key(2, 1), key(3, 1));
        let line: [(CommitKey, &[CommitKey]); 3] = [(root, &[]), (second, &[root]), (third, &[second])];
        // A device that knows the history, and one that sees all of it for the first time.
        let found = sifted(&line, &lone);
        assert_eq!((found.good.len(), found.crowd.len()), (15, 1985));
        let found = sifted(&[], &[line.as_slice(), &lone].concat());
        assert!([root, second, third].iter().all(|key| found.good.contains(key)), "the history comes first");
        assert_eq!((found.good.len(), found.crowd.len()), (18, 1985));
        // A device merges one of them with the history, so it belongs to it, with everything it
        // carries.
        let (adopted, more, merge) = (crowd[0], key(2, 100), key(4, 1));
        let with: [(CommitKey, &[CommitKey]); 2] = [(more, &[adopted]), (merge, &[third, more])];
        let found = sifted(&line, &[lone.as_slice(), &with].concat());
        assert!([adopted, more, merge].iter().all(|key| found.good.contains(key)));
        assert_eq!((found.good.len(), found.crowd.len()), (2 + 15, 1985));
        // A commit that builds on one of the crowd goes with it.
        let found = sifted(&line, &[lone.as_slice(), &[(more, [adopted].as_slice())]].concat());
        assert_eq!(found.orphans, [(more, adopted)].into());
    }

    #[test]
    fn a_few_first_commits_are_a_race() {
        let roots: Vec<CommitKey> = (0..16).map(|id| key(1, id)).collect();
        let read: Vec<(CommitKey, &[CommitKey])> = roots.iter().map(|root| (*root, [].as_slice())).collect();
        assert_eq!(sifted(&[], &read).good.len(), 16);
        assert_eq!(sifted(&read[..1], &read[1..]).good.len(), 15);
    }
}
