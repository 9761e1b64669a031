//! One object of the bucket is lost: everything else is read, the lost part is named, new devices
//! join, and saves go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::clock::Clock;
use cogzy_engine::model::Digest;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Refusal, Repaired, SyncError, Unwatched, Verified};

use crate::support::device::{Device, ShiftedClock};

const TURNS: usize = 4;

/// A vault with some history: files that came, changed and went, each turn in a pack of its own.
struct History {
    bucket: MemoryRemote,
    clock: Arc<ShiftedClock>,
    one: Device,
    /// The packs, the oldest first.
    packs: Vec<String>,
}

impl History {
    async fn new(folder: &Path) -> Self {
        let clock = ShiftedClock::now();
        let bucket = MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let mut one = Device::joined(folder, "one", Arc::new(bucket.clone()) as Arc<dyn Remote>).await;
        one.enclose_nothing();
        let mut packs = Vec::new();
        for turn in 0..TURNS {
            one.write("notes/changing.txt", format!("turn {turn} of {}", "many ".repeat(turn)));
            one.write(&format!("notes/{turn}.txt"), format!("what was said in turn {turn}"));
            if turn > 1 {
                one.delete(&format!("notes/{}.txt", turn - 1));
            }
            one.sync().await;
            // An edit in the same second belongs to the next turn.
            one.pass(Duration::from_secs(3600));
            packs.extend(new_packs(&bucket, &packs));
        }
        assert_eq!(packs.len(), TURNS);
        clock.pass(Duration::from_secs(2 * 3600));
        Self { bucket, clock, one, packs }
    }

    /// Takes the one pack away that came since. Returns its key and bytes.
    fn take_new_pack(&self) -> (String, Bytes) {
        let new = new_packs(&self.bucket, &self.packs);
        assert_eq!(new.len(), 1, "{new:?}");
        let bytes = self.bucket.remove(&new[0]).unwrap();
        (new[0].clone(), bytes)
    }

    async fn joins(&self, folder: &Path, name: &str) -> Device {
        Device::joined(folder, name, Arc::new(self.bucket.clone()) as Arc<dyn Remote>).await
    }
}

/// Packs of a bucket that are not among the known ones.
fn new_packs(bucket: &MemoryRemote, known: &[String]) -> Vec<String> {
    let there = bucket.dump().into_keys().filter(|key| key.starts_with("packs/"));
    there.filter(|key| !known.contains(key)).collect()
}

/// Number of files of a device that are the same on the other one.
fn equal(files: &BTreeMap<String, Digest>, others: &BTreeMap<String, Digest>) -> usize {
    files.iter().filter(|(path, digest)| others.get(*path) == Some(digest)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_pack_costs_no_more_than_what_lies_in_it_alone() {
    // The first pack holds a file that still stands, the last one holds two, and those between hold
    // only past versions.
    for (number, expected) in [(0, 1), (1, 0), (2, 0), (3, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::new(folder.path()).await;
        let lost = history.packs[number].clone();
        history.bucket.remove(&lost).unwrap();

        let mut new = history.joins(folder.path(), "new").await;
        let report = new.sync().await;
        let there = new.files();
        assert_eq!(equal(&there, &history.one.files()), there.len(), "nothing wrong was put in place");
        assert_eq!(history.one.files().len() - there.len(), expected, "pack {number}");
        let named = report.problems.iter().filter(|trouble| trouble.message.contains("lost")).count();
        assert_eq!(named, expected, "each file that cannot be had is named: {report:?}");

        // Saves go on, on both devices. None builds on the lost pack, so this save puts the first
        // pack's only file right.
        new.write("notes/new.txt", "what was said in turn 0");
        assert_eq!(new.sync().await.pushed, 1);
        assert_eq!(history.one.sync().await.pulled, 1);
        history.one.write("notes/one.txt", "a save on device one");
        history.one.sync().await;
        new.sync().await;
        assert_eq!(new.text("notes/one.txt").as_deref(), Some("a save on device one"));

        // Every device that asks learns of the damage, by generation.
        let verified = new.verify().await;
        assert!(verified.faults.iter().any(|fault| fault.path == lost), "{verified:?}");
        let past = verified.lost.iter().filter(|version| version.to < verified.generation).count();
        assert!(past > 0 || expected > 0, "{verified:?}");

        // Lost history stops no prune, but the rest of the newest generation stays.
        let pruned = history.one.engine().prune(false, &Unwatched).await.unwrap();
        assert_eq!((pruned.damaged > 0, pruned.stopped), (true, number == 3), "{pruned:?}");

        // The device that has the bytes puts them back, and then the other one has all.
        let (verified, repaired) = history.one.engine().repair(&Unwatched).await.unwrap();
        if expected > 0 {
            assert_eq!(equal(&new.files(), &history.one.files()), new.files().len());
        }
        let standing = repaired.lost.iter().filter(|version| version.to == verified.generation).count();
        assert_eq!(standing, 0, "{repaired:?}");
        new.sync().await;
        assert_eq!(new.files(), history.one.files(), "{verified:?} {repaired:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_was_named_lately_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path()).await;
    history.one.write("notes/late.txt", "its pack shows up later than its commit");
    history.one.sync().await;
    let (late, bytes) = history.take_new_pack();

    let mut new = Device::new(folder.path(), "new", Arc::new(history.bucket.clone()) as Arc<dyn Remote>);
    new.join(false).await.unwrap();
    // The commit that names it waits with it; everything before is there.
    new.sync().await;
    let mut before = history.one.files();
    before.remove("notes/late.txt").unwrap();
    assert_eq!(new.files(), before);
    history.bucket.put(&late, bytes).await.unwrap();
    history.clock.pass(Duration::from_secs(1));
    new.sync().await;
    assert_eq!(new.files(), history.one.files());
}

/// Repairs, and gives up what nobody has any more. Returns what a look finds then.
async fn given_up(device: &mut Device) -> (Verified, Repaired) {
    let (_, repaired) = device.engine().repair(&Unwatched).await.unwrap();
    device.engine().give_up(&repaired.lost, &Unwatched).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_named_and_stops_nothing_any_more() {
    for number in 0..TURNS {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::new(folder.path()).await;
        // A new device has nothing that could be put back.
        let mut new = history.joins(folder.path(), "new").await;
        history.bucket.remove(&history.packs[number]).unwrap();
        new.sync().await;
        let before = history.one.files();
        let (verified, repaired) = given_up(&mut new).await;
        assert!(verified.faults.is_empty() && verified.lost.is_empty(), "pack {number}: {verified:?}");
        assert_eq!(verified.given_up.len(), repaired.given_up.len(), "{verified:?}");
        assert!(!verified.given_up.is_empty(), "{verified:?}");
        let again = new.engine().give_up(&[], &Unwatched).await.unwrap();
        assert!(again.1.given_up.is_empty(), "there is nothing more: {again:?}");

        // The file of the last turn goes back to the version before it.
        if number == TURNS - 1 {
            assert_eq!(new.text("notes/changing.txt").as_deref(), Some("turn 2 of many many "));
            assert_eq!(new.text("notes/3.txt"), None);
        }
        let mut third = history.joins(folder.path(), "third").await;
        let report = third.sync().await;
        assert!(report.problems.is_empty(), "{report:?}");
        assert_eq!(third.files(), new.files());
        let pruned = third.engine().prune(false, &Unwatched).await.unwrap();
        assert_eq!((pruned.damaged, pruned.stopped), (0, false), "{pruned:?}");
        third.write("notes/third.txt", "a save of a new device");
        third.sync().await;
        let verified = third.verify().await;
        assert!(verified.faults.is_empty() && !verified.given_up.is_empty(), "{verified:?}");

        // A device that was away and still has the bytes loses none of them.
        let report = history.one.sync().await;
        third.sync().await;
        history.one.sync().await;
        assert_eq!(history.one.files(), third.files());
        let after = history.one.files();
        let lost: Vec<&String> = before.keys().filter(|path| !after.contains_key(*path)).collect();
        assert!(lost.is_empty(), "pack {number}: {lost:?}");
        let replaced: Vec<&String> =
            before.keys().filter(|path| after.get(*path) != before.get(*path)).collect();
        let expected: &[&str] = if number == TURNS - 1 { &["notes/changing.txt"] } else { &[] };
        assert_eq!(replaced, expected, "pack {number}");
        assert_eq!(report.conflicts.len(), expected.len(), "it is kept: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_given_up_than_somebody_has_agreed_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path()).await;
    history.bucket.remove(&history.packs[1]).unwrap();
    let commits =
        |bucket: &MemoryRemote| bucket.dump().into_keys().filter(|key| key.starts_with("commits/")).count();
    let before = commits(&history.bucket);
    let error = history.one.engine().give_up(&[], &Unwatched).await.unwrap_err();
    assert!(matches!(error, SyncError::Refused(Refusal::MoreLost)), "{error:?}");
    assert_eq!(commits(&history.bucket), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_still_arrive_is_not_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path()).await;
    history.one.write("notes/hasty.txt", "named a moment ago");
    history.one.sync().await;
    let (newest, bytes) = history.take_new_pack();
    history.one.delete("notes/hasty.txt");
    let lost = history.one.engine().repair(&Unwatched).await.unwrap().1.lost;
    assert_eq!(lost.len(), 1, "{lost:?}");
    let error = history.one.engine().give_up(&lost, &Unwatched).await.unwrap_err();
    assert!(matches!(error, SyncError::Refused(Refusal::MayCome(_))), "{error:?}");
    history.bucket.put(&newest, bytes).await.unwrap();
    assert!(history.one.verify().await.faults.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_up_conflict_comes_back_from_the_device_that_has_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(folder.path()).await;
    let mut two = history.joins(folder.path(), "two").await;
    two.enclose_nothing();
    two.sync().await;
    history.one.write("notes/both.txt", "as device one has it");
    history.one.sync().await;
    two.write("notes/both.txt", "as device two has it");
    let before: BTreeSet<String> = history.bucket.dump().into_keys().collect();
    assert_eq!(two.sync().await.conflicts.len(), 1);
    let mut new = history.bucket.dump().into_keys().filter(|key| !before.contains(key));
    let kept = new.find(|key| key.starts_with("packs/")).unwrap();
    history.bucket.remove(&kept).unwrap();
    history.clock.pass(Duration::from_secs(2 * 3600));

    let mut third = history.joins(folder.path(), "third").await;
    third.sync().await;
    let (verified, repaired) = given_up(&mut third).await;
    assert!(verified.faults.is_empty() && verified.lost.is_empty(), "{verified:?}");
    assert!(repaired.given_up[0].path.starts_with("conflict "), "{repaired:?}");
    let open = async |device: &mut Device| device.engine().conflicts().await.unwrap().len();
    assert_eq!(open(&mut third).await, 0);
    // The device that lost still has its version, and nobody has decided against it.
    two.sync().await;
    third.sync().await;
    assert_eq!(open(&mut third).await, 1);
    let verified = third.verify().await;
    assert!(verified.faults.is_empty() && verified.given_up.is_empty(), "{verified:?}");
}
