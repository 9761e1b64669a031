//! Files of so many chunks that these are listed in chunks of their own: a list that is lost stops
//! nothing, and who has the file puts it back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::clock::Clock;
use cogzy_engine::log::create_vault;
use cogzy_engine::model::{ChunkParams, FIRST_FORMAT, Validate, VaultHeader, VaultId};
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::Unwatched;
use cogzy_testkit::fresh_folder;

use crate::support::device::{Device, ShiftedClock, groups};
use crate::support::process::noise;

/// Bytes of a file that has several lists of chunks where these are [small](cut_small).
pub const LONG: usize = 200_000;
const PATH: &str = "models/long.bin";

/// Makes a vault whose chunks are small.
pub async fn cut_small(remote: &MemoryRemote) {
    let header = VaultHeader {
        format: FIRST_FORMAT,
        vault: VaultId::from_bytes([3; 16]),
        chunking: ChunkParams { min: 256, avg: 512, max: 1024 },
        groups: groups(Validate::Off),
        needs: vec![],
        ext: None,
    };
    create_vault(remote, &header).await.unwrap();
}

/// A device with a long file, and the bucket after its pack was lost.
async fn world(folder: &Path, is_gone: bool) -> (MemoryRemote, Device, String) {
    let clock = ShiftedClock::now();
    let bucket = MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    cut_small(&bucket).await;
    let mut one = Device::joined(folder, "one", Arc::new(bucket.clone())).await;
    one.write("notes/short.txt", "of one chunk");
    one.sync().await;
    let before = bucket.dump();
    one.write(PATH, noise("long", LONG));
    one.sync().await;
    let packs: Vec<String> = bucket
        .dump()
        .into_keys()
        .filter(|key| key.starts_with("packs/") && !before.contains_key(key))
        .collect();
    let [pack] = packs.as_slice() else { panic!("one pack was sent: {packs:?}") };
    if is_gone {
        bucket.remove(pack);
    } else {
        let length = bucket.dump()[pack].len();
        bucket.damage(pack, Bytes::from(vec![0; length]));
    }
    // By now it does not come late.
    clock.pass(Duration::from_secs(2 * 3600));
    (bucket, one, pack.clone())
}

async fn new_device(folder: &Path, bucket: &MemoryRemote) -> Device {
    let mut new = Device::joined(folder, "new", Arc::new(bucket.clone()) as Arc<dyn Remote>).await;
    new.sync().await;
    new
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_list_is_named_and_put_back_from_the_file() {
    for is_gone in [true, false] {
        let folder = fresh_folder();
        let (bucket, mut one, pack) = world(folder.path(), is_gone).await;
        for deep in [false, true] {
            let verified = one.engine().verify(deep, &Unwatched).await.unwrap();
            assert!(verified.faults.iter().any(|fault| fault.path == PATH), "{verified:?}");
            let is_named = verified.faults.iter().any(|fault| fault.path == pack);
            assert_eq!(is_named, is_gone || deep, "{verified:?}");
        }
        // This store takes no other bytes for a key that it has.
        if !is_gone {
            bucket.remove(&pack);
        }
        let (verified, repaired) = one.engine().repair(&Unwatched).await.unwrap();
        assert!(verified.faults.is_empty() && verified.lost.is_empty(), "{verified:?}");
        assert_eq!(repaired.objects, [pack], "{repaired:?}");
        let new = new_device(folder.path(), &bucket).await;
        assert_eq!(new.files(), one.files());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_no_device_has_is_given_up() {
    for is_gone in [true, false] {
        let folder = fresh_folder();
        let (_, mut one, _) = world(folder.path(), is_gone).await;
        one.delete(PATH);
        let found = one.engine().verify(true, &Unwatched).await.unwrap();
        let lost: Vec<&str> = found.lost.iter().map(|lost| lost.path.as_str()).collect();
        assert_eq!(lost, [PATH], "{found:?}");
        one.sync().await;
        let (_, repaired) = one.engine().repair(&Unwatched).await.unwrap();
        one.engine().give_up(&repaired.lost, &Unwatched).await.unwrap();
        let after = one.engine().verify(true, &Unwatched).await.unwrap();
        assert!(after.faults.is_empty() && after.lost.is_empty(), "{after:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_list_is_lost_is_sent_again_under_its_new_name() {
    for is_gone in [true, false] {
        let folder = fresh_folder();
        let (bucket, mut one, _) = world(folder.path(), is_gone).await;
        std::fs::rename(one.root.join(PATH), one.root.join("models/moved.bin")).unwrap();
        one.write("notes/other.txt", "that waits for nothing");
        let report = one.sync().await;
        assert_eq!(report.problems.len(), 0, "{report:?}");
        let new = new_device(folder.path(), &bucket).await;
        assert_eq!(new.files(), one.files());
        assert_eq!(new.read("models/moved.bin"), Some(noise("long", LONG)));
    }
}
