//! Frees data that retention no longer needs: the data that goes, the data that stays, and the fate
//! of a device that slept through it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::model::Keep;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Point, Pruned, Refusal, Retention, SyncError, Target, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::support::device::Device;
use crate::support::process::noise;
use crate::support::sleeper::Sleeper;

pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// The bucket's clock.
#[derive(Debug, Default)]
struct Server(AtomicI64);

impl Clock for Server {
    fn now_ns(&self) -> i64 {
        SystemClock::new().now_ns() + self.0.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// A bucket whose clock the test moves.
pub struct Bucket {
    clock: Arc<Server>,
    pub remote: MemoryRemote,
}

impl Bucket {
    pub fn new() -> Self {
        let clock = Arc::new(Server::default());
        Self { remote: MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>), clock }
    }

    pub fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(i64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }

    pub async fn device(&self, folder: &Path, name: &str) -> Device {
        let mut device = Device::joined(folder, name, Arc::new(self.remote.clone()) as Arc<dyn Remote>).await;
        device.retention = Retention { generations: 2, age: DAY, grace: 7 * DAY };
        device.restart();
        device
    }

    pub fn packs(&self) -> BTreeSet<String> {
        self.remote.dump().into_keys().filter(|key| key.starts_with("packs/")).collect()
    }
}

pub async fn prune(device: &mut Device) -> Pruned {
    device.pass(Duration::from_secs(10));
    device.engine().prune(false, &Unwatched).await.unwrap()
}

pub fn point(generation: u64) -> Point {
    Point::Generation(generation.to_string().parse().unwrap())
}

/// Content of several chunks that shares none with another one's.
pub fn version(name: &str) -> Vec<u8> {
    noise(name, 300_000)
}

pub async fn edits(device: &mut Device, path: &str, names: &[&str]) {
    for name in names {
        device.write(path, version(name));
        device.sync().await;
    }
}

pub async fn assert_sound(device: &mut Device) {
    let verified = device.verify().await;
    assert!(verified.faults.is_empty(), "{:?}", verified.faults);
}

#[tokio::test]
async fn what_nothing_needs_goes_after_two_grace_periods_and_what_is_kept_can_be_restored() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    edits(&mut one, "traces/stays.json", &["stays"]).await;
    edits(&mut one, "traces/a.json", &["a1", "a2", "a3", "a4", "a5"]).await;
    let all = bucket.packs();
    assert_eq!(prune(&mut one).await.marked.objects, 0, "everything stood within the last day");
    assert_eq!(bucket.packs(), all);

    bucket.pass(6 * DAY);
    assert_eq!(prune(&mut one).await.marked.objects, 0, "packs are younger than the grace period");
    bucket.pass(2 * DAY);
    let would = one.engine().prune(true, &Unwatched).await.unwrap();
    let before = bucket.remote.dump();
    assert_eq!((would.marked.objects, would.dry_run), (3, true), "{would:?}");
    assert_eq!(bucket.remote.dump(), before, "a dry run changes nothing");
    let marked = prune(&mut one).await;
    assert_eq!((marked.marked, marked.freed.objects), (would.marked, 0), "{marked:?}");
    assert_eq!(marked.kept_from, 5, "{marked:?}");
    assert_eq!(bucket.packs(), all, "a mark deletes nothing");

    bucket.pass(6 * DAY);
    let waits = prune(&mut one).await;
    assert_eq!((waits.waiting.objects, waits.freed.objects), (3, 0), "{waits:?}");
    bucket.pass(2 * DAY);
    let swept = prune(&mut one).await;
    assert_eq!((swept.freed, bucket.packs().len()), (marked.marked, all.len() - 3), "{swept:?}");
    assert_sound(&mut one).await;

    // A new device sees the same, and what is kept.
    let mut two = bucket.device(folder.path(), "two").await;
    two.sync().await;
    assert_eq!(two.read("traces/a.json"), Some(version("a5")));
    assert_eq!(two.read("traces/stays.json"), Some(version("stays")));
    two.pass(Duration::from_secs(10));
    two.engine().restore(&point(5), &[], false, &Unwatched).await.unwrap();
    assert_eq!(two.read("traces/a.json"), Some(version("a4")));
    let gone = two.engine().restore(&point(2), &[], false, &Unwatched).await.unwrap_err();
    let expired = matches!(gone, SyncError::Refused(Refusal::Expired { generation: 2, first: 5, .. }));
    assert!(expired, "{gone}");
    let target = Target::empty(folder.path().join("out"));
    let exported = two.engine().export(&point(2), &[], &target, &Unwatched).await.unwrap();
    assert_eq!((exported.lost.len(), exported.first_kept), (1, Some(5)));
    assert_eq!(two.engine().first_kept().await.unwrap(), 5);
    one.sync().await;
    assert_eq!(one.files(), two.files());
    assert_sound(&mut two).await;
}

/// Its objects are there until they are swept: a restore takes them up again.
#[tokio::test]
async fn what_is_only_marked_can_be_restored_and_then_stays() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    edits(&mut one, "traces/a.json", &["a1", "a2", "a3", "a4", "a5"]).await;
    bucket.pass(8 * DAY);
    let marked = prune(&mut one).await.marked.objects;
    assert!(marked > 1);
    one.pass(Duration::from_secs(10));
    one.engine().restore(&point(1), &[], false, &Unwatched).await.unwrap();
    assert_eq!(one.read("traces/a.json"), Some(version("a1")));
    bucket.pass(8 * DAY);
    let freed = prune(&mut one).await.freed.objects;
    assert!(freed < marked, "{freed} of {marked}");
    assert_sound(&mut one).await;
    let mut two = bucket.device(folder.path(), "two").await;
    two.sync().await;
    assert_eq!(two.read("traces/a.json"), Some(version("a1")));
}

#[tokio::test]
async fn what_is_left_of_a_mostly_dead_pack_moves_so_that_the_rest_is_freed() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    one.write("traces/stays.json", version("stays"));
    edits(&mut one, "traces/a.json", &["a1", "a2", "a3"]).await;
    bucket.pass(8 * DAY);
    let moved = prune(&mut one).await;
    assert_eq!((moved.repacked.objects, moved.marked.objects, moved.freed.objects), (1, 1, 0), "{moved:?}");
    bucket.pass(8 * DAY);
    let freed = prune(&mut one).await;
    assert!(freed.freed.objects == 1 && freed.freed.bytes > 600_000, "both shared the pack: {freed:?}");
    assert_eq!(prune(&mut one).await.marked.objects, 0, "what has moved is not moved again");
    let mut two = bucket.device(folder.path(), "two").await;
    two.sync().await;
    assert_eq!(two.read("traces/stays.json"), Some(version("stays")));
    two.engine().restore(&point(2), &[], true, &Unwatched).await.unwrap();
    assert_eq!(two.read("traces/a.json"), Some(version("a2")));
    assert_sound(&mut two).await;
}

#[tokio::test]
async fn an_open_conflict_keeps_the_version_that_lost_however_old() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    let mut two = bucket.device(folder.path(), "two").await;
    edits(&mut one, "traces/a.json", &["base"]).await;
    two.sync().await;
    one.write("traces/a.json", version("one's"));
    two.write("traces/a.json", version("two's"));
    one.sync().await;
    let conflict = two.sync().await.conflicts.remove(0);
    edits(&mut one, "traces/a.json", &["later", "still later", "newest"]).await;
    for _ in 0..3 {
        bucket.pass(8 * DAY);
        prune(&mut one).await;
    }
    assert_sound(&mut one).await;
    one.pass(Duration::from_secs(10));
    one.engine().resolve(conflict, Keep::Mine, true, &Unwatched).await.unwrap();
    assert_eq!(one.read("traces/a.json"), Some(version("two's")));
}

#[tokio::test]
async fn a_commit_that_relies_on_what_is_marked_unmarks_it() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    let mut two = bucket.device(folder.path(), "two").await;
    edits(&mut one, "traces/a.json", &["old", "new", "newer"]).await;
    two.sync().await;
    bucket.pass(8 * DAY);
    // Two commits the old content again, without having seen the mark: its commit is on the way
    // while the mark is made.
    two.write("traces/b.json", version("old"));
    let sleeper = falls_asleep(&bucket, &mut two).await;
    let marked = prune(&mut one).await;
    assert!(marked.marked.objects > 0, "{marked:?}");
    sleeper.arrives().await;
    one.sync().await;
    two.sync().await;
    for _ in 0..3 {
        bucket.pass(8 * DAY);
        prune(&mut one).await;
    }
    two.sync().await;
    assert_eq!(one.read("traces/b.json"), Some(version("old")));
    assert_eq!(one.files(), two.files());
    assert_sound(&mut one).await;
}

#[tokio::test]
async fn a_device_that_slept_while_what_it_relied_on_was_swept_sends_it_again() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    let mut two = bucket.device(folder.path(), "two").await;
    edits(&mut one, "traces/a.json", &["old", "new", "newer"]).await;
    two.sync().await;
    bucket.pass(8 * DAY);
    two.write("traces/b.json", version("old"));
    two.write("traces/c.json", version("c"));
    let sleeper = falls_asleep(&bucket, &mut two).await;
    prune(&mut one).await;
    bucket.pass(40 * DAY);
    edits(&mut one, "traces/a.json", &["newest"]).await;
    assert!(prune(&mut one).await.freed.objects > 0);
    sleeper.arrives().await;
    // One sees the commit first, and cannot have what it relied on.
    one.sync().await;
    assert_sound(&mut one).await;
    for _ in 0..2 {
        two.sync().await;
        one.sync().await;
    }
    assert_eq!(two.read("traces/b.json"), Some(version("old")), "what it wrote while the others went on");
    assert_eq!(two.read("traces/a.json"), Some(version("newest")));
    assert_eq!(one.files(), two.files());
    assert!(one.engine().conflicts().await.unwrap().is_empty());
    assert_sound(&mut one).await;
    assert_sound(&mut two).await;
}

#[tokio::test]
async fn packs_of_an_upload_that_was_never_finished_go_and_come_again() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    let mut two = bucket.device(folder.path(), "two").await;
    edits(&mut one, "traces/a.json", &["a1"]).await;
    two.sync().await;
    // Two has uploaded a pack and not come to its commit.
    two.write("traces/b.json", version("b"));
    let sleeper = falls_asleep(&bucket, &mut two).await;
    sleeper.wakes_up();
    std::fs::remove_file(two.root.join("sync/pending")).unwrap();
    two.restart();
    let packs = bucket.packs().len();
    for _ in 0..3 {
        bucket.pass(8 * DAY);
        prune(&mut one).await;
    }
    assert_eq!(bucket.packs().len(), packs - 1, "nobody's pack is gone");
    two.sync().await;
    one.sync().await;
    assert_eq!(one.read("traces/b.json"), Some(version("b")));
    assert_sound(&mut two).await;
}

/// The device uploads what it has and falls asleep on the way to its commit.
async fn falls_asleep(bucket: &Bucket, device: &mut Device) -> Arc<Sleeper> {
    let inner: Arc<dyn Remote> = Arc::new(bucket.remote.clone());
    let sleeper = Arc::new(Sleeper::over(inner));
    sleeper.falls_asleep();
    device.use_remote(Arc::clone(&sleeper) as Arc<dyn Remote>);
    device.try_sync().await.unwrap_err();
    assert!(device.root.join("sync/pending").exists(), "its commit is on its way");
    sleeper
}
