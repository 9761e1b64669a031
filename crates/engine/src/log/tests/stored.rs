//! Reads at the start: headers, checkpoints, the cache.

use super::faulty::Faulty;
use super::*;

#[test]
fn newer_formats_and_unusable_parameters_of_headers_are_told_apart() {
    let key = format::header_key(VAULT);
    let good = format::encode_header(&header(VAULT)).unwrap();
    assert_eq!(format::decode_header(&key, &good).unwrap(), header(VAULT));
    let newer =
        String::from_utf8(good.clone()).unwrap().replacen("\"format\": 1", "\"format\": 9, \"later\": 0", 1);
    assert!(matches!(format::decode_header(&key, newer.as_bytes()), Err(LogError::Newer { format: 9, .. })));
    let mut odd = header(VAULT);
    odd.chunking.avg += 1;
    let odd = format::encode_header(&odd).unwrap();
    assert!(matches!(format::decode_header(&key, &odd), Err(LogError::Corrupt { .. })));
}

#[test]
fn a_header_with_a_flipped_bit_is_refused_or_decodes_to_the_same() {
    let key = format::header_key(VAULT);
    let good = format::encode_header(&header(VAULT)).unwrap();
    for (at, bit) in (0..good.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << bit;
        if let Ok(read) = format::decode_header(&key, &bytes) {
            assert_eq!(read, header(VAULT), "byte {at}, bit {bit}");
        }
    }
    let first = serde_json::to_vec(&header(VAULT)).unwrap();
    assert_eq!(format::decode_header(&key, &first).unwrap(), header(VAULT), "a header without a check");
}

/// A bucket with a chain of commits and a checkpoint of the last but one, which the last one
/// proves.
pub(super) async fn checkpointed() -> (MemoryRemote, CommitKey) {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let mut head = publish(&mut log, &plain(None, 1, &[])).await;
    for generation in 0..40 {
        let content = generation.to_string();
        let name = format!("f{}", generation % 7);
        let changes = [(&*name, Some(&*content)), ("corpus/nodes.json", Some(&*content))];
        if generation == 39 {
            assert!(log.checkpoint_if_due(head, &crate::clock::SystemEntropy).await.unwrap());
            let again = log.checkpoint_if_due(head, &crate::clock::SystemEntropy).await.unwrap();
            assert!(!again, "a second one is not due");
        }
        let next = naming(&mut log, head, 1, &changes).await;
        head = publish(&mut log, &next).await;
    }
    (remote, head)
}

async fn state_of(log: &mut Log) -> (Tree, BTreeMap<String, crate::plan::Ages>, Option<CommitKey>) {
    log.refresh(Depth::Whole).await.unwrap();
    let head = log.settle().await.unwrap();
    let snapshot = log.snapshot(head).await.unwrap();
    (snapshot.tree.clone(), snapshot.ages.clone(), head)
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_equals_its_commits_and_a_damaged_one_is_skipped() {
    let (remote, head) = checkpointed().await;
    let with = state_of(&mut opened(&remote).await).await;
    assert_eq!(with.2, Some(head));
    let key = keys(&remote).into_iter().find(|key| key.starts_with("checkpoints/")).unwrap();
    let pack = keys(&remote).into_iter().find(|key| key.starts_with("packs/")).unwrap();
    for damaged in [&key, &pack] {
        let whole = remote.dump()[damaged].to_vec();
        for at in (0..whole.len()).step_by(whole.len() / 23 + 1) {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            for bytes in [flipped, whole[..at].to_vec()] {
                assert!(remote.damage(damaged, bytes.into()));
                assert_eq!(
                    state_of(&mut opened(&remote).await).await,
                    with,
                    "{damaged} damaged at byte {at}"
                );
            }
        }
        remote.damage(damaged, whole.into());
    }
    remote.remove(&pack);
    assert_eq!(state_of(&mut opened(&remote).await).await, with);
    let mut newer = remote.dump()[&key].to_vec();
    newer[6] = 9;
    remote.damage(&key, newer.into());
    let cache = Arc::new(MapCache::default());
    let opened = Log::open(Arc::new(remote.clone()), cache).await;
    assert!(
        matches!(opened, Err(LogError::Newer { format: 9, .. })),
        "a newer program's vault is not ours to write to"
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_checkpoint_with_swept_packs_is_deleted() {
    let (remote, head) = checkpointed().await;
    let mut log = opened(&remote).await;
    log.refresh(Depth::Whole).await.unwrap();
    let mut state = log.snapshot(Some(head)).await.unwrap().as_ref().clone();
    assert_eq!(log.delete_old_checkpoints(i64::MAX, &state).await.unwrap(), 0, "the newest stay");
    state.swept = Arc::new(log.checkpoint_packs().await.unwrap().unwrap());
    assert_eq!(log.delete_old_checkpoints(0, &state).await.unwrap(), 1);
    assert!(keys(&remote).iter().all(|key| !key.starts_with("checkpoints/")));
    assert_eq!(state_of(&mut opened(&remote).await).await.2, Some(head));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_forks_off_below_a_checkpoint_is_merged() {
    let (remote, head) = checkpointed().await;
    let mut log = opened(&remote).await;
    let third = log.graph().iter().map(|(key, _)| key).find(|key| key.seq == 3).unwrap();
    let late = commit(Some(third), 9, &[("late", Some("late"))]);
    remote.put(&format!("commits/{}", late.key), late.bytes.clone()).await.unwrap();
    let tree = head_tree(&mut log).await;
    assert_eq!(holds(&tree, "late"), digest("late"));
    assert_eq!(holds(&tree, "f4"), digest("39"));
    assert!(log.settle().await.unwrap().unwrap() > head);
}

#[tokio::test(start_paused = true)]
async fn a_start_with_a_warm_cache_makes_one_listing() {
    let (remote, head) = checkpointed().await;
    let remote = Faulty::over(&remote);
    let cache = Arc::new(MapCache::default());
    let mut asked = Vec::new();
    for _ in 0..2 {
        let mut log = remote.open(&cache).await.unwrap().unwrap();
        log.refresh(Depth::Near).await.unwrap();
        log.check_agreed(head).await.unwrap();
        assert_eq!(log.settle().await.unwrap(), Some(head));
        log.snapshot(Some(head)).await.unwrap();
        asked.push(remote.asked());
    }
    assert_eq!(asked[1].len(), 1, "a warm start asked {:?}", asked[1]);
    assert!(asked[0].len() < 12, "a checkpoint saves reading 40 commits: {:?}", asked[0]);
}
