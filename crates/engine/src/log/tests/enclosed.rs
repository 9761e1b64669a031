//! Packs that stand in commits.

use super::chunks::{built, stored};
use super::faulty::Faulty;
use super::*;
use crate::content::ChunkIndex;
use crate::model::{Enclosed, Feature};
use crate::remote::{RemoteErrorKind, Span};

/// A commit that holds these chunks.
fn holding(parent: Option<CommitKey>, chunks: &[&[u8]]) -> Commit {
    let enclosed: Option<Enclosed> = built(9, chunks).enclosed();
    Commit { enclosed, ..plain(parent, 1, &[("a", Some("a"))]) }
}

/// A remote that finds packs in commits, and the log that tells it of them.
async fn opened_over(remote: &Faulty, cache: &Arc<MapCache>) -> (Arc<dyn Remote>, Log) {
    let cache = || Arc::clone(cache) as Arc<dyn ObjectCache>;
    let holders: Arc<Holders> = Arc::default();
    let over: Arc<dyn Remote> =
        Arc::new(Enclosing::new(Arc::new(remote.clone()), cache(), Arc::clone(&holders)));
    let log = Log::open(Arc::clone(&over), cache()).await.unwrap().unwrap();
    let mut log = log.sharing(holders);
    log.refresh(Depth::Whole).await.unwrap();
    (over, log)
}

/// The same on a device that has read nothing.
async fn new_device(remote: &Faulty) -> (Arc<dyn Remote>, Log) {
    opened_over(remote, &Arc::default()).await
}

/// A bucket with two commits that hold chunks.
async fn two() -> (Faulty, [CommitKey; 2]) {
    let remote = Faulty::over(&made().await);
    let (_, mut log) = new_device(&remote).await;
    let first = publish(&mut log, &holding(None, &[b"one"])).await;
    let second = publish(&mut log, &holding(Some(first), &[b"two", b"three"])).await;
    (remote, [first, second])
}

fn key_within(commit: CommitKey) -> String {
    pack_key(PackId::within(commit.id))
}

#[tokio::test(start_paused = true)]
async fn a_pack_in_a_commit_is_read_like_any_other_and_costs_no_request_of_its_own() {
    let (remote, [first, second]) = two().await;
    let (there, mut log) = new_device(&remote).await;
    let state = log.snapshot(Some(second)).await.unwrap();
    assert_eq!(state.packs.len(), 2);
    assert!(state.needs.contains(&Feature::Enclosed.need()), "older readers are told");
    remote.asked();
    let index: ChunkIndex = state.packs.values().cloned().collect();
    let reader = ChunkReader::new(Arc::clone(&there));
    for chunk in [b"one".as_slice(), b"two", b"three"] {
        assert_eq!(reader.from_any(&index, Digest::of(chunk)).await.unwrap(), Some(chunk.to_vec()));
    }
    assert!(log.missing_packs(&state, &BTreeSet::new()).await.unwrap().is_empty());
    assert_eq!(remote.asked(), [""; 0], "the log has read both commits");
    let packs = log.packs_there(state.packs.values()).await.unwrap();
    for commit in [first, second] {
        let (id, key) = (PackId::within(commit.id), key_within(commit));
        let info = &state.packs[&id];
        let modified_ms = remote.store.head(&format::commit_key(commit)).await.unwrap().unwrap().modified_ms;
        assert_eq!(packs[&id], InBucket { size: info.size, modified_ms, is_object: false });
        let object = there.head(&key).await.unwrap().unwrap();
        assert_eq!((object.key.as_str(), object.size, object.modified_ms), (&*key, info.size, modified_ms));
        assert_eq!(there.get(&key, Span::UpTo(info.size)).await.unwrap().len() as u64, info.size);
        let beyond = there.get(&key, Span::Part(info.size..info.size + 1)).await.unwrap_err();
        assert_eq!(beyond.kind, RemoteErrorKind::Malformed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_gone_takes_its_pack_along_and_an_object_takes_its_place() {
    let (remote, [first, second]) = two().await;
    let cache = Arc::new(MapCache::default());
    let (there, mut log) = opened_over(&remote, &cache).await;
    let state = log.snapshot(Some(second)).await.unwrap();
    let key = key_within(first);
    assert!(there.head(&key).await.unwrap().is_some());
    remote.store.remove(&format::commit_key(first));
    assert_eq!(there.head(&key).await.unwrap(), None, "whatever the cache has");
    cache.remove(&format::commit_key(first));
    let gone = there.get(&key, Span::UpTo(1000)).await.unwrap_err();
    assert_eq!(gone.kind, RemoteErrorKind::NotFound);
    log.refresh(Depth::Whole).await.unwrap();
    let left = log.packs_there(state.packs.values()).await.unwrap();
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [PackId::within(second.id)]);
    let bytes = built(9, &[b"one"]).bytes;
    there.put(&key, bytes.clone()).await.unwrap();
    assert_eq!(there.get(&key, Span::UpTo(1000)).await.unwrap(), bytes);
    assert!(log.packs_there(state.packs.values()).await.unwrap()[&PackId::within(first.id)].is_object);
    // A commit that the store cannot give is as good as none.
    remote.fail(&format!("get {}", format::commit_key(second)), RemoteErrorKind::TooLarge { limit: 1 });
    cache.remove(&format::commit_key(second));
    there.put(&key_within(second), bytes.clone()).await.unwrap();
    assert_eq!(there.get(&key_within(second), Span::UpTo(1000)).await.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_begins_like_a_commits_is_looked_into_by_nobody() {
    let (remote, [first, _]) = two().await;
    let name = format::commit_key(first);
    let stem = &name[..name.len() - 1];
    let other = ["0", "1"].map(|last| format!("{stem}{last}")).into_iter().find(|other| *other != name);
    remote.store.put(&other.unwrap(), "junk".into()).await.unwrap();
    let ordinary = stored(&remote.store, 0xab, &[b"in an object"]).await;
    let alike = format!("commits/{:016}-{}{}", 1, ordinary.id, "0".repeat(32));
    remote.store.put(&alike, "junk".into()).await.unwrap();
    let (there, log) = new_device(&remote).await;
    let bytes = there.get(&key_within(first), Span::UpTo(1000)).await.unwrap();
    assert_eq!(bytes, built(9, &[b"one"]).bytes);
    assert!(there.head(&key_within(first)).await.unwrap().is_some());
    remote.asked();
    there.get(&pack_key(ordinary.id), Span::UpTo(1000)).await.unwrap();
    assert_eq!(remote.asked(), [format!("get {}", pack_key(ordinary.id))]);
    let packs = log.packs_there([&Arc::new(ordinary.clone())]).await.unwrap();
    assert!(packs[&ordinary.id].is_object);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_behind_hides_no_pack() {
    let (remote, [first, second]) = two().await;
    let (there, mut log) = new_device(&remote).await;
    remote.hide(&format::commit_key(first), 1);
    log.refresh(Depth::Whole).await.unwrap();
    let state = log.snapshot(Some(second)).await.unwrap();
    assert_eq!(log.packs_there(state.packs.values()).await.unwrap().len(), 2);
    assert!(there.head(&key_within(first)).await.unwrap().is_some());
    assert!(log.missing_packs(&state, &BTreeSet::new()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_commit_gives_no_pack_however_often_it_is_listed() {
    let (remote, [first, second]) = two().await;
    let cache = Arc::new(MapCache::default());
    let (there, mut log) = opened_over(&remote, &cache).await;
    let state = log.snapshot(Some(second)).await.unwrap();
    let lost = BTreeSet::from([PackId::within(first.id)]);
    assert!(remote.store.damage(&format::commit_key(first), "damaged".into()));
    cache.remove(&format::commit_key(first));
    assert_eq!(
        there.get(&key_within(first), Span::UpTo(1000)).await.unwrap_err().kind,
        RemoteErrorKind::NotFound
    );
    log.note_lost(&lost);
    for _ in 0..2 {
        log.refresh(Depth::Whole).await.unwrap();
        assert!(log.missing_packs(&state, &BTreeSet::new()).await.unwrap().is_empty());
        assert_eq!(log.at_hand(Arc::clone(&state)).lost, lost, "it is listed, and cannot be read");
    }
    there.put(&key_within(first), built(9, &[b"one"]).bytes).await.unwrap();
    log.missing_packs(&state, &BTreeSet::new()).await.unwrap();
    assert!(log.at_hand(state).lost.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_merge_names_the_pack_of_the_commit_that_it_merges() {
    let remote = Faulty::over(&made().await);
    let (_, mut log) = new_device(&remote).await;
    let base = publish(&mut log, &plain(None, 1, &[("a", Some("a"))])).await;
    let loser = publish(&mut log, &holding(Some(base), &[b"one"])).await;
    let mut winner = plain(Some(base), 2, &[("b", Some("b"))]);
    while Prepared::new(winner.clone()).unwrap().key < loser {
        winner.txn = winner.txn.map(|txn| Hlc { logical: txn.logical + 1, ..txn });
    }
    let winner = publish(&mut log, &winner).await;
    let merged = log.settle().await.unwrap().unwrap();
    let (_, commit) = log.read_commit(merged).await.unwrap();
    assert_eq!(commit.parents, [winner, loser]);
    assert_eq!((commit.packs.len(), commit.enclosed.is_none()), (1, true));
    assert_eq!(commit.packs[0].id, PackId::within(loser.id));
    assert_eq!(commit.needs, [Feature::Enclosed.need()], "its children know of the feature");
    // A new device that begins with this state finds it.
    let (fresh, mut log) = new_device(&remote).await;
    let state = log.snapshot(Some(merged)).await.unwrap();
    let index: ChunkIndex = state.packs.values().cloned().collect();
    let read = ChunkReader::new(fresh).from_any(&index, Digest::of(b"one")).await;
    assert_eq!(read.unwrap(), Some(b"one".to_vec()));
}
