//! From every error, hold, trouble and refusal to its next step: the step is taken as it is written,
//! and then things are as it says.
//!
//! [`ROWS`] names the test of each, or the reason why nobody can run a command for it; a variant
//! without a row fails. That each proposed command parses is in `words`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cogzy_engine::fs::RealFs;
use cogzy_engine::model::Validate;
use cogzy_engine::vault::FileLock;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memory::{corpus, index, matrix};
use serde_json::Value;

use crate::support::process::{Machine, Ran};
use crate::words::proposed;

/// Each variant: the type, its name, and its test here, or why there is none.
const ROWS: &[(&str, &str, Row)] = &[
    ("SyncError", "Marker", Row::Test("a_marker_that_is_missing_or_damaged")),
    ("SyncError", "Scan", Row::Says("the disk fails: the same command again")),
    ("SyncError", "Apply", Row::Says("the disk fails or is away, or the journal is damaged: process_damage")),
    ("SyncError", "Stage", Row::Says("the disk fails: the same command again")),
    ("SyncError", "Trash", Row::Says("the disk fails: the same command again")),
    ("SyncError", "Damaged", Row::Says("one of our own files: process_damage takes each of them")),
    ("SyncError", "Io", Row::Says("the disk fails: the same command again")),
    ("SyncError", "Log", Row::Test("a_backup_that_lost_its_newest_state")),
    ("SyncError", "Record", Row::Test("a_record_that_is_damaged")),
    ("SyncError", "Database", Row::Says("it is made anew; only a full disk keeps it from that: little_room")),
    ("SyncError", "Filter", Row::Test("filters_that_hide_synced_files")),
    ("SyncError", "Groups", Row::Says("config check names the line: config::tests")),
    ("SyncError", "Content", Row::Test("a_pack_that_is_damaged")),
    ("SyncError", "NoChunk", Row::Test("a_pack_that_is_damaged")),
    ("SyncError", "Upload", Row::Says("a fault of the program: the same command again")),
    ("SyncError", "OtherRemote", Row::Test("another_remote_in_the_configuration")),
    ("SyncError", "NoRoom", Row::Says("the disk is full: little_room")),
    ("SyncError", "Refused", Row::Test("what_is_asked_of_the_past_and_is_not_there")),
    ("SyncError", "Locked", Row::Test("a_vault_that_another_process_holds")),
    ("SyncError", "Interrupted", Row::Says("the user's own wish")),
    ("SyncError", "Unsettled", Row::Says("other devices write all the time: the same command again")),
    ("Refusal", "NoConflict", Row::Test("conflicts_that_cannot_be_decided_so")),
    ("Refusal", "Decided", Row::Test("conflicts_that_cannot_be_decided_so")),
    ("Refusal", "NoSuchVersion", Row::Test("conflicts_that_cannot_be_decided_so")),
    ("Refusal", "NoPlaceBeside", Row::Says("every name is a group's: recovery")),
    ("Refusal", "NoGeneration", Row::Test("what_is_asked_of_the_past_and_is_not_there")),
    ("Refusal", "NothingYet", Row::Test("what_is_asked_of_the_past_and_is_not_there")),
    ("Refusal", "Empty", Row::Test("a_backup_that_holds_nothing_yet")),
    ("Refusal", "NoPath", Row::Test("what_is_asked_of_the_past_and_is_not_there")),
    ("Refusal", "BuiltUpon", Row::Test("what_wants_to_be_said_twice")),
    ("Refusal", "InTheWay", Row::Says("a person moves the file: recovery")),
    ("Refusal", "Unfit", Row::Says("a person chooses another version: validation")),
    ("Refusal", "Braked", Row::Test("what_wants_to_be_said_twice")),
    ("Refusal", "Gone", Row::Test("a_pack_that_is_damaged")),
    ("Refusal", "Exists", Row::Says("a person chooses another folder: recovery_export")),
    ("Refusal", "NotEmpty", Row::Test("targets_that_are_not_empty_or_in_the_vault")),
    ("Refusal", "InsideVault", Row::Test("targets_that_are_not_empty_or_in_the_vault")),
    ("Refusal", "Busy", Row::Says("a person closes programs: recovery_reset")),
    ("Refusal", "NotNew", Row::Says("a person chooses another prefix: process_tour")),
    ("Refusal", "NothingPlain", Row::Says("a person names the prefix: process_tour")),
    ("Refusal", "BadObject", Row::Says("a person moves the object: process_tour")),
    ("Reason", "Differs", Row::Test("two_filled_sides_that_meet")),
    ("Reason", "GroupLoss", Row::Test("a_memory_that_shrank")),
    ("Reason", "MassDelete", Row::Test("deleted_files")),
    ("Reason", "MassChange", Row::Test("changed_files")),
    ("Reason", "Filter", Row::Test("filters_that_hide_synced_files")),
    ("Reason", "Groups", Row::Says("another device changes the groups: groups_changed")),
    ("Weight", "Passing", Row::Says("it goes through by itself")),
    ("Weight", "Lasting", Row::Test("a_pack_that_is_damaged")),
    ("Weight", "Skipped", Row::Says("it is no file of the vault")),
    ("Weight", "Blocked", Row::Test("a_link_in_the_place_of_a_folder")),
    ("Weight", "Unmounted", Row::Says("a person mounts the disk: mounts")),
    ("Weight", "Invalid", Row::Test("an_index_that_was_not_rebuilt")),
    ("Weight", "Overdue", Row::Test("an_index_that_was_not_rebuilt")),
    ("Weight", "Warned", Row::Says("it is synced all the same")),
    ("Weight", "Stale", Row::Test("an_index_that_was_not_rebuilt")),
];

/// The proof for a variant.
#[derive(Debug, Clone, Copy)]
enum Row {
    /// The test of this name.
    Test(&'static str),
    /// No command cures it; what does, and where that is tested.
    Says(&'static str),
}

/// Names of the variants of an enum, as its source has them.
fn variants(file: &str, name: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/engine/src").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let body = text.split_once(&format!("pub enum {name} {{\n")).unwrap().1.split_once("\n}\n").unwrap().0;
    let is_variant = |line: &&str| line.starts_with("    ") && line[4..].starts_with(char::is_uppercase);
    let name = |line: &str| line[4..].split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
    body.lines().filter(is_variant).map(name).collect()
}

#[test]
fn every_error_hold_trouble_and_refusal_has_a_row() {
    let this = include_str!("next_steps.rs");
    for (file, name) in [
        ("sync/error.rs", "SyncError"),
        ("sync/refusal.rs", "Refusal"),
        ("model/decisions.rs", "Reason"),
        ("sync/report.rs", "Weight"),
    ] {
        let rows: BTreeSet<String> =
            ROWS.iter().filter(|(of, ..)| *of == name).map(|(_, variant, _)| (*variant).to_owned()).collect();
        assert_eq!(rows, variants(file, name), "{name}");
    }
    for (_, variant, row) in ROWS {
        match row {
            Row::Test(test) => assert!(this.contains(&format!("async fn {test}()")), "{variant}: no {test}"),
            Row::Says(why) => assert!(!why.is_empty(), "{variant}"),
        }
    }
}

/// A machine with thirty files and a memory that are in sync with a folder.
async fn synced(folder: &Path, name: &str) -> Machine {
    let machine = Machine::with_folder(folder, name);
    machine.good(&["init"]).await;
    for number in 0..30 {
        machine.write(&format!("traces/{number}.json"), format!("trace {number}"));
    }
    machine.write("corpus/nodes.json", "7".repeat(5000));
    machine.sync().await;
    machine
}

/// The error that a command ends with.
async fn error(machine: &Machine, args: &[&str]) -> Value {
    let ran = machine.run(&[args, &["--json"]].concat()).await;
    assert_ne!(ran.code, Some(0), "{args:?} went through");
    ran.json()["error"].clone()
}

/// Runs each command that `next` proposes, as it is written.
async fn obey(machine: &Machine, next: &str) -> Vec<Ran> {
    let commands = proposed(next);
    assert!(!commands.is_empty(), "{next:?} proposes nothing");
    let mut ran = Vec::new();
    for command in commands {
        let args: Vec<&str> = command.split_whitespace().collect();
        ran.push(machine.run(&args).await);
    }
    ran
}

/// Runs a command that fails, and then what it proposes, which must go through.
async fn obeyed(machine: &Machine, args: &[&str]) -> Vec<Ran> {
    let error = error(machine, args).await;
    let all = obey(machine, error["next"].as_str().unwrap()).await;
    for ran in &all {
        assert_eq!(ran.code, Some(0), "{error}: {ran:#?}");
    }
    all
}

fn bucket(folder: &Path) -> PathBuf {
    folder.join("bucket/users/default")
}

/// The objects below a folder of the bucket.
fn objects(folder: &Path, kind: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, all: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, all) } else { all.push(path) }
        }
    }
    let mut all = Vec::new();
    walk(&bucket(folder).join(kind), &mut all);
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_is_missing_or_damaged() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let (files, marker) = (machine.files(), machine.root.join(".cogzy-vault"));
    let whole = std::fs::read(&marker).unwrap();
    std::fs::write(&marker, "{").unwrap();
    obeyed(&machine, &["sync"]).await;
    machine.good(&["sync"]).await;
    std::fs::remove_file(&marker).unwrap();
    let told = error(&machine, &["sync"]).await;
    // "Put the folder back", and then the command.
    std::fs::write(&marker, whole).unwrap();
    assert_eq!(obey(&machine, told["next"].as_str().unwrap()).await[0].code, Some(0), "{told}");
    assert!(!machine.good(&["status"]).await.stdout.contains("failed"), "the failure is still told");
    assert_eq!(machine.files(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_lost_its_newest_state() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    machine.write("traces/0.json", "newer");
    machine.sync().await;
    std::fs::remove_file(objects(folder.path(), "commits").pop().unwrap()).unwrap();
    obeyed(&machine, &["sync"]).await;
    machine.good(&["sync"]).await;
    let other = Machine::with_folder(folder.path(), "other");
    other.good(&["init"]).await;
    other.sync().await;
    assert_eq!(machine.files(), other.files());
    let list = machine.good(&["conflicts", "--json"]).await.json();
    let id = list["conflicts"][0]["id"].as_str().unwrap();
    machine.good(&["conflicts", "resolve", id, "--keep", "aside"]).await;
    assert_eq!(machine.read("traces/0.json").unwrap(), b"newer", "what the backup lost is not kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_damaged() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let (files, record) = (machine.files(), machine.root.join("sync/last_sync.json"));
    std::fs::write(&record, "{").unwrap();
    let told = error(&machine, &["sync"]).await;
    std::fs::rename(&record, machine.home.join("aside")).unwrap();
    assert_eq!(obey(&machine, told["next"].as_str().unwrap()).await[0].code, Some(0), "{told}");
    assert_eq!(machine.files(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_is_damaged() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    for pack in objects(folder.path(), "packs") {
        let mut bytes = std::fs::read(&pack).unwrap();
        bytes[20..30].fill(b'X');
        std::fs::write(pack, bytes).unwrap();
    }
    let other = Machine::with_folder(folder.path(), "other");
    other.good(&["init"]).await;
    let told = other.run(&["sync", "--json"]).await;
    assert_eq!(told.code, Some(9), "{told:#?}");
    let told = told.json()["problems"][0]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("on a device that has the file"), "{told}");
    assert_eq!(obey(&machine, &told).await[0].code, Some(0), "{told}");
    other.good(&["sync"]).await;
    assert_eq!(other.files(), machine.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_remote_in_the_configuration() {
    let folder = fresh_folder();
    let mut machine = synced(folder.path(), "one").await;
    let url = format!("file://{}", folder.path().join("elsewhere").display());
    machine.set("COGZY_VAULT__REMOTE", &url);
    let ran = obeyed(&machine, &["sync"]).await;
    assert!(ran[0].stdout.contains(&url), "what is configured is not shown: {ran:#?}");
    machine.sync().await;
    let mut other = Machine::with_folder(folder.path(), "other");
    other.set("COGZY_VAULT__REMOTE", url);
    other.good(&["init"]).await;
    other.sync().await;
    assert_eq!(other.files(), machine.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_another_process_holds() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let lock = FileLock::try_take(&RealFs, &machine.root.join("sync/lock")).unwrap().unwrap();
    for verb in ["run", "sync"] {
        let told = error(&machine, &[verb]).await;
        assert!(told["next"].as_str().unwrap().starts_with("wait until it is done"), "{told}");
    }
    machine.good(&["status"]).await;
    drop(lock);
    machine.good(&["sync"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_holds_nothing_yet() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("a.json", "a");
    let told = error(&machine, &["reset", "--yes"]).await;
    for ran in obey(&machine, told["next"].as_str().unwrap()).await {
        assert_eq!(ran.code, Some(0), "{told}: {ran:#?}");
    }
    machine.good(&["reset", "--yes"]).await;
    assert_eq!(machine.read("a.json").unwrap(), b"a");
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_that_cannot_be_decided_so() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    obeyed(&machine, &["conflicts", "resolve", "0123", "--keep", "both"]).await;
    let other = Machine::with_folder(folder.path(), "other");
    other.good(&["init"]).await;
    other.sync().await;
    other.write("traces/0.json", "other's");
    other.sync().await;
    machine.write("traces/0.json", "one's");
    machine.sync().await;
    let list = machine.good(&["conflicts", "list", "--json"]).await.json();
    let id = list["conflicts"][0]["id"].as_str().unwrap().to_owned();
    let told = error(&machine, &["conflicts", "resolve", &id, "--keep", "phone"]).await;
    let next = told["next"].as_str().unwrap().replace("ID", &id);
    let shown = obey(&machine, &next).await;
    assert!(shown.iter().all(|ran| ran.code == Some(0)), "{shown:#?}");
    assert!(shown[1].stdout.contains("version of other"), "whose they are is not told: {shown:#?}");
    machine.good(&["conflicts", "resolve", &id, "--keep", "stands"]).await;
    // Decided already.
    obeyed(&machine, &["conflicts", "resolve", &id, "--keep", "both"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_the_past_and_is_not_there() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    for args in [
        &["restore", "--generation", "99"][..],
        &["restore", "--generation", "1", "no.json"],
        &["restore", "--at", "2020-01-01T00:00:00Z"],
    ] {
        let ran = obeyed(&machine, args).await;
        assert!(ran[0].stdout.starts_with('1'), "the generations are not listed: {ran:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wants_to_be_said_twice() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    machine.write("traces/0.json", "second");
    let second = machine.sync().await["generation"].to_string();
    machine.write("traces/0.json", "third");
    machine.sync().await;
    let told = error(&machine, &["undo", &second]).await;
    assert!(told["next"].as_str().unwrap().contains("with `--force`"), "{told}");
    machine.good(&["undo", &second, "--force"]).await;
    assert_eq!(machine.read("traces/0.json").unwrap(), b"trace 0");
    std::fs::remove_dir_all(machine.root.join("traces")).unwrap();
    machine.run(&["approve", "--all"]).await.expect(0, &[]);
    let emptied = machine.sync().await["generation"].to_string();
    machine.good(&["undo"]).await;
    assert!(machine.read("traces/1.json").is_some());
    let told = error(&machine, &["restore", "--generation", &emptied]).await;
    assert!(told["next"].as_str().unwrap().contains("with `--yes`"), "{told}");
    machine.good(&["restore", "--generation", &emptied, "--yes"]).await;
    assert_eq!(machine.read("traces/1.json"), None);
    assert!(obeyed(&machine, &["reset"]).await[0].stdout.contains("generation"), "nothing was reset");
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_are_not_empty_or_in_the_vault() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let (full, inside) = (machine.home.join("full"), machine.root.join("copy"));
    std::fs::create_dir_all(full.join("traces")).unwrap();
    std::fs::write(full.join("mine"), "mine").unwrap();
    let told = error(&machine, &["export", full.to_str().unwrap()]).await;
    assert!(told["next"].as_str().unwrap().contains("`--force` writes beside"), "{told}");
    machine.good(&["export", full.to_str().unwrap(), "--force"]).await;
    assert!(full.join("mine").exists() && full.join("traces/0.json").exists());
    let told = error(&machine, &["export", inside.to_str().unwrap()]).await;
    assert_eq!(told["next"], "choose a folder outside the vault");
    machine.good(&["export", machine.home.join("outside").to_str().unwrap()]).await;
}

/// Takes both ways of the first hold, each on a copy of the situation that `make` leads to.
/// `outcome` is told whether it was approved.
async fn both_ways(make: impl AsyncFn(&Path) -> Machine, outcome: impl AsyncFn(&Machine, bool)) {
    for approve in [true, false] {
        let folder = fresh_folder();
        let machine = make(folder.path()).await;
        let told = machine.run(&["sync", "--json"]).await;
        assert_eq!(told.code, Some(4), "{told:#?}");
        let hold = told.json()["holds"][0].clone();
        let (next, says) = if approve { ("next", "approving") } else { ("reject", "rejecting") };
        assert!(hold[says].as_str().is_some_and(|says| !says.is_empty()), "{hold}");
        let ran = obey(&machine, hold[next].as_str().unwrap()).await;
        assert_eq!(ran[0].code, Some(0), "{hold}: {ran:#?}");
        machine.good(&["sync"]).await;
        outcome(&machine, approve).await;
    }
}

/// The files that a new device gets.
async fn backup(machine: &Machine) -> usize {
    let other = Machine::with_folder(machine.home.parent().unwrap(), "fresh");
    other.good(&["init"]).await;
    other.sync().await;
    other.files().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_files() {
    let make = async |folder: &Path| {
        let machine = synced(folder, "one").await;
        std::fs::remove_dir_all(machine.root.join("traces")).unwrap();
        machine
    };
    let outcome = async |machine: &Machine, approved: bool| {
        let left = if approved { 1 } else { 31 };
        assert_eq!((machine.files().len(), backup(machine).await), (left, left));
    };
    both_ways(make, outcome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files() {
    let make = async |folder: &Path| {
        let machine = synced(folder, "one").await;
        for number in 0..30 {
            machine.write(&format!("traces/{number}.json"), "encrypted");
        }
        machine
    };
    let outcome = async |machine: &Machine, approved: bool| {
        let stands = machine.read("traces/7.json").unwrap();
        assert_eq!(stands == b"encrypted", approved, "{stands:?}");
    };
    both_ways(make, outcome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_shrank() {
    let make = async |folder: &Path| {
        let machine = synced(folder, "one").await;
        machine.write("corpus/nodes.json", "[]");
        machine
    };
    let outcome = async |machine: &Machine, approved: bool| {
        assert_eq!(machine.read("corpus/nodes.json").unwrap().len(), if approved { 2 } else { 5000 });
    };
    both_ways(make, outcome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_that_hide_synced_files() {
    let folder = fresh_folder();
    let mut machine = synced(folder.path(), "one").await;
    machine.set("COGZY_VAULT__FILTER__EXCLUDE", "[\"traces/**\"]");
    let told = machine.run(&["sync", "--json"]).await;
    assert_eq!(told.code, Some(4), "{told:#?}");
    let hold = told.json()["holds"][0].clone();
    assert_eq!(obey(&machine, hold["next"].as_str().unwrap()).await[0].code, Some(0), "{hold}");
    machine.good(&["sync"]).await;
    assert!(machine.read("traces/7.json").is_some(), "a filter deleted a file");
    assert_eq!(backup(&machine).await, 31, "a filter deleted from the backup");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_filled_sides_that_meet() {
    let folder = fresh_folder();
    synced(folder.path(), "one").await;
    let other = Machine::with_folder(folder.path(), "other");
    other.write("traces/0.json", "other's own");
    let told = other.run(&["init"]).await;
    let next = told.stderr.lines().find_map(|line| line.strip_prefix("next:")).unwrap();
    assert_eq!(obey(&other, next).await[0].code, Some(0), "{told:#?}");
    other.sync().await;
    assert_eq!(other.read("traces/0.json").unwrap(), b"trace 0", "the remote wins");
    assert_eq!(other.good(&["conflicts", "--json"]).await.json()["conflicts"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_the_place_of_a_folder() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let (traces, aside) = (machine.root.join("traces"), machine.home.join("aside"));
    std::fs::rename(&traces, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &traces).unwrap();
    let status = machine.run(&["status", "--json"]).await.json();
    let next = status["errors"][0]["next"].as_str().unwrap().to_owned();
    assert!(next.contains("put the real folder"), "{status}");
    std::fs::remove_file(&traces).unwrap();
    std::fs::rename(&aside, &traces).unwrap();
    assert_eq!(obey(&machine, &next).await[0].code, Some(0), "{next}");
    assert_eq!(machine.good(&["status", "--json"]).await.json()["errors"], serde_json::json!([]));
}

/// The group waits until the app is done; then it is saved without its index; then it is whole.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_not_rebuilt() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.groups(Validate::Enforce);
    machine.good(&["init"]).await;
    let remember = |count: usize| {
        machine.write("corpus/nodes.json", corpus(count, "text"));
        machine.write("vectors/nodes.npy", matrix(count, 8, 0.5));
    };
    remember(30);
    machine.write("indexes/faiss.index", index(30, 8, 0.5));
    machine.sync().await;
    remember(31);
    let told = machine.run(&["sync", "--json"]).await;
    assert_eq!((told.code, &told.json()["problems"][0]["weight"]), (Some(9), &"invalid".into()), "{told:#?}");
    let mut without = machine.clone();
    without.set("COGZY_VAULT__SYNC__MAX_INVALID", "0s");
    let mut held = without.clone();
    held.set("COGZY_VAULT__SYNC__STALE_INDEX", "hold");
    let told = held.run(&["sync", "--json"]).await;
    assert_eq!(told.json()["problems"][0]["weight"], "overdue", "{told:#?}");
    let told = without.good(&["sync", "--json"]).await.json();
    assert_eq!((&told["pushed"], &told["problems"][0]["weight"]), (&2.into(), &"stale".into()), "{told}");
    let status = without.good(&["status", "--json"]).await.json();
    let next = status["errors"][0]["next"].as_str().unwrap();
    assert!(next.contains("it is then sent by itself"), "{status}");
    assert!(without.good(&["status"]).await.stdout.contains("saved without indexes/faiss.index"));
    machine.write("indexes/faiss.index", index(31, 8, 0.5));
    let told = machine.sync().await;
    assert_eq!((&told["pushed"], &told["problems"]), (&1.into(), &serde_json::json!([])), "{told}");
}
