//! Programs beside the daemon that write several files as one: transactions over the socket, and
//! commands under `hold`.

use std::collections::BTreeSet;
use std::path::Path;

use cogzy_engine::model::{Digest, Validate, VaultPath};
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memory::{corpus, entries, index, matrix, rows};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::history::Bucket;
use crate::support::process::{Machine, PATIENCE};
use crate::support::s3_server::S3Server;
use crate::support::socket::{self, Answer};

fn hurried(folder: &Path, name: &str, validate: Validate) -> Machine {
    let mut machine = Machine::with_folder(folder, name);
    machine.groups(validate);
    for key in ["POLL_INTERVAL", "POLL_INTERVAL_ACTIVE", "BATCH_INTERVAL"] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), "200ms");
    }
    machine
}

fn write_group(machine: &Machine, count: usize) {
    machine.write("corpus/nodes.json", corpus(count, "text"));
    machine.write("vectors/nodes.npy", matrix(count, 8, 0.5));
}

async fn transact(machine: &Machine, body: &Value) -> Answer {
    socket::ask_with(
        machine,
        "POST",
        "/v1/transactions",
        "content-type: application/json\r\n",
        &body.to_string(),
    )
    .await
}

fn stage(machine: &Machine, name: &str, bytes: impl AsRef<[u8]>) {
    machine.write(&format!("sync/incoming/{name}"), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_over_the_socket_is_one_generation_and_answered_once() {
    let folder = fresh_folder();
    let one = hurried(folder.path(), "one", Validate::Enforce);
    one.good(&["init"]).await;
    write_group(&one, 20);
    let daemon = Daemon::start(&one).await;
    let bucket = Bucket::in_folder(folder.path()).await;
    let onlooker = Onlooker::of(&folder.path().join("bucket"));
    let commits = || {
        let names = std::fs::read_dir(folder.path().join("bucket/users/default/commits"));
        let names =
            names.into_iter().flatten().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        // One that is being written is none yet.
        names.filter(|name| !name.starts_with('.')).count()
    };
    assert!(onlooker.until(PATIENCE, || commits() == 1), "the first generation was not committed");

    let asked = socket::ask(&one, "GET", "/v1/files?path=corpus/nodes.json").await.json();
    let known = Digest::of(&one.read("corpus/nodes.json").unwrap()).to_string();
    assert_eq!(asked["digest"], known.as_str());
    stage(&one, "n", corpus(21, "text"));
    stage(&one, "v", matrix(21, 8, 0.5));
    let request = json!({
        "transaction_id": "t1", "source_id": "test",
        "expected": {"corpus/nodes.json": known, "traces/new.json": null},
        "writes": [{"path": "corpus/nodes.json", "staged": "n"}, {"path": "vectors/nodes.npy", "staged": "v"}],
        "deletes": [],
    });
    let first = transact(&one, &request).await;
    assert_eq!(first.status, Some(200), "{first:?}");
    assert_eq!(entries(&one.read("corpus/nodes.json").unwrap()), 21);
    assert_eq!(rows(&one.read("vectors/nodes.npy").unwrap()), 21);
    assert!(onlooker.until(PATIENCE, || commits() == 2), "it was not committed");
    assert_eq!(bucket.head().await.seq(), 2);

    let again = transact(&one, &request).await;
    assert_eq!((again.status, again.json()), (Some(200), first.json()));

    let mut stale = request.clone();
    stale["transaction_id"] = "t2".into();
    stage(&one, "n", "[]");
    stage(&one, "v", matrix(0, 8, 0.5));
    let refused = transact(&one, &stale).await;
    let document = refused.json();
    let current = Digest::of(&one.read("corpus/nodes.json").unwrap()).to_string();
    assert_eq!((refused.status, &document["code"]), (Some(409), &json!("CONFLICT")));
    assert_eq!((&document["path"], &document["current"]), (&json!("corpus/nodes.json"), &json!(current)));
    assert_eq!(rows(&one.read("vectors/nodes.npy").unwrap()), 21, "half of it was written");

    stage(&one, "x", "{}");
    for (path, staged) in [
        ("config.json", "x"),
        ("sync/last_sync.json", "x"),
        ("traces/a.json", "../../etc/passwd"),
        ("traces/a.json", "none"),
    ] {
        let request = json!({"transaction_id": path, "writes": [{"path": path, "staged": staged}]});
        let answer = transact(&one, &request).await;
        assert_eq!(answer.status, Some(422), "{path}: {answer:?}");
    }
    assert_eq!(transact(&one, &json!({"writes": 3})).await.status.unwrap() / 100, 4);
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_command_runs_under_hold_nothing_is_sent_and_then_all_at_once() {
    let folder = fresh_folder();
    // No device validates here: only the hold keeps the halves together.
    let [one, two] = ["one", "two"].map(|name| hurried(folder.path(), name, Validate::Off));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    write_group(&one, 20);
    one.sync().await;
    two.sync().await;
    let daemon = Daemon::start(&one).await;
    let fresh = folder.path().join("fresh");
    std::fs::create_dir(&fresh).unwrap();
    std::fs::write(fresh.join("nodes.json"), corpus(25, "text")).unwrap();
    std::fs::write(fresh.join("nodes.npy"), matrix(25, 8, 0.5)).unwrap();
    let script = format!(
        "cp {0}/nodes.json {1}/corpus/nodes.json && touch {0}/half && while [ ! -e {0}/go ]; do sleep 0.05; done && cp {0}/nodes.npy {1}/vectors/nodes.npy",
        fresh.display(),
        one.root.display()
    );
    let mut running = one.command(&["hold", "--", "sh", "-c", &script]).spawn().unwrap();
    let onlooker = Onlooker::of(&fresh);
    assert!(onlooker.until(PATIENCE, || fresh.join("half").exists()), "the command did not run");
    // Other files go on, and neither side's half of the group does.
    two.write("corpus/nodes.json", corpus(30, "from the other"));
    two.write("vectors/nodes.npy", matrix(30, 8, 0.5));
    two.write("traces/other.json", "other");
    two.sync().await;
    one.write("traces/mine.json", "mine");
    assert!(
        Onlooker::of(&one.root).until(PATIENCE, || one.read("traces/other.json").is_some()),
        "other files wait too"
    );
    two.sync().await;
    assert_eq!(entries(&one.read("corpus/nodes.json").unwrap()), 25, "it was replaced under the command");
    assert_eq!(entries(&two.read("corpus/nodes.json").unwrap()), 30, "half of it was sent");
    std::fs::write(fresh.join("go"), "").unwrap();
    let ended = tokio::time::timeout(PATIENCE, running.wait()).await.expect("hold hangs").unwrap();
    assert_eq!(ended.code(), Some(0));
    two.sync().await;
    // The other device was first, so its memories stand where the command wrote the same ones:
    // these are a conflict.
    for machine in [&one, &two] {
        let count = entries(&machine.read("corpus/nodes.json").unwrap());
        assert_eq!(rows(&machine.read("vectors/nodes.npy").unwrap()), count, "{}", machine.name);
    }
    let listed = one.good(&["--json", "conflicts"]).await;
    assert!(listed.stdout.contains("corpus/nodes (one "), "{listed:?}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

/// A command whose first file has settled long before its last one.
#[tokio::test(flavor = "multi_thread")]
async fn groups_that_a_command_writes_one_after_the_other_are_one_generation() {
    let folder = fresh_folder();
    let mut one = hurried(folder.path(), "one", Validate::Enforce);
    // Longer than a program takes to start.
    one.set("COGZY_VAULT__SYNC__SETTLE", "1s");
    one.good(&["init"]).await;
    write_group(&one, 20);
    one.sync().await;
    let daemon = Daemon::start(&one).await;
    let bucket = Bucket::in_folder(folder.path()).await;
    let fresh = folder.path().join("fresh");
    std::fs::create_dir(&fresh).unwrap();
    let parts = ["corpus/nodes.json", "vectors/nodes.npy", "corpus/episodes.json", "vectors/episodes.npy"];
    let text = corpus(25, "text");
    let contents = [
        text.clone().into_bytes(),
        matrix(25, 8, 0.5),
        text.replace("nodes", "episodes").into(),
        matrix(25, 4, 0.5),
    ];
    for (number, bytes) in contents.iter().enumerate() {
        std::fs::write(fresh.join(number.to_string()), bytes).unwrap();
    }
    let copy =
        |number: usize| format!("cp {}/{number} {}/{}", fresh.display(), one.root.display(), parts[number]);
    let (fresh_path, copies) = (fresh.display(), [0, 1, 2, 3].map(copy));
    let [nodes, rows_of_nodes, episodes, rows_of_episodes] = copies;
    let script = format!(
        "{nodes} && {rows_of_nodes} && touch {fresh_path}/half && while [ ! -e {fresh_path}/go ]; do sleep 0.05; done && {episodes} && {rows_of_episodes}"
    );
    let mut running = one.command(&["hold", "--", "sh", "-c", &script]).spawn().unwrap();
    let onlooker = Onlooker::of(&fresh);
    assert!(onlooker.until(PATIENCE, || fresh.join("half").exists()), "the command did not run");
    // A later file is sent once it has settled, and by then the first group has settled too.
    one.write("traces/later.json", "later");
    let commits = folder.path().join("bucket/users/default/commits");
    let sent = || std::fs::read_dir(&commits).unwrap().count() == 2;
    assert!(Onlooker::of(&commits).until(PATIENCE, sent), "the trace was not sent");
    std::fs::write(fresh.join("go"), "").unwrap();
    let ended = tokio::time::timeout(PATIENCE, running.wait()).await.expect("hold hangs").unwrap();
    assert_eq!(ended.code(), Some(0));
    let log = bucket.log().await;
    let heads = log.graph().heads();
    assert_eq!((heads.len(), heads[0].seq), (1, 3));
    let changed = log.changed_by(heads[0]).await.unwrap();
    assert_eq!(changed.iter().map(VaultPath::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(parts));
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_under_hold_leaves_the_decision_to_validation() {
    let folder = fresh_folder();
    let one = hurried(folder.path(), "one", Validate::Enforce);
    one.good(&["init"]).await;
    write_group(&one, 20);
    one.sync().await;
    let script = format!("echo '[1, 2]' > {}/corpus/nodes.json; exit 3", one.root.display());
    one.run(&["hold", "--", "sh", "-c", &script])
        .await
        .expect(3, &["did not end well", "only if its files fit together"]);
    let ran = one.run(&["sync"]).await;
    assert!(ran.code == Some(4) && ran.stdout.contains("shrunk"), "{ran:?}");
    one.write("corpus/nodes.json", corpus(21, "one more"));
    let ran = one.run(&["sync"]).await;
    let says = "vectors/nodes.npy has 20 rows, but corpus/nodes.json has 21 entries";
    assert!(ran.code == Some(9) && ran.stdout.contains(says), "{ran:?}");
    let bucket = Bucket::in_folder(folder.path()).await;
    assert_eq!(bucket.head().await.seq(), 1);
    one.write("vectors/nodes.npy", matrix(21, 8, 0.5));
    one.write("indexes/faiss.index", index(21, 8, 0.5));
    one.sync().await;
    let status: Value = serde_json::from_str(&one.good(&["--json", "status"]).await.stdout).unwrap();
    assert_eq!(status["content"]["nodes"], 21);
    assert_eq!(
        status["content"]["embeddings"],
        json!([{"path": "vectors/nodes.npy", "rows": 21, "dim": 8, "dtype": "<f4"}])
    );
    assert_eq!(status["content"]["indexes"][0]["family"], "Flat");
    one.run(&["hold", "--", "/no/such/program"]).await.expect(2, &["cannot be run"]);
    one.run(&["hold"]).await.expect(2, &["Usage"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_under_hold_stays_protected_when_hold_is_ended() {
    let folder = fresh_folder();
    let one = hurried(folder.path(), "one", Validate::Off);
    one.good(&["init"]).await;
    let root = one.root.display();
    let wait = |file: &str| format!("while [ ! -e {root}/cache/{file} ]; do sleep 0.05; done");
    std::fs::create_dir_all(one.root.join("cache")).unwrap();
    // Told to stop, it cleans up for as long as it is let.
    let script = format!(
        "trap 'touch {root}/cache/told' TERM; touch {root}/cache/begun; {}; echo done > {root}/corpus/nodes.json; exit 7",
        wait("go")
    );
    let onlooker = Onlooker::of(&one.root);
    let seen = |file: &str| {
        let path = one.root.join("cache").join(file);
        assert!(onlooker.until(PATIENCE, || path.exists()), "{file} never came");
    };
    write_group(&one, 20);
    let mut running = one.command(&["hold", "--", "sh", "-c", &script]).spawn().unwrap();
    seen("begun");
    let pid = Pid::from_raw(i32::try_from(running.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    seen("told");
    one.run(&["sync"]).await.expect(9, &[]);
    // Even where nothing can be passed on any more, the command holds the lock.
    kill_process(pid, Signal::KILL).unwrap();
    tokio::time::timeout(PATIENCE, running.wait()).await.unwrap().unwrap();
    let ran = one.run(&["sync"]).await;
    assert!(ran.code == Some(9) && ran.stdout.contains("cogzy-vault hold"), "half of it was sent: {ran:?}");
    std::fs::write(one.root.join("cache/go"), "").unwrap();
    // It looks for that in this folder: it must not outlive it.
    let corpus = one.root.join("corpus/nodes.json");
    let done = || std::fs::read(&corpus).is_ok_and(|bytes| bytes == b"done\n");
    assert!(onlooker.until(PATIENCE, done), "the command never came to its end");
    let script = format!("{}; exit 7", wait("go"));
    assert_eq!(
        one.run(&["hold", "--", "sh", "-c", &script]).await.code,
        Some(7),
        "its code was not passed on"
    );
}

/// Signals are the command's while it runs. The sync that follows ends for them at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_sync_after_a_held_command_is_stopped_by_a_signal() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let one = Machine::with_server(folder.path(), "one", &server);
    one.good(&["init"]).await;
    server.stall();
    let asked = server.requests("PUT");
    let large = one.root.join("traces/large.bin");
    std::fs::create_dir_all(large.parent().unwrap()).unwrap();
    let script = format!("head -c 2000000 /dev/urandom > {}", large.display());
    let mut running = one.command(&["hold", "--", "sh", "-c", &script]).spawn().unwrap();
    server.asked_to_put(asked + 1).await;
    let pid = Pid::from_raw(i32::try_from(running.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, running.wait()).await.expect("it goes on").unwrap();
    assert_eq!(ended.code(), Some(128 + 15));
    server.resume();
    one.sync().await;
}
