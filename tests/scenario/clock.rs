//! A device whose clock is wrong.

use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::fs::RealFs;
use cogzy_engine::remote::MemoryRemote;
use cogzy_engine::state::LastSync;
use cogzy_testkit::fresh_folder;

use crate::support::device::Device;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn noted(device: &Device) -> Duration {
    let record = LastSync::load(&RealFs, &device.root.join("sync/last_sync.json")).unwrap().unwrap();
    Duration::from_millis(record.txn.unwrap().wall_ms)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_far_ahead_of_the_servers_leaves_no_mark_in_the_history() {
    let folder = fresh_folder();
    let mut device = Device::joined(folder.path(), "one", Arc::new(MemoryRemote::default())).await;
    let now = || Duration::from_millis(SystemClock::new().now_ms());
    device.write("traces/a.json", "1");
    device.sync().await;
    let first = noted(&device);
    device.pass(40 * DAY);
    device.write("traces/a.json", "2");
    device.touch("traces/a.json");
    device.sync().await;
    let second = noted(&device);
    assert!(second > first, "the transaction id ran backwards");
    assert!(second < now() + DAY, "the device's clock was believed");

    // Nor does one that only deletes, and so puts nothing that would tell the time.
    device.write("traces/b.json", "stays");
    device.sync().await;
    device.delete("traces/a.json");
    device.sync().await;
    assert!(noted(&device) < now() + DAY, "the device's clock was believed for a deletion");
    let second = noted(&device);

    // A day more or less does not matter.
    device.pass(12 * 3600 * Duration::from_secs(1));
    device.write("traces/a.json", "3");
    device.sync().await;
    assert!(noted(&device) > second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_a_clock_ahead_has_noted_is_due_once_the_clock_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let mut device = Device::joined(folder.path(), "one", Arc::new(MemoryRemote::default())).await;
    device.engine().note_prune(true);
    assert!(!device.engine().prune_is_due());
    device.jump(60);
    device.engine().note_prune(true);
    device.jump(-60);
    assert!(device.engine().prune_is_due());
}
