//! The protocol on the reference store: forks, crossed merges, late commits, lost responses,
//! rollbacks.

mod check;
mod checkpoints;
mod chunks;
mod claimed;
mod crossed;
mod earlier;
mod enclosed;
mod faulty;
mod format_rules;
mod junk;
mod keep;
mod lists;
mod old;
mod past;
mod proofs;
mod random;
mod reads;
mod states;
mod stored;
mod survey;
mod turns;
mod uses;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::model::{
    Change, ChunkParams, ChunkSlot, Codec, Commit, CommitKind, Device, DeviceId, Digest, Entry, FIRST_FORMAT,
    Group, Hlc, PackInfo, Part, Prune, Recipe, Tree, Validate, VaultHeader, VaultPath, limits,
};
use crate::remote::MemoryRemote;

#[derive(Debug, Default)]
pub(super) struct MapCache(Mutex<BTreeMap<String, Vec<u8>>>, std::sync::atomic::AtomicU64);

impl ObjectCache for MapCache {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(key).cloned()
    }
    fn put(&self, key: &str, bytes: &[u8]) {
        self.0.lock().unwrap().insert(key.into(), bytes.into());
    }
    fn keys(&self, prefix: &str) -> Vec<String> {
        self.0.lock().unwrap().keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }
    fn remove(&self, key: &str) {
        self.0.lock().unwrap().remove(key);
    }
    fn now_ms(&self) -> u64 {
        self.1.load(std::sync::atomic::Ordering::SeqCst)
    }
}

const VAULT: VaultId = VaultId::from_bytes([1; 16]);

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

/// Entry of an empty file, which needs no pack. The digest stands for its content.
fn entry(content: &str) -> Entry {
    Entry { digest: Digest::of(content.as_bytes()), size: 0, mtime_ms: 0, mode: 0o644, rows: None }
}

fn header(vault: VaultId) -> VaultHeader {
    let group = Group {
        name: "nodes".into(),
        primary: vec!["corpus/nodes.json".into(), "vectors/nodes.npy".into()],
        derived: vec!["indexes/**".into()],
        validate: Validate::Off,
    };
    VaultHeader {
        format: FIRST_FORMAT,
        vault,
        chunking: ChunkParams::default(),
        groups: vec![group],
        needs: Vec::new(),
        ext: None,
    }
}

fn keys(remote: &MemoryRemote) -> Vec<String> {
    remote.dump().into_keys().collect()
}

async fn opened(remote: &MemoryRemote) -> Log {
    let cache = Arc::new(MapCache::default());
    let mut log =
        Log::open(Arc::new(remote.clone()), cache).await.unwrap().expect("the prefix holds a vault");
    log.refresh(Depth::Whole).await.unwrap();
    log
}

async fn made() -> MemoryRemote {
    let remote = MemoryRemote::default();
    create_vault(&remote, &header(VAULT)).await.unwrap();
    remote
}

/// Creates an ordinary commit by `device` on `parent`.
fn plain(parent: Option<CommitKey>, device: u8, changes: &[(&str, Option<&str>)]) -> Commit {
    let id = DeviceId::from_bytes([device; 8]);
    let seq = parent.map_or(0, |key| key.seq) + 1;
    let mut changes: Vec<Change> = changes
        .iter()
        .map(|(name, content)| Change { path: path(name), entry: content.map(entry) })
        .collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Commit {
        enclosed: None,
        format: FIRST_FORMAT,
        vault: VAULT,
        seq,
        parents: parent.into_iter().collect(),
        txn: Some(Hlc { wall_ms: seq, logical: 0, device: id }),
        device: Some(Device { id, name: format!("device {device}"), reads: None }),
        changes,
        recipes: vec![],
        packs: vec![],
        groups: None,
        kept: vec![],
        resolved: vec![],
        kind: CommitKind::Sync,
        prune: Prune::default(),
        needs: Vec::new(),
        base: None,
        ext: None,
    }
}

/// Publishes a commit on `parent` that marks packs.
async fn mark(log: &mut Log, parent: CommitKey, packs: &[PackId]) -> CommitKey {
    let mut marking = plain(Some(parent), 1, &[]);
    marking.prune.marked = packs.to_vec();
    publish(log, &marking).await
}

/// The same commit with its bytes.
fn commit(parent: Option<CommitKey>, device: u8, changes: &[(&str, Option<&str>)]) -> Prepared {
    Prepared::new(plain(parent, device, changes)).unwrap()
}

/// The same commit as [`plain`], which names the state that it is a difference to.
async fn naming(log: &mut Log, parent: CommitKey, device: u8, changes: &[(&str, Option<&str>)]) -> Commit {
    let base = log.snapshot(Some(parent)).await.unwrap().base();
    Commit { base: Some(base), ..plain(Some(parent), device, changes) }
}

async fn publish(log: &mut Log, commit: &Commit) -> CommitKey {
    let prepared = Prepared::new(commit.clone()).unwrap();
    log.publish(&prepared).await.unwrap();
    prepared.key
}

fn pack(id: u8) -> PackId {
    PackId::from_bytes([id; PackId::LEN])
}

/// Description of a pack with one chunk of one byte. Its bytes do not matter.
fn info(id: u8) -> PackInfo {
    let chunk = ChunkSlot { id: Digest::of(&[id]), offset: 8, stored: 1, len: 1, codec: Codec::Raw };
    PackInfo { id: pack(id), digest: Digest::of(&[id]), size: 8 + 1 + 41 + 44, chunks: vec![chunk] }
}

/// Recipe of a content of two bytes.
fn recipe() -> Recipe {
    Recipe { depth: 0, parts: vec![Part { id: Digest::of(b"chunk"), len: 1 }; 2] }
}

/// Key of a commit that does not exist.
fn key(seq: u64, id: u8) -> CommitKey {
    CommitKey { seq, id: crate::model::CommitId::from_bytes([id; 32]) }
}

async fn head_tree(log: &mut Log) -> Tree {
    log.refresh(Depth::Whole).await.unwrap();
    let head = log.settle().await.unwrap();
    log.snapshot(head).await.unwrap().tree.clone()
}

fn holds(tree: &Tree, name: &str) -> Option<Digest> {
    tree.get(&path(name)).map(|entry| entry.digest)
}

fn digest(content: &str) -> Option<Digest> {
    Some(entry(content).digest)
}

#[tokio::test(start_paused = true)]
async fn commits_of_two_devices_at_once_are_merged_into_the_same_bytes() {
    let remote = made().await;
    let mut first = opened(&remote).await;
    let root = commit(None, 1, &[("a", Some("a0")), ("b", Some("b0"))]);
    first.publish(&root).await.unwrap();
    let mut second = opened(&remote).await;
    let (one, two) = (
        commit(Some(root.key), 1, &[("a", Some("a1")), ("x", Some("x1"))]),
        commit(Some(root.key), 2, &[("b", Some("b2")), ("x", Some("x2"))]),
    );
    // Neither device has seen the other's commit when it writes.
    first.publish(&one).await.unwrap();
    second.publish(&two).await.unwrap();
    let before = keys(&remote).len();
    let (left, right) = (head_tree(&mut first).await, head_tree(&mut second).await);
    assert_eq!(left, right);
    assert_eq!(keys(&remote).len(), before + 1, "both must write the same merge");
    assert_eq!(holds(&left, "a"), digest("a1"));
    assert_eq!(holds(&left, "b"), digest("b2"));
    let (winner, loser) = if one.key > two.key { ("x1", "x2") } else { ("x2", "x1") };
    assert_eq!(holds(&left, "x"), digest(winner));
    let head = first.settle().await.unwrap();
    let snapshot = first.snapshot(head).await.unwrap();
    let kept: Vec<_> = snapshot.conflicts.values().flat_map(|conflict| &conflict.files).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].entry.map(|entry| entry.digest), digest(loser));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_arrives_a_hundred_generations_late_is_merged() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let root = commit(None, 1, &[("a", Some("0"))]);
    log.publish(&root).await.unwrap();
    let late = commit(Some(root.key), 9, &[("late", Some("late"))]);
    let mut head = root.key;
    for generation in 0..100 {
        let next = commit(Some(head), 1, &[("a", Some(&format!("{generation}")))]);
        log.publish(&next).await.unwrap();
        head = next.key;
    }
    remote.put(&format!("commits/{}", late.key), late.bytes.clone()).await.unwrap();
    log.refresh(Depth::Near).await.unwrap();
    assert_eq!(log.settle().await.unwrap(), Some(head), "a near refresh does not reach that far");
    let tree = head_tree(&mut log).await;
    assert_eq!((holds(&tree, "late"), holds(&tree, "a")), (digest("late"), digest("99")));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_arrives_a_little_late_is_found_by_an_ordinary_poll() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let root = commit(None, 1, &[("a", Some("0"))]);
    log.publish(&root).await.unwrap();
    let mut head = root.key;
    for generation in 0..LOOK_BACK - 2 {
        let next = commit(Some(head), 1, &[("a", Some(&format!("{generation}")))]);
        log.publish(&next).await.unwrap();
        head = next.key;
    }
    let late = commit(Some(root.key), 9, &[("late", Some("late"))]);
    remote.put(&format!("commits/{}", late.key), late.bytes.clone()).await.unwrap();
    log.refresh(Depth::Near).await.unwrap();
    let merged = log.settle().await.unwrap();
    assert_eq!(holds(&log.snapshot(merged).await.unwrap().tree, "late"), digest("late"));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_response_was_lost_is_made_once() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let root = commit(None, 1, &[("a", Some("0"))]);
    remote.put(&format!("commits/{}", root.key), root.bytes.clone()).await.unwrap();
    log.publish(&root).await.unwrap();
    log.publish(&Prepared::from_bytes(root.bytes.to_vec()).unwrap()).await.unwrap();
    let commits = keys(&remote).iter().filter(|key| key.starts_with("commits/")).count();
    assert_eq!(commits, 1);
}

#[tokio::test(start_paused = true)]
async fn two_vaults_made_at_once_end_up_as_one() {
    let remote = MemoryRemote::default();
    let (small, large) = (VaultId::from_bytes([1; 16]), VaultId::from_bytes([2; 16]));
    create_vault(&remote, &header(large)).await.unwrap();
    let mut first = opened(&remote).await;
    assert_eq!(first.vault(), Some(large));
    create_vault(&remote, &header(small)).await.unwrap();
    let mut second = opened(&remote).await;
    assert_eq!(second.vault(), Some(small), "before the first commit the smaller id wins");
    let with_vault = |vault, device: u8, name: &str| {
        Prepared::new(Commit { vault, ..plain(None, device, &[(name, Some("x"))]) }).unwrap()
    };
    first.publish(&with_vault(large, 1, "one")).await.unwrap();
    second.publish(&with_vault(small, 2, "two")).await.unwrap();
    let (left, right) = (head_tree(&mut first).await, head_tree(&mut second).await);
    assert_eq!(left, right);
    assert_eq!(left.len(), 2);
    assert_eq!((first.vault(), second.vault()), (Some(small), Some(small)));
    assert!(first.is_named(large) && second.is_named(large));
}

#[tokio::test(start_paused = true)]
async fn an_emptied_or_rolled_back_bucket_is_noticed_even_with_a_warm_cache() {
    let remote = made().await;
    let cache = Arc::new(MapCache::default());
    let mut log = Log::open(Arc::new(remote.clone()), Arc::clone(&cache) as Arc<dyn ObjectCache>)
        .await
        .unwrap()
        .unwrap();
    let root = commit(None, 1, &[("a", Some("0"))]);
    let next = commit(Some(root.key), 1, &[("a", Some("1"))]);
    log.publish(&root).await.unwrap();
    log.publish(&next).await.unwrap();
    log.check_agreed(next.key).await.unwrap();
    remote.remove(&format!("commits/{}", next.key));
    let mut again = Log::open(Arc::new(remote.clone()), Arc::clone(&cache) as Arc<dyn ObjectCache>)
        .await
        .unwrap()
        .unwrap();
    again.refresh(Depth::Near).await.unwrap();
    assert!(matches!(again.check_agreed(next.key).await, Err(LogError::RolledBack { .. })));
    log.refresh(Depth::Near).await.unwrap();
    assert!(matches!(log.check_agreed(next.key).await, Err(LogError::RolledBack { .. })));
    again.check_agreed(root.key).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_resolved_conflict_stays_resolved_when_a_fork_lists_it_again() {
    let base = Snapshot::empty(header(VAULT).groups).unwrap();
    let kept = crate::model::Kept { path: path("x"), entry: Some(entry("lost")) };
    let conflict = crate::model::Conflict::new(crate::model::Item::File(path("x")), vec![kept], None);
    let (mut open, mut decided) = (base.clone(), base.clone());
    open.conflicts.insert(conflict.id, conflict.clone());
    decided.resolved.insert(conflict.id, crate::model::Keep::Remote);
    let key = |byte| CommitKey { seq: 1, id: crate::model::CommitId::from_bytes([byte; 32]) };
    let side = |byte, snapshot| Side { key: key(byte), vault: VAULT, origin: None, snapshot };
    let merged = merge(&base, side(1, &open), side(2, &decided), &OldData::default());
    assert!(merged.kept.is_empty());
    let merged = merge(&base, side(1, &decided), side(2, &open), &OldData::default());
    assert_eq!(merged.resolved.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_loser_of_one_merge_that_wins_another_is_no_conflict() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let mut roots: Vec<Prepared> =
        (1..=3).map(|device| commit(None, device, &[("x", Some(&format!("by {device}")))])).collect();
    roots.sort_by_key(|root| root.key);
    for root in &roots {
        log.publish(root).await.unwrap();
    }
    // Two devices see two of the three each and merge at once. The middle one loses one merge and
    // wins the other.
    let snapshots = [0, 1, 2].map(|n| roots[n].key);
    let mut states = Vec::new();
    for key in snapshots {
        states.push(log.snapshot(Some(key)).await.unwrap());
    }
    let side = |n: usize| Side { key: roots[n].key, vault: VAULT, origin: None, snapshot: &states[n] };
    for (loser, winner) in [(1, 2), (0, 1)] {
        let merged =
            Prepared::new(merge(&Snapshot::default(), side(loser), side(winner), &OldData::default()))
                .unwrap();
        log.publish(&merged).await.unwrap();
    }
    log.refresh(Depth::Whole).await.unwrap();
    let head = log.settle().await.unwrap();
    let snapshot = log.snapshot(head).await.unwrap();
    let stands = snapshot.tree[&path("x")];
    let lost: Vec<_> = snapshot.conflicts.values().filter_map(|conflict| conflict.files[0].entry).collect();
    assert!(!lost.contains(&stands), "the winning version is listed as lost");
    assert_eq!(lost.len(), 2, "the two others are listed");
}
