//! A vault whose disk goes away, or whose folder is another one by now, while programs are at it.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::daemon::Daemon;
use crate::support::process::Machine;
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

/// Moves the vault away, as the unmounting of its disk does; where to.
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
