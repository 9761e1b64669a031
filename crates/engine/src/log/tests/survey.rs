//! Surveys of the whole bucket.

use super::chunks::stored;
use super::*;
use crate::model::{Conflict, Item, Kept, RecipeOf};

fn digests(contents: &Contents) -> BTreeSet<Digest> {
    contents.all.keys().copied().collect()
}

fn of(texts: &[&str]) -> BTreeSet<Digest> {
    texts.iter().map(|text| entry(text).digest).collect()
}

#[tokio::test(start_paused = true)]
async fn commits_and_packs_are_listed_with_the_time_of_their_put() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let first = publish(&mut log, &plain(None, 1, &[("a", Some("a"))])).await;
    let info = stored(&remote, 1, &[b"chunk"]).await;
    let pruned = Commit { kind: CommitKind::Prune, ..plain(Some(first), 1, &[]) };
    let second = publish(&mut log, &pruned).await;
    remote.put("commits/notes", "of somebody else".into()).await.unwrap();
    remote.put("packs/notes", "of somebody else".into()).await.unwrap();
    let put = async |key: &str| remote.head(key).await.unwrap().unwrap().modified_ms;
    let expected =
        [(first, put(&format::commit_key(first)).await), (second, put(&format::commit_key(second)).await)];
    assert_eq!(log.commit_times().await.unwrap(), expected.into());
    assert_eq!(log.uncounted(second, 2).await.unwrap(), [second].into());
    assert_eq!(log.uncounted(second, 0).await.unwrap(), [].into(), "none is asked for");
    assert_eq!(log.uncounted(first, 2).await.unwrap(), [].into());
    let modified_ms = put(&pack_key(info.id)).await;
    let there = InBucket { size: info.size, modified_ms, is_object: true };
    assert_eq!(log.packs_there([]).await.unwrap(), [(info.id, there)].into());
}

#[tokio::test(start_paused = true)]
async fn contents_of_kept_generations_are_retained_and_older_ones_are_not() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let first = publish(&mut log, &plain(None, 1, &[("a", Some("a1")), ("b", Some("b1"))])).await;
    let second = publish(&mut log, &plain(Some(first), 1, &[("a", Some("a2"))])).await;
    let mut third = plain(Some(second), 1, &[("a", Some("a3"))]);
    let kept = vec![Kept { path: path("x"), entry: Some(entry("lost")) }];
    third.kept = vec![Conflict::new(Item::File(path("x")), kept, None)];
    third.recipes = vec![RecipeOf { digest: entry("a3").digest, recipe: recipe() }];
    third.changes[0].entry.as_mut().unwrap().size = 2;
    let third = publish(&mut log, &third).await;
    let fourth = publish(&mut log, &plain(Some(third), 1, &[("a", None)])).await;
    let head = log.snapshot(Some(fourth)).await.unwrap();
    for (horizon, expected) in [
        (0, of(&["a1", "a2", "a3", "b1", "lost"])),
        (1, of(&["a1", "a2", "a3", "b1", "lost"])),
        (2, of(&["a2", "a3", "b1", "lost"])),
        (3, of(&["a3", "b1", "lost"])),
        (4, of(&["b1", "lost"])),
    ] {
        let retained = log.retained(&head, horizon).await.unwrap();
        assert_eq!(digests(&retained.sure), expected, "from {horizon} on");
        assert_eq!(digests(&retained.void), of(&[]));
        assert_eq!(
            retained.sure.recipes.contains_key(&entry("a3").digest),
            horizon <= 3,
            "from {horizon} on"
        );
    }
    let nothing = Snapshot::empty(vec![]).unwrap();
    assert_eq!(digests(&log.retained(&nothing, 0).await.unwrap().sure), of(&[]));
}

#[tokio::test(start_paused = true)]
async fn contents_of_void_commits_are_listed_separately() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let first = publish(&mut log, &plain(None, 1, &[("a", Some("a1"))])).await;
    let void = publish(&mut log, &plain(Some(first), 1, &[("v", Some("void"))])).await;
    let high = publish(&mut log, &plain(Some(first), 1, &[("b", Some("b1"))])).await;
    let high = publish(&mut log, &plain(Some(high), 1, &[("c", Some("c1"))])).await;
    let mut merge = plain(Some(high), 1, &[]);
    merge.parents.push(void);
    (merge.txn, merge.device, merge.prune.void) = (None, None, vec![void]);
    let merge = publish(&mut log, &merge).await;
    let head = log.snapshot(Some(merge)).await.unwrap();
    let retained = log.retained(&head, 1).await.unwrap();
    assert_eq!(digests(&retained.sure), of(&["a1", "b1", "c1"]));
    assert_eq!(digests(&retained.void), of(&["void"]));
    // If the oldest kept commit is void itself, so is its whole state.
    let retained = log.retained(&head, 2).await.unwrap();
    assert_eq!(digests(&retained.void), of(&["a1", "void"]));
}

#[tokio::test(start_paused = true)]
async fn swept_packs_that_still_exist_are_listed_as_committed() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let first = Commit { packs: vec![info(1), info(2), info(3)], ..plain(None, 1, &[]) };
    let first = publish(&mut log, &first).await;
    let first = mark(&mut log, first, &[pack(1), pack(2)]).await;
    let mut second = plain(Some(first), 1, &[]);
    second.prune.swept = vec![pack(1), pack(2)];
    let second = publish(&mut log, &second).await;
    let head = log.snapshot(Some(second)).await.unwrap();
    let there = |ids: &[u8]| {
        ids.iter().map(|id| (pack(*id), InBucket { size: 1, modified_ms: 0, is_object: true })).collect()
    };
    for (ids, expected) in
        [([].as_slice(), vec![]), (&[3], vec![]), (&[2, 3], vec![info(2)]), (&[1, 2], vec![info(1), info(2)])]
    {
        let found = log.swept_and_there(&head, &there(ids)).await.unwrap().packs;
        assert_eq!(found.iter().map(|info| info.as_ref().clone()).collect::<Vec<_>>(), expected);
    }
    // Named again since, it belongs to the state.
    let again = Commit { packs: vec![info(1)], ..plain(Some(second), 1, &[]) };
    let again = publish(&mut log, &again).await;
    let head = log.snapshot(Some(again)).await.unwrap();
    assert!(!head.has_swept(&pack(1)) && head.has_swept(&pack(2)) && !head.has_swept(&pack(3)));
    assert_eq!(log.swept_and_there(&head, &there(&[1])).await.unwrap().packs, []);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_seen_packs_marked_reads_no_old_commit_for_them() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let first = publish(&mut log, &Commit { packs: vec![info(1)], ..plain(None, 1, &[]) }).await;
    // Nothing names the other two: they may be a checkpoint's.
    let marked = mark(&mut log, first, &[pack(1), pack(2), pack(3)]).await;
    let there = [1, 2, 3].map(|id| (pack(id), InBucket { size: 1, modified_ms: 0, is_object: true })).into();
    log.snapshot(Some(marked)).await.unwrap();
    // One of them is an upload's that is finished only now, and is marked anew.
    let named = publish(&mut log, &Commit { packs: vec![info(2)], ..plain(Some(marked), 1, &[]) }).await;
    let mut sweep = plain(Some(named), 1, &[]);
    sweep.prune.swept = vec![pack(1), pack(2), pack(3)];
    let swept = publish(&mut log, &sweep).await;
    let head = log.snapshot(Some(swept)).await.unwrap();
    let bytes = log.cache.get(&format::commit_key(first)).unwrap();
    log.cache.remove(&format::commit_key(first));
    remote.delete(&format::commit_key(first)).await.unwrap();
    let found = log.swept_and_there(&head, &there).await.unwrap();
    assert_eq!(found.packs.iter().map(|info| info.as_ref().clone()).collect::<Vec<_>>(), [info(1), info(2)]);
    assert_eq!(found.unread, [pack(3)].into(), "of this one it may tell more");
    log.forget_gone(&BTreeMap::new());
    let found = log.swept_and_there(&head, &there).await.unwrap();
    assert_eq!(found.packs.len(), 1);
    assert_eq!(found.unread, [pack(1), pack(3)].into(), "the first commit, which is gone now, may name them");
    remote.put(&format::commit_key(first), bytes.into()).await.unwrap();
    let found = log.swept_and_there(&head, &there).await.unwrap();
    assert_eq!(
        (found.packs.len(), found.unread),
        (2, [].into()),
        "and it is asked for again until it is back"
    );
}

#[tokio::test(start_paused = true)]
async fn versions_that_only_branches_had_are_told_with_their_generations() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let root = publish(&mut log, &plain(None, 1, &[("a", Some("a0"))])).await;
    let mut line = root;
    for text in ["a1", "a2", "a3"] {
        line = publish(&mut log, &plain(Some(line), 1, &[("a", Some(text))])).await;
    }
    // A branch, and a fork of it that goes on for longer.
    let branch = plain(Some(root), 2, &[("x", Some("x1")), ("k", Some("k1")), ("c", Some("c1"))]);
    let branch = publish(&mut log, &branch).await;
    let one = publish(&mut log, &plain(Some(branch), 2, &[("x", Some("x2")), ("c", None)])).await;
    let other = publish(&mut log, &plain(Some(branch), 3, &[("x", Some("x3"))])).await;
    let head = log.settle().await.unwrap().unwrap();
    assert_eq!(log.beside_line(head), [branch, one, other].into());
    let all = log.branch_versions(head, &BTreeSet::new()).await.unwrap();
    let texts = ["c1", "k1", "x1", "x2", "x3"].map(|text| (entry(text).digest, text));
    let text = |version: &BranchVersion| *BTreeMap::from(texts).get(&version.entry.digest).unwrap();
    let mut told: Vec<_> = all.iter().map(|version| (text(version), version.from, version.to)).collect();
    told.sort_unstable();
    let expected = [("c1", 2, 3), ("k1", 2, 3), ("x1", 2, 2), ("x2", 3, 3), ("x3", 3, 3)];
    assert_eq!(told, expected, "c1 is gone on one side of the fork, and stays on the other");
    let rest = log.branch_versions(head, &[one].into()).await.unwrap();
    assert!(!rest.iter().any(|version| text(version) == "x2"), "a void commit carries nothing");
}
