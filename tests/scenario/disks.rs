//! A day of a vault on each disk that there is to try: nothing fails, nothing is lost.
//!
//! `COGZY_TEST_DISKS` names them, as `PATH` names folders (`.ci/run` mounts them); a plain folder
//! is always among them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cogzy_engine::fs::escape;
use cogzy_testkit::fresh_folder;
use serde_json::Value;

use crate::mounts::Mount;
use crate::support::daemon::Daemon;
use crate::support::process::Machine;
use crate::support::socket;

const DISKS: &str = "COGZY_TEST_DISKS";
/// A name that FAT cannot hold.
const TIME: &str = "traces/16:51.json";
/// Names that FAT cannot hold, names that it would take for others, and one that it holds.
const NAMES: [&str; 6] = [TIME, "traces/a?/b*.json", "notes/a.", "notes/a", "notes/b ", "notes/literal：.md"];

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
        let mut files = self.one.files();
        files = files.into_iter().map(|(path, digest)| (self.on_disk(&path), digest)).collect();
        assert_eq!(files, self.two.files());
    }

    /// A path as the disk to try spells it.
    fn on_disk(&self, path: &str) -> String {
        if self.holds_names {
            return path.to_owned();
        }
        path.split('/').map(escape).collect::<Vec<_>>().join("/")
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
        what_is_left_out_is_named(&pair, &disk).await;
        a_disk_in_the_vault_has_its_own_names(&pair, folder.path(), &disk).await;
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

/// Every name travels both ways, whatever the disk can hold.
async fn names_are_kept(pair: &Pair) {
    let Pair { one, two, .. } = pair;
    let [time, question, ..] = NAMES;
    let on_two = |path: &str| two.read(&pair.on_disk(path));
    for name in NAMES {
        one.write(name, format!("of one: {name}"));
    }
    one.write("traces/é Ω.json", "not ASCII");
    pair.arrives(one).await;
    assert_eq!(on_two("notes/a.").unwrap(), b"of one: notes/a.", "two names became one");
    assert_eq!(two.read("traces/é Ω.json").unwrap(), b"not ASCII");
    // An edit, a new file and a renamed one, made on that disk.
    two.write(&pair.on_disk(time), "edited");
    two.write(&pair.on_disk("traces/17:00|.json"), "new");
    std::fs::rename(
        two.root.join(pair.on_disk("notes/literal：.md")),
        two.root.join(pair.on_disk("notes/moved：.md")),
    )
    .unwrap();
    pair.arrives(two).await;
    assert_eq!(one.read(time).unwrap(), b"edited");
    assert_eq!(one.read("traces/17:00|.json").unwrap(), b"new");
    assert!(one.read("notes/moved：.md").is_some() && one.read("notes/literal：.md").is_none());
    one.delete("notes/a.");
    std::fs::rename(one.root.join("traces/a?"), one.root.join("traces/c:")).unwrap();
    pair.arrives(one).await;
    assert!(on_two("notes/a.").is_none() && on_two("notes/a").is_some(), "the wrong file was deleted");
    assert!(on_two(question).is_none() && on_two("traces/c:/b*.json").is_some());
    one.write(time, "of one");
    two.write(&pair.on_disk(time), "of two");
    pair.arrives(one).await;
    assert_eq!(on_two(time).unwrap(), b"of one", "the remote does not win");
    two.good(&["conflicts", "resolve", "--all", "--keep", "this"]).await;
    pair.arrives(two).await;
    assert_eq!(one.read(time).unwrap(), b"of two", "the losing version is gone");
    let copy = two.root.with_file_name("copy");
    let exported = two.good(&["export", copy.to_str().unwrap()]).await.stdout;
    assert_eq!(exported.contains("cannot hold"), !pair.holds_names, "{exported}");
    assert_eq!(std::fs::read(copy.join(pair.on_disk(time))).unwrap(), b"of two");
    let told = two.run(&["doctor"]).await.stdout;
    assert_eq!(told.contains("names: it cannot hold"), !pair.holds_names, "{told}");
}

/// Where names with stand-ins were agreed before the disk was found to hold less, they keep their
/// meaning, and what the disk cannot hold is left out and named.
async fn what_is_left_out_is_named(pair: &Pair, disk: &Path) {
    const NOON: &str = "notes/at 12:00.md";
    if pair.holds_names {
        return;
    }
    let folder = fresh_folder();
    let (one, mut three) =
        (Machine::with_folder(folder.path(), "one"), Machine::with_folder(folder.path(), "three"));
    three.root = disk.join("older");
    three.set("COGZY_VAULT_DIR", three.root.clone());
    one.good(&["init"]).await;
    let init = three.good(&["init"]).await.stdout;
    assert!(init.contains("names: it cannot hold"), "{init}");
    three.write("a.json", "something is agreed");
    three.sync().await;
    std::fs::remove_file(three.root.join("sync/names.json")).unwrap();
    three.write("notes/meeting：1.md", "full-width");
    one.write(NOON, "at noon");
    one.sync().await;
    let left_out = three.run(&["sync", "--json"]).await;
    assert!(left_out.code == Some(9) && left_out.stdout.contains(NOON), "{left_out:#?}");
    let status = three.run(&["status", "--json"]).await.json();
    assert!(status["errors"].as_array().unwrap().iter().any(|error| error["path"] == NOON), "{status:#}");
    let doctor = three.run(&["doctor"]).await.stdout;
    assert!(doctor.contains("used in names here already") && doctor.contains(NOON), "{doctor}");
    one.sync().await;
    assert!(one.read("notes/meeting：1.md").is_some() && one.read(NOON).is_some());
}

/// Only below the place where it is mounted are names spelled as that disk holds them.
async fn a_disk_in_the_vault_has_its_own_names(pair: &Pair, folder: &Path, disk: &Path) {
    let four = Machine::with_folder(folder, "four");
    four.good(&["init"]).await;
    let Some(_mount) = Mount::bind(&disk.join("inside"), &four.root.join("traces")) else { return };
    four.write("traces/plain.json", "the disk is met");
    four.sync().await;
    four.sync().await;
    pair.one.write("notes/outside:.md", "on the vault's own disk");
    pair.one.write(TIME, "on the disk inside");
    pair.one.sync().await;
    four.sync().await;
    assert_eq!(four.read("notes/outside:.md").unwrap(), b"on the vault's own disk");
    assert_eq!(four.read(&pair.on_disk(TIME)).unwrap(), b"on the disk inside");
    four.write(&pair.on_disk(TIME), "edited there");
    four.sync().await;
    pair.one.sync().await;
    assert_eq!(pair.one.read(TIME).unwrap(), b"edited there");
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
