//! Merges that crossed, and many that somebody has made to cross.

use super::*;
use crate::log::crossed::MAX_FOLDED;
use crate::log::format::commit_key;

/// A commit that merges two others and changes something besides.
fn crossing(parents: [CommitKey; 2], changes: &[(&str, Option<&str>)]) -> Commit {
    let [high, low] = if parents[0] > parents[1] { parents } else { [parents[1], parents[0]] };
    Commit { txn: None, device: None, parents: vec![high, low], ..plain(Some(high), 1, changes) }
}

/// Two heads after so many levels of merges, all of which cross.
async fn levels(log: &mut Log, count: usize) -> [CommitKey; 2] {
    let root = publish(log, &plain(None, 1, &[("shared", Some("0"))])).await;
    let mut sides = [0, 0].map(|_| root);
    for (side, device) in sides.iter_mut().zip(1..) {
        *side = publish(log, &plain(Some(root), device, &[(&format!("side {device}"), Some("1"))])).await;
    }
    for level in 0..count {
        let both = sides;
        for (side, name) in sides.iter_mut().zip(["one", "other"]) {
            let prepared =
                Prepared::new(crossing(both, &[(name, Some(&format!("{name} {level}")))])).unwrap();
            log.remote.put(&commit_key(prepared.key), prepared.bytes.clone()).await.unwrap();
            *side = prepared.key;
        }
    }
    sides
}

#[tokio::test(start_paused = true)]
async fn thousands_of_merges_that_cross_stop_nobody_and_all_come_to_the_same() {
    let remote = made().await;
    let heads = levels(&mut opened(&remote).await, 1500).await;
    let mut logs = [opened(&remote).await, opened(&remote).await];
    let mut trees = Vec::new();
    for log in &mut logs {
        assert_eq!(log.graph().heads().len(), 2);
        trees.push(head_tree(log).await);
        assert_eq!(log.graph().heads().len(), 1);
    }
    assert_eq!(trees[0], trees[1]);
    assert_eq!(holds(&trees[0], "shared"), digest("0"));
    assert!(heads.iter().all(|head| logs[0].graph().contains(*head)));
}

#[tokio::test(start_paused = true)]
async fn the_base_of_merges_that_crossed_is_what_it_always_was_up_to_the_limit() {
    for count in [1, 5, MAX_FOLDED] {
        let remote = made().await;
        let mut log = opened(&remote).await;
        let heads = levels(&mut log, count).await;
        log.refresh(Depth::Whole).await.unwrap();
        let found = log.common_base(heads[0], heads[1]).await.unwrap();
        let (folds, all) = unlimited(&mut log, heads).await;
        assert_eq!((folds, found.tree), (count, all.tree));
    }
}

/// The base without a limit, from the bottom up, and the number of merges in it. On each level no
/// more than two merges cross here.
async fn unlimited(log: &mut Log, heads: [CommitKey; 2]) -> (usize, Snapshot) {
    let (mut pairs, mut nearest) = (Vec::new(), log.graph.nearest_common(heads[0], heads[1]));
    while let [high, low] = nearest[..] {
        pairs.push([high, low]);
        nearest = log.graph.nearest_common(high, low);
    }
    let mut base = log.snapshot(Some(nearest[0])).await.unwrap().as_ref().clone();
    for [high, low] in pairs.iter().rev() {
        let [higher, lower] =
            [log.snapshot(Some(*high)).await.unwrap(), log.snapshot(Some(*low)).await.unwrap()];
        base = virtual_base(&base, &lower, &higher);
    }
    (pairs.len(), base)
}
