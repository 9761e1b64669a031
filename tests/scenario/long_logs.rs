//! A log of many commits: what a process asks of it at its start, and what a new device does.

use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::remote::Remote;
use cogzy_engine::sync::Unwatched;
use cogzy_testkit::fresh_folder;

use crate::few_requests::Recording;
use crate::support::device::Device;

/// More than the end of the log that each poll lists.
const SAVES: usize = 150;
/// The end: 64 generations, the newest, and those since the state in the cache.
const END: usize = 64 + 1 + 64;

/// Syncs as a process does that begins now, and does one sync.
async fn one_shot(device: &mut Device) {
    device.restart();
    let engine = device.engine();
    let report = engine.settled_cycle(engine.due(false), &Unwatched).await.unwrap();
    assert_eq!(report.problems, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_lists_the_end_of_the_log_and_all_of_it_once_a_day() {
    let (folder, bucket) = (fresh_folder(), Recording::slow([Duration::ZERO; 2]));
    let mut device = Device::joined(folder.path(), "one", Arc::clone(&bucket) as Arc<dyn Remote>).await;
    for number in 0..SAVES {
        device.write("traces/1.json", number.to_string());
        device.sync().await;
    }
    for _ in 0..2 {
        bucket.named();
        one_shot(&mut device).await;
        let named = bucket.named();
        assert!(named <= END, "{named} objects were listed");
    }
    device.pass(Duration::from_secs(25 * 3600));
    one_shot(&mut device).await;
    let named = bucket.named();
    assert!(named >= SAVES, "{named} of {SAVES} commits were listed after a day");
    device.jump(-3);
    one_shot(&mut device).await;
    assert!(bucket.named() >= SAVES, "no clock says how long ago that was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_lists_all_of_the_log_twice_at_most() {
    let (folder, bucket) = (fresh_folder(), Recording::slow([Duration::ZERO; 2]));
    let join = |name| Device::joined(folder.path(), name, Arc::clone(&bucket) as Arc<dyn Remote>);
    let mut one = join("one").await;
    for number in 0..SAVES {
        one.write("traces/1.json", number.to_string());
        one.sync().await;
    }
    bucket.named();
    let mut new = join("new").await;
    one_shot(&mut new).await;
    assert_eq!(new.files(), one.files());
    let named = bucket.named();
    assert!(named < 2 * SAVES + END, "{named} objects were listed, of {SAVES} commits and few others");
}
