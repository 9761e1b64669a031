//! Other disks that are mounted inside the vault: synced both ways while they are there, and missed
//! by name while they are not.

use std::path::{Path, PathBuf};
use std::process::Command;

use cogzy_engine::fs::{Fs, RootedFs};
use cogzy_testkit::fresh_folder;
use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::process::Machine;
use crate::support::socket;

/// A folder that stands in for a disk, mounted until it is dropped.
pub struct Mount {
    place: PathBuf,
}

impl Mount {
    /// Mounts the folder `disk` at `place`; none where this system lets nobody do that.
    pub fn bind(disk: &Path, place: &Path) -> Option<Self> {
        std::fs::create_dir_all(disk).unwrap();
        std::fs::create_dir_all(place).unwrap();
        let mounted = Command::new("mount").arg("--bind").args([disk, place]).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { place: place.to_owned() });
        }
        eprintln!("skipped: this system lets nobody mount a folder at another one");
        None
    }

    fn unmount(self) {}
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _gone_with_the_test = Command::new("umount").arg(&self.place).status();
    }
}

/// Two machines that have joined one vault.
async fn pair(folder: &Path) -> (Machine, Machine) {
    let (one, two) = (Machine::with_folder(folder, "one"), Machine::with_folder(folder, "two"));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    (one, two)
}

fn trouble<'a>(report: &'a Value, path: &str) -> &'a str {
    let problems = report["problems"].as_array().unwrap();
    let about = problems.iter().find(|problem| problem["path"] == path);
    about.unwrap_or_else(|| panic!("nothing is said of {path}: {report:#}"))["message"].as_str().unwrap()
}

/// Runs a sync that leaves something out and names it.
async fn partly(machine: &Machine) -> Value {
    let ran = machine.run(&["sync", "--json"]).await;
    assert_eq!(ran.code, Some(9), "{ran:#?}");
    ran.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_in_the_vault_is_synced_both_ways_and_nothing_is_deleted_while_it_is_away() {
    let folder = fresh_folder();
    let (one, two) = pair(folder.path()).await;
    let disk = folder.path().join("disk");
    let Some(mount) = Mount::bind(&disk, &one.root.join("traces")) else { return };
    for number in 0..30 {
        one.write(&format!("keep{number}.json"), "{}");
    }
    for number in 0..12 {
        one.write(&format!("traces/t{number}.json"), format!("{number}"));
    }
    one.sync().await;
    two.sync().await;
    two.write("traces/new.json", "from two");
    two.write("traces/t0.json", "edited by two");
    two.delete("traces/t1.json");
    two.sync().await;
    one.write("traces/t2.json", "edited by one");
    two.write("traces/t2.json", "edited by two, too");
    two.sync().await;
    one.sync().await;
    assert_eq!(one.read("traces/new.json").as_deref(), Some(&b"from two"[..]));
    assert_eq!(one.read("traces/t0.json").as_deref(), Some(&b"edited by two"[..]));
    assert_eq!(one.read("traces/t1.json"), None);
    assert_eq!(one.read("traces/t2.json").as_deref(), Some(&b"edited by two, too"[..]));
    one.sync().await;
    two.sync().await;
    assert_eq!(one.files(), two.files());
    let files = two.files();

    mount.unmount();
    two.write("traces/later.json", "while it is away");
    two.write("other.json", "while it is away");
    two.sync().await;
    let report = partly(&one).await;
    assert!(trouble(&report, "traces").contains("is away"), "{report:#}");
    assert!(one.read("other.json").is_some(), "the rest does not go on");
    let status = one.run(&["status", "--json"]).await.json();
    let told = status["errors"].as_array().unwrap().iter().find(|error| error["path"] == "traces").unwrap();
    assert!(told["next"].as_str().unwrap().contains("mount"), "{status:#}");
    assert_eq!(std::fs::read_dir(one.root.join("traces")).unwrap().count(), 0, "it was written to");
    two.sync().await;
    assert!(files.keys().all(|path| two.read(path).is_some()), "files were deleted for a disk that is away");

    let daemon = Daemon::start(&one).await;
    socket::until_state(&one, "error").await;
    let ran = one.run(&["status"]).await;
    assert!(ran.code == Some(9) && ran.stdout.contains("✗ traces: "), "{ran:#?}");
    assert_eq!(daemon.terminate().await.0, Some(0));

    // Another disk is no better.
    let other = Mount::bind(&folder.path().join("other disk"), &one.root.join("traces")).unwrap();
    assert!(trouble(&partly(&one).await, "traces").contains("another disk"));
    other.unmount();

    let mount = Mount::bind(&disk, &one.root.join("traces")).unwrap();
    one.sync().await;
    assert_eq!(one.read("traces/later.json").as_deref(), Some(&b"while it is away"[..]));
    assert_eq!(one.files(), two.files());
    mount.unmount();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_mounted_over_synced_files_deletes_none_of_them() {
    let folder = fresh_folder();
    let (one, two) = pair(folder.path()).await;
    for number in 0..30 {
        one.write(&format!("keep{number}.json"), "{}");
    }
    one.write("traces/a.json", "a");
    one.write("traces/b.json", "b");
    one.sync().await;
    two.sync().await;
    let Some(mount) = Mount::bind(&folder.path().join("disk"), &one.root.join("traces")) else { return };
    let report = partly(&one).await;
    assert!(trouble(&report, "traces").contains("hides 2 synced files"), "{report:#}");
    two.sync().await;
    assert!(two.read("traces/a.json").is_some() && two.read("traces/b.json").is_some());
    // Whoever copies the files onto the disk has it taken in.
    one.write("traces/a.json", "a");
    one.write("traces/b.json", "b, and more");
    one.sync().await;
    two.sync().await;
    assert_eq!(two.read("traces/b.json").as_deref(), Some(&b"b, and more"[..]));
    mount.unmount();
    partly(&one).await;
    two.sync().await;
    assert!(two.read("traces/a.json").is_some());
}

#[test]
fn a_disk_is_not_unmounted_in_the_middle_of_an_apply() {
    let folder = fresh_folder();
    let (vault, disk) = (folder.path().join("vault"), folder.path().join("disk"));
    let traces = vault.join("traces");
    let Some(_mount) = Mount::bind(&disk, &traces) else { return };
    let fs = RootedFs::open(&vault, vault.join("sync"));
    let unmount = || Command::new("umount").arg(&traces).output().unwrap();
    let pinned = fs.pin(&traces).unwrap();
    let refused = unmount();
    assert!(!refused.status.success(), "it was unmounted while an apply held it");
    drop(pinned);
    let done = unmount();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
