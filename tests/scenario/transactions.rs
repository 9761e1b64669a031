//! Files that a program writes by transactions: sent as one, and the fate of the versions that it
//! replaces.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use cogzy_client::local_vault::LocalVault;
use cogzy_engine::model::{Validate, VaultPath};
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Report, Request, Unwatched, Weight};
use cogzy_engine::vault::Transaction;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memory::{corpus, matrix};

use crate::support::away::Away;
use crate::support::device::{Device, WritesThen};

const PATH: &str = "traces/state.json";

fn save(device: &Device, text: &str) {
    let vault = LocalVault::open(&device.root).unwrap();
    let mut transaction = vault.transaction();
    transaction.file(PATH, text.as_bytes().to_vec()).unwrap();
    transaction.commit().unwrap();
}

/// Counts the applies that have left something in the trash.
fn trashes(device: &Device) -> usize {
    std::fs::read_dir(device.root.join("sync/trash")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_replaces_is_gone_once_it_has_settled_and_what_a_pull_replaces_is_kept() {
    let folder = fresh_folder();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    let mut two = Device::joined(folder.path(), "two", Arc::clone(&remote)).await;
    for round in 1..4 {
        save(&one, &format!("saved {round}"));
        assert_eq!(one.sync().await.generation, round);
    }
    one.sync().await;
    assert_eq!(trashes(&one), 0, "an app that saves often fills the disk");
    two.sync().await;
    two.write(PATH, "by the other");
    two.sync().await;
    one.sync().await;
    one.sync().await;
    assert_eq!((one.text(PATH).as_deref(), trashes(&one)), (Some("by the other"), 1));
}

/// An app that saves a large matrix every minute on a train has no cycle that comes to its end.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_replaces_goes_where_no_cycle_ends_too() {
    let folder = fresh_folder();
    let bucket = Arc::new(Away::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&bucket) as Arc<dyn Remote>).await;
    save(&one, "saved 0");
    one.sync().await;
    for round in 1..4 {
        save(&one, &format!("saved {round}"));
        one.pass(Duration::from_secs(10));
        one.engine().look_around(&Unwatched).await.unwrap();
        assert_eq!(trashes(&one), 0, "offline and in a pause the daemon only looks");
    }
    for round in 4..7 {
        one.pass(Duration::from_secs(10));
        let incoming = one.root.join("sync/incoming");
        std::fs::create_dir_all(&incoming).unwrap();
        std::fs::write(incoming.join("new"), format!("saved {round}")).unwrap();
        let transaction = Transaction {
            id: format!("save {round}"),
            source: "app".to_owned(),
            expected: BTreeMap::new(),
            writes: BTreeMap::from([(VaultPath::new(PATH).unwrap(), VaultPath::new("new").unwrap())]),
            deletes: BTreeSet::new(),
        };
        one.engine().transact(&transaction).unwrap();
        assert_eq!(trashes(&one), 1, "a first upload can take a day");
    }
    bucket.set(true);
    one.try_sync().await.unwrap_err();
    assert_eq!((trashes(&one), one.text(PATH).as_deref()), (0, Some("saved 6")), "a cycle that fails");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_keeps_what_a_pull_has_replaced_and_what_was_written_late() {
    let folder = fresh_folder();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    let mut two = Device::joined(folder.path(), "two", remote).await;
    one.write("traces/pulled.json", "old");
    save(&one, "first, ");
    one.sync().await;
    two.sync().await;
    two.write("traces/pulled.json", "new");
    two.sync().await;
    one.sync().await;
    let mut open = File::options().append(true).open(one.root.join(PATH)).unwrap();
    save(&one, "second");
    open.write_all(b"and something more").unwrap();
    drop(open);
    assert_eq!(trashes(&one), 2);
    one.pass(Duration::from_secs(10));
    let report = one.engine().look_around(&Unwatched).await.unwrap();
    assert_eq!((trashes(&one), report.standing.unwrap().conflicts), (1, 1));
    one.jump(29);
    one.engine().look_around(&Unwatched).await.unwrap();
    assert_eq!(trashes(&one), 1, "for as long as a trash is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_write_to_what_a_program_has_replaced_is_kept() {
    let folder = fresh_folder();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    save(&one, "first, ");
    one.sync().await;
    let mut open = File::options().append(true).open(one.root.join(PATH)).unwrap();
    save(&one, "second");
    open.write_all(b"and something more").unwrap();
    drop(open);
    one.sync().await;
    one.sync().await;
    let conflicts = one.conflicts();
    assert_eq!(conflicts.len(), 1, "a late write is lost");
    assert_eq!(
        one.conflict_bytes(&conflicts[0], PATH).as_deref(),
        Some(b"first, and something more".as_slice())
    );
    assert_eq!(one.text(PATH).as_deref(), Some("second"));
    assert_eq!(trashes(&one), 0);
}

/// Two devices with a memory of 30 nodes, and a transaction on one of them: a corpus of 31, its
/// vectors still of 30, a trace.
async fn half_of_a_memory_and_a_trace(folder: &std::path::Path) -> (Device, Device) {
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::new(folder, "one", Arc::clone(&remote));
    one.validate = Validate::Enforce;
    one.join(false).await.unwrap();
    one.write("corpus/nodes.json", corpus(30, "text"));
    one.write("vectors/nodes.npy", matrix(30, 8, 0.5));
    one.sync().await;
    let mut two = Device::joined(folder, "two", remote).await;
    two.sync().await;
    let vault = LocalVault::open(&one.root).unwrap();
    let mut transaction = vault.transaction();
    transaction.file("corpus/nodes.json", corpus(31, "text").into_bytes()).unwrap();
    transaction.file(PATH, b"about node 31".to_vec()).unwrap();
    transaction.commit().unwrap();
    (one, two)
}

fn of_trace(report: &Report) -> Vec<(Weight, &str)> {
    let of_trace = report.problems.iter().filter(|problem| problem.path == PATH);
    of_trace.map(|problem| (problem.weight, problem.message.as_str())).collect()
}

fn notes(device: &Device) -> usize {
    std::fs::read_dir(device.root.join("sync/together")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_transaction_wrote_is_sent_in_one_generation() {
    let folder = fresh_folder();
    let (mut one, mut two) = half_of_a_memory_and_a_trace(folder.path()).await;
    one.write("traces/other.json", "of no transaction");
    for _ in 0..2 {
        // Also by a process that knows only what is on the disk.
        one.restart();
        let report = one.sync().await;
        assert_eq!(report.generation, 2, "only the other trace is sent");
        let says = "it was written together with group:nodes, which waits: ";
        assert!(
            matches!(of_trace(&report).as_slice(), [(Weight::Invalid, text)] if text.starts_with(says)),
            "{report:?}"
        );
        two.sync().await;
        assert_eq!((two.text(PATH), two.read("traces/other.json").is_some()), (None, true));
    }
    one.write("vectors/nodes.npy", matrix(31, 8, 0.5));
    assert_eq!((one.sync().await.generation, notes(&one)), (3, 1));
    two.sync().await;
    assert_eq!(one.files(), two.files());
    let report = one.sync().await;
    assert_eq!((report.generation, report.problems.len(), notes(&one)), (3, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_binds_until_nothing_of_it_waits() {
    let folder = fresh_folder();
    let (mut one, _two) = half_of_a_memory_and_a_trace(folder.path()).await;
    one.sync().await;
    one.write(PATH, "more about node 31");
    let report = one.sync().await;
    assert_eq!((report.generation, of_trace(&report).len()), (1, 1), "what builds on it went without it");
    // The program takes its node back.
    one.write("corpus/nodes.json", corpus(30, "text"));
    let report = one.sync().await;
    assert_eq!((report.generation, report.pushed, report.problems.len()), (2, 1, 0), "{report:?}");
    one.sync().await;
    assert_eq!(notes(&one), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_changes_under_the_upload_keeps_the_others_back() {
    let folder = fresh_folder();
    let (mut one, mut two) = half_of_a_memory_and_a_trace(folder.path()).await;
    one.write("vectors/nodes.npy", matrix(31, 8, 0.5));
    one.pass(Duration::from_secs(10));
    let root = one.root.clone();
    let writer = WritesThen(&root, PATH, b"more about node 31".to_vec());
    let report = one.engine().cycle(Request::FULL, &writer).await.unwrap();
    let of_group = report.problems.iter().find(|problem| problem.path == "group:nodes");
    let says = "it was written together with file:traces/state.json, which could not be sent";
    assert_eq!(of_group.map(|problem| problem.message.as_str()), Some(says), "{report:?}");
    two.sync().await;
    assert_eq!(two.text("corpus/nodes.json"), Some(corpus(30, "text")), "half of it was sent");
    assert_eq!(one.sync().await.generation, 2);
    two.sync().await;
    assert_eq!(one.files(), two.files());
}
