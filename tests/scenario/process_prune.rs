//! The program prunes, and the power goes in the middle of it, again and again: what is kept stays
//! readable, and what goes is freed.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::fs::RealFs;
use cogzy_engine::state::Database;
use cogzy_engine::sync::PRUNED;
use cogzy_testkit::{amount, fresh_folder};

use crate::support::daemon::Daemon;
use crate::support::device::synced_files;
use crate::support::moments::Moments;
use crate::support::process::{Machine, noise};
use crate::support::s3_server::S3Server;

const THREE_HOURS: Duration = Duration::from_secs(3 * 3600);

/// A machine that keeps two generations, and what it no longer needs for an hour.
async fn machine(folder: &Path) -> Machine {
    let mut machine = Machine::with_folder(folder, "one");
    for (key, value) in [("KEEP_GENERATIONS", "2"), ("KEEP_DAYS", "0"), ("GRACE", "1h")] {
        machine.set(&format!("COGZY_VAULT__RETENTION__{key}"), value);
    }
    machine.good(&["init"]).await;
    machine
}

/// Makes everything in the bucket three hours older.
fn ages(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            ages(&entry.path());
        } else {
            let time = entry.metadata().unwrap().modified().unwrap() - THREE_HOURS;
            File::options().write(true).open(entry.path()).unwrap().set_modified(time).unwrap();
        }
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let size = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => bytes_below(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(size).sum()
}

async fn edit(machine: &Machine, version: &str) {
    machine.write("vectors/nodes.npy", noise(version, 400_000));
    machine.write("corpus/nodes.json", format!("[\"{version}\"]"));
    machine.write(&format!("traces/{version}.json"), noise(&format!("trace {version}"), 3000));
    machine.sync().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_is_killed_at_any_moment_takes_nothing_that_is_needed() {
    let folder = fresh_folder();
    let machine = machine(folder.path()).await;
    let bucket = folder.path().canonicalize().unwrap().join("bucket");
    edit(&machine, "first").await;
    edit(&machine, "second").await;
    let mut moments = Moments::within(machine.good(&["prune"]).await.took);
    for round in 1..=amount(6, 50) {
        // Not always something new: a prune also finishes what the one before began.
        if round % 3 > 0 {
            edit(&machine, &round.to_string()).await;
        }
        ages(&bucket);
        moments.kill(&machine, &format!("prune {round}"), &["prune"]).await;
        if round % 5 == 0 {
            machine.good(&["verify", "--deep"]).await;
        }
    }
    moments.were_enough();
    for _ in 0..3 {
        ages(&bucket);
        machine.good(&["prune"]).await;
    }
    machine.good(&["verify", "--deep"]).await;
    let out = folder.path().join("out");
    machine.good(&["export", out.to_str().unwrap()]).await;
    assert_eq!(synced_files(&out), machine.files());
    let (used, needed) = (bytes_below(&bucket.join("users/default/packs")), bytes_below(&out) + 400_000);
    assert!(used < needed * 13 / 10, "{used} bytes are left, and {needed} are needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_go_and_the_daemon_does_the_same() {
    let folder = fresh_folder();
    let machine = machine(folder.path()).await;
    let bucket = folder.path().canonicalize().unwrap().join("bucket");
    for version in ["1", "2", "3", "4"] {
        edit(&machine, version).await;
    }
    ages(&bucket);
    let would = machine.good(&["prune", "--dry-run", "--json"]).await.json();
    assert_eq!((would["schema"].as_u64(), would["dry_run"].as_bool()), (Some(1), Some(true)), "{would}");
    assert!(would["marked"]["bytes"].as_u64().unwrap() > 400_000, "{would}");
    let daemon = Daemon::start(&machine).await;
    let done = machine.good(&["prune", "--json"]).await.json();
    assert_eq!((&done["marked"], &done["dry_run"]), (&would["marked"], &serde_json::json!(false)), "{done}");
    daemon.terminate().await;
    ages(&bucket);
    let text = machine.good(&["prune"]).await.stdout;
    assert!(text.contains("were deleted") && text.contains("are kept"), "{text}");
    let history = machine.good(&["history", "--json"]).await.json();
    assert_eq!(history["generations"][0]["kind"], "prune", "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_may_prunes_by_itself_and_one_that_may_not_does_not() {
    let folder = fresh_folder();
    let mut machine = machine(folder.path()).await;
    let bucket = folder.path().canonicalize().unwrap().join("bucket");
    for version in ["1", "2", "3", "4"] {
        edit(&machine, version).await;
    }
    ages(&bucket);
    let kinds = async |machine: &Machine| {
        let history = machine.good(&["history", "--json"]).await.json();
        history["generations"].as_array().unwrap().iter().filter(|one| one["kind"] == "prune").count()
    };
    let quiet = async |machine: &Machine, why: &str| {
        let mut daemon = Daemon::start(machine).await;
        // The second one begins when all is done that follows upon the first.
        machine.good(&["sync"]).await;
        machine.good(&["sync"]).await;
        assert!(!daemon.said().contains("pruned"), "{why}");
        daemon.terminate().await;
    };
    quiet(&machine, "on its first day nothing is old").await;
    Database::open(Arc::new(RealFs), &machine.root.join("sync/cache.db")).unwrap().note(PRUNED, 0).unwrap();
    machine.set("COGZY_VAULT__RETENTION__PRUNE", "false");
    quiet(&machine, "somebody has said no").await;
    assert_eq!(kinds(&machine).await, 0);
    machine.variables.remove("COGZY_VAULT__RETENTION__PRUNE");
    let mut daemon = Daemon::start(&machine).await;
    daemon.says("pruned").await;
    daemon.terminate().await;
    assert_eq!(kinds(&machine).await, 1);
    quiet(&machine, "once a day is enough").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_the_store_refuses_is_tried_again_the_next_day() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    machine.set("COGZY_VAULT__RETENTION__KEEP_DAYS", "30");
    machine.good(&["init"]).await;
    edit(&machine, "1").await;
    // The first announcement cannot be taken back.
    machine.set("COGZY_VAULT__RETENTION__KEEP_DAYS", "10");
    server.forbid("DeleteObject");
    server.forbid("DeleteObjects");
    let noted = || Database::open(Arc::new(RealFs), &machine.root.join("sync/cache.db")).unwrap();
    noted().note(PRUNED, 0).unwrap();
    let mut daemon = Daemon::start(&machine).await;
    daemon.says("the prune was not finished").await;
    // The second one begins when all is done that follows upon the first.
    machine.good(&["sync"]).await;
    machine.good(&["sync"]).await;
    daemon.terminate().await;
    let last = noted().noted(PRUNED).unwrap().unwrap();
    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    assert!(last + 3600 * 1000 > now, "not a day ago, but {} ms", now.saturating_sub(last));
}
