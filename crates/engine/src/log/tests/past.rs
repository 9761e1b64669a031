//! History of the log.

use super::*;
use crate::model::{CommitId, Conflict, Item, Keep, Kept, Resolution};

fn at(wall_ms: u64, parent: Option<CommitKey>, device: u8, changes: &[(&str, Option<&str>)]) -> Commit {
    let mut commit = plain(parent, device, changes);
    commit.txn.as_mut().unwrap().wall_ms = wall_ms;
    commit
}

/// A history with a fork of two on one, merged, and one commit on the merge: `[root, left, right,
/// merge, last]`. Left is the higher.
async fn forked(log: &mut Log) -> [CommitKey; 5] {
    let root = publish(log, &at(1000, None, 1, &[("a", Some("a0")), ("b", Some("b0"))])).await;
    let mut left = at(5000, Some(root), 1, &[("a", Some("a1"))]);
    let mut right = at(900, Some(root), 2, &[("b", Some("b1"))]);
    if Prepared::new(left.clone()).unwrap().key < Prepared::new(right.clone()).unwrap().key {
        std::mem::swap(&mut left, &mut right);
    }
    let (left, right) = (publish(log, &left).await, publish(log, &right).await);
    log.refresh(Depth::Whole).await.unwrap();
    let merge = log.settle().await.unwrap().unwrap();
    let last = publish(log, &at(2000, Some(merge), 1, &[("a", None), ("c", Some("c0"))])).await;
    [root, left, right, merge, last]
}

#[tokio::test(start_paused = true)]
async fn the_past_lists_author_time_and_changes_newest_first() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let [root, left, right, merge, last] = forked(&mut log).await;
    assert_eq!(log.line(last), [last, merge, left, root]);
    let past = log.past(last).await.unwrap();
    let keys: Vec<CommitKey> = past.iter().map(|past| past.key).collect();
    assert_eq!(keys, [last, merge, left, right, root]);
    assert_eq!(past.iter().map(|past| past.on_line).collect::<Vec<_>>(), [true, true, true, false, true]);
    // Both clocks were wrong: no commit is shown as older than its parents.
    let mut times: Vec<u64> = past.iter().map(|past| past.time_ms).collect();
    times[2..4].sort_unstable();
    assert_eq!(times, [5000, 5000, 1000, 5000, 1000]);
    assert_eq!(past.iter().map(Past::made_by).collect::<Vec<_>>(), ["sync", "merge", "sync", "sync", "sync"]);
    let paths = |past: &Past| past.changes.iter().map(|change| change.path.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (paths(&past[0]), paths(&past[4])),
        (vec!["a".into(), "c".into()], vec!["a".into(), "b".into()])
    );
    assert!(past[1].device.is_none() && past[1].txn.is_none());
    assert_eq!(past[0].device.as_ref().unwrap().name, "device 1");
    assert_eq!(
        (past[1].parents.as_slice(), past[4].parents.as_slice()),
        ([left, right].as_slice(), [].as_slice())
    );
    assert_eq!(log.changed_by(last).await.unwrap(), [path("a"), path("c")]);
    assert_eq!(log.past(root).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_past_names_conflicts_decisions_and_kinds() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let conflict = Conflict::new(
        Item::File(path("a")),
        vec![Kept { path: path("a"), entry: Some(entry("lost")) }],
        None,
    );
    let first = Commit { kept: vec![conflict.clone()], kind: CommitKind::Import, ..at(1, None, 1, &[]) };
    let first = publish(&mut log, &first).await;
    let decided = vec![Resolution { id: conflict.id, keep: Keep::Mine }];
    let second =
        Commit { resolved: decided.clone(), kind: CommitKind::Resolve, ..at(2, Some(first), 1, &[]) };
    let second = publish(&mut log, &second).await;
    let past = log.past(second).await.unwrap();
    assert_eq!((&past[0].resolved, &past[1].kept), (&decided, &vec![conflict]));
    assert_eq!((past[0].made_by(), past[1].made_by()), ("resolve", "import"));
}

#[tokio::test(start_paused = true)]
async fn all_versions_of_a_path_are_listed() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let [_, _, _, merge, last] = forked(&mut log).await;
    let asked = BTreeSet::from([path("a"), path("c"), path("never")]);
    let of = |texts: &[&str]| texts.iter().map(|text| entry(text).digest).collect::<BTreeSet<_>>();
    let versions = log.versions(last, &asked).await.unwrap();
    assert_eq!(versions, PathVersions::from([(path("a"), of(&["a0", "a1"])), (path("c"), of(&["c0"]))]));
    assert_eq!(
        log.versions(merge, &asked).await.unwrap(),
        PathVersions::from([(path("a"), of(&["a0", "a1"]))])
    );
}

#[tokio::test(start_paused = true)]
async fn news_are_the_commits_outside_the_known_past() {
    let remote = made().await;
    let [root, left, right, merge, last] = forked(&mut opened(&remote).await).await;
    // A process that has read no commit yet.
    let mut log = Log::open(Arc::new(remote.clone()), Arc::new(MapCache::default())).await.unwrap().unwrap();
    let mut news = async |head, known| -> Vec<CommitKey> {
        log.news(head, known).await.unwrap().into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(news(last, None).await, [last]);
    assert_eq!(news(last, Some(root)).await, [right, left, merge, last], "the oldest comes first");
    assert_eq!(news(last, Some(left)).await, [right, merge, last]);
    assert_eq!(news(last, Some(last)).await, []);
    assert_eq!(news(right, Some(left)).await, [right]);
    let other = CommitKey { seq: root.seq, id: CommitId::from_bytes([9; 32]) };
    assert!(log.reaches(last, root).await.unwrap() && !log.reaches(last, other).await.unwrap());
    let since = log.since(last, last.seq - 1).await.unwrap();
    assert_eq!(since.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [last]);
    assert_eq!(since[0].1.changes.len(), 2);
    assert_eq!(log.since(last, 0).await.unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_commits_of_one_push_are_one_entry() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let root = publish(&mut log, &at(1, None, 1, &[("z", Some("z0"))])).await;
    let mut parts = Vec::new();
    for name in ["c", "a", "b"] {
        let parent = parts.last().copied().unwrap_or(root);
        parts.push(publish(&mut log, &at(7, Some(parent), 1, &[(name, Some("new"))])).await);
    }
    // Another device's clock may show the same time.
    let other = publish(&mut log, &at(7, parts.last().copied(), 2, &[("d", Some("d0"))])).await;
    let past = log.past(other).await.unwrap();
    let keys: Vec<CommitKey> = past.iter().map(|past| past.key).collect();
    assert_eq!(keys, [other, parts[2], root]);
    let paths: Vec<&str> = past[1].changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!((paths, past[1].parents.as_slice()), (vec!["a", "b", "c"], [root].as_slice()));
    for part in &parts {
        assert_eq!(log.parts(*part).await.unwrap(), parts);
    }
    assert_eq!(log.parts(root).await.unwrap(), [root]);
    assert_eq!(log.uncounted(other, 3).await.unwrap(), [parts[0], parts[1]].into());
    assert_eq!(log.uncounted(other, u64::MAX).await.unwrap(), [].into(), "it has not so many");
    assert_eq!(log.uncounted(other, 2).await.unwrap(), [].into(), "two generations do not reach so far");
}

#[tokio::test(start_paused = true)]
async fn a_push_whose_last_part_lost_in_a_merge_is_no_generation_without_it() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let root = publish(&mut log, &at(1, None, 1, &[("z", Some("z0"))])).await;
    let part = publish(&mut log, &at(7, Some(root), 1, &[("a", Some("new"))])).await;
    publish(&mut log, &at(7, Some(part), 1, &[("b", Some("new"))])).await;
    let mut other = part;
    for (time, name) in [(8, "c"), (9, "d")] {
        other = publish(&mut log, &at(time, Some(other), 2, &[(name, Some("new"))])).await;
    }
    let merge = log.settle().await.unwrap().unwrap();
    assert_eq!(log.graph().first_parent(merge), Some(other), "the longer branch wins");
    assert_eq!(log.uncounted(merge, merge.seq).await.unwrap(), [part].into());
}

#[tokio::test(start_paused = true)]
async fn a_look_back_has_the_pushes_that_began_since() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let [.., merge, last] = forked(&mut log).await;
    let mut newest = last;
    for (time, name) in [(8000, "d"), (8000, "e"), (8000, "f"), (9000, "g")] {
        newest = publish(&mut log, &at(time, Some(newest), 1, &[(name, Some("new"))])).await;
    }
    let whole = log.past(newest).await.unwrap();
    let mut begun = Vec::new();
    for past in &whole {
        begun.push((log.parts(past.key).await.unwrap()[0].seq, past));
    }
    for from in 0..=newest.seq {
        let looked = log.past_from(newest, from).await.unwrap();
        let since = begun.iter().filter(|(first, _)| *first >= from).map(|(_, past)| *past);
        let shape = |past: &Past| (past.key, past.parents.clone(), past.on_line, past.changes.clone());
        assert!(looked.iter().map(shape).eq(since.map(shape)), "from {from}");
    }
    assert_eq!(looks_back(merge).collect::<Vec<_>>(), [0], "a short history is read at once");
    let old = CommitKey { seq: 1000, ..newest };
    assert_eq!(looks_back(old).collect::<Vec<_>>(), [936, 488, 0]);
}
