//! The examples in Python: one writes, in a vault whose group has an index that nobody rebuilds, and
//! one keeps a copy.

use std::process::Stdio;
use std::time::Duration;

use cogzy_engine::model::Validate;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::{self, Memories};
use cogzy_testkit::memory::{corpus, entries, index, matrix, rows};
use tokio::process::Command;

use super::merge_by_hand::ten;
use crate::support::daemon::Daemon;
use crate::support::process::Machine;
use crate::support::socket;

/// The longest run of the example: longer than a group may be invalid here, and no hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the example beside a daemon with this setting. What it said, and whether it ended well.
async fn remember(machine: &mut Machine, stale_index: &str) -> (String, bool) {
    for (key, value) in [
        ("STALE_INDEX", stale_index),
        ("MAX_INVALID", "2s"),
        ("POLL_INTERVAL", "1s"),
        ("POLL_INTERVAL_ACTIVE", "200ms"),
        ("BATCH_INTERVAL", "100ms"),
    ] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), value);
    }
    let daemon = Daemon::start(machine).await;
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/remember.py");
    let mut command = Command::new("python3");
    command.arg(example).arg(socket::path_of(machine)).arg("what the example remembers");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the example hangs").unwrap();
    assert_eq!(daemon.terminate().await.0, Some(0));
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.success())
}

fn there_is_python() -> bool {
    let there_is = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !there_is {
        eprintln!("skipped: there is no python3");
    }
    there_is
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_ends_in_a_vault_with_an_index_whichever_way_that_is_set() {
    if !there_is_python() {
        return;
    }
    let folder = fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    machine.groups(Validate::Enforce);
    machine.good(&["init"]).await;
    machine.write("corpus/nodes.json", corpus(30, "first"));
    machine.write("vectors/nodes.npy", matrix(30, 8, 0.5));
    // Its vectors are not those of the array: it does not follow them.
    machine.write("indexes/faiss.index", index(30, 8, 0.25));
    machine.sync().await;
    let (said, well) = remember(&mut machine, "hold").await;
    assert!(!well && said.contains("not in the backup yet") && said.contains("rebuild the index"), "{said}");
    let (said, well) = remember(&mut machine, "leave-out").await;
    assert!(well && said.contains("committed: generation"), "{said}");
    assert_eq!(rows(&machine.read("vectors/nodes.npy").unwrap()), 32);
    let other = Machine::with_folder(folder.path(), "other");
    other.good(&["init"]).await;
    other.sync().await;
    assert_eq!(entries(&other.read("corpus/nodes.json").unwrap()), 32);
    assert_eq!(other.read("indexes/faiss.index"), None, "an index that does not belong to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_writes_the_first_memory_of_a_vault() {
    if !there_is_python() {
        return;
    }
    let folder = fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    // So long that it asks before there is a generation.
    machine.set("COGZY_VAULT__SYNC__SETTLE", "1s");
    let (said, well) = remember(&mut machine, "hold").await;
    assert!(well && said.contains("committed: generation 1"), "{said}");
}

/// Runs the example that keeps a copy, and gives what it said.
async fn follow(machine: &Machine) -> String {
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/follow.py");
    let mut command = Command::new("python3");
    // Nothing is left beside the sources.
    command.arg("-B").arg(example).arg(socket::path_of(machine)).arg(machine.home.join("copy.json"));
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("the example hangs").unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_that_keeps_a_copy_is_told_what_changed_and_begins_anew_if_it_must() {
    if !there_is_python() {
        return;
    }
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let lay = |memories: &Memories| {
        memories::files(memories).into_iter().for_each(|(path, bytes)| machine.write(path, bytes));
    };
    lay(&ten());
    machine.sync().await;
    let daemon = Daemon::start(&machine).await;
    let said = follow(&machine).await;
    assert!(
        said.matches("changed: ").count() == 10 && said.contains("10 memories, as in generation 1-"),
        "{said}"
    );
    let mut memories = ten();
    memories.remove("n2");
    memories.insert("n3".to_owned(), ("changed".to_owned(), 3.0));
    lay(&memories);
    machine.good(&["sync"]).await;
    let said = follow(&machine).await;
    let told = ["changed: n3\n", "deleted: n2\n", "9 memories, as in generation 2-"];
    assert!(told.iter().all(|line| said.contains(line)) && said.lines().count() == 3, "{said}");
    let copy = machine.home.join("copy.json");
    let text = std::fs::read_to_string(&copy).unwrap().replace("\"until\": \"2-", "\"until\": \"9-");
    std::fs::write(copy, text).unwrap();
    let said = follow(&machine).await;
    assert!(said.starts_with("the daemon no longer knows") && said.contains("9 memories"), "{said}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}
