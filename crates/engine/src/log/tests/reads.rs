//! Sources of reads, and reactions to objects that are missing, damaged or hidden.

use super::faulty::Faulty;
use super::*;
use crate::remote::RemoteErrorKind;

/// Publishes this many commits in a row and returns their keys.
async fn chain(log: &mut Log, generations: u64) -> Vec<CommitKey> {
    let mut keys: Vec<CommitKey> = Vec::new();
    for number in 0..generations {
        let next = commit(keys.last().copied(), 1, &[(&format!("f{number}"), Some(&number.to_string()))]);
        log.publish(&next).await.unwrap();
        keys.push(next.key);
    }
    keys
}

/// Publishes a commit that names packs. They exist in the bucket, except those that are `gone`.
async fn with_packs(log: &mut Log, remote: &Faulty, packs: u8, gone: &[u8]) -> CommitKey {
    let mut found = plain(None, 1, &[("a", Some("a"))]);
    found.packs = (0..packs).map(info).collect();
    for id in (0..packs).filter(|id| !gone.contains(id)) {
        remote.store.put(&pack_key(pack(id)), vec![id].into()).await.unwrap();
    }
    let key = publish(log, &found).await;
    remote.asked();
    key
}

fn of_packs(remote: &Faulty) -> Vec<String> {
    remote.asked().into_iter().filter(|asked| asked.contains("packs/")).collect()
}

#[tokio::test(start_paused = true)]
async fn few_packs_are_checked_one_by_one_and_many_by_a_listing() {
    for (packs, heads, lists) in [(1, 1, 0), (16, 16, 0), (17, 0, 1)] {
        let remote = Faulty::over(&made().await);
        let mut log = remote.opened().await;
        let head = with_packs(&mut log, &remote, packs, &[]).await;
        assert_eq!(log.settle().await.unwrap(), Some(head));
        let asked = of_packs(&remote);
        let count = |what: &str| asked.iter().filter(|asked| asked.starts_with(what)).count();
        assert_eq!((count("head"), count("list")), (heads, lists), "{packs} packs: {asked:?}");
        assert_eq!(log.settle().await.unwrap(), Some(head));
        assert_eq!(of_packs(&remote), Vec::<String>::new(), "they are known to exist");
        log.forget_packs(&BTreeSet::from([pack(0)]));
        assert_eq!(log.settle().await.unwrap(), Some(head));
        assert_eq!(of_packs(&remote), [format!("head {}", pack_key(pack(0)))], "only that one may be gone");
    }
}

#[tokio::test(start_paused = true)]
async fn no_commit_builds_on_one_with_a_missing_pack() {
    for packs in [2, 17] {
        let remote = Faulty::over(&made().await);
        let mut log = remote.opened().await;
        let head = with_packs(&mut log, &remote, packs, &[1]).await;
        let settled = log.settle().await;
        assert!(
            matches!(settled, Err(LogError::MissingPack { commit, pack: gone }) if commit == head && gone == pack(1))
        );
        // Some stores answer a HEAD of a missing object with this error.
        remote.fail("head packs/", RemoteErrorKind::NotFound);
        assert!(matches!(log.settle().await, Err(LogError::MissingPack { .. })));
        remote.heal();
        remote.fail("head packs/", RemoteErrorKind::Server);
        assert!(
            matches!(log.settle().await, Err(LogError::Remote(error)) if error.kind == RemoteErrorKind::Server)
        );
        remote.heal();
        let state = log.snapshot(Some(head)).await.unwrap();
        log.trust_packs(&state);
        assert_eq!(log.settle().await.unwrap(), Some(head), "the packs of an agreed commit count as seen");
    }
}

#[tokio::test(start_paused = true)]
async fn packs_that_a_head_has_swept_are_not_checked() {
    let remote = Faulty::over(&made().await);
    let mut log = remote.opened().await;
    let first = with_packs(&mut log, &remote, 2, &[1]).await;
    let first = mark(&mut log, first, &[pack(0), pack(1)]).await;
    let sweep = |parent: CommitKey, device, pack| {
        let mut found = plain(Some(parent), device, &[]);
        found.prune.swept = vec![pack];
        Prepared::new(found.clone()).unwrap()
    };
    // One of two heads sweeps the missing pack. The other builds on it too and does not know of the
    // sweep.
    let (knows, other) = (sweep(first, 1, pack(1)), commit(Some(first), 2, &[("b", Some("b"))]));
    log.publish(&knows).await.unwrap();
    log.publish(&other).await.unwrap();
    let head = log.settle().await.unwrap();
    assert!(!log.snapshot(head).await.unwrap().packs.contains_key(&pack(1)));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_or_wrong_copy_in_the_cache_is_replaced() {
    let remote = Faulty::over(&made().await);
    let keys = chain(&mut remote.opened().await, 2).await;
    let name = format::commit_key(keys[1]);
    let cache: Arc<MapCache> = Arc::default();
    let mut log = remote.open(&cache).await.unwrap().unwrap();
    log.refresh(Depth::Whole).await.unwrap();
    let whole = ObjectCache::get(&*cache, &name).unwrap();
    remote.asked();
    assert_eq!(log.read_commit(keys[1]).await.unwrap().0, keys[1]);
    assert_eq!(remote.asked(), Vec::<String>::new(), "it is in the cache");
    let other = ObjectCache::get(&*cache, &format::commit_key(keys[0])).unwrap();
    for copy in [b"damaged".to_vec(), other] {
        cache.put(&name, &copy);
        let (key, found) = log.read_commit(keys[1]).await.unwrap();
        assert_eq!((key, found.seq), (keys[1], 2));
        assert_eq!(remote.asked(), [format!("get {name}")]);
        assert_eq!(ObjectCache::get(&*cache, &name).unwrap(), whole);
    }
    // The same bytes in the bucket are damage and are not cached.
    cache.remove(&name);
    remote.store.damage(&name, remote.store.dump()[&format::commit_key(keys[0])].clone());
    let refused = log.read_commit(keys[1]).await.unwrap_err().to_string();
    assert!(refused.contains("belongs under") && refused.contains(&name), "{refused}");
    assert_eq!(ObjectCache::get(&*cache, &name), None);
}

#[tokio::test(start_paused = true)]
async fn each_commit_is_read_once_even_if_a_listing_omits_it() {
    let remote = Faulty::over(&made().await);
    let keys = chain(&mut remote.opened().await, 5).await;
    let mut log = remote.open(&Arc::default()).await.unwrap().unwrap();
    remote.asked();
    // This process knows only the last commit. It asks for all ancestors.
    let state = log.recall(keys[4]).await.unwrap();
    assert_eq!(state.tree.len(), 5);
    let mut expected: Vec<String> =
        keys.iter().rev().map(|key| format!("get {}", format::commit_key(*key))).collect();
    assert_eq!(remote.asked(), expected, "each commit is read once");
    log.refresh(Depth::Whole).await.unwrap();
    expected = vec![format!("list {}", format::before_seq(0))];
    assert_eq!(remote.asked(), expected, "nothing is new");
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!(remote.asked(), expected, "early generations are listed whole");
}

#[tokio::test(start_paused = true)]
async fn a_poll_looks_64_generations_back() {
    let remote = Faulty::over(&made().await);
    let mut log = remote.opened().await;
    chain(&mut log, 70).await;
    remote.asked();
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!(remote.asked(), [format!("list {}", format::before_seq(6))]);
    log.refresh(Depth::Whole).await.unwrap();
    assert_eq!(remote.asked(), [format!("list {}", format::before_seq(0))]);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_newest_commit_is_the_latest_that_a_listing_has_shown() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    assert_eq!(log.newest_ms(), None);
    let keys = chain(&mut log, 3).await;
    let put = remote.head(&format::commit_key(keys[2])).await.unwrap().unwrap().modified_ms;
    assert_eq!(log.newest_ms(), Some(put));
    remote.remove(&format::commit_key(keys[2]));
    log.refresh(Depth::Whole).await.unwrap();
    assert_eq!(log.newest_ms(), Some(put), "it does not go back");
}

#[tokio::test(start_paused = true)]
async fn an_unlisted_commit_is_asked_for_before_a_rollback_is_reported() {
    let remote = Faulty::over(&made().await);
    let mut log = remote.opened().await;
    let keys = chain(&mut log, 2).await;
    let mut stale = remote.opened().await;
    let hidden = commit(Some(keys[1]), 1, &[("new", Some("new"))]);
    let name = format::commit_key(hidden.key);
    remote.store.put(&name, hidden.bytes.clone()).await.unwrap();
    // It is put after the listing, so this process has not seen it.
    let other = commit(Some(keys[1]), 2, &[]);
    stale.check_agreed(hidden.key).await.unwrap();
    assert!(stale.graph().contains(hidden.key));
    remote.asked();
    stale.check_agreed(keys[0]).await.unwrap();
    assert_eq!(remote.asked(), Vec::<String>::new(), "a descendant is visible");
    let lost = stale.check_agreed(other.key).await;
    assert!(matches!(lost, Err(LogError::RolledBack { agreed }) if agreed == other.key));
    let asked = remote.asked();
    assert_eq!(asked.last().unwrap(), &format!("head {}", format::commit_key(other.key)), "{asked:?}");
    // No commit may build on a known head that is gone.
    remote.store.remove(&name);
    stale.refresh(Depth::Near).await.unwrap();
    assert!(matches!(stale.settle().await, Err(LogError::RolledBack { agreed }) if agreed == hidden.key));
}

#[tokio::test(start_paused = true)]
async fn an_unlisted_vault_is_asked_for() {
    let remote = Faulty::over(&made().await);
    let mut log = remote.opened().await;
    let other = VaultId::from_bytes([2; 16]);
    assert!(log.look_for(VAULT).await.unwrap());
    assert_eq!(remote.asked(), Vec::<String>::new());
    assert!(!log.is_named(other) && !log.look_for(other).await.unwrap());
    remote.fail("get vault-", RemoteErrorKind::Offline);
    assert!(log.look_for(other).await.is_err(), "the remote was not reached");
    remote.heal();
    create_vault(&remote.store, &header(other)).await.unwrap();
    assert!(log.look_for(other).await.unwrap() && log.is_named(other));
    remote.asked();
    assert_eq!(log.header_of(other).await.unwrap().vault, other);
    assert_eq!(remote.asked(), Vec::<String>::new(), "it is now known");
    assert_eq!(log.header().unwrap().vault, VAULT, "the smallest id wins");
}

#[tokio::test(start_paused = true)]
async fn a_prefix_without_a_header_holds_no_vault_and_a_damaged_cached_one_is_ignored() {
    let remote = Faulty::default();
    assert!(remote.open(&Arc::default()).await.unwrap().is_none());
    remote.store.put("vault-list.json", "of somebody else".into()).await.unwrap();
    assert!(remote.open(&Arc::default()).await.unwrap().is_none());
    create_vault(&remote.store, &header(VAULT)).await.unwrap();
    let cache: Arc<MapCache> = Arc::default();
    for expected in [true, false, true] {
        remote.asked();
        let log = remote.open(&cache).await.unwrap().unwrap();
        assert_eq!(log.vault(), Some(VAULT));
        assert_eq!(log.header().unwrap(), &header(VAULT));
        assert_eq!(remote.asked().iter().any(|asked| asked.starts_with("list vault-")), expected);
        if !expected {
            cache.put(&format::header_key(VAULT), b"damaged");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_was_damaged_on_its_way_is_read_again() {
    let remote = Faulty::over(&made().await);
    let mut log = remote.opened().await;
    let other = VaultId::from_bytes([9; 16]);
    create_vault(&remote.store, &header(other)).await.unwrap();
    remote.flip(&format::header_key(other), 1);
    assert!(log.look_for(other).await.unwrap());
    let third = VaultId::from_bytes([7; 16]);
    create_vault(&remote.store, &header(third)).await.unwrap();
    remote.flip(&format::header_key(third), 3);
    assert!(!log.look_for(third).await.unwrap_err().is_damage(), "the way here says nothing of the header");
    assert!(log.look_for(third).await.unwrap());
    let damaged = VaultId::from_bytes([8; 16]);
    remote.store.put(&format::header_key(damaged), "junk".into()).await.unwrap();
    assert!(log.look_for(damaged).await.unwrap_err().is_damage());
}

#[tokio::test(start_paused = true)]
async fn recent_states_stay_in_memory_and_the_checkpoints_always() {
    let (remote, head) = super::stored::checkpointed().await;
    let remote = Faulty::over(&remote);
    let mut log = remote.opened().await;
    let mut keys = vec![head];
    for number in 0..12 {
        let next = commit(keys.last().copied(), 1, &[("g", Some(&number.to_string()))]);
        log.publish(&next).await.unwrap();
        log.snapshot(Some(next.key)).await.unwrap();
        keys.push(next.key);
    }
    assert_eq!(log.recent.len(), 4, "no more states are kept in memory");
    let start = log.start.clone().unwrap().commit;
    assert_eq!(log.recent.iter().filter(|state| state.key == Some(start)).count(), 1);
    let last: Vec<_> = keys[keys.len() - 3..].iter().map(|key| Some(*key)).collect();
    assert_eq!(log.recent[1..].iter().map(|state| state.key).collect::<Vec<_>>(), last);
    // Without the checkpoint's state, a replay would start at the first commit, and all of these
    // are gone.
    for (old, _) in log.graph().iter().filter(|(old, _)| *old <= start) {
        log.cache.remove(&format::commit_key(old));
        remote.store.remove(&format::commit_key(old));
    }
    assert_eq!(log.snapshot(Some(keys[2])).await.unwrap().tree.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn old_states_are_replayed_from_the_nearest_one_that_was_passed() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let keys = chain(&mut log, 1000).await;
    let reads = Arc::new(MapCache::default());
    let mut late = Log::open(Arc::new(remote.clone()), Arc::clone(&reads) as Arc<dyn ObjectCache>)
        .await
        .unwrap()
        .unwrap();
    late.refresh(Depth::Whole).await.unwrap();
    late.snapshot(keys.last().copied()).await.unwrap();
    let kept = late.waypoints.generations();
    assert!(kept.len() <= 16 && kept.is_sorted(), "{kept:?}");
    let gaps: Vec<u64> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.last() <= Some(&64) && gaps.first() >= Some(&96), "dense where it is new: {gaps:?}");
    // Without their commits no state before them can be told, and every one behind the last can.
    let last = *kept.last().unwrap();
    for key in keys.iter().filter(|key| key.seq <= last) {
        reads.remove(&format::commit_key(*key));
        remote.remove(&format::commit_key(*key));
    }
    for key in keys.iter().filter(|key| key.seq >= last) {
        let (found, wanted) =
            (late.snapshot(Some(*key)).await.unwrap(), log.snapshot(Some(*key)).await.unwrap());
        assert_eq!((found.base(), found.tree.len()), (wanted.base(), wanted.tree.len()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_state_is_readable_from_the_packs_that_hold_its_chunks_now() {
    let remote = Faulty::over(&made().await);
    let mut log = remote.opened().await;
    let then = with_packs(&mut log, &remote, 2, &[]).await;
    let as_it_was = log.readable(then, Some(then)).await.unwrap();
    assert!(Arc::ptr_eq(&as_it_was, &log.snapshot(Some(then)).await.unwrap()), "no chunk has moved");
    let marked = mark(&mut log, then, &[pack(0)]).await;
    let mut moved = plain(Some(marked), 1, &[("a", None)]);
    moved.prune.swept = vec![pack(0)];
    moved.packs = vec![info(7)];
    let moved = Prepared::new(moved.clone()).unwrap();
    log.publish(&moved).await.unwrap();
    let readable = log.readable(then, Some(moved.key)).await.unwrap();
    assert_eq!(readable.packs.keys().copied().collect::<Vec<_>>(), [pack(1), pack(7)]);
    assert_eq!(readable.tree, as_it_was.tree);
}

#[tokio::test(start_paused = true)]
async fn publish_waits_for_a_listing_and_tries_six() {
    for (hidden, shown, waited_ms) in [(0, true, 0), (1, true, 250), (5, true, 7_750), (6, false, 7_750)] {
        let remote = Faulty::over(&made().await);
        let mut log = remote.opened().await;
        let next = commit(None, 1, &[("a", Some("a"))]);
        remote.hide(&format::commit_key(next.key), hidden);
        let start = tokio::time::Instant::now();
        let published = log.publish(&next).await;
        assert_eq!(start.elapsed().as_millis(), waited_ms, "hidden from {hidden} listings");
        match published {
            Ok(()) => assert!(shown && log.graph().contains(next.key)),
            Err(LogError::NotVisible(key)) => assert!(!shown && key == next.key),
            Err(error) => panic!("{error}"),
        }
    }
}
