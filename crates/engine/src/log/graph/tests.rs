use proptest::prelude::*;

use super::*;
use crate::model::CommitId;

fn key(seq: u64, id: u8) -> CommitKey {
    CommitKey { seq, id: CommitId::from_bytes([id; 32]) }
}

fn graph(edges: &[(CommitKey, &[CommitKey])]) -> Graph {
    let mut graph = Graph::default();
    for (child, parents) in edges {
        let node = Node { parents: parents.to_vec(), vault: VaultId::from_bytes([0; 16]) };
        graph.insert(*child, node);
    }
    graph
}

#[test]
fn a_fork_has_two_heads_and_one_nearest_ancestor() {
    let (root, one, two) = (key(1, 1), key(2, 1), key(2, 2));
    let graph = graph(&[(root, &[]), (one, &[root]), (two, &[root])]);
    assert_eq!(graph.heads(), [two, one], "the higher rank comes first");
    assert_eq!(graph.nearest_common(one, two), [root]);
    assert!(graph.descends(two, root) && !graph.descends(root, two) && !graph.descends(one, two));
}

proptest! {
    #[test]
    fn heads_are_the_commits_that_no_known_one_builds_on_and_roots_build_on_none(
        steps in prop::collection::vec((0_u8..12, prop::option::weighted(0.7, (0_u8..12, 0_u8..12))), 1..40),
    ) {
        let mut graph = Graph::default();
        for (at, parents) in steps {
            let key = |at| key(u64::from(at), at);
            match parents {
                Some((one, other)) => {
                    let parents = match one.cmp(&other) {
                        std::cmp::Ordering::Less => vec![key(one), key(other)],
                        std::cmp::Ordering::Equal => vec![key(one)],
                        std::cmp::Ordering::Greater => Vec::new(),
                    };
                    graph.insert(key(at), Node { parents, vault: VaultId::from_bytes([0; 16]) });
                }
                None => graph.remove(key(at)),
            }
            let is_parent = |key: &CommitKey| graph.nodes.values().any(|node| node.parents.contains(key));
            let expected: Vec<CommitKey> =
                graph.nodes.keys().rev().filter(|key| !is_parent(key)).copied().collect();
            prop_assert_eq!(graph.heads(), expected);
            let first = graph.nodes.iter().filter(|(_, node)| node.parents.is_empty());
            prop_assert_eq!(graph.roots(), &first.map(|(key, _)| *key).collect::<BTreeSet<_>>());
        }
    }
}

proptest! {
    #[test]
    fn what_only_one_past_has_is_the_difference_of_both(
        parents in prop::collection::vec((any::<u8>(), prop::option::of(any::<u8>())), 1..40),
    ) {
        let mut graph = Graph::default();
        let mut known: Vec<CommitKey> = Vec::new();
        for (id, (one, other)) in (0..).zip(parents) {
            let pick = |at: u8| known.get(usize::from(at) % known.len().max(1)).copied();
            let parents: BTreeSet<CommitKey> = pick(one).into_iter().chain(other.and_then(pick)).collect();
            let seq = parents.last().map_or(1, |parent| parent.seq + 1);
            let parents = parents.into_iter().rev().collect();
            graph.insert(key(seq, id), Node { parents, vault: VaultId::from_bytes([0; 16]) });
            known.push(key(seq, id));
        }
        for (one, other) in known.iter().flat_map(|one| known.iter().map(move |other| (*one, *other))) {
            let [past, others] = [one, other].map(|key| graph.ancestry(key));
            let expected: BTreeSet<CommitKey> = past.difference(&others).copied().collect();
            prop_assert_eq!(graph.only_in(one, other), expected);
        }
    }
}

#[test]
fn a_generation_within_a_fork_includes_both_branches() {
    let (root, old, one, two) = (key(1, 1), key(2, 1), key(3, 1), key(3, 2));
    let (more, merge, head) = (key(4, 2), key(5, 1), key(6, 1));
    let graph = graph(&[
        (root, &[]),
        (old, &[root]),
        (one, &[old]),
        (two, &[old]),
        (more, &[two]),
        (merge, &[more, one]),
        (head, &[merge]),
    ]);
    let since = |seq| graph.since(head, seq).into_iter().collect::<Vec<_>>();
    assert_eq!(since(6), []);
    assert_eq!(since(5), [head]);
    assert_eq!(since(4), [one, two, more, merge, head], "at 4 it may have been on either branch");
    assert_eq!(since(3), [one, two, more, merge, head]);
    assert_eq!(since(2), [one, two, more, merge, head]);
    assert_eq!(since(1), [old, one, two, more, merge, head]);
    assert_eq!(since(0), [root, old, one, two, more, merge, head]);
}

#[test]
fn crossed_merges_have_two_nearest_ancestors() {
    let (root, a, b) = (key(1, 1), key(2, 1), key(2, 2));
    let (left, right) = (key(3, 1), key(3, 2));
    let graph = graph(&[(root, &[]), (a, &[root]), (b, &[root]), (left, &[b, a]), (right, &[b, a])]);
    assert_eq!(graph.nearest_common(left, right), [b, a]);
}

#[test]
fn a_merge_brings_what_only_its_second_parent_had() {
    let (root, a1, a2) = (key(1, 1), key(2, 1), key(3, 1));
    let (b1, b2, inner, merge) = (key(2, 2), key(3, 2), key(4, 2), key(5, 1));
    let graph = graph(&[
        (root, &[]),
        (a1, &[root]),
        (a2, &[a1]),
        (b1, &[root]),
        (b2, &[b1]),
        (inner, &[b2, a1]),
        (merge, &[inner, a2]),
    ]);
    let brought = |key| graph.brought(key).into_iter().collect::<Vec<_>>();
    assert_eq!(brought(root), [root]);
    assert_eq!(brought(a2), [a2]);
    assert_eq!(brought(inner), [a1, inner]);
    assert_eq!(brought(merge), [a2, merge]);
    let all: BTreeSet<CommitKey> = [root, b1, b2, inner, merge].into_iter().flat_map(brought).collect();
    assert_eq!(all, graph.ancestry(merge), "a line and what it brought is the whole past");
}

#[test]
fn commits_without_a_common_past_have_no_ancestor() {
    let graph = graph(&[(key(1, 1), &[]), (key(1, 2), &[])]);
    assert!(graph.nearest_common(key(1, 1), key(1, 2)).is_empty());
    assert_eq!(graph.heads().len(), 2);
}
