//! A vault whose disk goes away, or whose folder is replaced, while programs use it.

use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use cogzy_engine::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::process::{Machine, PATIENCE};
use crate::support::socket::{self, Answer};

/// A machine with a joined vault of two files, whose daemon listens outside of the vault.
async fn machine(folder: &Path) -> Machine {
    let mut machine = Machine::with_folder(folder, "one");
    let runtime = machine.home.join("run");
    std::fs::create_dir_all(&runtime).unwrap();
    machine.set("XDG_RUNTIME_DIR", runtime);
    for key in ["POLL_INTERVAL", "POLL_INTERVAL_ACTIVE", "BATCH_INTERVAL"] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), "200ms");
    }
    machine.good(&["init"]).await;
    machine.write("traces/a.json", "a");
    machine.write("traces/b.json", "b");
    machine.sync().await;
    machine
}

/// Moves the vault away, like the unmounting of its disk. Returns its new place.
fn away(machine: &Machine) -> PathBuf {
    let aside = machine.root.with_extension("away");
    std::fs::rename(&machine.root, &aside).unwrap();
    aside
}

fn back(machine: &Machine, aside: &Path) {
    std::fs::rename(aside, &machine.root).unwrap();
}

async fn deleted(machine: &Machine, id: &str) -> Answer {
    let body = json!({ "transaction_id": id, "deletes": ["traces/a.json"] }).to_string();
    let headers = "content-type: application/json\r\n";
    socket::ask_with(machine, "POST", "/v1/transactions", headers, &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_for_a_vault_that_is_away_is_refused_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let machine = machine(folder.path()).await;
    let daemon = Daemon::start(&machine).await;
    let aside = away(&machine);
    let answer = deleted(&machine, "nothing there").await;
    assert_eq!(answer.status, Some(503), "{answer:?}");
    assert!(!machine.root.exists(), "the folder was made");
    // An empty folder, as a mount point is.
    std::fs::create_dir(&machine.root).unwrap();
    for answer in [
        deleted(&machine, "an empty folder").await,
        socket::ask(&machine, "GET", "/v1/files?path=traces/a.json").await,
    ] {
        assert_eq!(answer.status, Some(503), "{answer:?}");
        let problem = answer.json();
        assert!(
            problem["type"] == "about:cogzy-vault/no-vault"
                && problem["next"].as_str().unwrap().contains("mount"),
            "{problem}"
        );
    }
    assert_eq!(std::fs::read_dir(&machine.root).unwrap().count(), 0, "something was written below it");
    std::fs::remove_dir(&machine.root).unwrap();
    back(&machine, &aside);
    assert_eq!(deleted(&machine, "an empty folder").await.status, Some(200));
    assert!(machine.read("traces/a.json").is_none());
    assert_eq!(daemon.terminate().await.0, Some(0));
}

/// A copy of the vault, like a backup. It is made while no daemon writes, since a file that goes
/// while it is read would make `cp` fail.
fn copied(machine: &Machine) -> PathBuf {
    let copy = machine.root.with_extension("copy");
    let copied = std::process::Command::new("cp").arg("-a").args([&machine.root, &copy]).status().unwrap();
    assert!(copied.success());
    copy
}

/// Puts a copy of the vault in its place, like a restored backup or a disk that is mounted anew.
/// Returns the place of the first one.
fn replaced_by(machine: &Machine, copy: PathBuf) -> PathBuf {
    let aside = away(machine);
    std::fs::rename(copy, &machine.root).unwrap();
    aside
}

fn committed(machine: &Machine, path: &str) -> bool {
    String::from_utf8(machine.read("sync/manifest.json").unwrap_or_default()).unwrap().contains(path)
}

const REPLACED: &str = "another folder than the one that was opened";

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_vault_is_replaced_says_so_and_ends_so_that_it_is_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let machine = machine(folder.path()).await;
    let copy = copied(&machine);
    let mut daemon = Daemon::start(&machine).await;
    let mut listening = socket::connect(&socket::path_of(&machine)).await;
    listening.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    // Once the answer has begun, it is listened to.
    assert!(listening.read(&mut [0; 1]).await.unwrap() > 0);
    let aside = replaced_by(&machine, copy);
    machine.write("traces/new.json", "of the copy");
    daemon.says(REPLACED).await;
    assert_eq!(daemon.ended().await, Some(1), "2 would keep a service from starting it anew");
    let told = socket::rest(&mut listening).await.text;
    assert!(told.contains(REPLACED), "who listened was not told: {told}");
    assert!(!aside.join("traces/new.json").exists());
    let onlooker = Onlooker::of(&machine.root);
    let daemon = Daemon::start(&machine).await;
    assert!(onlooker.until(PATIENCE, || committed(&machine, "traces/new.json")), "it is not sent");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_lock_is_another_file_ends_so_that_no_second_one_stands_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let machine = machine(folder.path()).await;
    let mut daemon = Daemon::start(&machine).await;
    std::fs::remove_file(machine.root.join("sync/lock")).unwrap();
    daemon.says("sync/lock").await;
    assert_eq!(daemon.ended().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_away_is_waited_for_and_watched_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = machine(folder.path()).await;
    // Only the watcher makes it scan.
    machine.set("COGZY_VAULT__SYNC__RESCAN_INTERVAL", "1h");
    machine.configure("[retry]\nschedule = [\"200ms\"]\n");
    let mut daemon = Daemon::start(&machine).await;
    let aside = away(&machine);
    daemon.says("does not exist").await;
    std::fs::create_dir(&machine.root).unwrap();
    daemon.says(REPLACED).await;
    std::fs::remove_dir(&machine.root).unwrap();
    back(&machine, &aside);
    let onlooker = Onlooker::of(&machine.root);
    socket::until_state(&machine, "in-sync").await;
    machine.write("traces/later.json", "saved when it was back");
    assert!(onlooker.until(PATIENCE, || committed(&machine, "traces/later.json")), "nobody saw it");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

/// Files of the vault that a process has open or mapped.
#[cfg(target_os = "linux")]
fn open_in(machine: &Machine, daemon: &Daemon) -> Vec<String> {
    let process = PathBuf::from(format!("/proc/{}", daemon.pid()));
    let descriptors = std::fs::read_dir(process.join("fd")).unwrap();
    let files = descriptors.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    let maps = std::fs::read_to_string(process.join("maps")).unwrap();
    let mapped = maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])));
    let all = files.chain(mapped).filter(|path| path.starts_with(&machine.root));
    all.map(|path| path.to_string_lossy().into_owned()).collect()
}

/// Waits until the daemon has nothing open in the vault: what it was doing ends with its next step.
#[cfg(target_os = "linux")]
async fn until_let_go(machine: &Machine, daemon: &Daemon) {
    let clock = SystemClock::new();
    loop {
        let open = open_in(machine, daemon);
        if open.is_empty() {
            return;
        }
        assert!(clock.monotonic() < PATIENCE, "it keeps open: {open:#?}");
        tokio::task::yield_now().await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn in_a_pause_nothing_in_the_vault_is_open_so_that_its_disk_can_be_unmounted() {
    let folder = tempfile::tempdir().unwrap();
    let machine = machine(folder.path()).await;
    let daemon = Daemon::start(&machine).await;
    socket::until_state(&machine, "in-sync").await;
    let open = open_in(&machine, &daemon);
    for name in ["sync/lock", "sync/cache.db", "logs/cogzy-vault.log"] {
        assert!(open.iter().any(|path| path.ends_with(name)), "{name} is not open: {open:#?}");
    }
    machine.good(&["pause"]).await;
    until_let_go(&machine, &daemon).await;
    // It is still the vault's only daemon, and carries out the user's commands.
    machine.run(&["run"]).await.expect(7, &["daemon"]);
    machine.write("traces/c.json", "saved in the pause");
    assert_eq!(machine.sync().await["pushed"], 1);
    assert_eq!(deleted(&machine, "in the pause").await.status, Some(200));
    machine.good(&["retry"]).await;
    assert_eq!(machine.good(&["status", "--json"]).await.json()["state"], "paused");
    until_let_go(&machine, &daemon).await;
    // The disk is taken out, and is not there yet when the user ends the pause.
    let aside = away(&machine);
    machine.run(&["resume"]).await.expect(4, &["mount"]);
    assert_eq!(socket::ask(&machine, "GET", "/v1/status").await.json()["state"], "paused");
    assert!(!machine.root.exists());
    back(&machine, &aside);
    let onlooker = Onlooker::of(&machine.root);
    machine.good(&["resume"]).await;
    machine.write("traces/d.json", "saved after it");
    assert!(onlooker.until(PATIENCE, || committed(&machine, "traces/d.json")), "it does not go on");
    assert!(!committed(&machine, "traces/a.json"), "the transaction of the pause is not sent");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_replaced_in_a_pause_is_taken_up_by_the_next_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let machine = machine(folder.path()).await;
    let copy = copied(&machine);
    let daemon = Daemon::start(&machine).await;
    machine.good(&["pause"]).await;
    let aside = replaced_by(&machine, copy);
    // The pause is of the vault as it was copied.
    std::fs::copy(aside.join("sync/paused"), machine.root.join("sync/paused")).unwrap();
    machine.write("traces/new.json", "of the copy");
    machine.run(&["resume"]).await;
    assert_eq!(daemon.ended().await, Some(1));
    let onlooker = Onlooker::of(&machine.root);
    let daemon = Daemon::start(&machine).await;
    assert!(onlooker.until(PATIENCE, || committed(&machine, "traces/new.json")), "it is still paused");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_in_the_vault_is_named_as_what_keeps_its_disk_busy() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let daemon = Daemon::start(&machine).await;
    assert_eq!(machine.good(&["status", "--json"]).await.json()["open"], Value::Null);
    machine.good(&["pause"]).await;
    let status = machine.good(&["status", "--json"]).await.json();
    let socket = machine.root.join("sync/control/daemon.sock");
    assert_eq!(status["open"], json!([socket]), "{status}");
    let text = machine.good(&["status"]).await.stdout;
    assert!(text.contains("daemon.sock") && text.contains("stop the daemon"), "{text}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}
