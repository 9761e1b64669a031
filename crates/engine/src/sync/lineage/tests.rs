use super::*;
use crate::model::{CommitId, Device, DeviceId, Digest, Group, Kept, Resolution, Validate, VaultPath};

const CORPUS: &str = "nodes.json";

fn groups() -> Groups {
    let of = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
    let (primary, derived) = (of(&["nodes.json", "nodes.npy"]), of(&[]));
    Groups::new(vec![Group { name: "nodes".to_owned(), primary, derived, validate: Validate::Off }]).unwrap()
}

fn item() -> Item {
    Item::Group("nodes".to_owned())
}

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

fn entry(content: &str) -> Entry {
    Entry { digest: Digest::of(content.as_bytes()), size: 1, mtime_ms: 0, mode: 0o644, rows: None }
}

fn change(name: &str, content: &str) -> Change {
    Change { path: path(name), entry: Some(entry(content)) }
}

fn key(seq: u64) -> CommitKey {
    CommitKey { seq, id: CommitId::from_bytes(*Digest::of(&seq.to_le_bytes()).as_bytes()) }
}

/// A commit that brings these contents of the corpus; a merge if it has two parents.
fn past(seq: u64, parents: &[u64], brings: &[&str]) -> Past {
    let device = Device { id: DeviceId::from_bytes([1; 8]), name: "one".to_owned(), reads: None };
    Past {
        key: key(seq),
        parents: parents.iter().map(|parent| key(*parent)).collect(),
        on_line: true,
        time_ms: 0,
        device: (parents.len() < 2).then_some(device),
        txn: None,
        kind: CommitKind::Sync,
        changes: brings.iter().map(|content| change(CORPUS, content)).collect(),
        kept: Vec::new(),
        resolved: Vec::new(),
    }
}

fn conflict(content: &str) -> Conflict {
    let kept = |name: &str, content: &str| Kept { path: path(name), entry: Some(entry(content)) };
    Conflict::new(item(), vec![kept(CORPUS, content), kept("nodes.npy", "rows")], None)
}

fn decides(seq: u64, parent: u64, brings: &str, lost: &str, keep: Keep) -> Past {
    let resolved = vec![Resolution { id: conflict(lost).id, keep }];
    Past { kind: CommitKind::Resolve, resolved, ..past(seq, &[parent], &[brings]) }
}

/// The commits and the conflicts that are in what stands after the newest of these.
fn all_in(mut commits: Vec<Past>) -> (Vec<u64>, usize) {
    commits.reverse();
    let (groups, item) = (groups(), item());
    let all = Lines::of(&commits, &groups, &item).all_in(commits[0].key);
    (all.commits.iter().map(|key| key.seq).collect(), all.merged.len())
}

/// Two commits on one, of which the second loses.
fn fork() -> Vec<Past> {
    let merge = Past { kept: vec![conflict("right")], ..past(4, &[2, 3], &[]) };
    vec![past(1, &[], &["root"]), past(2, &[1], &["left"]), past(3, &[1], &["right"]), merge]
}

#[test]
fn what_lost_in_a_fork_is_in_what_stands_once_it_was_merged() {
    let then = |decision: Past| all_in([fork(), vec![decision]].concat());
    assert_eq!(all_in(fork()), (vec![1, 2, 4], 0));
    assert_eq!(then(decides(5, 4, "both", "right", Keep::Both)), (vec![1, 2, 3, 4, 5], 1));
    for keep in [Keep::Mine, Keep::Remote] {
        assert_eq!(then(decides(5, 4, "left", "right", keep)), (vec![1, 2, 4, 5], 0));
    }
    // A person has put it beside the other.
    let mut beside = decides(5, 4, "left", "right", Keep::Both);
    beside.changes = vec![change("nodes (one).json", "right")];
    assert_eq!(then(beside), (vec![1, 2, 4, 5], 0));
    // Another branch has merged it, and lost itself.
    let branches = vec![
        decides(5, 4, "both", "right", Keep::Both),
        past(6, &[4], &["more"]),
        Past { kept: vec![conflict("both")], ..past(7, &[6, 5], &[]) },
    ];
    assert_eq!(all_in([fork(), branches.clone()].concat()), (vec![1, 2, 4, 6, 7], 0));
    let merged = decides(8, 7, "all", "both", Keep::Both);
    assert_eq!(all_in([fork(), branches, vec![merged]].concat()), (vec![1, 2, 3, 4, 5, 6, 7, 8], 2));
}

#[test]
fn a_version_that_no_commit_brought_may_be_merged_too() {
    let mut first = past(1, &[], &["root"]);
    first.kept = vec![conflict("never committed")];
    // The same vectors say nothing about the memories.
    let mut rows = past(2, &[1], &[]);
    rows.changes = vec![change("nodes.npy", "rows")];
    let aside = past(3, &[1], &["aside"]);
    let commits = vec![first, rows, aside, decides(4, 2, "both", "never committed", Keep::Both)];
    assert_eq!(all_in(commits), (vec![1, 2, 4], 1));
}

#[test]
fn a_version_may_stand_only_after_commits_that_changed_nothing_to_another_one() {
    let other = Past { changes: vec![change("other.json", "more")], ..past(3, &[2], &[]) };
    let mut rows = past(4, &[3], &[]);
    rows.changes = vec![change("nodes.npy", "new rows")];
    let commits = vec![rows, other, past(2, &[1], &["right"]), past(1, &[], &["left"])];
    let (groups, item) = (groups(), item());
    let lines = Lines::of(&commits, &groups, &item);
    let after = |seq| lines.may_stand_after(key(seq), &conflict("right").files);
    assert_eq!([1, 2, 3, 4, 5].map(after), [false, true, true, false, false]);
}
