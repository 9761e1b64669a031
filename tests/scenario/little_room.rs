//! A vault on a disk that gets full, or read-only, or that loses what it took: what fits goes on,
//! and whoever asks gets an answer.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cogzy_testkit::fresh_folder;

use crate::recovery_page;
use crate::support::process::{Machine, Ran, noise};

/// A small disk, mounted until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this system lets nobody mount one.
    fn mount(place: PathBuf, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(&place).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&place).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(place));
        }
        eprintln!("skipped: this system lets nobody mount a disk");
        None
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
        assert!(done.unwrap().success());
    }

    /// Leaves no room for anything.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("all the rest");
        let mut file = std::fs::File::create(&path).unwrap();
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone_with_the_test = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Two machines of one vault, the second of them on a small disk.
async fn pair(folder: &Path, megabytes: u32) -> Option<(Machine, Machine, SmallDisk)> {
    let disk = SmallDisk::mount(folder.join("two"), megabytes)?;
    let (one, two) = (Machine::with_folder(folder, "one"), Machine::with_folder(folder, "two"));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    one.write("traces/a.json", "first");
    one.sync().await;
    two.sync().await;
    Some((one, two, disk))
}

fn problem(ran: &Ran, path: &str) -> String {
    let report = ran.json();
    let problems = report["problems"].as_array().unwrap();
    let about = problems.iter().find(|problem| problem["path"].as_str().unwrap().contains(path));
    about.unwrap_or_else(|| panic!("{path} is not named: {ran:#?}"))["message"].as_str().unwrap().to_owned()
}

/// Asks for the status and an export, and looks what the doctor says.
async fn answers(machine: &Machine, folder: &Path, says: &str) {
    let status = machine.good(&["status"]).await.stdout;
    assert!(!status.contains("never synced"), "{status}");
    let target = folder.join(format!("out {says}"));
    machine.good(&["export", target.to_str().unwrap()]).await;
    assert_eq!(std::fs::read(target.join("traces/a.json")).unwrap(), b"first");
    let doctor = machine.run(&["doctor"]).await;
    assert!(doctor.stdout.contains(says) && doctor.code != Some(0), "{doctor:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_left_out_and_the_rest_goes_on() {
    let folder = fresh_folder();
    let Some((one, two, _disk)) = pair(folder.path(), 24).await else { return };
    one.write("traces/large.bin", noise("large", 20 << 20));
    one.write("traces/small.json", "small");
    one.sync().await;
    two.write("traces/mine.json", "mine");
    let ran = two.run(&["sync", "--json"]).await;
    assert_eq!(ran.code, Some(9), "{ran:#?}");
    assert!(problem(&ran, "large.bin").contains("needs 20971920 bytes"), "{ran:#?}");
    assert_eq!(two.read("traces/small.json").as_deref(), Some(&b"small"[..]));
    one.sync().await;
    assert_eq!(one.read("traces/mine.json").as_deref(), Some(&b"mine"[..]));
    one.delete("traces/large.bin");
    one.sync().await;
    two.sync().await;
}

/// Has the first machine send many small files, and the second one sync beside an edit of its own.
/// Returns the number of those that came.
async fn many_small_ones(one: &Machine, two: &Machine, count: usize, says: &str) -> usize {
    for number in 0..count {
        one.write(&format!("traces/many/{number}.json"), noise(&number.to_string(), 300));
    }
    one.sync().await;
    two.write("traces/mine.json", "mine");
    let ran = two.run(&["sync", "--json"]).await;
    assert_eq!(ran.code, Some(9), "{ran:#?}");
    assert!(problem(&ran, "traces/many/").contains(says), "{ran:#?}");
    one.sync().await;
    assert_eq!(one.read("traces/mine.json").as_deref(), Some(&b"mine"[..]), "the own edit was not sent");
    two.files().keys().filter(|path| path.starts_with("traces/many/")).count()
}

/// Each of them fills a block of the disk, however short it is.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_small_files_as_many_come_as_there_is_room_for() {
    let folder = fresh_folder();
    let Some((one, two, _disk)) = pair(folder.path(), 24).await else { return };
    let came = many_small_ones(&one, &two, 6000, "no room").await;
    assert!((1..6000).contains(&came), "{came}");
}

/// A disk without another inode, or a quota, says that it is full although there is free space.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_before_it_is_said_to_be_takes_what_it_can() {
    let folder = fresh_folder();
    let Some((one, two, disk)) = pair(folder.path(), 64).await else { return };
    disk.remount("nr_inodes=1000");
    let came = many_small_ones(&one, &two, 2000, "full").await;
    assert!((1..2000).contains(&came), "{came}");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_trashes_yield_before_a_pull_is_left_out() {
    let folder = fresh_folder();
    let Some((one, two, _disk)) = pair(folder.path(), 64).await else { return };
    for round in 0..12 {
        one.write("traces/large.bin", noise(&format!("round {round}"), 8 << 20));
        one.sync().await;
        two.sync().await;
    }
    assert_eq!(two.read("traces/large.bin").unwrap(), noise("round 11", 8 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trash_on_a_small_disk_inside_the_vault_yields_too() {
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    let Some(_disk) = SmallDisk::mount(two.root.join("traces"), 64) else { return };
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    for round in 0..12 {
        one.write("traces/large.bin", noise(&format!("round {round}"), 8 << 20));
        one.sync().await;
        two.sync().await;
    }
    assert_eq!(two.read("traces/large.bin").unwrap(), noise("round 11", 8 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_room_questions_are_answered_and_the_page_for_recovery_helps() {
    let folder = fresh_folder();
    let Some((one, two, disk)) = pair(folder.path(), 24).await else { return };
    let database = || std::fs::metadata(two.root.join("sync/cache.db")).unwrap().ino();
    let before = database();
    let all = disk.fill();
    answers(&two, folder.path(), "too little to sync").await;
    let mut emptied = two.clone();
    emptied.set("COGZY_VAULT__RETENTION__TRASH_DAYS", "0");
    emptied.run(&["sync"]).await;
    assert_eq!(database(), before, "a sound database was deleted");
    std::fs::remove_file(all).unwrap();
    one.write("traces/b.json", "later");
    one.sync().await;
    two.sync().await;
    assert_eq!(two.read("traces/b.json").as_deref(), Some(&b"later"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_the_commands_of_the_page_make_room_and_bring_everything() {
    let folder = fresh_folder();
    let Some((one, mut two, disk)) = pair(folder.path(), 64).await else { return };
    // Short, so that what was displaced has stood still when the page is asked.
    two.set("COGZY_VAULT__SYNC__SETTLE", "200ms");
    for text in ["first", "second"] {
        one.write("traces/large.bin", noise(text, 16 << 20));
        one.sync().await;
        two.sync().await;
    }
    one.write("traces/next.bin", noise("next", 4 << 20));
    // The trash yields what was looked at again.
    let trash = two.root.join("sync/trash");
    let looked_at =
        || std::fs::read_dir(&trash).unwrap().any(|one| one.unwrap().path().join("applied.json").exists());
    for _ in 0..1000 {
        if looked_at() {
            break;
        }
        two.sync().await;
    }
    assert!(looked_at(), "what was displaced was never looked at again");
    one.sync().await;
    disk.fill();
    recovery_page::run_section(&two, "The disk is full").await;
    assert_eq!(two.files().get("traces/next.bin"), one.files().get("traces/next.bin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_mounted_read_only_answers_and_the_doctor_says_why_nothing_is_synced() {
    let folder = fresh_folder();
    let Some((_, two, disk)) = pair(folder.path(), 24).await else { return };
    disk.remount("ro");
    answers(&two, folder.path(), "cannot be written").await;
    disk.remount("rw");
    two.sync().await;
}

/// A disk that takes what is written and loses it when it is to be made durable: an ext4 in a file
/// that has no room for all that it says.
struct LosingDisk {
    place: PathBuf,
    _below: SmallDisk,
}

impl LosingDisk {
    /// None where this system lets nobody make or mount one.
    fn mount(folder: &Path, place: PathBuf) -> Option<Self> {
        let below = SmallDisk::mount(folder.join("below"), 8)?;
        let image = below.0.join("disk.img");
        std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        std::fs::create_dir_all(&place).unwrap();
        let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let made = done(Command::new("mkfs.ext4").args(["-q", "-E", "lazy_itable_init=1"]).arg(&image))
            && done(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&place));
        if !made {
            eprintln!("skipped: this system lets nobody mount a file as a disk");
        }
        made.then_some(Self { place, _below: below })
    }
}

impl Drop for LosingDisk {
    fn drop(&mut self) {
        let _gone_with_the_test = Command::new("umount").arg("-l").arg(&self.place).status();
    }
}

/// Many small files are made durable by one flush, and its error is the error of each of them.
#[tokio::test]
async fn what_a_disk_lost_before_it_was_durable_is_not_put_in_place() {
    let folder = fresh_folder();
    let Some(disk) = LosingDisk::mount(folder.path(), folder.path().join("two")) else { return };
    let (one, two) = (Machine::with_folder(folder.path(), "one"), Machine::with_folder(folder.path(), "two"));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    one.write("traces/a.json", "first");
    one.sync().await;
    two.sync().await;
    for number in 0..200 {
        let name = format!("traces/{number}.json");
        one.write(&name, noise(&name, 64 << 10));
    }
    one.sync().await;
    let failed = two.run(&["sync"]).await;
    assert_ne!(failed.code, Some(0), "{failed:#?}");
    assert_eq!(two.read("traces/a.json").unwrap(), b"first");
    let came = (0..200).filter(|number| two.read(&format!("traces/{number}.json")).is_some()).count();
    assert_eq!(came, 0, "{failed:#?}");
    assert!(!disk.place.join("sync/applying").exists());
}
