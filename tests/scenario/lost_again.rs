//! A version that loses again after its conflict was decided, such as a setting that is switched to
//! and fro: it is a loss of its own, and is listed like the first one.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::model::{Conflict, Keep};
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Point, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::support::device::Device;

const NOTE: &str = "traces/note.json";
const DARK: &str = "dark";

async fn pair(folder: &Path) -> [Device; 2] {
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let one = Device::joined(folder, "one", Arc::clone(&remote)).await;
    let mut two = Device::joined(folder, "two", remote).await;
    one.write(NOTE, "as it was");
    let mut one = one;
    one.sync().await;
    two.sync().await;
    [one, two]
}

async fn open(device: &mut Device) -> Vec<Conflict> {
    let listed = device.engine().conflicts().await.unwrap();
    listed.into_iter().map(|listed| listed.conflict).collect()
}

/// Decides the one open conflict, by any device.
async fn decide(device: &mut Device, keep: Keep) {
    device.sync().await;
    let open = open(device).await;
    assert_eq!(open.len(), 1, "{open:?}");
    device.pass(Duration::from_secs(10));
    device.engine().resolve(open[0].id, keep, false, &Unwatched).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_version_that_loses_again_after_a_decision_is_kept_again() {
    let folder = fresh_folder();
    let [mut one, mut two] = pair(folder.path()).await;
    for theirs in ["light", "blue", "green"] {
        two.write(NOTE, DARK);
        one.write(NOTE, theirs);
        one.sync().await;
        two.sync().await;
        assert_eq!(two.text(NOTE).unwrap(), theirs);
        let conflicts = open(&mut two).await;
        assert_eq!(conflicts.len(), 1, "lost against {theirs}");
        let paths: Vec<&str> = conflicts[0].files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, [NOTE], "people are told of no other file");
        assert_eq!(two.conflict_bytes(&conflicts[0], NOTE).unwrap(), DARK.as_bytes());
        one.sync().await;
        assert_eq!(open(&mut one).await.len(), 1, "the other device lists it too");
        // Quiet: the same loss is not listed twice.
        for _ in 0..2 {
            for device in [&mut two, &mut one] {
                assert!(device.sync().await.conflicts.is_empty());
            }
        }
        decide(&mut one, Keep::Remote).await;
        two.sync().await;
        assert!(open(&mut two).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_that_lost_again_can_be_put_back() {
    let folder = fresh_folder();
    let [mut one, mut two] = pair(folder.path()).await;
    for (theirs, keep) in [("light", Keep::Remote), ("blue", Keep::Mine)] {
        two.write(NOTE, DARK);
        one.write(NOTE, theirs);
        one.sync().await;
        two.sync().await;
        decide(&mut one, keep).await;
    }
    two.sync().await;
    for device in [&mut one, &mut two] {
        assert_eq!(device.text(NOTE).unwrap(), DARK);
        assert_eq!(device.files().len(), 1);
        assert!(open(device).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_keeps_what_lost_a_decided_conflict_before() {
    let folder = fresh_folder();
    let [mut one, mut two] = pair(folder.path()).await;
    two.write(NOTE, DARK);
    one.write(NOTE, "light");
    one.sync().await;
    two.sync().await;
    decide(&mut one, Keep::Remote).await;
    two.sync().await;
    two.write(NOTE, DARK);
    two.pass(Duration::from_secs(10));
    let reset = two.engine().reset(false, &Unwatched).await.unwrap();
    let conflicts = open(&mut two).await;
    assert_eq!((reset.kept.len(), conflicts.len()), (1, 1));
    assert_eq!(reset.kept[0].id, conflicts[0].id, "the conflict that people are told of is there");
    assert_eq!(two.conflict_bytes(&conflicts[0], NOTE).unwrap(), DARK.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_forced_undo_keeps_the_version_that_an_earlier_one_took_away() {
    let folder = fresh_folder();
    let [mut one, _] = pair(folder.path()).await;
    for version in ["second", "third"] {
        one.write(NOTE, version);
        one.sync().await;
    }
    let second = Point::Generation("2".parse().unwrap());
    for _ in 0..2 {
        one.pass(Duration::from_secs(10));
        one.engine().undo(&second, true, false, &Unwatched).await.unwrap();
        assert_eq!(one.text(NOTE).unwrap(), "as it was");
        let open = open(&mut one).await;
        assert_eq!(open.len(), 1);
        one.engine().resolve(open[0].id, Keep::Remote, false, &Unwatched).await.unwrap();
        one.write(NOTE, "third");
        one.sync().await;
    }
}

#[tokio::test(start_paused = true)]
async fn late_writes_that_come_to_a_decided_version_are_kept_again() {
    let folder = fresh_folder();
    let [mut one, mut two] = pair(folder.path()).await;
    for theirs in ["light", "blue"] {
        two.write(NOTE, DARK);
        two.sync().await;
        one.sync().await;
        let mut late = File::options().append(true).open(two.root.join(NOTE)).unwrap();
        one.write(NOTE, theirs);
        one.sync().await;
        // Another program looks at the trash meanwhile: by this clock it has settled at once.
        let turn = File::create(two.root.join("sync/trash.lock")).unwrap();
        turn.lock().unwrap();
        two.sync().await;
        late.write_all(b", written late").unwrap();
        drop((late, turn));
        for version in ["1", "2"] {
            // A round that has nothing to do does not look at what was displaced.
            two.write("traces/later.json", format!("{theirs} {version}"));
            two.sync().await;
        }
        let conflicts = open(&mut two).await;
        assert_eq!(conflicts.len(), 1, "after {theirs}");
        assert_eq!(two.conflict_bytes(&conflicts[0], NOTE).unwrap(), b"dark, written late");
        decide(&mut one, Keep::Remote).await;
        two.sync().await;
    }
}
