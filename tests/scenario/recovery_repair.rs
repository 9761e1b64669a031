//! Damage on either side, put right from the other, with the real engine over a bucket in a folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cogzy_engine::clock::SystemEntropy;
use cogzy_engine::remote::FolderRemote;
use cogzy_engine::sync::{Lost, Repaired, Unwatched, Verified};
use cogzy_testkit::fresh_folder;

use crate::support::device::Device;
use crate::support::process::noise;

/// A vault with three generations of a group and some traces; the bucket's folder.
async fn synced(folder: &Path) -> (Device, PathBuf) {
    let bucket = folder.join("bucket");
    let remote = FolderRemote::create(&bucket, Arc::new(SystemEntropy)).await.unwrap();
    let mut one = Device::joined(folder, "one", Arc::new(remote)).await;
    for version in ["first", "second", "third"] {
        one.write("corpus/nodes.json", noise(&format!("corpus {version}"), 400_000));
        one.write("vectors/nodes.npy", noise(version, 1 << 20));
        one.write(&format!("traces/{version}.json"), noise(version, 3000));
        one.sync().await;
    }
    (one, bucket)
}

fn objects(bucket: &Path, below: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![bucket.join(below)];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    found
}

fn flip(path: &Path, at: f64) {
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.len() - 1;
    bytes[(last as f64 * at) as usize] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

async fn repair(device: &mut Device) -> (Verified, Repaired) {
    device.pass(std::time::Duration::from_secs(10));
    device.engine().repair(&Unwatched).await.unwrap()
}

#[tokio::test]
async fn what_a_file_held_comes_back_from_the_bucket() {
    let folder = fresh_folder();
    let (mut one, _) = synced(folder.path()).await;
    let good = one.files();
    // Like damage by a disk: the times stay, ctime too. Only the cache can tell it from an edit.
    let path = one.root.join("vectors/nodes.npy");
    one.damage_unnoticed("vectors/nodes.npy", &noise("damage", 1 << 20));
    assert_ne!(one.files(), good);
    let (verified, repaired) = repair(&mut one).await;
    assert_eq!(repaired.files, ["vectors/nodes.npy"]);
    assert!(verified.faults.is_empty() && path.exists(), "{verified:?}");
    assert_eq!(one.files(), good);
    let quiet = one.sync().await;
    assert!(!quiet.moved(), "{quiet:?}");
}

#[tokio::test]
async fn objects_of_the_bucket_come_back_byte_for_byte() {
    let folder = fresh_folder();
    let (mut one, bucket) = synced(folder.path()).await;
    // Files here hold the newest generation; the chunks of the older ones are nowhere else.
    let newest: BTreeSet<PathBuf> = objects(&bucket, "packs");
    one.write("corpus/episodes.json", noise("episodes", 400_000));
    one.sync().await;
    let packs: Vec<PathBuf> = objects(&bucket, "packs").difference(&newest).cloned().collect();
    let commits = objects(&bucket, "commits");
    let mut damaged: Vec<PathBuf> = packs.clone();
    damaged.extend(commits.iter().take(2).cloned());
    let before: Vec<Vec<u8>> = damaged.iter().map(|path| std::fs::read(path).unwrap()).collect();
    flip(&damaged[0], 0.3);
    flip(&damaged[1], 0.9);
    std::fs::remove_file(&damaged[2]).unwrap();
    let (verified, repaired) = repair(&mut one).await;
    assert_eq!(repaired.objects.len(), 3, "{repaired:?}");
    assert!(verified.faults.is_empty(), "{verified:?}");
    let after: Vec<Vec<u8>> = damaged.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(before == after, "an object was written with other bytes");
    // A whole pack.
    std::fs::remove_file(&packs[0]).unwrap();
    let (verified, _) = repair(&mut one).await;
    assert!(verified.faults.is_empty(), "{verified:?}");
}

#[tokio::test]
async fn a_damaged_checkpoint_goes_and_the_commits_say_the_same() {
    let folder = fresh_folder();
    let (mut one, bucket) = synced(folder.path()).await;
    for version in 0..40 {
        one.write("traces/last.json", noise(&format!("{version}"), 300));
        one.sync().await;
    }
    let [checkpoint] = &objects(&bucket, "checkpoints").into_iter().collect::<Vec<_>>()[..] else { panic!() };
    let commit = objects(&bucket, "commits").pop_first().unwrap();
    flip(checkpoint, 0.5);
    flip(&commit, 0.5);
    let (verified, repaired) = repair(&mut one).await;
    assert_eq!((repaired.objects.len(), repaired.dropped.len()), (1, 1), "{repaired:?}");
    assert!(verified.faults.is_empty() && !checkpoint.exists(), "{verified:?}");
    let remote = FolderRemote::create(&bucket, Arc::new(SystemEntropy)).await.unwrap();
    let mut two = Device::joined(folder.path(), "two", Arc::new(remote)).await;
    two.sync().await;
    assert_eq!(two.files(), one.files());
}

#[tokio::test]
async fn what_nobody_has_is_named_by_file_and_generation() {
    let folder = fresh_folder();
    let (mut one, bucket) = synced(folder.path()).await;
    // A pack of the first generation: the trace is still here, the corpus and the vectors of that
    // time are not. How much lies in one pack depends on how quick the disk was.
    let first =
        objects(&bucket, "packs").into_iter().min_by_key(|path| path.metadata().unwrap().modified().unwrap());
    std::fs::remove_file(first.unwrap()).unwrap();
    let (verified, repaired) = repair(&mut one).await;
    assert_eq!(verified.faults.len(), 1, "{verified:?}");
    let lost = |path: &str, to| Lost { path: path.into(), from: 1, to, readable: None };
    let all = [lost("corpus/nodes.json", 1), lost("vectors/nodes.npy", 1)];
    assert!(!repaired.lost.is_empty() && repaired.lost.iter().all(|lost| all.contains(lost)), "{repaired:?}");
    // The pack is put together in part where it also held the trace, which is still here.
    assert!(repaired.objects.is_empty() && repaired.partly.len() <= 1, "{repaired:?}");
    assert!(one.sync().await.holds.is_empty(), "what is here is not touched");
    // Present versions are all in the bucket again, and a second repair has nothing to add. A pack
    // of which nothing is left counts as lost after an hour: until then it may be on its way.
    for object in objects(&bucket, "commits") {
        let written = object.metadata().unwrap().modified().unwrap();
        let file = std::fs::File::options().write(true).open(object).unwrap();
        file.set_modified(written - std::time::Duration::from_secs(2 * 3600)).unwrap();
    }
    let remote = FolderRemote::create(&bucket, Arc::new(SystemEntropy)).await.unwrap();
    let mut two = Device::joined(folder.path(), "two", Arc::new(remote)).await;
    two.sync().await;
    assert_eq!(two.files(), one.files());
    let (_, again) = repair(&mut one).await;
    assert_eq!((again.objects.len(), again.partly.len()), (0, 0), "{again:?}");
    // A device that still has the bytes, under any name, puts it right.
    one.write("kept/corpus", noise("corpus first", 400_000));
    one.write("kept/vectors", noise("first", 1 << 20));
    let (verified, repaired) = repair(&mut one).await;
    assert!(verified.faults.is_empty() && repaired.lost.is_empty(), "{verified:?} {repaired:?}");
}
