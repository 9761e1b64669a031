//! From every error, hold, trouble and refusal to its next step: the step is taken as it is
//! written, and then things are as it says.
//!
//! [`ROWS`] names the test of each, or the reason why nobody can run a command for it; a variant
//! without a row fails. That each proposed command parses is in `words`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::process::{Machine, Ran, noise};
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
    ("SyncError", "Reading", Row::Says("programs read all the time: it is tried again")),
    ("SyncError", "Unsettled", Row::Says("other devices write all the time: the same command again")),
    ("Refusal", "NoConflict", Row::Test("conflicts_that_cannot_be_decided_so")),
    ("Refusal", "Decided", Row::Test("conflicts_that_cannot_be_decided_so")),
    ("Refusal", "NoSuchVersion", Row::Test("conflicts_that_cannot_be_decided_so")),
    ("Refusal", "NotMerged", Row::Test("conflicts_that_cannot_be_decided_so")),
    ("Refusal", "PartOf", Row::Test("what_was_written_late_can_be_kept_beside_the_memory")),
    ("Refusal", "NotAtRest", Row::Says("it waits for something that `sync` names: merge_by_hand")),
    ("Refusal", "NoPlaceBeside", Row::Says("every name is a group's: recovery")),
    ("Refusal", "NoGeneration", Row::Test("what_is_asked_of_the_past_and_is_not_there")),
    ("Refusal", "NothingYet", Row::Test("what_is_asked_of_the_past_and_is_not_there")),
    ("Refusal", "Empty", Row::Test("a_backup_that_holds_nothing_yet")),
    ("Refusal", "NoPath", Row::Test("what_is_asked_of_the_past_and_is_not_there")),
    ("Refusal", "BuiltUpon", Row::Test("what_wants_to_be_said_twice")),
    ("Refusal", "ChangedNothing", Row::Says("there is nothing to do: recovery_undo")),
    ("Refusal", "NotNewest", Row::Says("a person names the generation: recovery_undo")),
    ("Refusal", "NoPathThen", Row::Says("a person names another path: recovery_export")),
    ("Refusal", "Expired", Row::Says("a person chooses a kept generation: prune")),
    ("Refusal", "NoFolder", Row::Says("a person chooses another folder: recovery_export")),
    ("Refusal", "InTheWay", Row::Says("a person moves the file: recovery")),
    ("Refusal", "Unfit", Row::Says("a person chooses another version: validation")),
    ("Refusal", "Braked", Row::Test("what_wants_to_be_said_twice")),
    ("Refusal", "Gone", Row::Test("a_pack_that_is_damaged")),
    ("Refusal", "Exists", Row::Says("a person chooses another folder: recovery_export")),
    ("Refusal", "NotEmpty", Row::Test("targets_that_are_not_empty_or_in_the_vault")),
    ("Refusal", "InsideVault", Row::Test("targets_that_are_not_empty_or_in_the_vault")),
    ("Refusal", "Busy", Row::Says("a person closes programs: recovery_reset")),
    ("Refusal", "MoreLost", Row::Says("the command is run again: every_loss")),
    ("Refusal", "MayCome", Row::Says("it takes an hour: lost_packs")),
    ("Refusal", "Behind", Row::Says("a person installs a newer version there: lost_packs")),
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
    let this = concat!(
        include_str!("next_steps_errors.rs"),
        include_str!("next_steps_decisions.rs"),
        include_str!("late_writes.rs")
    );
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
pub async fn synced(folder: &Path, name: &str) -> Machine {
    let machine = Machine::with_folder(folder, name);
    machine.good(&["init"]).await;
    for number in 0..30 {
        machine.write(&format!("traces/{number}.json"), format!("trace {number}"));
    }
    // More than stands in a commit, so that there are packs.
    machine.write("corpus/nodes.json", noise("corpus", 20_000));
    machine.sync().await;
    machine
}

/// The error that a command ends with.
pub async fn error(machine: &Machine, args: &[&str]) -> Value {
    let ran = machine.run(&[args, &["--json"]].concat()).await;
    assert_ne!(ran.code, Some(0), "{args:?} went through");
    ran.json()["error"].clone()
}

/// Runs each command that `next` proposes, as it is written.
pub async fn obey(machine: &Machine, next: &str) -> Vec<Ran> {
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
pub async fn obeyed(machine: &Machine, args: &[&str]) -> Vec<Ran> {
    let error = error(machine, args).await;
    let all = obey(machine, error["next"].as_str().unwrap()).await;
    for ran in &all {
        assert_eq!(ran.code, Some(0), "{error}: {ran:#?}");
    }
    all
}

pub fn bucket(folder: &Path) -> PathBuf {
    folder.join("bucket/users/default")
}

/// The objects below a folder of the bucket.
pub fn objects(folder: &Path, kind: &str) -> Vec<PathBuf> {
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
