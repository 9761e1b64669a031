//! A push that is larger than one commit may be.

use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::plan::Limits;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Point, Unwatched};

use crate::support::device::Device;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_push_is_many_commits_and_one_change() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = MemoryRemote::default();
    let remote: Arc<dyn Remote> = Arc::new(bucket.clone());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    one.write("notes/old.txt", "what moves");
    one.sync().await;
    one.limits = Limits { described: 2000, content: 1 << 20, ..Limits::default() };
    one.restart();
    one.pass(Duration::from_secs(60));
    one.delete("notes/old.txt");
    one.write("notes/moved.txt", "what moves");
    for number in 0..50 {
        one.write(&format!("notes/{number:02}.txt"), format!("note {number}"));
    }
    let before = one.engine().past().await.unwrap();
    let report = one.sync().await;
    assert_eq!((report.pushed, report.deleted_remote), (51, 1));
    let commits = report.generation - before[0].key.seq;
    assert!(commits > 5, "{commits} commits for 52 changes of some 300 bytes");

    // One entry of the history, which is undone as one.
    let past = one.engine().past().await.unwrap();
    assert_eq!(past.len(), before.len() + 1);
    assert_eq!((past[0].changes.len(), past[0].key.seq), (52, report.generation));
    let mut two = Device::joined(folder.path(), "two", Arc::clone(&remote)).await;
    two.sync().await;
    assert_eq!(two.files(), one.files());
    // By the number of any of its commits.
    let middle = Point::Generation((report.generation - 2).to_string().parse().unwrap());
    two.engine().undo(&middle, false, true, &Unwatched).await.unwrap();
    two.sync().await;
    assert_eq!(two.files().keys().collect::<Vec<_>>(), ["notes/old.txt"]);
    // Another device does not delete so much before its user approves.
    let held = one.sync().await.holds;
    one.approve(held[0].id);
    one.sync().await;
    assert_eq!(one.files(), two.files());
}

/// A fetch reads some 16,000 chunks at a time, and an empty file counts as one: so the end of a file
/// comes with the next ones.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_small_files_arrive_also_where_one_is_at_the_end_of_a_read() {
    let folder = tempfile::tempdir().unwrap();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    one.write("notes/a.txt", "");
    for number in 0..8300 {
        // Some are alike: those are put together from the first of them.
        let text = if number % 100 == 0 { 0 } else { number };
        one.write(&format!("notes/b{:02}/{number:04}.txt", number / 100), format!("note {text}"));
    }
    one.sync().await;
    let mut two = Device::joined(folder.path(), "two", remote).await;
    assert_eq!(two.sync().await.problems.len(), 0);
    assert_eq!(two.files(), one.files());
}
