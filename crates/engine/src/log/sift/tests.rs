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
