//! Checks of all objects, and repairs from the cache.

use super::faulty::Faulty;
use super::stored::checkpointed;
use super::*;
use crate::remote::RemoteErrorKind;

/// Key of the one object under `prefix`.
fn one(remote: &MemoryRemote, prefix: &str) -> String {
    keys(remote).into_iter().find(|key| key.starts_with(prefix)).expect("there is an object")
}

async fn faults(log: &mut Log) -> Vec<(String, Option<String>)> {
    let faults = log.check_objects().await.unwrap();
    faults.into_iter().map(|fault| (fault.key, fault.error.map(|error| error.to_string()))).collect()
}

#[tokio::test(start_paused = true)]
async fn exactly_the_damaged_and_missing_objects_are_reported() {
    let (remote, head) = checkpointed().await;
    remote.put("vault-notes.txt", "of somebody else".into()).await.unwrap();
    assert_eq!(faults(&mut opened(&remote).await).await, []);
    let vault = format::header_key(VAULT);
    let (commit, checkpoint) = (format::commit_key(head), one(&remote, "checkpoints/"));
    for key in [&vault, &commit, &checkpoint] {
        let mut log = opened(&remote).await;
        let whole = remote.dump()[key].clone();
        let mut flipped = whole.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        remote.damage(key, flipped.into());
        let damaged = faults(&mut log).await;
        assert_eq!(damaged.len(), 1, "{damaged:?}");
        assert_eq!(&damaged[0].0, key);
        assert!(damaged[0].1.as_ref().is_some_and(|error| error.contains("damaged")), "{damaged:?}");
        remote.damage(key, whole);
    }
    let mut log = opened(&remote).await;
    let whole = remote.remove(&commit).unwrap();
    log.refresh(Depth::Whole).await.unwrap();
    assert_eq!(
        log.missing_commits().await.unwrap(),
        std::slice::from_ref(&commit),
        "a known commit that is missing"
    );
    remote.put(&commit, whole).await.unwrap();
    log.refresh(Depth::Whole).await.unwrap();
    assert_eq!(log.missing_commits().await.unwrap(), [""; 0]);
    let pack = one(&remote, "packs/");
    remote.remove(&pack).unwrap();
    let found = faults(&mut log).await;
    assert_eq!((found.len(), &found[0].0), (1, &checkpoint), "a checkpoint with a missing pack");
}

#[tokio::test(start_paused = true)]
async fn a_commit_under_another_key_is_a_fault() {
    let (remote, head) = checkpointed().await;
    let mut log = opened(&remote).await;
    let first = log.graph().iter().next().unwrap().0;
    let (first, last) = (format::commit_key(first), format::commit_key(head));
    let other = remote.dump()[&first].clone();
    remote.damage(&last, other);
    let found = faults(&mut log).await;
    assert_eq!((found.len(), &found[0].0), (1, &last));
    assert!(found[0].1.as_ref().unwrap().contains(&first["commits/".len()..]), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_no_fault_of_an_object() {
    let (remote, head) = checkpointed().await;
    let commit = format::commit_key(head);
    let remote = Faulty::over(&remote);
    let mut log = remote.opened().await;
    remote.fail(&format!("get {commit}"), RemoteErrorKind::Server);
    let failed = log.check_objects().await;
    assert!(matches!(failed, Err(LogError::Remote(error)) if error.key == commit));
    remote.heal();
    // The object was listed and disappeared a moment later: another device pruned.
    remote.fail("get checkpoints/", RemoteErrorKind::NotFound);
    let found = faults(&mut log).await;
    assert_eq!((found.len(), &found[0].0), (1, &one(&remote.store, "checkpoints/")));
}

#[tokio::test(start_paused = true)]
async fn only_whole_cached_objects_are_put_again() {
    let (remote, head) = checkpointed().await;
    let cache = Arc::new(MapCache::default());
    let store: Arc<dyn Remote> = Arc::new(remote.clone());
    let mut log = Log::open(store, Arc::clone(&cache) as Arc<dyn ObjectCache>).await.unwrap().unwrap();
    log.refresh(Depth::Whole).await.unwrap();
    log.recall(head).await.unwrap();
    for key in [format::header_key(VAULT), format::commit_key(head)] {
        log.read_commit(head).await.unwrap();
        let whole = remote.remove(&key).unwrap();
        assert!(log.put_again(&key).await.unwrap(), "{key}");
        assert_eq!(remote.remove(&key).unwrap(), whole);
        // A damaged copy, or the copy of another object, is not put.
        let mut flipped = whole.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        let first = log.graph().iter().next().unwrap().0;
        log.read_commit(first).await.unwrap();
        let other = cache.get(&format::commit_key(first)).unwrap();
        for copy in [flipped, other] {
            cache.put(&key, &copy);
            assert!(!log.put_again(&key).await.unwrap(), "{key}");
            assert!(!remote.dump().contains_key(&key));
        }
        cache.remove(&key);
        assert!(!log.put_again(&key).await.unwrap(), "{key} is in no cache");
        remote.put(&key, whole).await.unwrap();
    }
    // The cached state of a checkpoint has a key of another kind and is not read under this one.
    let state = cache.keys("proved").pop().unwrap();
    assert!(!log.put_again(&state).await.unwrap());
    // A header's copy is not put under another kind of key either.
    cache.put("vault-notes.txt", &format::encode_header(&header(VAULT)).unwrap());
    assert!(!log.put_again("vault-notes.txt").await.unwrap());
    assert!(!remote.dump().contains_key("vault-notes.txt"));
}

#[tokio::test(start_paused = true)]
async fn only_a_useless_checkpoint_is_dropped() {
    let (remote, head) = checkpointed().await;
    let key = one(&remote, "checkpoints/");
    let whole = remote.dump()[&key].clone();
    let faulty = Faulty::over(&remote);
    let log = faulty.opened().await;
    assert!(!log.drop_damaged_checkpoint(&key).await.unwrap(), "it is whole");
    let commit = format::commit_key(head);
    remote.damage(&commit, "damaged".into());
    assert!(!log.drop_damaged_checkpoint(&commit).await.unwrap(), "a commit is no checkpoint");
    let mut newer = whole.to_vec();
    newer[6] = 9;
    remote.damage(&key, newer.into());
    assert!(!log.drop_damaged_checkpoint(&key).await.unwrap(), "a newer program wrote it");
    remote.damage(&key, whole.slice(..whole.len() - 9));
    faulty.fail("get checkpoints/", RemoteErrorKind::Offline);
    assert!(log.drop_damaged_checkpoint(&key).await.is_err(), "the checkpoint was not read");
    faulty.heal();
    assert!(remote.dump().contains_key(&key));
    assert!(log.drop_damaged_checkpoint(&key).await.unwrap());
    assert!(!remote.dump().contains_key(&key));
    // A checkpoint with a missing pack is useless too.
    remote.put(&key, whole).await.unwrap();
    remote.remove(&one(&remote, "packs/")).unwrap();
    assert!(log.drop_damaged_checkpoint(&key).await.unwrap());
    assert!(!remote.dump().contains_key(&key));
}
