//! Many devices that commit at the same moment, again and again: one history, nothing lost, and a
//! cost that each can bear. Their requests take some time each, so that each sees other commits
//! than the next.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::remote::Remote;
use cogzy_testkit::fresh_folder;
use futures_util::future::join_all;

use crate::few_requests::Recording;
use crate::support::device::Device;

/// Result of devices that save at once.
struct Outcome {
    /// Requests of a device.
    requests: usize,
    /// Commits in the bucket, merges among them.
    commits: usize,
    devices: Vec<Device>,
}

/// In each round, all devices save a file of their own and sync.
async fn saved_at_once(folder: &Path, count: usize, rounds: usize) -> Outcome {
    let bucket = Recording::slow([20, 60].map(Duration::from_millis));
    let mut devices = Vec::new();
    for number in 0..count {
        let name = format!("{count}-{number}");
        let mut device = Device::joined(folder, &name, Arc::clone(&bucket) as Arc<dyn Remote>).await;
        if devices.is_empty() {
            // A vault has no more than a few first commits.
            device.write("traces/first.json", "first");
        }
        device.sync().await;
        devices.push(device);
    }
    bucket.take();
    for round in 0..rounds {
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

/// Saves at once, and returns the requests of a device and the most that they should be: six times
/// those of a lone one, and 1.1 for each commit of another device. One history has all files.
async fn cost_of(count: usize, rounds: usize) -> (usize, usize) {
    let folder = fresh_folder();
    let lone = saved_at_once(folder.path(), 1, rounds).await;
    let Outcome { requests, commits, mut devices } = saved_at_once(folder.path(), count, rounds).await;
    let saves = count * rounds;
    // Two each would be a save and its merge. It was five and more while all merged what they saw.
    assert!(commits <= 3 * saves, "{commits} commits for {saves} saves: merges crossed");
    let (mut first, rest) = (devices.remove(0), devices);
    first.sync().await;
    assert_eq!(first.files().len(), saves + 1, "every file of every device");
    for device in &rest {
        assert_eq!(device.files(), first.files(), "{} has another state", device.name);
    }
    let most = 6 * lone.requests + (commits - rounds) * 11 / 10;
    println!("{count} devices, {saves} saves: {commits} commits, {requests} requests a device of {most}");
    (requests, most)
}

#[tokio::test(start_paused = true)]
async fn eight_devices_that_save_at_once_have_one_history_at_a_bounded_cost() {
    let (requests, most) = cost_of(8, 10).await;
    assert!(requests <= most, "{requests} requests a device, {most} at most");
}

#[tokio::test(start_paused = true)]
#[ignore = "it takes minutes: a figure for docs/ARCHITECTURE.md"]
async fn sixty_four_devices_that_save_at_once_have_one_history() {
    for count in [16, 64] {
        cost_of(count, 20).await;
    }
}
