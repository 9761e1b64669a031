//! Packs that stand in commits.

use super::faulty::Faulty;
use super::*;
use crate::content::{ChunkIndex, FinishedPack, PackBuilder};
use crate::model::{Enclosed, Feature};
use crate::remote::{RemoteErrorKind, Span, list_all};

fn built(chunks: &[&[u8]]) -> FinishedPack {
    let mut pack = PackBuilder::new(pack(9));
    for chunk in chunks {
        pack.push(Digest::of(chunk), chunk.len(), Codec::Raw, chunk).unwrap();
    }
    pack.finish().expect("it has chunks")
}

/// A commit that holds these chunks.
fn holding(parent: Option<CommitKey>, chunks: &[&[u8]]) -> Commit {
    let enclosed: Option<Enclosed> = built(chunks).enclosed();
    Commit { enclosed, ..plain(parent, 1, &[("a", Some("a"))]) }
}

fn over(remote: &Faulty) -> Arc<Enclosing> {
    Arc::new(Enclosing::new(Arc::new(remote.clone()), Arc::new(MapCache::default())))
}

async fn log_over(remote: &Arc<Enclosing>) -> Log {
    let cache = Arc::new(MapCache::default());
    let mut log = Log::open(Arc::clone(remote) as Arc<dyn Remote>, cache).await.unwrap().unwrap();
    log.refresh(Depth::Whole).await.unwrap();
    log
}

/// A bucket with two commits that hold a chunk each.
async fn two() -> (Faulty, [CommitKey; 2]) {
    let remote = Faulty::over(&made().await);
    let mut log = log_over(&over(&remote)).await;
    let first = publish(&mut log, &holding(None, &[b"one"])).await;
    let second = publish(&mut log, &holding(Some(first), &[b"two", b"three"])).await;
    (remote, [first, second])
}

#[tokio::test(start_paused = true)]
async fn a_pack_in_a_commit_is_read_like_any_other_and_costs_no_request_of_its_own() {
    let (remote, [_, second]) = two().await;
    let there = over(&remote);
    let mut log = log_over(&there).await;
    let state = log.snapshot(Some(second)).await.unwrap();
    assert_eq!(state.packs.len(), 2);
    assert!(state.needs.contains(&Feature::Enclosed.need()), "older readers are told");
    remote.asked();
    let index: ChunkIndex = state.packs.values().cloned().collect();
    let reader = ChunkReader::new(Arc::clone(&there) as Arc<dyn Remote>);
    for chunk in [b"one".as_slice(), b"two", b"three"] {
        assert_eq!(reader.from_any(&index, Digest::of(chunk)).await.unwrap(), Some(chunk.to_vec()));
    }
    let asked = remote.asked();
    assert!(asked.iter().all(|request| request.starts_with("get commits/")), "{asked:?}");
    assert_eq!(asked.len(), 2, "each commit once: {asked:?}");
    let packs = log.packs_there(state.packs.keys()).await.unwrap();
    for (id, info) in &state.packs {
        let commit = format::commit_key(
            log.graph().iter().map(|(key, _)| key).find(|key| PackId::within(key.id) == *id).unwrap(),
        );
        let put = remote.store.head(&commit).await.unwrap().unwrap().modified_ms;
        assert_eq!(packs[id], InBucket { size: info.size, modified_ms: put, is_object: false });
        assert_eq!(there.get(&pack_key(*id), Span::UpTo(info.size)).await.unwrap().len() as u64, info.size);
        let beyond = there.get(&pack_key(*id), Span::Part(info.size..info.size + 1)).await.unwrap_err();
        assert_eq!(beyond.kind, RemoteErrorKind::Malformed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_gone_takes_its_pack_along_and_an_object_takes_its_place() {
    let (remote, [first, _]) = two().await;
    let there = over(&remote);
    let key = pack_key(PackId::within(first.id));
    list_all(there.as_ref(), format::COMMITS, None).await.unwrap();
    assert!(there.head(&key).await.unwrap().is_some());
    remote.store.remove(&format::commit_key(first));
    list_all(there.as_ref(), format::COMMITS, Some(&format::before_seq(2))).await.unwrap();
    assert!(there.head(&key).await.unwrap().is_some(), "a listing of a part says nothing of the rest");
    list_all(there.as_ref(), format::COMMITS, Some(&format::before_seq(0))).await.unwrap();
    assert_eq!(there.head(&key).await.unwrap(), None);
    let gone = there.get(&key, Span::UpTo(1000)).await.unwrap_err();
    assert_eq!(gone.kind, RemoteErrorKind::NotFound);
    let bytes = built(&[b"one"]).bytes;
    there.put(&key, bytes.clone()).await.unwrap();
    assert_eq!(there.get(&key, Span::UpTo(1000)).await.unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_no_listing_has_shown_yet_is_looked_for() {
    let (remote, [first, second]) = two().await;
    let (key, bytes) = (pack_key(PackId::within(second.id)), built(&[b"two", b"three"]).bytes);
    // Nothing was listed at all.
    assert_eq!(over(&remote).get(&key, Span::UpTo(1000)).await.unwrap(), bytes);
    assert!(over(&remote).head(&key).await.unwrap().is_some());
    // A listing that is behind, and a commit that was read since, or that the cache knows.
    let there = over(&remote);
    remote.hide(&format::commit_key(second), 1);
    list_all(there.as_ref(), format::COMMITS, None).await.unwrap();
    assert_eq!(there.head(&key).await.unwrap(), None);
    let read = there.get(&format::commit_key(second), Span::UpTo(10_000)).await.unwrap();
    assert!(there.head(&key).await.unwrap().is_some());
    let cache = Arc::new(MapCache::default());
    cache.put(&format::commit_key(second), &read);
    let there = Enclosing::new(Arc::new(remote.clone()), cache);
    remote.hide(&format::commit_key(second), 1);
    list_all(&there, format::COMMITS, None).await.unwrap();
    assert_eq!(there.get(&key, Span::UpTo(1000)).await.unwrap(), bytes);
    assert!(there.head(&pack_key(PackId::within(first.id))).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_merge_names_the_pack_of_the_commit_that_it_merges() {
    let remote = Faulty::over(&made().await);
    let there = over(&remote);
    let mut log = log_over(&there).await;
    let base = publish(&mut log, &plain(None, 1, &[("a", Some("a"))])).await;
    let loser = publish(&mut log, &holding(Some(base), &[b"one"])).await;
    let mut winner = plain(Some(base), 2, &[("b", Some("b"))]);
    while Prepared::new(&mut winner.clone()).unwrap().key < loser {
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
    let fresh = over(&remote);
    let mut log = log_over(&fresh).await;
    let state = log.snapshot(Some(merged)).await.unwrap();
    let index: ChunkIndex = state.packs.values().cloned().collect();
    let read = ChunkReader::new(fresh as Arc<dyn Remote>).from_any(&index, Digest::of(b"one")).await;
    assert_eq!(read.unwrap(), Some(b"one".to_vec()));
}
