//! Pipelines that write a memory file by file, beside daemons that are at work: killed in between,
//! or never finished.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cogzy_client::local_vault::{LocalVault, LocalVaultError};
use cogzy_engine::model::{Digest, Validate, VaultPath};
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memory::{corpus, entries, index, matrix, rows, vectors};
use ndarray::Array2;
use serde_json::json;

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::history::Bucket;
use crate::support::hook::{hook, told};
use crate::support::process::{Machine, PATIENCE};
use crate::support::socket;

const MEMBERS: [&str; 3] = ["corpus/nodes.json", "vectors/nodes.npy", "indexes/faiss.index"];

fn hurried(folder: &Path, name: &str) -> Machine {
    let mut machine = Machine::with_folder(folder, name);
    machine.groups(Validate::Enforce);
    for key in ["POLL_INTERVAL", "POLL_INTERVAL_ACTIVE", "BATCH_INTERVAL"] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), "200ms");
    }
    machine
}

/// The files that a run of the pipeline writes, in its order.
fn run_of(count: usize) -> [Vec<u8>; 3] {
    let seed = count as f32;
    [corpus(count, "text").into_bytes(), matrix(count, 8, seed), index(count, 8, seed)]
}

fn write_all(machine: &Machine, count: usize) {
    MEMBERS.iter().zip(run_of(count)).for_each(|(path, bytes)| machine.write(path, bytes));
}

/// Entries, rows and vectors of a vault.
fn counts(machine: &Machine) -> [Option<usize>; 3] {
    let read = |path| machine.read(path);
    let [nodes, matrix, index] = MEMBERS.map(read);
    [nodes.map(|bytes| entries(&bytes)), matrix.map(|bytes| rows(&bytes)), index.map(|bytes| vectors(&bytes))]
}

/// Asserts that every generation of the bucket holds files of one run, and counts the generations.
async fn every_generation_fits(bucket: &Bucket, runs: &[usize]) -> usize {
    let known: BTreeMap<Digest, usize> =
        runs.iter().flat_map(|&count| run_of(count).map(|bytes| (Digest::of(&bytes), count))).collect();
    let mut log = bucket.log().await;
    let keys: Vec<_> = log.graph().iter().map(|(key, _)| key).collect();
    for &key in &keys {
        let snapshot = log.snapshot(Some(key)).await.unwrap();
        let count = |path| known[&snapshot.tree[&VaultPath::new(path).unwrap()].digest];
        let found = MEMBERS.map(count);
        assert!(found.iter().all(|count| *count == found[0]), "generation {key} holds {found:?}");
    }
    keys.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_is_killed_in_between_yields_no_generation_of_halves() {
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| hurried(folder.path(), name));
    one.good(&["init"]).await;
    write_all(&one, 30);
    one.sync().await;
    two.good(&["init"]).await;
    two.sync().await;
    let mut daemon = Daemon::start(&one).await;
    let other = Daemon::start(&two).await;
    let bucket = Bucket::in_folder(folder.path()).await;
    let fresh = folder.path().join("fresh");
    std::fs::create_dir(&fresh).unwrap();
    let arrived = |machine: &Machine, path: &str| {
        let there = Onlooker::of(&machine.root).until(PATIENCE, || machine.read(path).is_some());
        assert!(there, "{path} did not come to {}", machine.name);
    };
    let mut runs = vec![30];
    for round in 0..4 {
        let (before, count) = (runs[runs.len() - 1], 31 + 2 * round);
        runs.extend([count, count + 1]);
        // The pipeline writes its first file, or the first two, and is killed.
        let mut script = String::new();
        for (number, bytes) in run_of(count).iter().take(1 + round % 2).enumerate() {
            let (staged, place) = (fresh.join(format!("{round}-{number}~")), one.root.join(MEMBERS[number]));
            std::fs::write(&staged, bytes).unwrap();
            script += &format!("mv '{}' '{}'\n", staged.display(), place.display());
        }
        script += &format!("touch '{}'\nexec sleep 600", fresh.join(round.to_string()).display());
        let onlooker = Onlooker::of(&fresh);
        let mut pipeline =
            tokio::process::Command::new("sh").args(["-c", &script]).kill_on_drop(true).spawn().unwrap();
        assert!(
            onlooker.until(PATIENCE, || fresh.join(round.to_string()).exists()),
            "the pipeline did not run"
        );
        pipeline.kill().await.unwrap();
        if round >= 2 {
            daemon.kill().await;
            daemon = Daemon::start(&one).await;
        }
        // Files written after it go through, so the half has been looked at; and more, from both
        // sides.
        for (from, to) in [(&one, &two), (&two, &one)] {
            let path = format!("traces/{round}-{}.json", from.name);
            from.write(&path, "more");
            arrived(to, &path);
        }
        assert_eq!(counts(&two), [Some(before); 3], "round {round}");
        assert_eq!(counts(&one)[0], Some(count), "round {round}: the half was taken away");
        // The next run comes to its end.
        write_all(&one, count + 1);
        let whole = Onlooker::of(&two.root).until(PATIENCE, || counts(&two) == [Some(count + 1); 3]);
        assert!(whole, "round {round}: {:?}", counts(&two));
    }
    assert_eq!(daemon.terminate().await.0, Some(0));
    assert_eq!(other.terminate().await.0, Some(0));
    assert!(every_generation_fits(&bucket, &runs).await > 8, "too few generations to tell");
    one.good(&["verify", "--deep"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_stays_half_written_becomes_an_error_and_calls_the_hook_once() {
    const MAX_INVALID: Duration = Duration::from_secs(3);
    let folder = fresh_folder();
    let mut one = hurried(folder.path(), "one");
    one.set("COGZY_VAULT__SYNC__MAX_INVALID", "3s");
    let (error, told_errors) = hook(folder.path(), "on-error", "");
    one.configure(&format!("[hooks]\non_error = {error}\n"));
    one.good(&["init"]).await;
    write_all(&one, 30);
    one.sync().await;
    let daemon = Daemon::start(&one).await;
    let onlooker = Onlooker::of(folder.path());
    one.write(MEMBERS[0], corpus(31, "text"));
    let written = one.root.join(MEMBERS[0]).metadata().unwrap().modified().unwrap();
    assert!(onlooker.until(PATIENCE, || told(&told_errors).len() == 1), "the hook did not run");
    let late = told_errors.metadata().unwrap().modified().unwrap().duration_since(written).unwrap();
    assert!(late >= MAX_INVALID, "it was told after {late:?} already");
    let event = &told(&told_errors)[0];
    assert_eq!((&event["event"], &event["error"]["path"]), (&json!("error"), &json!("group:nodes")));
    let message = event["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("vectors/nodes.npy has 30 rows, but corpus/nodes.json has 31 entries"),
        "{message}"
    );
    let status = socket::ask(&one, "GET", "/v1/status").await.json();
    assert_eq!((&status["state"], &status["errors"][0]["path"]), (&json!("error"), &json!("group:nodes")));
    // Another cycle, and another daemon, tell nothing anew.
    one.run(&["sync"]).await;
    assert_eq!(daemon.terminate().await.0, Some(0));
    let daemon = Daemon::start(&one).await;
    one.run(&["sync"]).await;
    assert_eq!(told(&told_errors).len(), 1, "{:?}", told(&told_errors));
    write_all(&one, 31);
    one.sync().await;
    let status = socket::ask(&one, "GET", "/v1/status").await.json();
    assert_eq!((&status["errors"], &status["generation"]), (&json!([]), &json!(2)), "{status}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_has_its_vault_synced_and_reset_by_the_daemon() {
    let folder = fresh_folder();
    let one = hurried(folder.path(), "one");
    one.good(&["init"]).await;
    let vault = LocalVault::open(&one.root).unwrap().with_socket(socket::path_of(&one));
    assert!(matches!(vault.reset().await, Err(LocalVaultError::Daemon(_))), "nobody is there to do it");
    let write = |count: usize| {
        let mut transaction = vault.transaction();
        transaction.file(MEMBERS[0], corpus(count, "text").into_bytes()).unwrap();
        transaction.embeddings("nodes", &Array2::ones((count, 8))).unwrap();
        transaction.commit().unwrap();
    };
    write(30);
    let daemon = Daemon::start(&one).await;
    assert_eq!(vault.sync().await.unwrap().generation, 1);
    assert_eq!(vault.sync_status().await.unwrap().generation, 1);
    // Most of it is gone: that waits for the user's approval, so it is not in the backup.
    write(2);
    assert_eq!(vault.sync().await.unwrap().holds.len(), 1);
    assert_eq!(vault.node_count().unwrap(), 2);
    let reset = vault.reset().await.unwrap();
    assert_eq!((reset.replaced, reset.deleted, reset.kept.len()), (2, 0, 1), "{reset:?}");
    assert_eq!(reset.generation, 1);
    assert_eq!((vault.node_count().unwrap(), vault.read_embeddings("nodes").unwrap().nrows()), (30, 30));
    assert_eq!(vault.sync().await.unwrap().holds.len(), 0);
    assert_eq!(daemon.terminate().await.0, Some(0));
}
