//! Whose turn it is to merge, where many devices commit at the same moment.

use std::time::Duration;

use super::faulty::Faulty;
use super::*;

/// Logs of devices that commit on `root` at the same moment, the one of the highest head first.
async fn at_once(remote: &Faulty, root: CommitKey, count: u8) -> Vec<(CommitKey, Log)> {
    let mut logs = Vec::new();
    for device in 0..count {
        let name = format!("f{device}");
        let commit = commit(Some(root), device + 2, &[(&*name, Some("saved"))]);
        let mut log = remote.opened().await;
        log.publish(&commit).await.unwrap();
        logs.push((commit.key, log));
    }
    for (_, log) in &mut logs {
        log.refresh(Depth::Near).await.unwrap();
        assert_eq!(log.graph().heads().len(), usize::from(count));
    }
    logs.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
    logs
}

async fn world() -> (Faulty, CommitKey) {
    let remote = Faulty::over(&made().await);
    let root = publish(&mut remote.opened().await, &plain(None, 1, &[])).await;
    (remote, root)
}

/// Merges, and returns how long that took and the commits that were put.
async fn merges(remote: &Faulty, log: &mut Log) -> (Duration, usize) {
    remote.asked();
    let began = tokio::time::Instant::now();
    log.settle().await.unwrap();
    let put = remote.asked().iter().filter(|what| what.starts_with("put commits/")).count();
    (began.elapsed(), put)
}

#[tokio::test(start_paused = true)]
async fn the_device_of_the_highest_head_merges_and_the_others_find_it_done() {
    let (remote, root) = world().await;
    let mut logs = at_once(&remote, root, 5).await;
    let mut waits = Vec::new();
    for (_, log) in &mut logs {
        waits.push(merges(&remote, log).await);
    }
    assert_eq!(waits[0], (Duration::ZERO, 4), "it merges at once");
    for (turn, wait) in (1..).zip(&waits[1..]) {
        assert_eq!(*wait, (Duration::from_secs(turn), 0), "it waits for its turn, and need not merge");
    }
    let mut reader = remote.opened().await;
    assert_eq!(head_tree(&mut reader).await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn if_the_first_is_asleep_the_next_one_merges() {
    let (remote, root) = world().await;
    let mut logs = at_once(&remote, root, 3).await;
    assert_eq!(merges(&remote, &mut logs[1].1).await, (Duration::from_secs(1), 2));
}

#[tokio::test(start_paused = true)]
async fn each_of_two_devices_merges_at_once_and_a_reader_lets_them() {
    let (remote, root) = world().await;
    for (_, log) in &mut at_once(&remote, root, 2).await {
        assert_eq!(merges(&remote, log).await, (Duration::ZERO, 1), "the same bytes");
    }
    let (remote, root) = world().await;
    at_once(&remote, root, 2).await;
    let mut reader = remote.opened().await;
    assert_eq!(merges(&remote, &mut reader).await, (Duration::from_secs(2), 1));
}
