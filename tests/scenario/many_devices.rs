//! Many devices that commit at the same moment, again and again: one history, nothing lost, and a
//! cost that each can bear. Their requests take some time each, so that each sees other commits
//! than the next.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::remote::Remote;
use cogzy_testkit::fresh_folder;
use futures_util::future::join_all;

use crate::few_requests::Recording;
use crate::support::device::Device;

const ROUNDS: usize = 10;

/// Requests of each device, and what is in the bucket afterwards. In each round, all devices save a
/// file of their own and sync.
struct Outcome {
    requests: usize,
    commits: usize,
    devices: Vec<Device>,
}

async fn saved_at_once(folder: &Path, count: usize) -> Outcome {
    let bucket = Recording::slow([20, 60].map(Duration::from_millis));
    let mut devices = Vec::new();
    for number in 0..count {
        let name = format!("{count}-{number}");
        let mut device = Device::joined(folder, &name, Arc::clone(&bucket) as Arc<dyn Remote>).await;
        device.sync().await;
        devices.push(device);
    }
    bucket.take();
    for round in 0..ROUNDS {
        let saves = devices.iter_mut().enumerate().map(async |(number, device)| {
            device.write(&format!("traces/{number}-{round}.json"), format!("{number} in {round}"));
            device.sync().await;
        });
        join_all(saves).await;
    }
    let requests = bucket.take().len() / count;
    for device in &mut devices {
        device.sync().await;
    }
    let commits = bucket.keys().filter(|key| key.starts_with("commits/")).count();
    Outcome { requests, commits, devices }
}

#[tokio::test(start_paused = true)]
async fn eight_devices_that_save_at_once_have_one_history_at_a_bounded_cost() {
    let folder = fresh_folder();
    let lone = saved_at_once(folder.path(), 1).await;
    let Outcome { requests, commits, mut devices } = saved_at_once(folder.path(), 8).await;
    let saves = 8 * ROUNDS;
    // Two each would be a save and its merge. It was five and more while all merged what they saw.
    assert!(commits <= 3 * saves, "{commits} commits for {saves} saves: merges crossed");
    let foreign = commits - ROUNDS;
    let most = 6 * lone.requests + foreign * 11 / 10;
    assert!(requests <= most, "{requests} requests a device, {most} at most; {} alone", lone.requests);
    let (mut first, rest) = (devices.remove(0), devices);
    first.sync().await;
    let all: BTreeSet<String> = first.files().into_keys().collect();
    assert_eq!(all.len(), saves, "every file of every device");
    for device in &rest {
        assert_eq!(device.files(), first.files(), "{} has another state", device.name);
    }
}
