//! Prunes of a bucket with Object Lock: what is locked stays, and keeps nothing else from going.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cogzy_engine::remote::{Remote, RemoteError, RemoteErrorKind};
use cogzy_engine::sync::{PruneRun, Retention, SyncError, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::prune::{Bucket, DAY, assert_sound, edits};
use crate::support::around::{Around, Through};
use crate::support::device::Device;

/// More packs than are deleted at once.
const ORPHANS: usize = 1000;

/// A bucket that refuses to delete what begins with one of these.
#[derive(Debug)]
struct Locked {
    bucket: Arc<dyn Remote>,
    locked: Mutex<BTreeSet<String>>,
}

impl Locked {
    fn of(bucket: &Bucket) -> Arc<Through<Self>> {
        Arc::new(Through(Self { bucket: Arc::new(bucket.remote.clone()), locked: Mutex::default() }))
    }

    fn lock(&self, beginning: &str) {
        self.locked.lock().unwrap().insert(beginning.to_owned());
    }

    fn unlock(&self) {
        self.locked.lock().unwrap().clear();
    }
}

#[async_trait]
impl Around for Locked {
    fn bucket(&self) -> &dyn Remote {
        &*self.bucket
    }
    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        if self.locked.lock().unwrap().iter().any(|beginning| key.starts_with(beginning.as_str())) {
            return Err(RemoteError::new(RemoteErrorKind::Forbidden, "delete", key));
        }
        self.bucket.delete(key).await
    }
}

async fn device(folder: &Path, bucket: &Arc<Through<Locked>>) -> Device {
    let mut device = Device::joined(folder, "one", Arc::clone(bucket) as Arc<dyn Remote>).await;
    device.retention = Retention { generations: 1, age: DAY, grace: 7 * DAY };
    device.restart();
    device
}

fn count(bucket: &Bucket, prefix: &str) -> usize {
    bucket.remote.dump().keys().filter(|key| key.starts_with(prefix)).count()
}

/// Prunes a while later, and returns what it was refused.
async fn refused(device: &mut Device) -> RemoteError {
    device.pass(Duration::from_secs(10));
    let error = device.engine().prune(false, &Unwatched).await.unwrap_err();
    assert!(error.is_denied(), "{error}");
    match error {
        SyncError::Log(cogzy_engine::log::LogError::Remote(error)) => error,
        error => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_checkpoint_keeps_no_pack_from_going() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let locked = Locked::of(&bucket);
    let mut one = device(folder.path(), &locked).await;
    edits(&mut one, "traces/a.json", &["a1", "a2", "a3"]).await;
    for number in 0..130 {
        one.write("traces/many.json", format!("save {number}"));
        one.sync_at_once().await;
    }
    let checkpoints = count(&bucket, "checkpoints/");
    assert!(checkpoints > 3, "{checkpoints}");
    bucket.pass(8 * DAY);
    locked.lock("checkpoints/");
    assert!(refused(&mut one).await.key.starts_with("checkpoints/"), "the mark is made, and it is told");
    let before = bucket.packs().len();
    bucket.pass(8 * DAY);
    assert!(refused(&mut one).await.key.starts_with("checkpoints/"));
    assert!(bucket.packs().len() < before, "packs that are not locked go");
    assert_eq!(count(&bucket, "checkpoints/"), checkpoints);
    locked.unlock();
    crate::prune::prune(&mut one).await;
    assert!(count(&bucket, "checkpoints/") < checkpoints, "once the lock is over, they go");
    assert_sound(&mut one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_cannot_be_taken_back_yet_keeps_no_pack_from_going() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let locked = Locked::of(&bucket);
    let mut one = device(folder.path(), &locked).await;
    edits(&mut one, "traces/a.json", &["a1", "a2", "a3"]).await;
    one.retention.generations = 2;
    one.restart();
    edits(&mut one, "traces/a.json", &["a4", "a5", "a6"]).await;
    locked.lock("devices/");
    let before = bucket.packs().len();
    for _ in 0..2 {
        bucket.pass(8 * DAY);
        assert!(refused(&mut one).await.key.starts_with("devices/"));
    }
    assert!(bucket.packs().len() < before, "{before}");
    assert_sound(&mut one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_that_are_locked_stop_no_piece_after_theirs() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let locked = Locked::of(&bucket);
    let mut one = device(folder.path(), &locked).await;
    edits(&mut one, "traces/a.json", &["a1"]).await;
    for number in 0..ORPHANS {
        let key = format!("packs/{:02x}/{:02x}{number:030x}", number % 256, number % 256);
        locked.put(&key, Bytes::from_static(b"of an upload that was cut off")).await.unwrap();
    }
    bucket.pass(8 * DAY);
    assert!(crate::prune::prune(&mut one).await.marked.objects >= ORPHANS);
    bucket.pass(8 * DAY);
    locked.lock("packs/00/");
    let mut run = PruneRun::in_pieces(Duration::ZERO);
    let mut pieces = 1;
    let error = loop {
        one.pass(Duration::from_secs(10));
        match one.engine().prune_piece(&mut run, &Unwatched).await {
            Ok(true) => pieces += 1,
            Ok(false) => panic!("it is told that something stays"),
            Err(error) => break error,
        }
        assert!(pieces < 5, "each pack is tried once");
    };
    assert!(error.is_denied() && pieces > 1, "{error}");
    let left = bucket.packs();
    assert!(left.len() < 20, "all that are not locked have gone: {}", left.len());
    assert!(left.iter().any(|key| key.starts_with("packs/00/")));
    assert_sound(&mut one).await;
}
