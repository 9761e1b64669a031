//! Every loss of one object, one at a time, in a vault with a past: what can be read is read, what
//! is lost is named, a new device joins, and the saves of an old one go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::clock::Clock;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Retention, Unwatched, Verified};
use cogzy_testkit::{amount, fresh_folder};
use tempfile::TempDir;

use crate::lost_lists::{LONG, cut_small};
use crate::support::device::{Device, ShiftedClock};
use crate::support::process::noise;

const HOUR: Duration = Duration::from_secs(3600);
/// Enough for a checkpoint.
const TURNS: usize = 36;

/// A vault with history, a checkpoint, an open conflict and a prune; a device that has its newest
/// state.
struct Past {
    folder: TempDir,
    objects: BTreeMap<String, Bytes>,
    clock: Arc<ShiftedClock>,
}

fn remote_of(bucket: &MemoryRemote) -> Arc<dyn Remote> {
    Arc::new(bucket.clone())
}

impl Past {
    /// `long`: with a file of so many chunks that there are lists of them.
    async fn new(long: bool) -> Self {
        let folder = fresh_folder();
        let clock = ShiftedClock::now();
        let bucket = MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        cut_small(&bucket).await;
        let mut one = Device::joined(folder.path(), "one", remote_of(&bucket)).await;
        one.retention = Retention { generations: 20, age: Duration::ZERO, grace: HOUR };
        one.restart();
        let mut two = Device::joined(folder.path(), "two", remote_of(&bucket)).await;
        for turn in 0..TURNS {
            one.write("notes/changing.txt", format!("turn {turn}"));
            one.write(&format!("traces/{}.json", turn % 5), format!("[\"what was said in turn {turn}\"]"));
            if long && turn % 12 == 0 {
                // Of the later versions, some lists are those of the first.
                let long = [noise(&format!("turn {turn}"), 1000), noise("long", LONG)].concat();
                one.write("models/long.bin", long);
            }
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

    /// Number of objects of a kind.
    fn count(&self, kind: &str) -> usize {
        self.objects.keys().filter(|key| key.starts_with(kind)).count()
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

/// True if `verify` tells of the loss of this object.
fn is_named(verified: &Verified, lost: &str) -> bool {
    verified.faults.iter().any(|fault| fault.path == lost || fault.message.contains(lost))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lost_object_is_named_and_stops_neither_old_devices_nor_new_ones() {
    let past = Past::new(true).await;
    let newest = past.objects.keys().rfind(|key| key.starts_with("commits/")).cloned();
    // Early commits are all alike.
    let early = |key: &&String| key.starts_with("commits/") && key.as_str() < "commits/0000000000000030";
    let skipped: BTreeSet<&String> = past
        .objects
        .keys()
        .filter(early)
        .enumerate()
        .filter(|(at, _)| at % amount(10, 1) > 0)
        .map(|(_, key)| key)
        .collect();
    for key in past.objects.keys().filter(|key| !skipped.contains(key)) {
        let folder = fresh_folder();
        let (bucket, mut old) = past.without(key, folder.path()).await;
        if Some(key) == newest.as_ref() {
            // This looks like a bucket that somebody has set back, so a person is asked.
            let error = old.engine().verify(true, &Unwatched).await.unwrap_err();
            assert!(error.to_string().contains(key.strip_prefix("commits/").unwrap()), "{error}");
            old.engine().repair(&Unwatched).await.unwrap();
        } else {
            // Nothing says that a checkpoint was there, or what a device has said of itself.
            let unnamed = key.starts_with("checkpoints/") || key.starts_with("devices/");
            let verified = old.verify().await;
            assert_eq!(is_named(&verified, key), !unnamed, "{key}: {verified:?}");
        }
        old.write("notes/later.txt", "saved after the loss");
        let saved = old.sync().await;
        assert_eq!((saved.pushed, saved.problems.len()), (1, 0), "{key}: {saved:?}");
        if key.starts_with("vault-") {
            old.engine().prune(false, &Unwatched).await.unwrap();
        }

        let mut new = Device::joined(folder.path(), "new", remote_of(&bucket)).await;
        let synced = new.sync().await;
        let (there, expected) = (new.files(), old.files());
        for (path, digest) in &there {
            assert_eq!(expected.get(path), Some(digest), "{key}: {path}");
        }
        let left_out = expected.keys().filter(|path| !there.contains_key(*path)).count();
        assert_eq!(left_out, synced.problems.len(), "{key}: {synced:?}");
        assert!(left_out == 0 || key.starts_with("packs/"), "{key}: {synced:?}");
        new.write("notes/new.txt", "saved by a new device");
        assert_eq!(new.sync().await.pushed, 1, "{key}");
        old.sync().await;
        assert_eq!(old.text("notes/new.txt").as_deref(), Some("saved by a new device"), "{key}");

        // The old device has what stands, and what it does not have is given up.
        let (_, repaired) = old.engine().repair(&Unwatched).await.unwrap();
        let (verified, _) = old.engine().give_up(&repaired.lost, &Unwatched).await.unwrap();
        assert!(verified.faults.is_empty() && verified.lost.is_empty(), "{key}: {verified:?}");
        new.sync().await;
        assert_eq!(new.files(), old.files(), "{key}");
        let pruned = new.engine().prune(false, &Unwatched).await.unwrap();
        assert_eq!((pruned.damaged, pruned.stopped), (0, false), "{key}: {pruned:?}");
    }
}

/// No device has the lost commit: the one that is left began at a later checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_commit_that_no_device_has_is_named_and_stops_nothing_but_prunes_while_it_is_young() {
    let past = Past::new(false).await;
    let checkpoint = past.objects.keys().rfind(|key| key.starts_with("checkpoints/")).unwrap();
    let begin = format!("commits/{}", &checkpoint["checkpoints/".len()..][..16]);
    let early = past.objects.keys().filter(|key| key.starts_with("commits/") && **key < begin);
    for key in early.step_by(amount(6, 1)) {
        let folder = fresh_folder();
        let (bucket, _) = past.without(key, folder.path()).await;
        let mut new = Device::joined(folder.path(), "new", remote_of(&bucket)).await;
        assert_eq!(new.sync().await.problems.len(), 0, "{key}");
        for deep in [false, true] {
            let verified = new.engine().verify(deep, &Unwatched).await.unwrap();
            assert!(is_named(&verified, key), "{key}, deep: {deep}: {verified:?}");
            assert!(verified.lost.is_empty(), "{key}: {verified:?}");
        }
        let (_, repaired) = new.engine().repair(&Unwatched).await.unwrap();
        assert!(repaired.objects.is_empty() && repaired.lost.is_empty(), "{key}: {repaired:?}");
        let told = new.engine().past().await.unwrap();
        assert_eq!(told.len(), past.count("commits/") - 1, "{key}");

        let packs = bucket.dump().len();
        let pruned = new.engine().prune(false, &Unwatched).await.unwrap();
        assert!(pruned.stopped && pruned.untold.is_some_and(|why| why.contains(key)), "{key}");
        assert_eq!(bucket.dump().len(), packs, "{key}: something was deleted");

        // Once it is older than what is kept, prunes go on.
        for turn in 0..TURNS {
            new.write("notes/new.txt", format!("turn {turn} of a new device"));
            assert_eq!(new.sync().await.pushed, 1, "{key}");
        }
        new.retention = Retention { generations: 5, age: Duration::ZERO, grace: HOUR };
        new.restart();
        let mut freed = 0;
        for _ in 0..3 {
            past.clock.pass(31 * 24 * HOUR);
            new.sync().await;
            let pruned = new.engine().prune(false, &Unwatched).await.unwrap();
            assert_eq!((pruned.stopped, pruned.untold), (false, None), "{key}");
            freed += pruned.freed.objects;
        }
        assert!(freed > 0, "{key}: the prunes have freed nothing");
        let mut last = Device::joined(folder.path(), "last", remote_of(&bucket)).await;
        assert_eq!(last.sync().await.problems.len(), 0, "{key}");
        assert_eq!(last.files(), new.files(), "{key}");
    }
}
