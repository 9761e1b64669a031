//! A group whose index was not rebuilt: memories are saved without it.

use std::path::Path;
use std::time::Duration;

use cogzy_engine::model::{Keep, Validate};
use cogzy_engine::sync::{StaleIndex, Unwatched, Weight};
use cogzy_testkit::memory::{corpus, index, matrix};

use crate::support::device::Device;
use crate::validation::{World, invalid, world, write_group};

const INDEX: &str = "indexes/faiss.index";
/// Longer than a group may be invalid.
const OVERDUE: Duration = Duration::from_secs(301);

/// Adds memories and their vectors, and no index for them.
fn remember(device: &Device, count: usize) {
    device.write("corpus/nodes.json", corpus(count, "remembered"));
    device.write("vectors/nodes.npy", matrix(count, 8, 0.5));
}

/// Two devices with 30 memories; the first then has one more, and no index for it for too long.
async fn overdue() -> World {
    let mut world = world(Validate::Enforce).await;
    write_group(&world.one, 30, "first");
    world.one.sync().await;
    world.two.sync().await;
    remember(&world.one, 31);
    world.one.write("traces/t1.json", "{}");
    assert_eq!(invalid(&world.one.sync().await)[0].0, Weight::Invalid, "it waits for the index first");
    world.one.pass(OVERDUE);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn memories_are_saved_without_an_index_that_was_not_rebuilt() {
    let World { mut one, mut two, .. } = overdue().await;
    let report = one.sync().await;
    assert_eq!((report.pushed, report.deleted_remote, report.holds.len()), (2, 1, 0), "{report:?}");
    let [(Weight::Stale, words)] = invalid(&report)[..] else { panic!("{report:?}") };
    assert!(words.contains(INDEX) && words.contains("stays on this device alone"), "{words}");
    assert_eq!(one.read(INDEX), Some(index(30, 8, 0.5)), "the local copy is gone");
    // The index is more than half of the group's bytes, and no brake counts it.
    let report = two.sync().await;
    assert_eq!((report.pulled, report.deleted_local, report.holds.len()), (3, 1, 0), "{report:?}");
    assert_eq!((two.read("corpus/nodes.json"), two.read(INDEX)), (one.read("corpus/nodes.json"), None));
    assert!(invalid(&report).is_empty(), "{report:?}");
    let trash = walk(&two.root.join("sync/trash"));
    assert!(trash.contains(&index(30, 8, 0.5)), "it is not in the trash");
    let quiet = one.sync().await;
    assert!(!quiet.moved() && invalid(&quiet).len() == 1, "{quiet:?}");

    // Further memories do not wait again, and the index goes with the first that it fits.
    remember(&one, 32);
    assert_eq!(one.sync().await.pushed, 2);
    one.write(INDEX, index(32, 8, 0.5));
    let report = one.sync().await;
    assert_eq!((report.pushed, invalid(&report).len()), (1, 0), "{report:?}");
    two.sync().await;
    assert_eq!(one.files(), two.files());
    let verified = one.engine().verify(true, &Unwatched).await.unwrap();
    assert!(verified.faults.is_empty(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_device_sends_displaces_the_stale_index() {
    let World { mut one, mut two, .. } = overdue().await;
    one.sync().await;
    let verified = one.engine().verify(false, &Unwatched).await.unwrap();
    assert!(
        verified.faults.is_empty(),
        "an index of this device's own is no fault of the backup: {verified:?}"
    );
    two.sync().await;
    // First new memories, which the stale index does not belong to either; then an index for them.
    remember(&two, 35);
    two.sync().await;
    one.sync().await;
    assert_eq!((one.read("corpus/nodes.json"), one.read(INDEX)), (two.read("corpus/nodes.json"), None));
    assert!(walk(&one.root.join("sync/trash")).contains(&index(30, 8, 0.5)), "it is not in the trash");
    two.write(INDEX, index(35, 8, 0.5));
    two.sync().await;
    one.sync().await;
    assert_eq!(one.files(), two.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_index_of_another_device_takes_the_place_of_the_stale_one() {
    let World { mut one, mut two, .. } = overdue().await;
    one.sync().await;
    two.sync().await;
    two.write(INDEX, index(31, 8, 0.5));
    two.sync().await;
    let report = one.sync().await;
    assert_eq!((report.pulled, invalid(&report).len()), (1, 0), "{report:?}");
    assert_eq!(one.files(), two.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_keeps_the_memories_and_not_the_stale_index() {
    let World { mut one, mut two, .. } = overdue().await;
    write_group(&two, 40, "elsewhere");
    two.sync().await;
    let report = one.sync().await;
    assert_eq!(report.conflicts.len(), 1, "{report:?}");
    assert_eq!(one.files().len(), two.files().len());
    assert_eq!(one.read(INDEX), two.read(INDEX));
    let kept = one.engine().conflicts().await.unwrap()[0].conflict.clone();
    one.engine().resolve(kept.id, Keep::Mine, true, &Unwatched).await.unwrap();
    one.sync().await;
    two.sync().await;
    assert_eq!(
        (one.read("corpus/nodes.json"), one.read(INDEX)),
        (Some(corpus(31, "remembered").into()), None)
    );
    assert_eq!(one.files(), two.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_or_is_damaged_or_is_held_by_the_setting_is_not_left_out() {
    // A damaged index beside unchanged memories: the good one stays in the bucket.
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    one.sync().await;
    two.sync().await;
    one.write(INDEX, index(29, 8, 0.5));
    one.sync().await;
    one.pass(OVERDUE);
    let report = one.sync().await;
    assert_eq!((report.deleted_remote, invalid(&report)[0].0), (0, Weight::Overdue), "{report:?}");
    // Vectors that do not fit are primary: nothing may be saved without them.
    one.write("corpus/nodes.json", corpus(33, "without vectors"));
    let report = one.sync().await;
    assert_eq!((report.pushed, invalid(&report)[0].0), (0, Weight::Overdue), "{report:?}");
    // The setting.
    let World { mut one, .. } = overdue().await;
    one.stale_index = StaleIndex::Hold;
    one.restart();
    let report = one.sync().await;
    assert_eq!((report.pushed, invalid(&report)[0].0), (0, Weight::Overdue), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_for_an_index_begins_with_the_vectors() {
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    one.sync().await;
    two.sync().await;
    // Vectors that take longer than a group may be invalid, and then an index that takes seconds.
    one.write("corpus/nodes.json", corpus(31, "remembered"));
    assert_eq!(invalid(&one.sync().await)[0].0, Weight::Invalid);
    write_group(&two, 40, "elsewhere");
    two.sync().await;
    one.pass(OVERDUE);
    one.write("vectors/nodes.npy", matrix(31, 8, 0.5));
    for _ in 0..2 {
        let report = one.sync().await;
        assert_eq!((report.pushed, report.pulled, report.conflicts.len()), (0, 0, 0), "{report:?}");
        assert_eq!(invalid(&report)[0].0, Weight::Overdue, "{report:?}");
        one.pass(Duration::from_secs(100));
    }
    one.write(INDEX, index(31, 8, 0.5));
    let report = one.sync().await;
    assert_eq!((report.conflicts.len(), invalid(&report).len()), (1, 0), "{report:?}");
    let kept = one.engine().conflicts().await.unwrap()[0].conflict.clone();
    one.engine().resolve(kept.id, Keep::Mine, true, &Unwatched).await.unwrap();
    one.sync().await;
    assert_eq!(
        (one.read("corpus/nodes.json"), one.read(INDEX)),
        (Some(corpus(31, "remembered").into()), Some(index(31, 8, 0.5)))
    );

    // The wait for one that nobody computes does not begin anew with each further memory.
    for count in 32..36 {
        one.write("corpus/nodes.json", corpus(count, "remembered"));
        let report = one.sync().await;
        assert_eq!((report.pushed, invalid(&report).len()), (0, 1), "{count}: {report:?}");
        one.write("vectors/nodes.npy", matrix(count, 8, 0.5));
        let report = one.sync().await;
        assert_eq!(report.pushed, if count < 35 { 0 } else { 2 }, "{count}: {report:?}");
        one.pass(OVERDUE / 3);
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn vectors_that_cannot_be_seen_are_not_absent() {
    let World { mut one, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    one.sync().await;
    // Beside the corpus the index alone is wrong, as it seems.
    one.write("corpus/nodes.json", corpus(31, "remembered"));
    let vectors = one.root.join("vectors/nodes.npy");
    std::fs::remove_file(&vectors).unwrap();
    std::os::unix::fs::symlink("nowhere", &vectors).unwrap();
    assert_eq!(one.sync().await.pushed, 0);
    one.pass(OVERDUE);
    std::fs::remove_file(&vectors).unwrap();
    one.write("vectors/nodes.npy", matrix(31, 8, 0.5));
    let report = one.sync().await;
    assert_eq!((report.pushed, invalid(&report)[0].0), (0, Weight::Invalid), "{report:?}");
    one.pass(OVERDUE);
    assert_eq!(one.sync().await.pushed, 2);
}

fn walk(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![std::fs::read(&path).unwrap()] })
        .collect()
}
