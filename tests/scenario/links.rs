//! Folders that become links while files are read and written through them: nothing outside the
//! vault is created, changed or read into the bucket.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::model::{Digest, VaultPath};
use cogzy_engine::sync::Transaction;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::main_path::{World, world};
use crate::support::daemon::Daemon;
use crate::support::device::Device;
use crate::support::process::Machine;
use crate::support::socket;

/// Rounds of the race in `cargo test`; `COGZY_TEST_WHOLE=1` goes on for a minute.
const ROUNDS: u64 = 40;
const WHOLE: Duration = Duration::from_secs(60);
/// Few enough that no brake holds a generation in which all of them change.
const FILES: u64 = 18;

/// A folder outside of every vault, with files under the names of those inside.
struct Outside {
    folder: PathBuf,
    before: BTreeMap<String, (Digest, u64, i64)>,
}

impl Outside {
    fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        for number in 0..FILES / 2 {
            std::fs::write(folder.join(name(number)), format!("nobody's business {number}")).unwrap();
        }
        Self { folder: folder.to_owned(), before: state(folder) }
    }

    fn is_untouched(&self) {
        assert_eq!(state(&self.folder), self.before, "something was written through a link");
    }

    /// Panics where a device knows any of the bytes that stand here.
    fn is_unread_by(&self, device: &mut Device) {
        let outside = |digest: &Digest| self.before.values().any(|(known, ..)| known == digest);
        let files = device.files();
        let known = files.iter().find(|(_, digest)| outside(digest));
        assert!(known.is_none(), "{known:?} was read through a link");
        let conflicts = device.conflicts();
        let kept = conflicts.iter().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry);
        let kept: Vec<_> = kept.filter(|entry| outside(&entry.digest)).collect();
        assert!(kept.is_empty(), "{kept:?} was read through a link and kept as a conflict");
    }
}

/// Names, bytes, inodes and times of change of all files below a folder.
fn state(folder: &Path) -> BTreeMap<String, (Digest, u64, i64)> {
    let mut files = BTreeMap::new();
    crate::support::device::collect(folder, folder, &mut files);
    let of = |(name, digest): (String, Digest)| {
        let meta = std::fs::symlink_metadata(folder.join(&name)).unwrap();
        (name, (digest, meta.ino(), meta.ctime() * 1_000_000_000 + meta.ctime_nsec()))
    };
    files.into_iter().map(of).collect()
}

fn name(number: u64) -> String {
    if number.is_multiple_of(3) { format!("deep/{number}.json") } else { format!("{number}.json") }
}

/// Swaps a folder with a link to `outside`, over and over, until it is dropped; then the folder is
/// in its place.
struct Swapping<'scope> {
    stop: &'scope AtomicBool,
    thread: Option<std::thread::ScopedJoinHandle<'scope, u64>>,
}

impl<'scope> Swapping<'scope> {
    fn start<'env>(
        scope: &'scope std::thread::Scope<'scope, 'env>,
        stop: &'scope AtomicBool,
        place: PathBuf,
        aside: PathBuf,
    ) -> Self {
        let thread = scope.spawn(move || {
            let mut swaps = 0;
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..2 {
                    renameat_with(CWD, &place, CWD, &aside, RenameFlags::EXCHANGE).unwrap();
                    swaps += 1;
                }
            }
            swaps
        });
        Self { stop, thread: Some(thread) }
    }

    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Swapping<'_> {
    fn drop(&mut self) {
        // A panic while it runs must not leave its thread, for which the scope would wait.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One round for the device that is raced: a scan, a pull, a push, and a program that writes.
async fn work(two: &mut Device, round: u64) {
    // A folder that is a link at the wrong moment is no fault of the sync: it reports that and goes
    // on in the next round.
    let _raced = two.try_sync().await;
    if two.read("sync/applying").is_some() {
        // Until the next sync has finished what the race cut short, a transaction only waits.
        return;
    }
    let path = VaultPath::new(&format!("traces/{}", name(round % FILES))).unwrap();
    let staged = format!("by-hand-{round}");
    two.write(&format!("sync/incoming/{staged}"), format!("by a program in round {round}"));
    let writes = [(path, VaultPath::new(&staged).unwrap())].into();
    let request = Transaction {
        id: staged,
        source: "race".into(),
        expected: BTreeMap::new(),
        writes,
        deletes: [].into(),
    };
    let _raced = two.engine().transact(&request);
}

async fn race(two: &mut Device, one: &mut Device, outside: &Outside, going_on: impl Fn(u64) -> bool) -> u64 {
    let mut round = 0;
    while going_on(round) {
        // Most are replaced, some are new or go.
        for number in 0..FILES {
            let path = format!("traces/{}", name(number));
            match (round + number) % 4 {
                0 if one.read(&path).is_some() => one.delete(&path),
                _ => one.write(&path, format!("generation {round}, file {number}")),
            }
        }
        one.sync().await;
        work(two, round).await;
        outside.is_untouched();
        one.sync().await;
        outside.is_unread_by(one);
        round += 1;
    }
    round
}

#[test]
fn nothing_is_read_or_written_through_a_folder_that_becomes_a_link() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let World { mut one, mut two, folder, .. } = runtime.block_on(world());
    for number in 0..FILES {
        one.write(&format!("traces/{}", name(number)), "first");
    }
    runtime.block_on(one.sync());
    runtime.block_on(two.sync());
    let outside = Outside::new(&folder.path().join("outside"));
    // The folder goes to a place that is not synced and the link comes from there.
    let (place, aside) = (two.root.join("traces"), two.root.join("cache/aside"));
    std::fs::create_dir_all(two.root.join("cache")).unwrap();
    std::os::unix::fs::symlink(&outside.folder, &aside).unwrap();
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests says how long")]
    let whole = std::env::var_os("COGZY_TEST_WHOLE").is_some();
    let clock = SystemClock::new();
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let swapping = Swapping::start(scope, &stop, place.clone(), aside.clone());
        let going_on = |round| if whole { clock.monotonic() < WHOLE } else { round < ROUNDS };
        rounds.store(runtime.block_on(race(&mut two, &mut one, &outside, going_on)), Ordering::Relaxed);
        let swaps = swapping.end();
        assert!(swaps > rounds.load(Ordering::Relaxed) * 2, "only {swaps} swaps: that was no race");
    });
    // Once it is over, all comes together, and the files of the race are in their places.
    for _ in 0..3 {
        runtime.block_on(two.sync());
        runtime.block_on(one.sync());
    }
    assert_eq!(one.files(), two.files());
    outside.is_untouched();
    outside.is_unread_by(&mut two);
}

/// Puts a link to a folder outside of the vault in the place of `traces`.
fn link_traces(machine: &Machine, outside: &Path) {
    std::fs::rename(machine.root.join("traces"), outside).unwrap();
    std::os::unix::fs::symlink(outside, machine.root.join("traces")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synced_folder_that_becomes_a_link_is_named_and_its_files_are_neither_gone_nor_sent() {
    const SAYS: &str = "traces: it is now a symbolic link";
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::with_folder(folder.path(), "one");
    let other = Machine::with_folder(folder.path(), "two");
    machine.good(&["init"]).await;
    for number in 0..25 {
        machine.write(&format!("traces/{number}.json"), "one of many");
    }
    machine.write("notes.md", "stays");
    machine.sync().await;
    let outside = folder.path().join("outside");
    link_traces(&machine, &outside);
    std::fs::write(outside.join("0.json"), "changed behind the link").unwrap();

    // Without a daemon.
    let status = machine.run(&["status"]).await;
    status.expect(9, &[]);
    let status = status.stdout;
    assert!(status.contains(SAYS) && status.contains("25 files"), "{status}");
    assert!(!status.contains("to send"), "what is behind a link is not to be sent: {status}");
    machine.write("more.md", "goes on");
    let report = machine.run(&["sync", "--json"]).await;
    report.expect(9, &[]);
    let report = report.json();
    assert_eq!(
        (report["pushed"].as_u64(), report["deleted_remote"].as_u64()),
        (Some(1), Some(0)),
        "{report}"
    );
    assert_eq!(report["holds"], serde_json::json!([]), "{report}");
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "one name is told for all that it hides: {report}");
    let doctor = machine.run(&["doctor"]).await.stdout;
    assert!(doctor.contains(SAYS), "{doctor}");
    other.good(&["init"]).await;
    other.sync().await;
    assert_eq!(other.files().len(), 27, "they are still in the bucket");
    other.write("traces/0.json", "by another device");
    other.sync().await;

    // With one.
    machine.set("COGZY_VAULT__SYNC__POLL_INTERVAL", "200ms");
    let daemon = Daemon::start(&machine).await;
    machine.write("later.md", "goes on");
    // The manifest names what is sent a moment before the status does.
    socket::until(&machine, "sent", |status| {
        status["files"] == 3 && status["pending"]["up"]["files"] == 0 && status["state"] == "error"
    })
    .await;
    let status = machine.run(&["status"]).await.stdout;
    assert!(status.contains(SAYS) && !status.contains("to send"), "{status}");
    assert!(!status.starts_with("✓ in sync"), "{status}");
    let doctor = machine.run(&["doctor"]).await.stdout;
    assert_eq!(doctor.matches(SAYS).count(), 1, "{doctor}");
    assert_eq!(daemon.terminate().await.0, Some(0));
    assert_eq!(std::fs::read_to_string(outside.join("0.json")).unwrap(), "changed behind the link");

    // The folder comes back: an edit behind the link is one like any other.
    std::fs::remove_file(machine.root.join("traces")).unwrap();
    std::fs::rename(&outside, machine.root.join("traces")).unwrap();
    assert_eq!(machine.sync().await["problems"], serde_json::json!([]));
    other.sync().await;
    assert_eq!(machine.files(), other.files());
}
