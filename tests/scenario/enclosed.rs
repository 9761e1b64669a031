//! Small saves that stand in their commits: who reads them, when, and what their loss costs.

use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::clock::Clock;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::Unwatched;
use cogzy_testkit::fresh_folder;

use crate::few_requests::Recording;
use crate::support::device::{Device, ShiftedClock};

/// More than a poll lists, with checkpoints.
const SAVES: usize = 98;

fn remote_of(bucket: &MemoryRemote) -> Arc<dyn Remote> {
    Arc::new(bucket.clone())
}

fn commits(bucket: &MemoryRemote) -> Vec<String> {
    bucket.dump().into_keys().filter(|key| key.starts_with("commits/")).collect()
}

/// Many saves of one file, and one of another before them.
async fn saves(one: &mut Device) {
    one.write("notes/first.txt", "what was said first");
    one.sync().await;
    for save in 0..SAVES {
        one.write("notes/changing.txt", format!("save {save}"));
        one.sync_at_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_reads_no_commit_for_a_save_that_nothing_needs_any_more() {
    let (folder, bucket) = (fresh_folder(), Recording::slow([Duration::ZERO; 2]));
    let join = |name| Device::joined(folder.path(), name, Arc::clone(&bucket) as Arc<dyn Remote>);
    let mut one = join("one").await;
    saves(&mut one).await;
    let mut two = join("two").await;
    bucket.take();
    two.sync().await;
    assert_eq!(two.files(), one.files());
    let asked = bucket.take();
    let reads = asked.iter().filter(|request| *request == "get commits").count();
    // Those since the checkpoint, and the one that has the other file.
    assert!(reads <= 40, "{asked:?}");
    let heads = |asked: &[String]| asked.iter().filter(|request| request.starts_with("head")).count();
    assert_eq!(heads(&asked), 0, "{asked:?}");
    // Nor is each asked for in a process that begins with a poll.
    two.restart();
    two.engine().prune(false, &Unwatched).await.unwrap();
    let asked = bucket.take();
    assert!(heads(&asked) <= 16, "{asked:?}");
}

#[tokio::test]
async fn a_device_begins_with_it_once_the_others_read_it_and_the_vault_is_not_new() {
    for (generation, older, enclosed) in [(0, false, true), (0, true, false), (2, false, false)] {
        let (folder, bucket) = (fresh_folder(), MemoryRemote::default());
        let mut one = Device::joined(folder.path(), "one", remote_of(&bucket)).await;
        one.enclose_nothing();
        one.write("notes/a.txt", "first");
        one.sync().await;
        for key in bucket.dump().into_keys().filter(|key| older && key.starts_with("devices/")) {
            // A device that says nothing counts as one of an older version.
            bucket.remove(&key).unwrap();
        }
        let mut two = Device::joined(folder.path(), "two", remote_of(&bucket)).await;
        two.limits.enclosed_after = generation;
        two.restart();
        two.sync().await;
        let packs =
            |bucket: &MemoryRemote| bucket.dump().keys().filter(|key| key.starts_with("packs/")).count();
        let before = packs(&bucket);
        two.write("notes/b.txt", "second");
        two.sync().await;
        assert_eq!(packs(&bucket) == before, enclosed, "after {generation}, older: {older}");
        one.sync().await;
        assert_eq!(one.files(), two.files());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_like_that_of_a_commit_hides_nothing_of_it() {
    let (folder, bucket) = (fresh_folder(), MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", remote_of(&bucket)).await;
    saves(&mut one).await;
    for key in commits(&bucket) {
        let (stem, last) = key.split_at(key.len() - 1);
        let other = if last == "0" { "1" } else { "0" };
        bucket.put(&format!("{stem}{other}"), "junk".into()).await.unwrap();
    }
    let mut two = Device::joined(folder.path(), "two", remote_of(&bucket)).await;
    two.sync().await;
    assert_eq!(two.files(), one.files());
    assert!(two.verify().await.lost.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_with_a_commit_is_back_with_it() {
    let (folder, clock) = (fresh_folder(), ShiftedClock::now());
    let bucket = MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let mut one = Device::joined(folder.path(), "one", remote_of(&bucket)).await;
    saves(&mut one).await;
    clock.pass(Duration::from_secs(2 * 3600));
    let first = commits(&bucket)[0].clone();
    bucket.remove(&first).unwrap();
    let mut two = Device::joined(folder.path(), "two", remote_of(&bucket)).await;
    two.sync().await;
    assert_eq!(two.text("notes/changing.txt"), one.text("notes/changing.txt"), "the rest arrives");
    assert_eq!(two.text("notes/first.txt"), None);
    // The device that has read the commit puts it back as soon as it lists all of them.
    one.restart();
    one.sync().await;
    assert!(bucket.dump().contains_key(&first));
    two.sync().await;
    assert_eq!(two.files(), one.files());
    let verified = one.verify().await;
    assert!(verified.faults.is_empty() && verified.lost.is_empty(), "{verified:?}");
}
