//! The proofs of a checkpoint, and that it is not believed without them.

use super::faulty::Faulty;
use super::format::CHECKPOINTS;
use super::stored::checkpointed;
use super::*;
use crate::clock::SystemEntropy;

/// A vault of 32 generations, not more, whose commits name what they build on if `named`.
async fn grown(named: bool) -> (MemoryRemote, Log, CommitKey) {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let mut head = publish(&mut log, &plain(None, 1, &[("true", Some("true"))])).await;
    for generation in 1..32 {
        let changes = [(&*format!("f{generation}"), Some("f"))];
        let mut next = naming(&mut log, head, 1, &changes).await;
        next.base = next.base.filter(|_| named);
        head = publish(&mut log, &next).await;
    }
    (remote, log, head)
}

/// Puts a checkpoint of `commit` with a forged file in it.
async fn forge(remote: &MemoryRemote, commit: CommitKey, change: impl Fn(&mut Snapshot)) {
    let mut liar = opened(remote).await;
    let mut state = liar.snapshot(Some(commit)).await.unwrap().as_ref().clone();
    change(&mut state);
    liar.recent = vec![Arc::new(state)];
    liar.start = None;
    assert!(liar.checkpoint_if_due(commit, &SystemEntropy).await.unwrap());
}

fn forged_file(state: &mut Snapshot) {
    state.tree.insert(path("true"), entry("forged"));
}

#[tokio::test(start_paused = true)]
async fn a_new_device_gets_no_file_from_a_forged_checkpoint() {
    for named in [false, true] {
        let (remote, mut log, head) = grown(named).await;
        forge(&remote, head, forged_file).await;
        let tree = head_tree(&mut opened(&remote).await).await;
        assert_eq!(holds(&tree, "true"), digest("true"), "nothing builds on it yet; named: {named}");
        let mut next = naming(&mut log, head, 1, &[("more", Some("more"))]).await;
        next.base = next.base.filter(|_| named);
        publish(&mut log, &next).await;
        let mut new = opened(&remote).await;
        assert_eq!(holds(&head_tree(&mut new).await, "true"), digest("true"), "named: {named}");
        let told: Vec<String> = new.aside().into_iter().map(|aside| aside.key).collect();
        let is_checkpoint = |key: &String| key.starts_with(CHECKPOINTS);
        assert_eq!((told.iter().all(is_checkpoint), told.len()), (true, usize::from(named)), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_past_that_a_checkpoint_makes_up_is_not_believed() {
    let (remote, mut log, head) = grown(true).await;
    // A generation that leaves no room for a next one, and commits that are each other's parents.
    let (far, near) = (key(9_999_999_999_999_998, 7), key(31, 7));
    let mut liar = opened(&remote).await;
    liar.snapshot(Some(head)).await.unwrap();
    let node = |parents: Vec<CommitKey>| Node { parents, vault: VAULT };
    liar.graph.insert(near, node(vec![far]));
    liar.graph.insert(far, node(vec![near]));
    liar.graph.insert(head, node(vec![far]));
    let state = liar.snapshot(Some(head)).await.unwrap();
    assert!(liar.write_checkpoint(head, &state, &SystemEntropy).await.is_ok());
    let next = naming(&mut log, head, 1, &[("more", Some("more"))]).await;
    let next = publish(&mut log, &next).await;
    let mut fresh = opened(&remote).await;
    assert_eq!(fresh.settle().await.unwrap(), Some(next));
    assert!(!fresh.graph().contains(far) && !fresh.graph().contains(near));
}

#[tokio::test(start_paused = true)]
async fn a_proved_checkpoint_saves_reading_the_commits() {
    let (remote, mut log, head) = grown(true).await;
    assert!(log.checkpoint_if_due(head, &SystemEntropy).await.unwrap());
    let next = naming(&mut log, head, 1, &[("more", Some("more"))]).await;
    publish(&mut log, &next).await;
    let remote = Faulty::over(&remote);
    let mut fresh = remote.open(&Arc::default()).await.unwrap().unwrap();
    fresh.refresh(Depth::Whole).await.unwrap();
    assert_eq!(head_tree(&mut fresh).await.len(), 33);
    let asked = remote.asked();
    let gets = asked.iter().filter(|asked| asked.starts_with("get commits/")).count();
    assert_eq!(gets, 2, "the commit and the one that proves it: {asked:?}");
    assert_eq!(fresh.graph(), log.graph());
}

#[tokio::test(start_paused = true)]
async fn where_commits_disagree_all_are_read_and_the_liar_is_refused() {
    let (remote, mut log, head) = grown(true).await;
    forge(&remote, head, forged_file).await;
    let true_one = naming(&mut log, head, 1, &[("more", Some("more"))]).await;
    let true_one = publish(&mut log, &true_one).await;
    // Another commit says that the forged state is the true one.
    let mut state = log.snapshot(Some(head)).await.unwrap().as_ref().clone();
    state.sum.take(br#"{"file":["true",{}]}"#);
    let lie = Commit { base: Some(state.base()), ..plain(Some(head), 9, &[("lie", Some("lie"))]) };
    let lie = Prepared::new(lie.clone()).unwrap();
    remote.put(&format::commit_key(lie.key), lie.bytes.clone()).await.unwrap();
    let mut fresh = opened(&remote).await;
    assert_eq!(fresh.start.as_ref().map(|start| start.commit), None);
    let said = fresh.snapshot(Some(lie.key)).await.unwrap_err().to_string();
    assert!(said.contains("another state than its first parent"), "{said}");
    let state = fresh.snapshot(Some(true_one)).await.unwrap();
    assert_eq!(holds(&state.tree, "true"), digest("true"));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_line_is_added_up_and_merges_agree_wherever_a_replay_began() {
    let (remote, _) = checkpointed().await;
    let mut whole = opened(&remote).await;
    let (head, _) = whole.graph().iter().next_back().unwrap();
    // The same from a checkpoint, and from all commits.
    assert!(whole.start.is_some());
    let mut replayed = opened(&remote).await;
    replayed.start = None;
    replayed.recent.clear();
    let (one, other) =
        (whole.snapshot(Some(head)).await.unwrap(), replayed.snapshot(Some(head)).await.unwrap());
    assert_eq!(one.base(), other.base());
    let past = whole.graph().part(&whole.graph().ancestry(head));
    let mut by_hand = sum::StateSum::default();
    one.lines(&past).for_each(|line| by_hand.add(&line.bytes().unwrap()));
    assert_eq!(by_hand, one.sum, "the sum that was kept up is that of all lines");
    // Two commits at once: the merge names a base, and is the same wherever it is made.
    for device in [1, 2] {
        let next = naming(&mut whole, head, device, &[("x", Some(&device.to_string()))]).await;
        publish(&mut whole, &next).await;
    }
    replayed.refresh(Depth::Whole).await.unwrap();
    let (left, right) = (whole.settle().await.unwrap(), replayed.settle().await.unwrap());
    assert_eq!(left, right);
    let merge = whole.read_commit(left.unwrap()).await.unwrap().1;
    assert_eq!((merge.format, merge.base.is_some(), merge.parents.len()), (2, true, 2));
    let merged = whole.snapshot(left).await.unwrap();
    let past = whole.graph().part(&whole.graph().ancestry(left.unwrap()));
    let mut by_hand = sum::StateSum::default();
    merged.lines(&past).for_each(|line| by_hand.add(&line.bytes().unwrap()));
    assert_eq!(by_hand, merged.sum, "a merge brings the past of its loser");
}

#[tokio::test(start_paused = true)]
async fn commits_name_a_base_from_a_32nd_generation_on_if_every_device_reads_it() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let mut head = publish(&mut log, &plain(None, 1, &[])).await;
    let mut named = Vec::new();
    for generation in 2..=96 {
        let state = log.snapshot(Some(head)).await.unwrap();
        let base = log.base_for(&state).await.unwrap();
        assert!(base.is_none_or(|base| base == state.base()));
        named.extend(base.map(|_| generation));
        head = publish(&mut log, &Commit { base, ..plain(Some(head), 1, &[]) }).await;
        if generation == 40 {
            // Until now the device has not said what it reads.
            log.announce(DeviceId::from_bytes([1; 8]), crate::model::Keeps::default()).await.unwrap();
        }
    }
    assert_eq!(named, (64..=96).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn junk_of_a_newer_format_beside_the_witnesses_of_a_checkpoint_stops_no_new_device() {
    let (remote, mut log, head) = grown(true).await;
    assert!(log.checkpoint_if_due(head, &SystemEntropy).await.unwrap());
    let next = naming(&mut log, head, 1, &[("more", Some("more"))]).await;
    let next = publish(&mut log, &next).await;
    let junk = format::commit_key(key(next.seq, 7));
    remote.put(&junk, b"CGZcmt\x63\x00\x00{}".as_slice().into()).await.unwrap();
    let mut new = opened(&remote).await;
    assert_eq!(new.settle().await.unwrap(), Some(next));
    assert!(new.start.is_some(), "the checkpoint is proved all the same");
}
