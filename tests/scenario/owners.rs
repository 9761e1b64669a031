//! What a file is beside its bytes: what replaces it has its owner, group, mode and attributes, and
//! what is new has its folder's.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_testkit::fresh_folder;
use rustix::fs::{XattrFlags, getxattr, setxattr};

use crate::support::device::Device;
use crate::support::process::Machine;

const APP: u32 = 1000;
/// An access list as the kernel takes it: the owner, user 33, the group, the mask and the others.
const LIST: &str = "system.posix_acl_access";

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = getxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

fn access_list() -> Vec<u8> {
    let everybody = u32::MAX;
    let entries = [(1, 6, everybody), (2, 4, 33), (4, 4, everybody), (16, 4, everybody), (32, 0, everybody)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, who) in entries {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(u16::to_le_bytes(rights));
        bytes.extend(u32::to_le_bytes(who));
    }
    bytes
}

/// Two machines with `traces/x.json`, which only its owner may read on the first.
async fn pair(folder: &Path) -> (Machine, Machine) {
    let (one, two) = (Machine::with_folder(folder, "one"), Machine::with_folder(folder, "two"));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    one.write("traces/x.json", "first");
    set_mode(&one.root.join("traces/x.json"), 0o600);
    one.sync().await;
    two.sync().await;
    (one, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_keeps_its_mode_and_its_attributes() {
    let folder = fresh_folder();
    let (one, two) = pair(folder.path()).await;
    let file = two.root.join("traces/x.json");
    set_mode(&file, 0o640);
    let noted = setxattr(&file, "user.note", b"hi", XattrFlags::empty()).is_ok();
    let listed = noted && setxattr(&file, LIST, &access_list(), XattrFlags::empty()).is_ok();
    if !listed {
        eprintln!("skipped in part: the file system here has no attributes, or no access lists");
    }
    let list = attribute(&file, LIST);
    one.write("traces/x.json", "second");
    one.sync().await;
    two.sync().await;
    assert_eq!(two.read("traces/x.json").as_deref(), Some(&b"second"[..]));
    assert_eq!(mode(&file), 0o640);
    assert_eq!(attribute(&file, "user.note"), noted.then(|| b"hi".to_vec()));
    assert_eq!(attribute(&file, LIST), list);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_has_the_mode_of_the_remote_less_the_umask() {
    let folder = fresh_folder();
    let (one, two) = pair(folder.path()).await;
    one.write("traces/open.json", "new");
    set_mode(&one.root.join("traces/open.json"), 0o666);
    one.sync().await;
    two.with_umask("027").sync().await;
    assert_eq!(mode(&two.root.join("traces/open.json")), 0o640);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_root_puts_in_place_is_still_the_apps() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let folder = fresh_folder();
    let (one, two) = pair(folder.path()).await;
    let traces = two.root.join("traces");
    chown(traces.join("x.json"), Some(APP), Some(APP + 1)).unwrap();
    chown(&traces, Some(APP), Some(APP)).unwrap();
    set_mode(&traces, 0o2775);
    one.write("traces/x.json", "second");
    one.write("traces/new.json", "new");
    one.write("traces/deep/er/new.json", "new");
    one.sync().await;
    two.sync().await;
    let owner = |path: &str| {
        let meta = std::fs::metadata(traces.join(path)).unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!(two.read("traces/x.json").as_deref(), Some(&b"second"[..]));
    assert_eq!(owner("x.json"), (APP, APP + 1));
    for new in ["new.json", "deep", "deep/er", "deep/er/new.json"] {
        assert_eq!(owner(new), (APP, APP), "{new}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_rights_do_not_allow_is_named_once() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let folder = fresh_folder();
    let (one, two) = pair(folder.path()).await;
    let two = two.as_nobody();
    for name in ["x.json", "y.json"] {
        let file = two.root.join("traces").join(name);
        std::fs::write(&file, "first").unwrap();
        set_mode(&file, 0o644);
        chown(&file, Some(APP), None).unwrap();
    }
    two.sync().await;
    one.sync().await;
    one.write("traces/x.json", "second");
    one.write("traces/y.json", "second");
    one.sync().await;
    let report = two.sync().await;
    let problems = report["problems"].as_array().unwrap();
    let about_owner =
        |problem: &&serde_json::Value| problem["message"].as_str().unwrap().contains("its owner");
    assert_eq!(problems.iter().filter(about_owner).count(), 1, "{report:#}");
    assert_eq!(two.read("traces/y.json").as_deref(), Some(&b"second"[..]));
}

/// A change of the mode in a file's place is durable only after a flush of its own: of thousands of
/// files that took minutes, since the service's umask leaves nothing to others.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_pulled_has_the_mode_of_its_place_from_the_beginning() {
    let folder = fresh_folder();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    let mut two = Device::joined(folder.path(), "two", remote).await;
    let place = |device: &Device, at: usize| device.root.join(format!("traces/{at}.json"));
    for at in 0..20 {
        one.write(&format!("traces/{at}.json"), format!("[{at}]"));
        set_mode(&place(&one, at), if at % 2 == 0 { 0o666 } else { 0o644 });
    }
    one.sync().await;
    two.sync().await;
    assert_ne!(mode(&place(&two, 0)), 0o666, "the umask of the tests takes something");
    assert_eq!(two.dressed.take(), 0);

    for at in 5..8 {
        set_mode(&place(&two, at), 0o640);
        one.write(&format!("traces/{at}.json"), format!("[{at}, \"edited\"]"));
    }
    one.sync().await;
    two.sync().await;
    assert_eq!(two.text("traces/7.json").as_deref(), Some("[7, \"edited\"]"));
    assert_eq!(mode(&place(&two, 7)), 0o640);
    assert_eq!(two.dressed.take(), 0);
}

/// Once `sudo` has run a command, the vault is still its owner's.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_root_has_run_leaves_the_vault_to_its_owner() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: this is not root");
        return;
    }
    let folder = fresh_folder();
    let root = Machine::with_folder(folder.path(), "one");
    let owner = root.as_nobody();
    owner.good(&["init"]).await;
    owner.write("traces/a.json", "a");
    owner.sync().await;
    owner.write("traces/b.json", "b");
    let made_by_the_test = of_root(folder.path());
    root.sync().await;
    root.good(&["verify"]).await;
    assert_eq!(of_root(folder.path()), made_by_the_test);
    owner.write("traces/c.json", "c");
    assert_eq!(owner.sync().await["pushed"], 1);
    owner.good(&["status"]).await;
}

/// A lock of ours that is another name of somebody's file.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_root_that_is_opened_and_not_made_stays_roots() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: this is not root");
        return;
    }
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.sync().await;
    let (lock, other) = (machine.root.join("sync/apply.lock"), folder.path().join("of-root"));
    std::fs::write(&other, "").unwrap();
    chown(machine.root.join("sync"), Some(APP), Some(APP)).unwrap();
    let _gone = std::fs::remove_file(&lock);
    std::fs::hard_link(&other, &lock).unwrap();
    machine.write("a.json", "{}");
    machine.sync().await;
    assert_eq!(std::fs::metadata(&other).unwrap().uid(), 0);
}

/// Files and folders that belong to root.
fn of_root(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            found.extend(of_root(&path));
        }
        found.extend((metadata.uid() == 0).then_some(path));
    }
    found.sort();
    found
}
