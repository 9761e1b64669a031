//! Two devices that edit, decide conflicts and go back to the past, in an order drawn from a seed:
//! they always come to be equal, a restored state is the one that was asked for, and every version
//! stays readable.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::model::{Digest, Keep};
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Point, Refusal, SyncError, Target, Unwatched};
use cogzy_testkit::rng::Rng;
use cogzy_testkit::{amount, fresh_folder};

use crate::support::device::{Device, synced_files};
use crate::support::process::noise;

const MOVES: usize = 25;
const PATHS: [&str; 7] = [
    "corpus/nodes.json",
    "vectors/nodes.npy",
    "indexes/faiss.index",
    "traces/a.json",
    "traces/b.json",
    "traces/c/d.json",
    "traces/e.json",
];

/// Lets both sync and say yes to whatever is held, until nothing moves.
async fn settle(devices: &mut [Device; 2], what: &str) {
    for _ in 0..8 {
        let mut moved = false;
        for device in devices.iter_mut() {
            let report = device.sync().await;
            moved |= report.moved() || !report.holds.is_empty();
            for hold in report.holds {
                device.approve(hold.id);
            }
        }
        if !moved {
            assert_eq!(devices[0].files(), devices[1].files(), "{what}: they rest, and are not equal");
            return;
        }
    }
    panic!("{what}: they do not come to rest");
}

/// A state as it is written out.
async fn state(device: &mut Device, point: &Point, folder: &Path) -> BTreeMap<String, Digest> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    device.engine().export(point, &[], &Target::empty(folder), &Unwatched).await.unwrap();
    synced_files(folder)
}

/// True for a reason for which a move may be refused.
fn fair(refused: &SyncError) -> bool {
    matches!(
        refused,
        SyncError::Refused(Refusal::BuiltUpon { .. } | Refusal::Decided { .. } | Refusal::NoConflict(_))
    )
}

async fn one_move(devices: &mut [Device; 2], draw: &mut Rng, number: usize, folder: &Path) -> String {
    let device = &mut devices[draw.below(2)];
    let name = device.name.clone();
    device.pass(Duration::from_secs(10));
    match draw.below(9) {
        0..=3 => {
            let path = PATHS[draw.below(PATHS.len())];
            if draw.below(5) == 0 && path.starts_with("traces") && device.read(path).is_some() {
                device.delete(path);
                return format!("{name} deletes {path}");
            }
            // Few enough that both come to the same now and then, and long enough for a recipe.
            let content = noise(&format!("content {}", draw.below(4)), 300_000);
            device.write(path, content);
            format!("{name} writes {path}")
        }
        4 => {
            device.sync().await;
            format!("{name} syncs")
        }
        5 => {
            let newest = device.sync().await.generation;
            if newest == 0 {
                return "nothing to go back to".to_owned();
            }
            let back = Point::Generation((1 + draw.below(newest as usize)).to_string().parse().unwrap());
            let done = device.engine().restore(&back, &[], true, &Unwatched).await.unwrap();
            let wanted = state(device, &back, &folder.join("wanted")).await;
            let found = match done.generation {
                Some(generation) => Point::Generation(generation.to_string().parse().unwrap()),
                None => Point::Newest,
            };
            let found = state(device, &found, &folder.join("found")).await;
            assert_eq!(found, wanted, "move {number}: {name} restored {back:?}");
            format!("{name} restores {back:?}")
        }
        6 => {
            let newest = device.sync().await.generation;
            if newest == 0 {
                return "nothing to take back".to_owned();
            }
            let of = Point::Generation((1 + draw.below(newest as usize)).to_string().parse().unwrap());
            let force = draw.below(2) == 0;
            match device.engine().undo(&of, force, true, &Unwatched).await {
                Ok(_) => {}
                Err(refused) => assert!(fair(&refused) && !force, "move {number}: {refused}"),
            }
            format!("{name} takes back {of:?}, force {force}")
        }
        7 => {
            let listed = device.engine().conflicts().await.unwrap();
            if listed.is_empty() {
                return "no conflict to decide".to_owned();
            }
            let id = listed[draw.below(listed.len())].conflict.id;
            let keep = [Keep::Mine, Keep::Remote, Keep::Both][draw.below(3)];
            if let Err(refused) = device.engine().resolve(id, keep, true, &Unwatched).await {
                assert!(fair(&refused), "move {number}: {refused}");
            }
            format!("{name} decides {id}: {keep:?}")
        }
        _ => {
            match device.engine().reset(false, &Unwatched).await {
                Ok(done) => assert!(done.left.is_empty(), "move {number}: {done:?}"),
                Err(error) => {
                    let empty = matches!(error, SyncError::Refused(Refusal::Empty));
                    assert!(empty, "move {number}: {error}");
                }
            }
            format!("{name} resets")
        }
    }
}

#[tokio::test]
async fn whatever_is_decided_or_taken_back_devices_come_to_be_equal() {
    for seed in 0..amount(4, 12) {
        let folder = fresh_folder();
        let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
        let one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
        let two = Device::joined(folder.path(), "two", remote).await;
        let mut devices = [one, two];
        let mut draw = Rng::stream(seed, "moves");
        let mut told = Vec::new();
        for number in 0..MOVES {
            told.push(one_move(&mut devices, &mut draw, number, folder.path()).await);
            if draw.below(4) == 0 {
                settle(&mut devices, &format!("seed {seed}: {told:#?}")).await;
            }
        }
        settle(&mut devices, &format!("seed {seed}: {told:#?}")).await;
        let verified = devices[0].verify().await;
        assert!(verified.faults.is_empty(), "seed {seed}: {verified:?} {told:#?}");
        let line = devices[1].engine().past().await.unwrap();
        for past in line.iter().filter(|past| past.on_line) {
            let point = Point::Generation(past.key.seq.to_string().parse().unwrap());
            state(&mut devices[1], &point, &folder.path().join("every")).await;
        }
    }
}
