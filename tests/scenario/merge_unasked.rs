//! Two devices write memories on one day, and nobody is asked: the device whose version was set
//! aside merges it into the one that stands.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::model::{Item, Keep, Validate};
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Merge, Point, Rank, Report, Unwatched};
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::{self, Memories};
use serde_json::{Value, json};

use super::merge_by_hand::{OFF, lay, put, read, ten, two_machines, write};
use crate::support::daemon::Daemon;
use crate::support::device::Device;
use crate::support::sleeper::Sleeper;

/// Two devices that merge, and have the same ten memories.
pub(super) async fn agreed(folder: &Path, remotes: [Arc<dyn Remote>; 2]) -> [Device; 2] {
    let [one, two] = remotes;
    let mut devices = [Device::new(folder, "one", one), Device::new(folder, "two", two)];
    for device in &mut devices {
        (device.validate, device.merge) = (Validate::Enforce, Merge::Entries);
        device.join(false).await.unwrap();
    }
    write(&devices[0], &ten());
    sync(&mut devices).await;
    devices
}

pub(super) fn bucket() -> [Arc<dyn Remote>; 2] {
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    [Arc::clone(&remote), remote]
}

/// Each in its turn, until nothing moves.
pub(super) async fn sync(devices: &mut [Device; 2]) {
    for _ in 0..10 {
        let mut moved = false;
        for device in &mut *devices {
            moved |= device.sync().await.moved();
        }
        if !moved {
            return;
        }
    }
    panic!("they do not come to rest");
}

/// Each writes its version, and the one of the second device, `here`, comes too late. Returns the
/// report of that device.
pub(super) async fn both_write(devices: &mut [Device; 2], here: &Memories, there: &Memories) -> Report {
    write(&devices[0], there);
    write(&devices[1], here);
    devices[0].sync().await;
    devices[1].sync().await
}

pub(super) async fn open(device: &mut Device) -> usize {
    device.engine().conflicts().await.unwrap().len()
}

/// What both have, after each added, changed and deleted a memory; `here` lost.
pub(super) fn changed() -> (Memories, Memories, Memories) {
    let (mut here, mut there) = (ten(), ten());
    put(&mut here, "a-here", "new here", 50.0);
    put(&mut here, "n1", "changed here", 51.0);
    here.remove("n2");
    put(&mut there, "z-there", "new there", 60.0);
    put(&mut there, "n3", "changed there", 63.0);
    there.remove("n4");
    let mut both = there.clone();
    put(&mut both, "a-here", "new here", 50.0);
    put(&mut both, "n1", "changed here", 51.0);
    both.remove("n2");
    (here, there, both)
}

#[tokio::test]
async fn two_devices_that_wrote_on_one_day_both_end_with_all_memories_and_no_conflict() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let (here, there, both) = changed();
    let report = both_write(&mut devices, &here, &there).await;
    assert_eq!((report.conflicts.as_slice(), report.merged.len()), ([].as_slice(), 1), "{report:?}");
    sync(&mut devices).await;
    for device in &mut devices {
        assert_eq!((read(device), open(device).await), (both.clone(), 0), "{}", device.name);
        assert!(device.conflicts().is_empty());
    }
    assert_eq!(devices[0].files(), devices[1].files());
}

#[tokio::test]
async fn commits_made_at_the_same_moment_are_merged_by_the_device_that_lost() {
    let folder = fresh_folder();
    let [bucket, _] = bucket();
    let line = Arc::new(Sleeper::over(Arc::clone(&bucket)));
    let mut devices = agreed(folder.path(), [bucket, Arc::clone(&line) as Arc<dyn Remote>]).await;
    let (here, there, both) = changed();
    write(&devices[0], &here);
    write(&devices[1], &there);
    line.falls_asleep();
    devices[1].try_sync().await.unwrap_err();
    devices[0].sync().await;
    line.wakes_up();
    // Its commit is sent again: now there are two heads.
    devices[1].sync().await;
    sync(&mut devices).await;
    for device in &mut devices {
        assert_eq!((read(device), open(device).await), (both.clone(), 0), "{}", device.name);
    }
}

/// The memory that both changed is a conflict of its own: everything else is merged.
#[tokio::test]
async fn only_a_memory_that_both_changed_waits_for_a_person() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let (mut here, mut there, mut both) = changed();
    put(&mut here, "n5", "clash: here", 55.0);
    put(&mut there, "n5", "clash: there", 65.0);
    put(&mut both, "n5", "clash: there", 65.0);
    let report = both_write(&mut devices, &here, &there).await;
    assert_eq!((report.conflicts.len(), report.merged.len()), (1, 1), "{report:?}");
    sync(&mut devices).await;
    assert_eq!((read(&devices[0]), read(&devices[1])), (both.clone(), both.clone()));
    let [conflict] = devices[0].engine().conflicts().await.unwrap().try_into().unwrap();
    let Item::File(path) = &conflict.conflict.item else { panic!("{conflict:?}") };
    assert!(path.as_str().starts_with("corpus/nodes (two "), "{path}");
    // Put beside the others, it is a list of that one memory.
    let id = conflict.conflict.id;
    devices[0].pass(Duration::from_secs(10));
    devices[0].engine().resolve(id, Keep::Mine, false, &Unwatched).await.unwrap();
    sync(&mut devices).await;
    let lost: Value = serde_json::from_str(&devices[1].text(path.as_str()).unwrap()).unwrap();
    let told: Vec<_> = lost.as_array().unwrap().iter().map(|one| (&one["id"], &one["content"])).collect();
    assert_eq!(told, [(&json!("n5"), &json!("clash: here"))]);
    assert_eq!((read(&devices[1]), open(&mut devices[1]).await), (both, 0));
}

/// Writes a version in which one memory comes from this source.
fn write_from(device: &Device, memories: &Memories, id: &str, source: &str) {
    write(device, memories);
    let mut corpus: Value = serde_json::from_str(&device.text("corpus/nodes.json").unwrap()).unwrap();
    let nodes = corpus["nodes"].as_array_mut().unwrap();
    let node = nodes.iter_mut().find(|node| node["id"] == id).unwrap();
    node["source"] = json!(source);
    device.write("corpus/nodes.json", corpus.to_string());
}

/// What a user says stands against what an agent says, although it came too late.
#[tokio::test]
async fn a_memory_of_a_higher_rank_stands_and_the_one_there_is_kept_under_the_name_of_its_device() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    for device in &mut devices {
        let order = ["user", "agent"].map(ToOwned::to_owned).to_vec();
        device.rules.rank = Some(Rank { field: "source".to_owned(), order });
        device.restart();
    }
    let (mut here, mut there, mut both) = changed();
    put(&mut here, "n5", "clash: here", 55.0);
    put(&mut there, "n5", "clash: there", 65.0);
    put(&mut both, "n5", "clash: here", 55.0);
    write_from(&devices[0], &there, "n5", "agent");
    write_from(&devices[1], &here, "n5", "user");
    devices[0].sync().await;
    let report = devices[1].sync().await;
    assert_eq!((report.conflicts.len(), report.merged.len()), (1, 1), "{report:?}");
    sync(&mut devices).await;
    assert_eq!((read(&devices[0]), read(&devices[1])), (both.clone(), both));
    let [conflict] = devices[0].engine().conflicts().await.unwrap().try_into().unwrap();
    let Item::File(path) = &conflict.conflict.item else { panic!("{conflict:?}") };
    assert!(path.as_str().starts_with("corpus/nodes (one "), "{path}");
    devices[0].engine().resolve(conflict.conflict.id, Keep::Mine, false, &Unwatched).await.unwrap();
    let lost = devices[0].text(path.as_str()).unwrap();
    assert!(lost.contains("clash: there") && lost.contains("agent"), "{lost}");
}

/// Writes a version whose corpus says this of itself.
fn write_with(device: &Device, memories: &Memories, around: &Value) {
    write(device, memories);
    let mut corpus: Value = serde_json::from_str(&device.text("corpus/nodes.json").unwrap()).unwrap();
    corpus.as_object_mut().unwrap().extend(around.as_object().unwrap().clone());
    device.write("corpus/nodes.json", corpus.to_string());
}

/// An app that holds its memories and saves them all, whatever stands in the vault by then.
pub(super) fn save(device: &Device, held: &mut Memories, id: &str) {
    put(held, id, id, 70.0);
    write(device, held);
}

#[tokio::test]
async fn an_app_that_saves_what_it_holds_takes_back_nothing_that_came_meanwhile() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let (mut held, mut both) = (ten(), ten());
    for round in 0..4 {
        // The other device's app reads before it writes.
        let mut there = read(&devices[0]);
        for memories in [&mut there, &mut both] {
            put(memories, &format!("there {round}"), "from the other device", 60.0);
            put(memories, "n1", &format!("changed there, {round}"), 61.0);
            memories.remove(&format!("n{}", 2 + round));
        }
        write(&devices[0], &there);
        sync(&mut devices).await;
        assert_eq!(read(&devices[1]), both);
        for save_twice in [false, true] {
            let id = format!("here {round} {save_twice}");
            save(&devices[1], &mut held, &id);
            put(&mut both, &id, &id, 70.0);
            let report = devices[1].sync().await;
            assert_eq!(
                (report.reverted.len(), report.merged.len(), report.conflicts.len()),
                (1, 1, 0),
                "{report:?}"
            );
            // Its clock is behind: what came would have been written a moment ago.
            devices[0].pass(Duration::from_secs(60));
            sync(&mut devices).await;
            assert_eq!((read(&devices[0]), read(&devices[1])), (both.clone(), both.clone()), "{id}");
        }
    }
    assert_eq!(open(&mut devices[1]).await, 0);
}

/// Whoever deletes what came a moment ago has to do so twice: the first time it may be an app that
/// did not know of it.
#[tokio::test]
async fn what_came_may_be_deleted() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let mut there = ten();
    put(&mut there, "came", "from the other device", 60.0);
    write(&devices[0], &there);
    sync(&mut devices).await;
    write(&devices[1], &ten());
    let report = devices[1].sync().await;
    assert_eq!((report.reverted.len(), report.conflicts.len()), (1, 0), "{report:?}");
    assert_eq!(read(&devices[1]), there);
    write(&devices[1], &ten());
    sync(&mut devices).await;
    assert_eq!((read(&devices[0]), read(&devices[1])), (ten(), ten()));
    // An app that knows of it says so by what else it has.
    let mut more = ten();
    put(&mut more, "one", "one", 61.0);
    put(&mut more, "two", "two", 62.0);
    write(&devices[0], &more);
    sync(&mut devices).await;
    more.remove("one");
    write(&devices[1], &more);
    let report = devices[1].sync().await;
    assert_eq!((report.reverted.len(), report.conflicts.len()), (0, 0), "{report:?}");
    sync(&mut devices).await;
    assert_eq!((read(&devices[0]), read(&devices[1])), (more.clone(), more));
}

/// An app that has read what came may change all of it, and delete a part.
#[tokio::test]
async fn what_came_may_be_changed_by_an_app_that_has_read_it() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let mut memories = ten();
    put(&mut memories, "n1", "changed there", 61.0);
    memories.remove("n2");
    put(&mut memories, "one", "from the other device", 62.0);
    put(&mut memories, "two", "from the other device", 63.0);
    write(&devices[0], &memories);
    sync(&mut devices).await;
    put(&mut memories, "n1", "changed again", 71.0);
    put(&mut memories, "one", "changed again", 72.0);
    memories.remove("two");
    write(&devices[1], &memories);
    let report = devices[1].sync().await;
    assert_eq!((report.reverted.len(), report.conflicts.len()), (0, 0), "{report:?}");
    sync(&mut devices).await;
    assert_eq!((read(&devices[0]), read(&devices[1])), (memories.clone(), memories));
}

/// Nearly every app notes the time at which it wrote the corpus.
#[tokio::test]
async fn what_changes_with_every_write_keeps_no_version_from_being_merged() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let (here, there, both) = changed();
    write_with(&devices[0], &there, &json!({"updated_at": "10:00", "version": 2}));
    write_with(&devices[1], &here, &json!({"updated_at": "09:00"}));
    sync(&mut devices).await;
    for device in &mut devices {
        assert_eq!((read(device), open(device).await), (both.clone(), 0), "{}", device.name);
        let corpus: Value = serde_json::from_str(&device.text("corpus/nodes.json").unwrap()).unwrap();
        assert_eq!((&corpus["updated_at"], &corpus["version"]), (&json!("10:00"), &json!(2)));
    }
}

#[tokio::test]
async fn what_both_changed_around_the_memories_waits_and_the_memories_are_merged() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let (here, there, both) = changed();
    write_with(&devices[0], &there, &json!({"owner": "there"}));
    write_with(&devices[1], &here, &json!({"owner": "here"}));
    sync(&mut devices).await;
    assert_eq!((read(&devices[0]), read(&devices[1])), (both.clone(), both));
    let [conflict] = devices[1].engine().conflicts().await.unwrap().try_into().unwrap();
    let Item::File(path) = &conflict.conflict.item else { panic!("{conflict:?}") };
    devices[1].engine().resolve(conflict.conflict.id, Keep::Mine, false, &Unwatched).await.unwrap();
    let lost: Value = serde_json::from_str(&devices[1].text(path.as_str()).unwrap()).unwrap();
    assert_eq!(lost, json!({"owner": "here", "nodes": []}));
}

#[tokio::test]
async fn what_cannot_be_merged_waits_and_is_not_read_again_in_every_cycle() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    // Another embedding model: its vectors have other columns.
    let wide = |memories: &Memories| cogzy_testkit::memory::matrix(memories.len(), 3, 0.5);
    let (here, there, _) = changed();
    write(&devices[0], &there);
    write(&devices[1], &here);
    devices[1].write("vectors/nodes.npy", wide(&here));
    devices[1].delete("indexes/nodes.index");
    devices[0].sync().await;
    let report = devices[1].sync().await;
    assert_eq!((report.conflicts.len(), report.merged.len()), (1, 0), "{report:?}");
    sync(&mut devices).await;
    assert_eq!((read(&devices[1]), open(&mut devices[1]).await), (there, 1));
    devices[1].opened.take();
    devices[1].sync().await;
    let read_again = devices[1].opened.take();
    assert!(!read_again.iter().any(|path| path.ends_with("nodes.npy")), "{read_again:?}");
}

/// An undo is a person's word: what it took back does not return.
#[tokio::test]
async fn a_merge_that_was_undone_is_not_made_again() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let (here, there, _) = changed();
    write(&devices[0], &there);
    write(&devices[1], &here);
    sync(&mut devices).await;
    let newest = devices[1].sync().await.generation;
    let merge = Point::Generation(newest.to_string().parse().unwrap());
    devices[1].engine().undo(&merge, false, false, &Unwatched).await.unwrap();
    sync(&mut devices).await;
    for device in &mut devices {
        assert_eq!((read(device), open(device).await), (there.clone(), 0), "{}", device.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_merge_and_a_configuration_may_say_no() {
    for off in [false, true] {
        let folder = fresh_folder();
        let [one, two] = two_machines(folder.path(), if off { OFF } else { "" }).await;
        let (here, there, both) = changed();
        lay(&one, &there);
        one.sync().await;
        lay(&two, &here);
        let done = two.good(&["sync", "--json"]).await.json();
        assert_eq!(done["conflicts"].as_array().map(Vec::len), Some(usize::from(off)), "{done}");
        assert_eq!(done["merged"], if off { json!(null) } else { json!(["group:nodes"]) });
        let daemon = Daemon::start(&one).await;
        one.good(&["sync"]).await;
        let text = String::from_utf8(one.read("corpus/nodes.json").unwrap()).unwrap();
        assert_eq!(text.contains("new here"), !off);
        if !off {
            let file = |path: &str| one.read(path).unwrap();
            let index = one.read("indexes/nodes.index");
            assert_eq!(
                memories::read(&file("corpus/nodes.json"), &file("vectors/nodes.npy"), index.as_deref()),
                both
            );
        }
        assert_eq!(daemon.terminate().await.0, Some(0));
    }
}
