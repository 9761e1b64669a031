//! Objects below `commits/` that no device of the vault made, and their fate.

use super::faulty::Faulty;
use super::*;
use crate::clock::{Clock, SystemClock};
use crate::log::aside::SETTLED_MS;
use crate::model::{Ext, Need};
use crate::remote::RemoteErrorKind;

/// A device that has agreed on `head`, with its cache.
async fn device(remote: &Faulty, cache: &Arc<MapCache>, head: Option<CommitKey>) -> Log {
    let mut log = remote.open(cache).await.unwrap().expect("the prefix holds a vault");
    log.build_on(head);
    log.refresh(Depth::Whole).await.unwrap();
    remote.asked();
    log
}

/// A vault of three generations.
async fn vault() -> (Faulty, Vec<CommitKey>) {
    let remote = Faulty::over(&made().await);
    let mut log = remote.opened().await;
    let mut keys = vec![publish(&mut log, &plain(None, 1, &[("a", Some("a"))])).await];
    for content in ["b", "c"] {
        let next = plain(keys.last().copied(), 1, &[(content, Some(content))]);
        keys.push(publish(&mut log, &next).await);
    }
    remote.asked();
    (remote, keys)
}

async fn put(remote: &Faulty, key: CommitKey, bytes: impl Into<bytes::Bytes>) {
    remote.store.put(&format::commit_key(key), bytes.into()).await.unwrap();
}

async fn put_commit(remote: &Faulty, commit: &Commit) -> CommitKey {
    let prepared = Prepared::new(commit.clone()).unwrap();
    put(remote, prepared.key, prepared.bytes).await;
    prepared.key
}

fn said(log: &Log, key: CommitKey) -> String {
    let aside = log.aside().into_iter().find(|aside| aside.key == format::commit_key(key));
    aside.unwrap_or_else(|| panic!("{key} is not set aside: {:?}", log.aside())).why
}

#[tokio::test(start_paused = true)]
async fn one_junk_object_stops_neither_old_devices_nor_new_ones() {
    let (remote, keys) = vault().await;
    let cache: Arc<MapCache> = Arc::default();
    let mut old = device(&remote, &cache, Some(keys[2])).await;
    let garbage = [(key(4, 1), "this is no commit"), (key(4, 2), ""), (key(1, 3), "CGZcmt")];
    for (key, bytes) in garbage {
        put(&remote, key, bytes).await;
    }
    put(&remote, key(4, 4), Prepared::new(plain(None, 9, &[])).unwrap().bytes).await;
    let orphan = put_commit(&remote, &plain(Some(key(8, 9)), 9, &[("x", Some("x"))])).await;
    let child = put_commit(&remote, &plain(Some(orphan), 9, &[("y", Some("y"))])).await;
    let far = put_commit(&remote, &plain(Some(key(limits::GENERATION - 1, 9)), 9, &[])).await;
    let lost = VaultId::from_bytes([9; 16]);
    let stranger = put_commit(&remote, &Commit { vault: lost, ..plain(None, 9, &[]) }).await;
    let mut new = remote.opened().await;
    for log in [&mut old, &mut new] {
        log.refresh(Depth::Whole).await.unwrap();
        assert_eq!(log.settle().await.unwrap(), Some(keys[2]), "nothing but the history counts");
        assert!(said(log, key(4, 1)).contains("does not begin"), "{:?}", log.aside());
        assert!(said(log, key(4, 2)).contains("shorter than its head"));
        assert!(said(log, key(4, 4)).contains("belongs under"));
        assert!(said(log, orphan).contains(&format::commit_key(key(8, 9))));
        assert!(said(log, child).contains(&format::commit_key(orphan)));
        assert!(said(log, far).contains("999999999999998"));
        assert!(said(log, stranger).contains("has no header"));
        assert_eq!(log.aside().len(), 8);
    }
    let next = publish(&mut old, &plain(Some(keys[2]), 1, &[("d", Some("d"))])).await;
    new.refresh(Depth::Near).await.unwrap();
    assert_eq!((next.seq, new.settle().await.unwrap()), (4, Some(next)), "work goes on");
}

#[tokio::test(start_paused = true)]
async fn junk_is_read_once_and_then_costs_no_more_than_its_listing() {
    let (remote, keys) = vault().await;
    let cache: Arc<MapCache> = Arc::default();
    let mut log = device(&remote, &cache, Some(keys[2])).await;
    for number in 0..2000_u16 {
        let [high, low] = number.to_be_bytes();
        let mut id = [7; 32];
        (id[0], id[1]) = (high, low);
        let junk = CommitKey { seq: 2, id: crate::model::CommitId::from_bytes(id) };
        put(&remote, junk, number.to_string()).await;
    }
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!(log.aside().len(), 2000);
    remote.asked();
    let mut again = remote.open(&cache).await.unwrap().unwrap();
    again.build_on(Some(keys[2]));
    for log in [&mut log, &mut again] {
        log.refresh(Depth::Near).await.unwrap();
        assert_eq!(log.settle().await.unwrap(), Some(keys[2]));
        let asked = remote.asked();
        assert!(
            asked.len() <= 4 && asked.iter().all(|asked| asked.starts_with("list commits/")),
            "{asked:?}"
        );
        assert_eq!(log.aside().len(), 2000);
    }
}

#[tokio::test(start_paused = true)]
async fn two_thousand_first_commits_cost_a_few_merges_once() {
    let (remote, keys) = vault().await;
    let cache: Arc<MapCache> = Arc::default();
    let mut log = device(&remote, &cache, Some(keys[2])).await;
    for number in 0..2000 {
        put_commit(&remote, &plain(None, 9, &[("x", Some(&number.to_string()))])).await;
    }
    log.refresh(Depth::Whole).await.unwrap();
    let head = log.settle().await.unwrap().unwrap();
    assert!(log.graph().descends(head, keys[2]));
    let puts = remote.asked().iter().filter(|asked| asked.starts_with("put")).count();
    assert_eq!((puts, log.aside().len()), (15, 1985));
    let mut fresh = remote.opened().await;
    assert_eq!(fresh.settle().await.unwrap(), Some(head), "a new device sees the same history");
    log.refresh(Depth::Whole).await.unwrap();
    remote.asked();
    assert_eq!(log.settle().await.unwrap(), Some(head));
    assert_eq!(remote.asked(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_late_parent_takes_back_what_builds_on_it() {
    let (remote, keys) = vault().await;
    let cache: Arc<MapCache> = Arc::default();
    let mut log = device(&remote, &cache, Some(keys[2])).await;
    let late = Prepared::new(plain(Some(keys[2]), 2, &[("late", Some("late"))])).unwrap();
    let child = put_commit(&remote, &plain(Some(late.key), 3, &[("child", Some("child"))])).await;
    let grandchild = put_commit(&remote, &plain(Some(child), 3, &[("more", Some("more"))])).await;
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!((log.settle().await.unwrap(), log.aside().len()), (Some(keys[2]), 2));
    put(&remote, late.key, late.bytes).await;
    // The same for a process that knows them from its cache alone.
    let mut again = remote.open(&cache).await.unwrap().unwrap();
    again.build_on(Some(keys[2]));
    for log in [&mut log, &mut again] {
        log.refresh(Depth::Near).await.unwrap();
        assert_eq!((log.settle().await.unwrap(), log.aside().len()), (Some(grandchild), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_with_a_missing_pack_waits_for_it_with_all_that_builds_on_it() {
    let (remote, keys) = vault().await;
    let cache: Arc<MapCache> = Arc::default();
    let mut log = device(&remote, &cache, Some(keys[2])).await;
    let mut lacking = plain(Some(keys[2]), 2, &[("x", Some("x"))]);
    lacking.packs = vec![info(1)];
    let lacking = put_commit(&remote, &lacking).await;
    let child = put_commit(&remote, &plain(Some(lacking), 2, &[("y", Some("y"))])).await;
    let mut new = remote.opened().await;
    for log in [&mut log, &mut new] {
        log.refresh(Depth::Near).await.unwrap();
        assert_eq!(log.settle().await.unwrap(), Some(keys[2]));
        assert!(said(log, lacking).contains(&format!("needs pack {}", pack(1))));
        assert!(said(log, child).contains("builds on"));
    }
    let next = publish(&mut log, &plain(Some(keys[2]), 1, &[("d", Some("d"))])).await;
    remote.asked();
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!(log.settle().await.unwrap(), Some(next));
    let heads = remote.asked().iter().filter(|asked| asked.starts_with("head packs/")).count();
    assert_eq!(heads, 1, "it is looked for again");
    remote.store.put(&pack_key(pack(1)), "pack".into()).await.unwrap();
    log.refresh(Depth::Near).await.unwrap();
    let merged = log.settle().await.unwrap().unwrap();
    assert!(
        log.aside().is_empty() && log.graph().descends(merged, child) && log.graph().descends(merged, next)
    );
}

#[tokio::test(start_paused = true)]
async fn what_this_device_has_agreed_on_is_never_set_aside() {
    let (remote, keys) = vault().await;
    let mut broken = plain(Some(keys[2]), 2, &[("x", Some("x"))]);
    broken.packs = vec![info(1)];
    let broken = put_commit(&remote, &broken).await;
    let mut log = device(&remote, &Arc::default(), Some(broken)).await;
    assert!(matches!(log.settle().await, Err(LogError::MissingPack { .. })));
    assert!(log.graph().contains(broken) && log.aside().is_empty());
    // The same for a device without a cache whose past has a hole.
    put(&remote, key(3, 1), "junk").await;
    remote.store.damage(&format::commit_key(keys[1]), "damaged".into());
    let mut log = remote.open(&Arc::default()).await.unwrap().unwrap();
    log.build_on(Some(keys[2]));
    log.refresh(Depth::Whole).await.unwrap();
    let refused = log.check_agreed(keys[2]).await.unwrap_err();
    assert!(refused.is_damage() && refused.to_string().contains(&format::commit_key(keys[1])), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_pack_of_a_commit_that_was_put_again_is_not_waited_for() {
    let clock = Arc::new(SystemClock::new());
    for (made_ms, is_waited_for) in [(clock.now_ms(), true), (1, false)] {
        // In the bucket both are new.
        let store = MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        create_vault(&store, &header(VAULT)).await.unwrap();
        let remote = Faulty::over(&store);
        let mut log = remote.opened().await;
        let first = publish(&mut log, &plain(None, 1, &[("a", Some("a"))])).await;
        let mut lacks = plain(Some(first), 2, &[("x", Some("x"))]);
        lacks.packs = vec![info(1)];
        lacks.txn.as_mut().unwrap().wall_ms = made_ms;
        let lacks = put_commit(&remote, &lacks).await;
        let mut log = remote.opened().await;
        assert_eq!(log.settle().await.unwrap(), Some(if is_waited_for { first } else { lacks }));
        assert_eq!(log.aside().is_empty(), !is_waited_for);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_device_does_not_take_an_old_state_for_the_newest() {
    let (remote, mut keys) = vault().await;
    let mut log = remote.opened().await;
    for number in 0..20 {
        let next = plain(keys.last().copied(), 1, &[("n", Some(&number.to_string()))]);
        keys.push(publish(&mut log, &next).await);
    }
    let cache: Arc<MapCache> = Arc::default();
    let mut old = device(&remote, &cache, keys.last().copied()).await;
    for (position, refused) in [(3, true), (18, false)] {
        let name = format::commit_key(keys[position]);
        let whole = remote.store.dump()[&name].clone();
        for damage in ["damaged", ""] {
            match damage {
                "" => drop(remote.store.remove(&name)),
                damage => drop(remote.store.damage(&name, damage.into())),
            }
            let mut new = remote.open(&Arc::default()).await.unwrap().unwrap();
            let began = new.refresh(Depth::Whole).await.map_err(|error| error.to_string());
            assert_eq!(began.is_err(), refused, "{began:?}");
            assert!(began.is_ok() || began.unwrap_err().contains(&name), "it says which one");
            old.refresh(Depth::Whole).await.unwrap();
            assert_eq!(old.settle().await.unwrap(), keys.last().copied(), "who knows it goes on");
        }
        remote.store.put(&name, whole).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_commit_that_builds_on_the_history_is_refused_by_name_and_junk_is_not() {
    let (remote, keys) = vault().await;
    let mut log = device(&remote, &Arc::default(), Some(keys[2])).await;
    let newer = |parent: CommitKey| {
        let later = Need { feature: "zither".into(), since: "0.10".into() };
        let commit =
            Commit { format: 2, needs: vec![later], ext: Some(Ext::new()), ..plain(Some(parent), 2, &[]) };
        let (key, mut bytes) = format::encode_commit(&commit).unwrap();
        bytes[6] = 3;
        (key, bytes)
    };
    let (junk, bytes) = newer(key(6, 6));
    put(&remote, junk, bytes).await;
    put(&remote, key(9, 9), b"CGZcmt\x09\x00\x07what a later version may write".as_slice()).await;
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!((log.settle().await.unwrap(), log.aside().len()), (Some(keys[2]), 2));
    assert!(said(&log, junk).contains("needs cogzy-vault 0.10"), "{:?}", log.aside());
    let (real, bytes) = newer(keys[2]);
    put(&remote, real, bytes).await;
    for _ in 0..2 {
        let refused = log.refresh(Depth::Near).await;
        assert!(matches!(&refused, Err(LogError::Newer { format: 3, .. })), "{refused:?}");
        assert!(refused.unwrap_err().to_string().contains("0.10"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_lies_about_its_base_is_set_aside_for_good() {
    let (remote, keys) = vault().await;
    let cache: Arc<MapCache> = Arc::default();
    let mut log = device(&remote, &cache, Some(keys[2])).await;
    let lie = Commit { base: Some(Digest::of(b"a lie")), ..plain(Some(keys[2]), 2, &[("x", Some("x"))]) };
    let lie = put_commit(&remote, &lie).await;
    let child = put_commit(&remote, &plain(Some(lie), 2, &[("y", Some("y"))])).await;
    for _ in 0..2 {
        log.refresh(Depth::Whole).await.unwrap();
        assert_eq!(log.settle().await.unwrap(), Some(keys[2]));
        assert!(said(&log, lie).contains("another state"));
        assert!(said(&log, child).contains("builds on"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_only_the_way_here_damages_is_not_set_aside() {
    let (remote, keys) = vault().await;
    let mut log = device(&remote, &Arc::default(), Some(keys[2])).await;
    let next = put_commit(&remote, &plain(Some(keys[2]), 2, &[("x", Some("x"))])).await;
    remote.flip(&format::commit_key(next), 2);
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!((log.settle().await.unwrap(), log.aside().len()), (Some(next), 0));
    let more = put_commit(&remote, &plain(Some(next), 2, &[("y", Some("y"))])).await;
    remote.flip(&format::commit_key(more), 3);
    assert!(log.refresh(Depth::Near).await.unwrap_err().is_damage(), "no word of it is believed");
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!((log.settle().await.unwrap(), log.aside().len()), (Some(more), 0));
    remote.fail("get commits/", RemoteErrorKind::Server);
    put_commit(&remote, &plain(Some(more), 2, &[("z", Some("z"))])).await;
    assert!(matches!(log.refresh(Depth::Near).await, Err(LogError::Remote(_))), "nor is an outage junk");
}

/// A filter or a gateway answers alike each time, and not with as many bytes as the store lists.
#[tokio::test(start_paused = true)]
async fn a_page_that_something_on_the_way_answers_with_is_no_commit() {
    let (remote, keys) = vault().await;
    let mut log = device(&remote, &Arc::default(), Some(keys[2])).await;
    let next = put_commit(&remote, &plain(Some(keys[2]), 2, &[("x", Some("x"))])).await;
    for page in ["<html>blocked</html>", ""] {
        remote.replace(&format::commit_key(next), page);
        let refused = log.refresh(Depth::Near).await.unwrap_err();
        assert!(matches!(&refused, LogError::Remote(error) if error.kind == RemoteErrorKind::Malformed));
        assert_eq!(log.aside(), []);
    }
    remote.heal();
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!((log.settle().await.unwrap(), log.aside().len()), (Some(next), 0));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_put_right_is_read_again() {
    let (remote, keys) = vault().await;
    let mut log = device(&remote, &Arc::default(), Some(keys[2])).await;
    let good = Prepared::new(plain(Some(keys[2]), 2, &[("x", Some("x"))])).unwrap();
    put(&remote, good.key, "damaged").await;
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!((log.settle().await.unwrap(), log.aside().len()), (Some(keys[2]), 1));
    remote.store.remove(&format::commit_key(good.key));
    put(&remote, good.key, good.bytes).await;
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!((log.settle().await.unwrap(), log.aside().len()), (Some(good.key), 0));
}

#[tokio::test(start_paused = true)]
async fn after_a_day_junk_is_no_longer_a_doubt_and_may_be_dismissed() {
    const DAY: u64 = 24 * 3600 * 1000;
    let (remote, keys) = vault().await;
    let cache: Arc<MapCache> = Arc::default();
    cache.1.store(DAY, std::sync::atomic::Ordering::SeqCst);
    let mut log = device(&remote, &cache, Some(keys[2])).await;
    assert!(!log.is_doubtful());
    put(&remote, key(4, 1), "junk").await;
    log.refresh(Depth::Near).await.unwrap();
    assert!(log.is_doubtful());
    assert_eq!((log.aside()[0].since_ms, log.dismiss()), (DAY, Vec::new()));
    cache.1.store(2 * DAY, std::sync::atomic::Ordering::SeqCst);
    log.refresh(Depth::Near).await.unwrap();
    assert!(!log.is_doubtful());
    let known = remote.open(&cache).await.unwrap().unwrap();
    assert_eq!(known.aside()[0].since_ms, DAY, "a new process knows since when");
    assert_eq!(log.dismiss(), [format::commit_key(key(4, 1))]);
    assert!(log.aside().is_empty() && remote.open(&cache).await.unwrap().unwrap().aside().is_empty());
    remote.store.remove(&format::commit_key(key(4, 1)));
    log.refresh(Depth::Whole).await.unwrap();
    put(&remote, key(4, 1), "junk").await;
    log.refresh(Depth::Whole).await.unwrap();
    assert_eq!(log.aside().len(), 1, "what was gone and came again is new");
}

#[tokio::test(start_paused = true)]
async fn a_missing_pack_stops_nobody_however_many_commits_build_on_it() {
    let (remote, keys) = vault().await;
    let mut log = device(&remote, &Arc::default(), Some(keys[2])).await;
    let mut lacking = plain(Some(keys[2]), 9, &[("x", Some("x"))]);
    lacking.packs = vec![info(1)];
    let lacking = put_commit(&remote, &lacking).await;
    let mut child = lacking;
    for number in 0..300 {
        child = put_commit(&remote, &plain(Some(child), 9, &[("y", Some(&number.to_string()))])).await;
    }
    log.refresh(Depth::Whole).await.unwrap();
    assert_eq!(log.settle().await.unwrap(), Some(keys[2]));
    assert!(said(&log, lacking).contains(&format!("needs pack {}", pack(1))));
    assert!(said(&log, child).contains("builds on"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_once_ahead_puts_off_no_prune() {
    let (remote, keys) = vault().await;
    let cache: Arc<MapCache> = Arc::default();
    let mut log = device(&remote, &cache, Some(keys[2])).await;
    let set = |days: u64| cache.1.store(days * SETTLED_MS, std::sync::atomic::Ordering::SeqCst);
    set(4000);
    put(&remote, key(4, 1), "this is no commit").await;
    log.refresh(Depth::Whole).await.unwrap();
    assert_eq!(log.doubtful(), 1);
    set(10);
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!((log.doubtful(), log.aside()[0].since_ms), (1, 10 * SETTLED_MS));
    set(12);
    let mut again = device(&remote, &cache, Some(keys[2])).await;
    assert_eq!((log.doubtful(), again.doubtful()), (0, 0), "a day later it is taken for junk");
    assert_eq!(again.settle().await.unwrap(), Some(keys[2]));
}
