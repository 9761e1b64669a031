//! The next steps of holds and troubles; [`crate::next_steps`] has the table.

use std::path::Path;

use cogzy_engine::model::Validate;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memory::{corpus, index, matrix};

use crate::next_steps::{obey, synced};
use crate::support::process::Machine;

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
        assert_eq!(machine.read("corpus/nodes.json").unwrap().len(), if approved { 2 } else { 20_000 });
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
