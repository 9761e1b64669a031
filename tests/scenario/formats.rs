//! Buckets that earlier versions wrote, and the behaviour of old and new devices beside each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cogzy_engine::model::Digest;
use cogzy_testkit::fresh_folder;

use crate::support::device;
use crate::support::process::{Machine, noise};

/// Every format ever written has a folder here, made once by `tests/fixtures/make`.
fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let formats: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert!(!formats.is_empty());
    formats
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

fn files(folder: &Path) -> BTreeMap<String, Digest> {
    device::synced_files(folder)
}

#[tokio::test]
async fn every_format_ever_written_is_opened_synced_restored_and_verified() {
    for fixture in fixtures() {
        let folder = fresh_folder();
        copy(&fixture.join("bucket"), &folder.path().join("bucket"));
        let machine = Machine::with_folder(folder.path(), "newcomer");
        machine.good(&["init", "--join"]).await;
        machine.sync().await;
        assert_eq!(machine.files(), files(&fixture.join("head")), "{}", fixture.display());
        let history = machine.good(&["history", "--json"]).await.json();
        assert!(history["generations"][0]["generation"].as_u64().unwrap() >= 42, "{history}");
        let conflicts = machine.good(&["conflicts", "--json"]).await.json();
        // Later versions merge what the first one left to a person.
        let left = usize::from(fixture.ends_with("format-1"));
        assert_eq!(conflicts["conflicts"].as_array().unwrap().len(), left, "{}", fixture.display());
        machine.good(&["verify", "--deep"]).await;
        machine.good(&["prune", "--dry-run"]).await;
        machine.good(&["restore", "--yes", "--generation", "3"]).await;
        assert_eq!(machine.files(), files(&fixture.join("generation-3")), "{}", fixture.display());
        machine.write("traces/later.json", "{}");
        assert_eq!(machine.sync().await["pushed"], 1);
    }
}

/// A device that counts as one of an older version, a new one in its vault, and what was moved for
/// that.
pub async fn beside_an_older_device(folder: &Path) -> (Machine, Machine, Vec<(PathBuf, PathBuf)>) {
    let old = Machine::with_folder(folder, "old");
    old.good(&["init"]).await;
    // More than stands in a commit: older versions know nothing of that either.
    old.write("a.json", noise("a", 20_000));
    old.sync().await;
    let aside = forget_what_devices_read(folder);
    let new = Machine::with_folder(folder, "new");
    new.good(&["init"]).await;
    (old, new, aside)
}

/// Removes the announcements of devices: a device without one counts as one of an older version.
pub fn forget_what_devices_read(folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let devices = folder.join("bucket/users/default/devices");
    let aside = folder.join("aside");
    std::fs::create_dir_all(&aside).unwrap();
    let entries = std::fs::read_dir(devices).unwrap().map(|entry| entry.unwrap());
    let moved = entries.map(|entry| (entry.path(), aside.join(entry.file_name())));
    moved.inspect(|(from, to)| std::fs::rename(from, to).unwrap()).collect()
}

#[tokio::test]
async fn a_name_that_older_versions_refuse_waits_until_every_device_reads_it() {
    let folder = fresh_folder();
    let (old, new, aside) = beside_an_older_device(folder.path()).await;
    new.write("traces/16:51.json", "2");
    new.write("traces/plain.json", "3");
    let ran = new.run(&["sync", "--json"]).await;
    ran.expect(9, &[]);
    assert_eq!(ran.json()["pushed"], 1, "what every device reads is sent");
    let said = ran.json()["problems"][0].clone();
    assert_eq!(said["path"], "traces/16:51.json");
    assert!(
        said["message"].as_str().unwrap().contains("sent once old has cogzy-vault 0.2 or newer"),
        "{said}"
    );

    for (place, kept) in aside {
        std::fs::rename(kept, place).unwrap();
    }
    assert_eq!(new.sync().await["pushed"], 1, "now that it says what it reads");
    old.sync().await;
    assert_eq!(old.read("traces/16:51.json").as_deref(), Some(&b"2"[..]));
    old.write("traces/17:02.json", "4");
    assert_eq!(old.sync().await["pushed"], 1, "the vault needs readers of such names already");
}

/// A vault that was copied to a new machine, or whose marker is lost, is that of another device.
#[tokio::test]
async fn a_device_with_a_new_id_says_what_it_reads() {
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    one.good(&["init"]).await;
    one.write("traces/a.json", "a");
    one.sync().await;
    std::fs::remove_file(one.root.join(".cogzy-vault")).unwrap();
    one.good(&["init", "--join"]).await;
    one.write("traces/a.json", "b");
    one.sync().await;
    two.good(&["init"]).await;
    two.write("traces/16:51.json", "a name that needs a newer version");
    two.sync().await;
    one.sync().await;
    assert_eq!(one.files(), two.files());
}
