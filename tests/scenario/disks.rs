//! A day of a vault on each disk that there is to try: nothing fails, nothing is lost.
//!
//! `COGZY_TEST_DISKS` names them, as `PATH` names folders (`.ci/run` mounts them); a plain folder is
//! always among them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cogzy_testkit::fresh_folder;
use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::process::Machine;
use crate::support::socket;

const DISKS: &str = "COGZY_TEST_DISKS";
/// A name that FAT cannot hold.
const TIME: &str = "traces/16:51.json";

/// Two machines of one vault: the first on a plain folder, the second on the disk to try.
struct Pair {
    one: Machine,
    two: Machine,
    holds_names: bool,
    keeps_modes: bool,
}

impl Pair {
    async fn on(folder: &Path, disk: &Path) -> Self {
        let (one, mut two) = (Machine::with_folder(folder, "one"), Machine::with_folder(folder, "two"));
        let trial = disk.join("trial");
        std::fs::write(&trial, "").unwrap();
        // Some disks refuse to change a mode, others forget it.
        let _refused = std::fs::set_permissions(&trial, Permissions::from_mode(0o700));
        let keeps_modes = mode(&trial) == 0o700;
        let holds_names = std::fs::write(disk.join("a:b"), "").is_ok();
        two.root = disk.join("vault");
        two.set("COGZY_VAULT_DIR", two.root.clone());
        for machine in [&one, &two] {
            machine.good(&["init"]).await;
        }
        Self { one, two, holds_names, keeps_modes }
    }

    /// Brings what was done on `from` to the other machine, and expects both to be equal.
    async fn arrives(&self, from: &Machine) {
        from.sync().await;
        self.one.sync().await;
        self.two.sync().await;
        assert_eq!(self.one.files(), self.two.files());
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The disks that were named.
#[expect(clippy::disallowed_methods, reason = "tests may read their environment")]
fn named() -> Vec<PathBuf> {
    let named = std::env::var_os(DISKS).unwrap_or_default();
    std::env::split_paths(&named).filter(|disk| !disk.as_os_str().is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_lives_on_every_disk_and_loses_nothing() {
    let plain = fresh_folder();
    let mut disks: Vec<PathBuf> = vec![plain.path().to_owned()];
    disks.extend(named());
    for disk in disks {
        eprintln!("on {}", disk.display());
        let folder = fresh_folder();
        let pair = Pair::on(folder.path(), &disk).await;
        let first = files_travel(&pair).await;
        a_conflict_keeps_both(&pair).await;
        an_old_state_comes_back(&pair, first).await;
        names_are_kept(&pair).await;
        pair.two.good(&["verify"]).await;
        a_disk_of_others_is_named(pair, &disk, folder.path()).await;
    }
}

/// Pull, push, a mode, a rename and a deletion. Gives the first generation.
async fn files_travel(pair: &Pair) -> Value {
    let Pair { one, two, .. } = pair;
    for path in ["corpus/nodes.json", "traces/a.json", "traces/b.json", "traces/deep/c.json"] {
        one.write(path, format!("first {path}"));
    }
    std::fs::set_permissions(one.root.join("traces/b.json"), Permissions::from_mode(0o700)).unwrap();
    let first = one.sync().await["generation"].clone();
    pair.arrives(one).await;
    if pair.keeps_modes {
        assert_eq!(mode(&two.root.join("traces/b.json")), 0o700);
    }
    two.write("traces/a.json", "second");
    two.write("traces/two.json", "made on the disk");
    pair.arrives(two).await;
    std::fs::rename(two.root.join("traces/two.json"), two.root.join("traces/moved.json")).unwrap();
    std::fs::rename(one.root.join("traces/deep"), one.root.join("traces/deeper")).unwrap();
    pair.arrives(two).await;
    assert_eq!(one.read("traces/moved.json").unwrap(), b"made on the disk");
    two.delete("traces/moved.json");
    one.delete("traces/deeper/c.json");
    pair.arrives(two).await;
    assert!(one.read("traces/moved.json").is_none() && two.read("traces/deeper/c.json").is_none());
    first
}

async fn a_conflict_keeps_both(pair: &Pair) {
    let Pair { one, two, .. } = pair;
    one.write("traces/a.json", "of one");
    two.write("traces/a.json", "of two");
    pair.arrives(one).await;
    assert_eq!(two.read("traces/a.json").unwrap(), b"of one", "the remote does not win");
    two.good(&["conflicts", "resolve", "--all", "--keep", "this"]).await;
    pair.arrives(two).await;
    assert_eq!(one.read("traces/a.json").unwrap(), b"of two", "the losing version is gone");
}

async fn an_old_state_comes_back(pair: &Pair, generation: Value) {
    let generation = generation.to_string();
    pair.two.good(&["restore", "--generation", &generation, "traces/a.json"]).await;
    pair.arrives(&pair.two).await;
    assert_eq!(pair.two.read("traces/a.json").unwrap(), b"first traces/a.json");
}

/// A name that the disk cannot hold is missed by name, and everything else goes on.
async fn names_are_kept(pair: &Pair) {
    let Pair { one, two, .. } = pair;
    one.write(TIME, "at a time");
    one.write("traces/é Ω.json", "not ASCII");
    if pair.holds_names {
        pair.arrives(one).await;
        assert_eq!(two.read(TIME).unwrap(), b"at a time");
    } else {
        one.sync().await;
        let left_out = two.run(&["sync", "--json"]).await;
        assert!(left_out.code == Some(9) && left_out.stdout.contains(TIME), "{left_out:#?}");
        one.sync().await;
        assert!(one.read(TIME).is_some(), "a name that the other disk cannot hold was deleted");
    }
    assert_eq!(two.read("traces/é Ω.json").unwrap(), b"not ASCII");
}

/// Where the disk shows a folder of another file system, that folder stands beside it: what is
/// written there comes without any event, as from another machine.
async fn a_disk_of_others_is_named(pair: Pair, disk: &Path, sockets: &Path) {
    let Pair { mut two, .. } = pair;
    // Not every file system has room for a socket.
    two.set("XDG_RUNTIME_DIR", sockets);
    let daemon = Daemon::start(&two).await;
    socket::until_state(&two, "in-sync").await;
    let status = two.good(&["status"]).await.stdout;
    let said = status.contains("changes are noticed only by a scan");
    assert_eq!(said, disk.with_extension("folder").exists(), "{status}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}
