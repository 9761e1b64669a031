//! Checkpoints: when one is written, that it holds the whole state, and when old ones are deleted.

use super::earlier::long;
use super::faulty::Faulty;
use super::stored::checkpointed;
use super::*;
use crate::clock::SystemEntropy;
use crate::model::{Conflict, Groups, Item, Keep, Kept, RecipeOf, Resolution};
use crate::remote::RemoteErrorKind;

pub(super) fn under(remote: &MemoryRemote, prefix: &str) -> Vec<String> {
    keys(remote).into_iter().filter(|key| key.starts_with(prefix)).collect()
}

/// Adds this many generations to `head`.
pub(super) async fn go_on(log: &mut Log, mut head: Option<CommitKey>, generations: u64) -> CommitKey {
    for _ in 0..generations {
        let seq = head.map_or(0, |key| key.seq).to_string();
        let changes = [(&*format!("f{}", seq.len()), Some(&*seq)), ("corpus/nodes.json", Some(&*seq))];
        let next = match head {
            Some(head) => naming(log, head, 1, &changes).await,
            None => plain(None, 1, &changes),
        };
        head = Some(publish(log, &next).await);
    }
    head.unwrap()
}

pub(super) async fn write(log: &mut Log, head: CommitKey) -> bool {
    log.checkpoint_if_due(head, &SystemEntropy).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_is_due_after_32_generations_but_not_before() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let head = go_on(&mut log, None, 31).await;
    assert!(!write(&mut log, head).await);
    let head = go_on(&mut log, Some(head), 1).await;
    assert!(write(&mut log, head).await, "32 generations");
    let head = go_on(&mut log, Some(head), 31).await;
    assert!(!write(&mut log, head).await);
    // The same in a process that has read the first one.
    let mut fresh = opened(&remote).await;
    assert!(!write(&mut fresh, head).await);
    let head = go_on(&mut fresh, Some(head), 1).await;
    assert!(write(&mut fresh, head).await, "32 more");
    assert_eq!(under(&remote, "checkpoints/").len(), 2);
    let seqs: Vec<String> =
        under(&remote, "checkpoints/").iter().map(|key| key["checkpoints/".len()..][..16].into()).collect();
    assert_eq!(seqs, ["0000000000000032", "0000000000000064"], "names sort by generation");
}

#[tokio::test(start_paused = true)]
async fn of_two_devices_that_push_in_turn_one_writes_the_checkpoint() {
    let remote = made().await;
    let mut logs = [opened(&remote).await, opened(&remote).await];
    let mut head = None;
    for turn in 0..128 {
        let log = &mut logs[turn % 2];
        log.refresh(Depth::Near).await.unwrap();
        let next = go_on(log, head, 1).await;
        write(log, next).await;
        head = Some(next);
    }
    assert_eq!(under(&remote, "checkpoints/").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn no_checkpoint_is_written_while_there_is_another_head() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let head = go_on(&mut log, None, 40).await;
    // It comes so late that only a full listing shows it.
    let other = commit(None, 9, &[("late", Some("late"))]);
    remote.put(&format::commit_key(other.key), other.bytes.clone()).await.unwrap();
    assert!(!write(&mut log, head).await);
    assert_eq!(under(&remote, "checkpoints/"), Vec::<String>::new());
}

/// Creates a commit on `head` with every kind of data that a state holds.
fn rich(head: CommitKey) -> Prepared {
    let mut full = plain(Some(head), 1, &[("long", Some("long")), ("b", None)]);
    full.recipes = vec![RecipeOf { digest: entry("long").digest, recipe: recipe() }];
    let long = full.changes.iter_mut().find_map(|change| change.entry.as_mut());
    long.unwrap().size = 2;
    full.packs = [1, 2, 3].map(info).into();
    let kept = vec![Kept { path: path("x"), entry: Some(entry("lost")) }];
    full.kept = vec![Conflict::new(Item::File(path("x")), kept, None)];
    full.resolved = vec![Resolution { id: crate::model::ConflictId::from_bytes([5; 32]), keep: Keep::Both }];
    full.prune = Prune {
        horizon: Some(head.seq - 1),
        marked: vec![pack(3)],
        swept: vec![pack(4)],
        given_up: vec![entry("gone").digest],
        ..Prune::default()
    };
    Prepared::new(full.clone()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_state_read_from_a_checkpoint_equals_the_state_of_its_commits() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let fork = go_on(&mut log, None, 32).await;
    let head = go_on(&mut log, Some(fork), 1).await;
    let head = mark(&mut log, head, &[pack(4)]).await;
    let full = rich(head);
    log.publish(&full).await.unwrap();
    // Only a merge can declare a commit void.
    let other = commit(Some(fork), 2, &[("other", Some("other"))]);
    log.publish(&other).await.unwrap();
    let mut merge = plain(Some(full.key), 1, &[]);
    merge.parents.push(other.key);
    merge.prune.void = vec![other.key];
    (merge.txn, merge.device) = (None, None);
    let merge = Prepared::new(merge.clone()).unwrap();
    log.publish(&merge).await.unwrap();
    let last = commit(Some(merge.key), 1, &[("end", Some("end"))]);
    log.publish(&last).await.unwrap();
    let replayed = log.snapshot(Some(last.key)).await.unwrap();
    assert!(replayed.horizon > 0 && !replayed.marked.is_empty() && !replayed.swept.is_empty());
    assert!(!replayed.void.is_empty() && !replayed.conflicts.is_empty() && !replayed.resolved.is_empty());
    assert!(!replayed.given_up.is_empty());
    assert!(!replayed.recipes.is_empty() && !replayed.ages.is_empty() && replayed.packs.len() > 2);
    assert!(write(&mut log, last.key).await);
    let proof = naming(&mut log, last.key, 1, &[]).await;
    publish(&mut log, &proof).await;
    let mut fresh = opened(&remote).await;
    for key in under(&remote, "commits/") {
        remote.damage(&key, "no commit can be read".into());
    }
    let read = fresh.snapshot(Some(last.key)).await.unwrap();
    assert_eq!(read.groups.definitions(), replayed.groups.definitions());
    let rest = |state: &Snapshot| {
        format!("{:?}", Snapshot { groups: Groups::default(), applied: 0, ..state.clone() })
    };
    assert_eq!(rest(&read), rest(&replayed));
    assert_eq!(fresh.graph(), log.graph());
    // The same from the cache of the device that wrote it.
    let mut again = Log::open(Arc::new(remote), Arc::clone(&log.cache)).await.unwrap().unwrap();
    let kept = again.snapshot(Some(last.key)).await.unwrap();
    assert!(again.start.as_ref().is_some_and(|start| start.is_compact));
    assert_eq!(kept.groups.definitions(), replayed.groups.definitions());
    assert_eq!(rest(&kept), rest(&replayed));
}

#[tokio::test(start_paused = true)]
async fn a_state_without_old_data_has_no_lines_for_it() {
    let (remote, _) = checkpointed().await;
    let log = opened(&remote).await;
    let parts = log.cache.keys("proved-part/").into_iter().filter_map(|key| log.cache.get(&key));
    let state = String::from_utf8(parts.flatten().collect()).unwrap();
    assert!(state.lines().count() > 40 && !state.contains("horizon"), "{state}");
}

#[tokio::test(start_paused = true)]
async fn a_note_of_a_later_generation_than_the_head_puts_off_no_checkpoint() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let head = go_on(&mut log, None, 32).await;
    // The bucket was rolled back since.
    log.cache.put("looked-for-checkpoint", &1000_u64.to_le_bytes());
    assert!(write(&mut log, head).await);
}

/// Creates a commit that brings so many files.
pub(super) fn of_many(parent: Option<CommitKey>, what: &str, count: usize) -> Commit {
    let names: Vec<String> = (0..count).map(|n| format!("many/{n:04}")).collect();
    let contents: Vec<String> = names.iter().map(|name| format!("{what} {name}")).collect();
    let changes: Vec<(&str, Option<&str>)> =
        names.iter().zip(&contents).map(|(name, content)| (&**name, Some(&**content))).collect();
    plain(parent, 1, &changes)
}

#[tokio::test(start_paused = true)]
async fn a_large_state_is_written_again_once_an_eighth_of_its_bytes_has_come() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let first = publish(&mut log, &of_many(None, "first", 20_000)).await;
    let mut head = go_on(&mut log, Some(first), 31).await;
    assert!(write(&mut log, head).await, "the first one is due after 32 generations");
    head = go_on(&mut log, Some(head), 32).await;
    assert!(!write(&mut log, head).await, "32 small commits are little beside 20,000 files");
    let again = of_many(Some(head), "again", 10_000);
    let again = Commit { base: naming(&mut log, head, 1, &[]).await.base, ..again };
    head = publish(&mut log, &again).await;
    head = go_on(&mut log, Some(head), 31).await;
    assert!(write(&mut log, head).await, "half of them anew is much");
    let last = head.seq;
    while !write(&mut log, head).await {
        head = go_on(&mut log, Some(head), 1).await;
        assert!(head.seq <= last + 256, "none was written within 256 generations");
    }
    assert_eq!(head.seq, last + 256, "but no reader fetches more commits than that");
}

/// Writes two checkpoints and returns the bytes that each added. In between, `prune` gives up the
/// packs of the first.
async fn two_checkpoints(prune: impl Fn(Vec<PackId>) -> Prune) -> (MemoryRemote, [usize; 2]) {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let first = publish(&mut log, &of_many(None, "first", 3000)).await;
    let head = go_on(&mut log, Some(first), 32).await;
    assert!(write(&mut log, head).await);
    let bytes = |remote: &MemoryRemote| -> usize {
        under(remote, "packs/").iter().map(|key| remote.dump()[key].len()).sum()
    };
    let one = bytes(&remote);
    let packs: Vec<PackId> = log.checkpoint_packs().await.unwrap().unwrap().into_iter().collect();
    assert_eq!(packs.len(), under(&remote, "packs/").len());
    let mut next = plain(Some(head), 1, &[]);
    next.prune = prune(packs.clone());
    let mut left = 31;
    if !next.prune.swept.is_empty() {
        let marked = mark(&mut log, head, &packs).await;
        next = Commit { prune: next.prune, ..plain(Some(marked), 1, &[]) };
        left -= 1;
    }
    let next = Prepared::new(next.clone()).unwrap();
    log.publish(&next).await.unwrap();
    let mut head = go_on(&mut log, Some(next.key), left).await;
    while !write(&mut log, head).await {
        head = go_on(&mut log, Some(head), 1).await;
    }
    let two = bytes(&remote) - one;
    (remote, [one, two])
}

#[tokio::test(start_paused = true)]
async fn a_further_checkpoint_stores_only_changes_but_reuses_no_leaving_pack() {
    let (_, [one, two]) = two_checkpoints(|_| Prune::default()).await;
    assert!(two * 2 < one, "{two} bytes were added to {one}");
    for swept in [false, true] {
        let leaving = |packs: Vec<PackId>| match swept {
            true => Prune { swept: packs, ..Prune::default() },
            false => Prune { marked: packs, ..Prune::default() },
        };
        let (remote, [one, two]) = two_checkpoints(leaving).await;
        assert!(two >= one, "{two} bytes were added to {one}, swept: {swept}");
        let log = opened(&remote).await;
        let needed = log.checkpoint_packs().await.unwrap().unwrap();
        assert_eq!(needed.len(), under(&remote, "packs/").len(), "each checkpoint needs packs of its own");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_checkpoint_makes_the_needed_packs_unknown() {
    let (remote, _) = checkpointed().await;
    let key = under(&remote, "checkpoints/").remove(0);
    let faulty = Faulty::over(&remote);
    let log = faulty.opened().await;
    assert_eq!(log.checkpoint_packs().await.unwrap().unwrap().len(), under(&remote, "packs/").len());
    faulty.fail("get checkpoints/", RemoteErrorKind::NotFound);
    assert_eq!(
        log.checkpoint_packs().await.unwrap(),
        Some(BTreeSet::new()),
        "another prune deleted it first"
    );
    faulty.heal();
    faulty.fail("get checkpoints/", RemoteErrorKind::Server);
    assert!(log.checkpoint_packs().await.is_err());
    faulty.heal();
    remote.damage(&key, "damaged".into());
    assert_eq!(log.checkpoint_packs().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_two_newest_checkpoints_stay() {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let mut head = None;
    for _ in 0..4 {
        let next = go_on(&mut log, head, 32).await;
        assert!(write(&mut log, next).await);
        head = Some(next);
    }
    let state = log.snapshot(head).await.unwrap();
    let all = under(&remote, "checkpoints/");
    assert_eq!(all.len(), 4);
    let put = |key: &String| {
        let (remote, key) = (remote.clone(), key.clone());
        async move { remote.head(&key).await.unwrap().unwrap().modified_ms }
    };
    let second = put(&all[1]).await;
    assert_eq!(log.delete_old_checkpoints(second, &state).await.unwrap(), 1, "the time limit is exclusive");
    assert_eq!(under(&remote, "checkpoints/"), all[1..]);
    assert_eq!(log.delete_old_checkpoints(i64::MAX, &state).await.unwrap(), 1);
    assert_eq!(under(&remote, "checkpoints/"), all[2..]);
    assert_eq!(log.delete_old_checkpoints(i64::MAX, &state).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_before_the_horizon_stays_at_any_age() {
    let (remote, head) = long().await;
    let mut log = opened(&remote).await;
    let mut state = log.snapshot(Some(head)).await.unwrap().as_ref().clone();
    let left = || -> Vec<u64> {
        under(&remote, "checkpoints/").iter().filter_map(|key| start::seq_of(key)).collect()
    };
    assert_eq!(left(), [60, 120, 180, 240, 300]);
    state.horizon = 150;
    log.delete_old_checkpoints(i64::MAX, &state).await.unwrap();
    assert_eq!(left(), [120, 240, 300]);
    state.horizon = 120;
    log.delete_old_checkpoints(i64::MAX, &state).await.unwrap();
    assert_eq!(left(), [120, 240, 300], "the oldest, where none is from before");
    state.horizon = 240;
    log.delete_old_checkpoints(i64::MAX, &state).await.unwrap();
    assert_eq!(left(), [120, 240, 300], "the horizon's own state is not read from its own checkpoint");
    state.horizon = 250;
    log.delete_old_checkpoints(i64::MAX, &state).await.unwrap();
    assert_eq!(left(), [240, 300]);
}

#[test]
fn of_a_long_history_that_is_kept_whole_a_few_checkpoints_stay() {
    let every: Vec<u64> = (1..=320).map(|number| number * 32).collect();
    let spared: Vec<u64> = checkpoint::spared(&every, 0).into_iter().collect();
    assert_eq!(spared.len(), 11, "{spared:?}");
    assert!(spared.windows(2).all(|pair| pair[1] - pair[0] <= 1024), "{spared:?}");
    assert_eq!(checkpoint::spared(&[], 7), BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_store_is_not_taken_for_damaged_checkpoints() {
    let (remote, _) = checkpointed().await;
    let faulty = Faulty::over(&remote);
    faulty.fail("get checkpoints/", RemoteErrorKind::Offline);
    let opened = faulty.open(&Arc::default()).await;
    assert!(matches!(opened, Err(LogError::Remote(error)) if error.kind == RemoteErrorKind::Offline));
    faulty.heal();
    faulty.fail("get checkpoints/", RemoteErrorKind::NotFound);
    let mut log = faulty.open(&Arc::default()).await.unwrap().unwrap();
    assert_eq!(head_tree(&mut log).await.len(), 8, "the commits hold the same state");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_under_another_name_is_refused() {
    let (remote, _) = checkpointed().await;
    let key = under(&remote, "checkpoints/").remove(0);
    let bytes = remote.dump()[&key].clone();
    let other = key.replacen("checkpoints/0000000000000040", "checkpoints/0000000000000039", 1);
    remote.put(&other, bytes).await.unwrap();
    let log = opened(&remote).await;
    log.check_checkpoint(&key).await.unwrap();
    let refused = log.check_checkpoint(&other).await.unwrap_err();
    assert!(refused.to_string().contains("belongs under another key"), "{refused}");
}
