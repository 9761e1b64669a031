//! Losses that no person means: everything at once, slowly, under other names, or by a clock that
//! jumps. And changes that only look like losses.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::plan::Reason;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Point, Report, Unwatched};
use cogzy_engine::vault::ApplyId;

use crate::main_path::{World, world};
use crate::support::device::Device;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn name(number: usize) -> String {
    format!("traces/t{number:03}.json")
}

/// Two devices that agree on so many traces.
async fn traces(count: usize) -> World {
    let World { mut one, mut two, bucket, folder } = world().await;
    (0..count).for_each(|number| one.write(&name(number), format!("trace {number}")));
    one.sync().await;
    two.sync().await;
    World { one, two, bucket, folder }
}

fn reasons(report: &Report) -> Vec<Reason> {
    report.holds.iter().map(|hold| hold.reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_vault_that_is_emptied_waits() {
    let World { mut one, mut two, .. } = traces(15).await;
    (0..15).for_each(|number| one.delete(&name(number)));
    let report = one.sync().await;
    assert_eq!(reasons(&report), [Reason::MassDelete]);
    assert!(report.holds[0].to_string().starts_with("15 of 15 files were deleted on this device"));
    two.sync().await;
    assert_eq!(two.files().len(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_deleted_in_batches_are_one_run_also_across_a_restart() {
    let World { mut one, mut two, .. } = traces(60).await;
    let mut deleted = 0;
    for batch in 0..4 {
        (batch * 15..(batch + 1) * 15).for_each(|number| one.delete(&name(number)));
        deleted += one.sync().await.deleted_remote;
        one.restart();
    }
    assert_eq!(deleted, 30);
    let report = one.sync().await;
    assert_eq!(reasons(&report), [Reason::MassDelete]);
    assert_eq!(report.holds[0].items.len(), 30);
    two.sync().await;
    assert_eq!(two.files().len(), 30);
    // Rejected, they come back; the first half comes back with an undo of each commit, which counts
    // as no loss.
    one.reject(report.holds[0].id);
    one.sync().await;
    assert_eq!(one.files(), two.files());
    for generation in ["3", "2"] {
        let point = Point::Generation(generation.parse().unwrap());
        one.engine().undo(&point, false, false, &Unwatched).await.unwrap();
    }
    assert_eq!(one.files().len(), 60);
    (0..29).for_each(|number| one.delete(&name(number)));
    assert_eq!(reasons(&one.sync().await), [], "what was undone does not count");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_record_todays_base_is_the_reference() {
    let World { mut one, .. } = traces(60).await;
    (0..25).for_each(|number| one.delete(&name(number)));
    one.sync().await;
    for damage in [None, Some("{\"format\":1"), Some("{\"format\":9}")] {
        one.restart();
        let record = one.root.join("sync/reference.json");
        match damage {
            None => std::fs::remove_file(&record).unwrap(),
            Some(text) => std::fs::write(&record, text).unwrap(),
        }
        assert_eq!(reasons(&one.sync().await), []);
    }
    (25..42).for_each(|number| one.delete(&name(number)));
    assert_eq!(reasons(&one.sync().await), [], "17 of 35");
    one.delete(&name(42));
    assert_eq!(reasons(&one.sync().await), [Reason::MassDelete], "18 of 35");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_folder_goes_as_one_once_its_files_have_settled() {
    let World { mut one, mut two, .. } = traces(30).await;
    std::fs::rename(one.root.join("traces"), one.root.join("notes")).unwrap();
    let moved = |number| format!("notes/t{number:03}.json");
    (10..30).for_each(|number| one.touch(&moved(number)));
    let report = one.sync_at_once().await;
    assert_eq!((reasons(&report), report.deleted_remote, report.pushed), (vec![], 10, 10));
    two.sync().await;
    assert_eq!(two.files().len(), 30);
    let report = one.sync().await;
    assert_eq!((reasons(&report), report.deleted_remote, report.pushed), (vec![], 20, 20));
    assert_eq!(reasons(&two.sync().await), [], "nor is it a loss for those who receive it");
    assert_eq!(two.files(), one.files());
    assert_eq!(two.text(&moved(7)).unwrap(), "trace 7");
}

#[tokio::test(flavor = "multi_thread")]
async fn ransomware_that_renames_is_held_before_any_of_its_files_is_sent() {
    let World { mut one, mut two, bucket, .. } = traces(64).await;
    let before = bucket.dump();
    for number in 0..64 {
        one.delete(&name(number));
        one.write(&format!("{}.locked", name(number)), format!("noise {number}"));
        if number > 40 {
            one.touch(&format!("{}.locked", name(number)));
        }
    }
    let report = one.sync_at_once().await;
    assert_eq!(reasons(&report), [Reason::MassChange]);
    let report = one.sync().await;
    assert_eq!(reasons(&report), [Reason::MassChange]);
    assert_eq!(report.holds[0].items.len(), 128);
    assert_eq!(bucket.dump(), before);
    one.reject(report.holds[0].id);
    one.sync().await;
    two.sync().await;
    assert_eq!(one.files(), two.files());
    assert_eq!((one.files().len(), one.text(&name(50)).unwrap().as_str()), (64, "trace 50"));
}

/// Number of applies that have left something in the trash.
fn trashes(device: &Device) -> usize {
    std::fs::read_dir(device.root.join("sync/trash")).map_or(0, Iterator::count)
}

/// The clock of a server.
#[derive(Debug, Default)]
struct ServerClock(AtomicI64);

impl ServerClock {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for ServerClock {
    fn now_ns(&self) -> i64 {
        SystemClock::new().now_ns() + self.0.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Two devices, the second with files in its trash, and the clock of their server.
async fn with_trash(folder: &Path) -> (Device, Device, Arc<ServerClock>) {
    let clock = Arc::new(ServerClock::default());
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>));
    let mut one = Device::joined(folder, "one", Arc::clone(&remote)).await;
    let mut two = Device::joined(folder, "two", remote).await;
    (0..30).for_each(|number| one.write(&name(number), "old"));
    one.sync().await;
    two.sync().await;
    one.write(&name(0), "new");
    one.sync().await;
    for _ in 0..2 {
        two.sync().await;
    }
    assert_eq!(trashes(&two), 1);
    (one, two, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_for_a_cycle_deletes_nothing_for_its_age() {
    let folder = tempfile::tempdir().unwrap();
    // The server has a clock of its own, or is a folder of the same machine.
    for own in [true, false] {
        let folder = folder.path().join(own.to_string());
        let (_, mut two, server) = with_trash(&folder).await;
        (0..12).for_each(|number| two.delete(&name(number)));
        two.sync().await;
        let copies = two.root.join("sync/incoming").join(format!(".{}", ApplyId::new(two.now_ms(), [7; 4])));
        std::fs::create_dir_all(&copies).unwrap();
        for jump in [60, 400] {
            two.jump(jump);
            if !own {
                server.pass(u32::try_from(jump).unwrap() * DAY);
            }
            two.write("traces/in-between.json", format!("{jump}"));
            two.sync().await;
            two.jump(-jump);
            two.sync().await;
            assert_eq!(trashes(&two), 1, "{jump} days ahead");
            assert!(copies.exists(), "the copies of a transaction that is under way");
        }
        (12..18).for_each(|number| two.delete(&name(number)));
        assert_eq!(
            reasons(&two.sync().await),
            [Reason::MassDelete],
            "what was lost a minute ago is forgotten"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_once_its_time_has_passed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two, server) = with_trash(folder.path()).await;
    // Copies of a transaction, and what a program put there for one: both are dead.
    two.write("sync/incoming/staged.json", "of a program that is dead");
    let copies = two.root.join("sync/incoming").join(format!(".{}", ApplyId::new(two.now_ms(), [7; 4])));
    std::fs::create_dir_all(&copies).unwrap();
    let left = |device: &Device| std::fs::read_dir(device.root.join("sync/incoming")).unwrap().count();
    for half_days in 1..=62 {
        server.pass(DAY / 2);
        [&one, &two].iter().for_each(|device| device.pass(DAY / 2));
        one.write("traces/daily.json", format!("{half_days}"));
        one.sync().await;
        two.sync().await;
        let expected = std::fs::read_dir(two.root.join("sync/trash")).unwrap().count();
        // Each new version displaces the one before.
        assert!(expected >= half_days.min(59), "{half_days}: {expected}");
        assert!(expected <= 62, "{half_days}: {expected}");
        assert!(half_days > 12 || left(&two) == 2, "{half_days}: it may still be wanted");
    }
    assert_eq!(left(&two), 0, "a week is enough");
}
