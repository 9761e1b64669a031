//! Two devices write the first memories of a vault: nothing was there before, so all of both stay.

use std::sync::Arc;

use cogzy_engine::model::Validate;
use cogzy_engine::remote::Remote;
use cogzy_engine::sync::Merge;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::Memories;

use super::merge_by_hand::{put, read, write};
use super::merge_unasked::{bucket, open, sync};
use crate::support::device::Device;
use crate::support::sleeper::Sleeper;

/// Two devices that merge, without memories.
async fn pair(folder: &std::path::Path, remotes: [Arc<dyn Remote>; 2]) -> [Device; 2] {
    let [one, two] = remotes;
    let mut devices = [Device::new(folder, "one", one), Device::new(folder, "two", two)];
    for device in &mut devices {
        (device.validate, device.merge) = (Validate::Enforce, Merge::Entries);
        device.join(false).await.unwrap();
    }
    devices
}

/// Memories of each device, and of both.
fn first() -> [Memories; 3] {
    let mut all = <[Memories; 3]>::default();
    let [here, there, both] = &mut all;
    for (side, id, vector) in [(here, "a", 1.0), (there, "b", 2.0)] {
        put(side, id, id, vector);
        put(both, id, id, vector);
    }
    all
}

async fn must_have_all(devices: &mut [Device; 2], both: &Memories) {
    sync(devices).await;
    for device in &mut *devices {
        assert_eq!((read(device), open(device).await), (both.clone(), 0), "{}", device.name);
        assert!(device.conflicts().is_empty());
    }
    assert_eq!(devices[0].files(), devices[1].files());
}

#[tokio::test]
async fn first_memories_of_two_devices_come_together_whatever_else_was_synced_before() {
    let nothing: &[(&str, &[u8])] = &[];
    let empty: &[(&str, &[u8])] = &[("corpus/nodes.json", b"[]\n")];
    for before in [nothing, &[("hello.json", b"{}")], empty] {
        let folder = fresh_folder();
        let mut devices = pair(folder.path(), bucket()).await;
        before.iter().for_each(|(path, bytes)| devices[0].write(path, bytes));
        sync(&mut devices).await;
        let [here, there, both] = first();
        write(&devices[0], &there);
        write(&devices[1], &here);
        devices[0].sync().await;
        let report = devices[1].sync().await;
        assert_eq!((report.conflicts.len(), report.merged.len()), (0, 1), "{before:?}: {report:?}");
        must_have_all(&mut devices, &both).await;
    }
}

/// What was deleted on both devices is no base of what they begin anew.
#[tokio::test]
async fn memories_that_begin_anew_come_together_too() {
    let folder = fresh_folder();
    let mut devices = pair(folder.path(), bucket()).await;
    let [here, there, both] = first();
    write(&devices[0], &both);
    sync(&mut devices).await;
    for path in ["corpus/nodes.json", "vectors/nodes.npy", "indexes/nodes.index"] {
        devices[0].delete(path);
    }
    // The loss is held on either side.
    for device in [0, 0, 1, 1] {
        for hold in devices[device].sync().await.holds {
            devices[device].approve(hold.id);
        }
    }
    sync(&mut devices).await;
    assert_eq!(devices[1].read("corpus/nodes.json"), None);
    write(&devices[0], &there);
    write(&devices[1], &here);
    must_have_all(&mut devices, &both).await;
}

/// The first commits of two devices, made at the same moment.
#[tokio::test]
async fn first_commits_of_the_same_moment_lose_neither_memories_nor_lines() {
    let folder = fresh_folder();
    let [bucket, _] = bucket();
    let line = Arc::new(Sleeper::over(Arc::clone(&bucket)));
    let mut devices = pair(folder.path(), [bucket, Arc::clone(&line) as Arc<dyn Remote>]).await;
    let [here, there, both] = first();
    write(&devices[0], &there);
    write(&devices[1], &here);
    devices[0].write("day.log", "by one\n");
    devices[1].write("day.log", "by two\n");
    line.falls_asleep();
    devices[1].try_sync().await.unwrap_err();
    devices[0].sync().await;
    line.wakes_up();
    devices[1].sync().await;
    must_have_all(&mut devices, &both).await;
    let log = devices[0].text("day.log").unwrap();
    assert!(log.contains("by one\n") && log.contains("by two\n"), "{log}");
}

/// A log that a device had before it joined.
#[tokio::test]
async fn a_log_of_a_device_that_joins_has_its_lines_beside_those_that_were_there() {
    let folder = fresh_folder();
    let [one, two] = bucket();
    let mut one = Device::new(folder.path(), "one", one);
    let mut two = Device::new(folder.path(), "two", two);
    (one.merge, two.merge) = (Merge::Entries, Merge::Entries);
    one.join(false).await.unwrap();
    one.write("day.log", "by one\nmore\n");
    one.sync().await;
    two.write("day.log", "by two\n");
    two.join(true).await.unwrap();
    let mut devices = [one, two];
    sync(&mut devices).await;
    let logs = devices.each_ref().map(|device| device.text("day.log").unwrap());
    let whole = "by one\nmore\nby two\n".to_owned();
    assert_eq!(logs, [whole.clone(), whole]);
    for device in &mut devices {
        assert_eq!(device.engine().conflicts().await.unwrap(), [], "{}", device.name);
    }
}
