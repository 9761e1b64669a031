//! Old states, read from the checkpoint before them.

use super::checkpoints::{go_on, under, write};
use super::faulty::Faulty;
use super::line::Line;
use super::*;
use crate::clock::SystemEntropy;
use crate::model::Groups;

/// A bucket with 300 generations and checkpoints, and its head.
pub(super) async fn long() -> (MemoryRemote, CommitKey) {
    let remote = made().await;
    let mut log = opened(&remote).await;
    let mut head = None;
    for _ in 0..10 {
        let next = go_on(&mut log, head, 30).await;
        write(&mut log, next).await;
        head = Some(next);
    }
    (remote, head.unwrap())
}

/// Requests of a fresh device for the state of generation 100, and the generation of that state.
async fn asked_for_an_old_state(remote: &MemoryRemote, head: CommitKey) -> (Vec<String>, Arc<Snapshot>, Log) {
    let faulty = Faulty::over(remote);
    let mut log = faulty.opened().await;
    let old = log.line(head).into_iter().find(|key| key.seq == 100).unwrap();
    let state = log.snapshot(Some(old)).await.unwrap();
    assert_eq!(state.key, Some(old));
    (faulty.asked(), state, log)
}

#[tokio::test(start_paused = true)]
async fn an_old_state_is_read_from_the_checkpoint_before_it() {
    let (remote, head) = long().await;
    let mut all = opened(&remote).await;
    let old = all.line(head).into_iter().find(|key| key.seq == 100).unwrap();
    let (asked, state, log) = asked_for_an_old_state(&remote, head).await;
    let commits = asked.iter().filter(|what| what.starts_with("get commits/")).count();
    assert!((1..=41).contains(&commits), "{commits} commits were fetched: {asked:?}");
    assert_eq!(asked.iter().filter(|what| what.starts_with("get checkpoints/")).count(), 1);
    for key in under(&remote, "checkpoints/") {
        remote.delete(&key).await.unwrap();
    }
    let replayed = all.snapshot(Some(old)).await.unwrap();
    let rest = |state: &Snapshot| {
        format!("{:?}", Snapshot { groups: Groups::default(), applied: 0, ..state.clone() })
    };
    assert_eq!(rest(&state), rest(&replayed), "as its commits say it");
    let parts = log.cache.keys("proved-part/");
    let start = log.start.as_ref().unwrap().commit;
    assert!(parts.iter().all(|part| part.contains(&start.to_string())), "nothing of it stays: {parts:?}");
}

#[tokio::test(start_paused = true)]
async fn an_old_state_that_a_checkpoint_lies_about_is_read_from_the_commits() {
    let (remote, head) = long().await;
    let mut forger = opened(&remote).await;
    let line = forger.line(head);
    let at = |seq: u64| *line.iter().find(|key| key.seq == seq).unwrap();
    for key in under(&remote, "checkpoints/").iter().filter(|key| start::seq_of(key) < Some(100)) {
        remote.delete(key).await.unwrap();
    }
    let mut lie = forger.snapshot(Some(at(90))).await.unwrap().as_ref().clone();
    lie.tree.insert(path("forged"), entry("forged"));
    forger.write_checkpoint(at(90), &lie, &SystemEntropy).await.unwrap();
    let (asked, state, log) = asked_for_an_old_state(&remote, head).await;
    assert!(asked.iter().any(|what| what.starts_with("get checkpoints/0000000000000090")), "{asked:?}");
    assert!(!state.tree.contains_key(&path("forged")) && state.tree.len() == 3, "{:?}", state.tree);
    assert!(log.aside().iter().any(|aside| aside.key.starts_with("checkpoints/")), "and it is told of");
}

/// Digest of the sum of a state that was changed by hand.
fn sum_of(log: &Log, at: CommitKey, state: &Snapshot) -> Digest {
    let past = log.graph.part(&log.graph.ancestry(at));
    let mut sum = sum::StateSum::default();
    state.lines(&past).for_each(|line| sum.add(&line.bytes().unwrap()));
    sum.digest()
}

/// Puts a checkpoint of generation 90 that lies about it. Returns that generation, and a fork from
/// it that names the sum of the lie.
async fn forged_pair(forger: &mut Log, head: CommitKey) -> (CommitKey, Prepared) {
    let at = forger.line(head).into_iter().find(|key| key.seq == 90).unwrap();
    let mut lie = forger.snapshot(Some(at)).await.unwrap().as_ref().clone();
    lie.tree.insert(path("forged"), entry("forged"));
    forger.write_checkpoint(at, &lie, &SystemEntropy).await.unwrap();
    let base = Some(sum_of(forger, at, &lie));
    let fork = Commit { base, ..plain(Some(at), 9, &[("mine", Some("mine"))]) };
    (at, Prepared::new(fork).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_fork_and_a_checkpoint_that_fit_each_other_prove_nothing() {
    let (remote, head) = long().await;
    let mut forger = opened(&remote).await;
    let (at, fork) = forged_pair(&mut forger, head).await;
    remote.put(&format::commit_key(fork.key), fork.bytes.clone()).await.unwrap();
    let mut reader = opened(&remote).await;
    let refused = reader.snapshot(Some(fork.key)).await.unwrap_err();
    assert!(refused.to_string().contains("names another state"), "{refused}");
    let state = reader.snapshot(Some(at)).await.unwrap();
    assert!(!state.tree.contains_key(&path("forged")), "{:?}", state.tree);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_the_sum_does_not_see_is_refused() {
    let (remote, head) = long().await;
    let mut forger = opened(&remote).await;
    let at = forger.line(head).into_iter().find(|key| key.seq == 90).unwrap();
    let state = forger.snapshot(Some(at)).await.unwrap();
    let mut lines = forger.state_of(at, &state).unwrap();
    let mut forged = Line::File(path("forged"), entry("forged")).bytes().unwrap();
    forged.push(b'\n');
    lines.extend(forged.repeat(1 << 16));
    forger.write_state(at, &state, &lines, &SystemEntropy).await.unwrap();
    let (asked, _, mut log) = asked_for_an_old_state(&remote, head).await;
    assert!(asked.iter().any(|what| what.starts_with("get checkpoints/0000000000000090")), "{asked:?}");
    let state = log.snapshot(Some(at)).await.unwrap();
    assert!(!state.tree.contains_key(&path("forged")), "{:?}", state.tree);
    // A new device tries the newest of them first.
    for key in under(&remote, "checkpoints/").iter().filter(|key| start::seq_of(key) > Some(90)) {
        remote.delete(key).await.unwrap();
    }
    let joined = opened(&remote).await;
    assert_eq!(joined.start.map(|start| start.commit.seq), Some(60), "the one before it is used");
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_a_merge_has_brought_proves_nothing() {
    let (remote, head) = long().await;
    let mut forger = opened(&remote).await;
    let (at, fork) = forged_pair(&mut forger, head).await;
    let mut merge = Commit { txn: None, device: None, ..plain(Some(head), 9, &[]) };
    merge.parents.push(fork.key);
    let merge = Prepared::new(merge.clone()).unwrap();
    for forged in [&fork, &merge] {
        remote.put(&format::commit_key(forged.key), forged.bytes.clone()).await.unwrap();
    }
    let mut reader = opened(&remote).await;
    reader.build_on(Some(merge.key));
    assert!(reader.snapshot(Some(fork.key)).await.is_err());
    assert!(!reader.snapshot(Some(at)).await.unwrap().tree.contains_key(&path("forged")));
}
