//! Every loss of one object, one at a time, in a vault with a past: what can be read is read, what
//! is lost is named, a new device joins, and the saves of an old one go on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::clock::Clock;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Retention, SyncError, Unwatched, Verified};

use crate::support::device::{Device, ShiftedClock};

const HOUR: Duration = Duration::from_secs(3600);
/// Enough for a checkpoint.
const TURNS: usize = 36;

/// A vault with history, a checkpoint, an open conflict and a prune; a device that has its newest
/// state.
struct Past {
    folder: tempfile::TempDir,
    objects: BTreeMap<String, Bytes>,
    clock: Arc<ShiftedClock>,
}

fn remote_of(bucket: &MemoryRemote) -> Arc<dyn Remote> {
    Arc::new(bucket.clone())
}

impl Past {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ShiftedClock::now();
        let bucket = MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let mut one = Device::joined(folder.path(), "one", remote_of(&bucket)).await;
        one.retention = Retention { generations: 20, age: Duration::ZERO, grace: HOUR };
        one.restart();
        let mut two = Device::joined(folder.path(), "two", remote_of(&bucket)).await;
        for turn in 0..TURNS {
            one.write("notes/changing.txt", format!("turn {turn}"));
            one.write(&format!("traces/{}.json", turn % 5), format!("[\"what was said in turn {turn}\"]"));
            if turn == TURNS - 3 {
                two.sync().await;
                one.write("notes/both.txt", "as device one has it");
                two.write("notes/both.txt", "as device two has it");
            }
            one.sync().await;
            clock.pass(HOUR);
        }
        assert_eq!(two.sync().await.conflicts.len(), 1);
        for _ in 0..3 {
            one.sync().await;
            one.engine().prune(false, &Unwatched).await.unwrap();
            clock.pass(2 * HOUR);
        }
        one.sync().await;
        let objects = bucket.dump();
        for kind in ["commits/", "packs/", "checkpoints/", "devices/", "vault-"] {
            assert!(objects.keys().any(|key| key.starts_with(kind)), "{kind}");
        }
        one.restart();
        Self { folder, objects, clock }
    }

    /// The bucket without one object, and the old device before it.
    async fn without(&self, lost: &str, folder: &Path) -> (MemoryRemote, Device) {
        let bucket = MemoryRemote::with_clock(Arc::clone(&self.clock) as Arc<dyn Clock>);
        for (key, body) in self.objects.iter().filter(|(key, _)| *key != lost) {
            bucket.put(key, body.clone()).await.unwrap();
        }
        self.clock.pass(2 * HOUR);
        copy(&self.folder.path().join("one"), &folder.join("one"));
        let old = Device::new(folder, "one", remote_of(&bucket));
        old.pass(30 * HOUR * 24);
        (bucket, old)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explore() {
    let past = Past::new().await;
    for key in past.objects.keys() {
        let folder = tempfile::tempdir().unwrap();
        let (bucket, mut old) = past.without(key, folder.path()).await;
        let verified = old.engine().verify(true, &Unwatched).await;
        let mut new = Device::new(folder.path(), "new", remote_of(&bucket));
        let joined = new.join(false).await;
        let synced = new.try_sync().await;
        let files = new.files().len();
        old.write("notes/later.txt", "saved after the loss");
        let saved = old.try_sync().await;
        let again = new.try_sync().await;
        println!(
            "{key}\n    old verify: {:?}\n    new: join {:?} sync {:?} {files} files\n    save: {:?}\n    then: {:?} {}",
            verified.map(|v| (v.faults, v.lost, v.given_up)),
            joined.map(|j| format!("{j:?}")).map_err(|e| e.to_string()),
            synced.map(|r| (r.generation, r.problems.len())).map_err(|e| e.to_string()),
            saved.map(|r| (r.pushed, r.problems.len())).map_err(|e| e.to_string()),
            again.map(|r| (r.generation, r.problems.len())).map_err(|e| e.to_string()),
            new.files() == old.files(),
        );
    }
}
