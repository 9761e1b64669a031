//! Pausing, hooks, and the alarm: the daemon as its user meets it.

use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::fs::RealFs;
use cogzy_engine::state::Database;
use cogzy_testkit::fresh_folder;

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::hook::{hook, told};
use crate::support::process::{Machine, PATIENCE, noise};
use crate::support::s3_server::S3Server;
use crate::support::socket;

fn hurry(machine: &mut Machine) {
    for key in ["POLL_INTERVAL", "POLL_INTERVAL_ACTIVE", "BATCH_INTERVAL"] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), "200ms");
    }
}

fn committed(machine: &Machine, path: &str) -> bool {
    String::from_utf8(machine.read("sync/manifest.json").unwrap_or_default()).unwrap().contains(path)
}

async fn state(machine: &Machine) -> String {
    socket::ask(machine, "GET", "/v1/status").await.json()["state"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_a_restart_and_ends_by_itself_or_by_resume() {
    let folder = fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    hurry(&mut machine);
    machine.good(&["init"]).await;
    machine.run(&["pause"]).await.expect(6, &["no daemon runs"]);
    machine.run(&["pause", "--for", "soon"]).await.expect(2, &["soon"]);
    let daemon = Daemon::start(&machine).await;
    machine.good(&["pause"]).await;
    assert_eq!(daemon.terminate().await.0, Some(0));
    let daemon = Daemon::start(&machine).await;
    let onlooker = Onlooker::of(&machine.root);
    machine.write("traces/a.json", "saved in a pause");
    // Far longer than it takes otherwise.
    assert!(
        !onlooker.until(Duration::from_secs(2), || committed(&machine, "traces/a.json")),
        "it synced in a pause"
    );
    assert_eq!(state(&machine).await, "paused");
    // A sync that the user asks for runs all the same, and the pause goes on.
    assert_eq!(machine.sync().await["pushed"], 1);
    assert_eq!(state(&machine).await, "paused");
    machine.write("traces/b.json", "saved in a pause");
    machine.good(&["resume"]).await;
    assert!(onlooker.until(PATIENCE, || committed(&machine, "traces/b.json")), "it did not go on");

    let status = machine.good(&["pause", "--for", "1s", "--json"]).await.json();
    assert!(status["state"] == "paused" && status["paused_until"].is_string(), "{status}");
    machine.write("traces/c.json", "saved in a pause");
    assert!(onlooker.until(PATIENCE, || committed(&machine, "traces/c.json")), "the pause did not end");
    assert!(machine.read("sync/paused").is_none());
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_breaks_off_an_upload_that_is_under_way() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let [mut one, two] = ["one", "two"].map(|name| Machine::with_server(folder.path(), name, &server));
    hurry(&mut one);
    one.good(&["init"]).await;
    two.good(&["init"]).await;
    server.stall();
    let asked = server.requests("PUT");
    one.write("vectors/large.npy", noise("large", 40 << 20));
    let daemon = Daemon::start(&one).await;
    server.asked_to_put(asked + 2).await;
    let paused = one.good(&["pause"]).await;
    assert!(paused.took < Duration::from_secs(5), "the pause took {:?}", paused.took);
    assert_eq!(state(&one).await, "paused");
    server.resume();
    one.good(&["resume"]).await;
    let onlooker = Onlooker::of(&one.root);
    assert!(onlooker.until(PATIENCE, || committed(&one, "vectors/large.npy")), "it did not go on");
    assert_eq!(daemon.terminate().await.0, Some(0));
    two.sync().await;
    assert_eq!(two.read("vectors/large.npy").unwrap(), noise("large", 40 << 20));
    two.good(&["verify", "--deep"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_once_for_each_event_and_one_that_fails_or_hangs_disturbs_nobody() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let [mut one, two] = ["one", "two"].map(|name| Machine::with_server(folder.path(), name, &server));
    hurry(&mut one);
    let (conflict, told_conflicts) =
        hook(folder.path(), "on-conflict", "echo $$ > \"$0.pid\"\nexec sleep 60");
    let (error, told_errors) = hook(folder.path(), "on-error", "exit 7");
    one.configure(&format!("[hooks]\non_conflict = {conflict}\non_error = {error}\n"));
    one.good(&["init"]).await;
    one.write("traces/a.json", "first");
    one.sync().await;
    two.good(&["init"]).await;
    two.sync().await;
    two.write("traces/a.json", "by two");
    two.sync().await;
    one.write("traces/a.json", "by one");
    let onlooker = Onlooker::of(folder.path());
    let daemon = Daemon::start(&one).await;
    assert!(
        onlooker.until(PATIENCE, || told(&told_conflicts).len() == 1),
        "the hook for the conflict did not run"
    );
    assert_eq!(told(&told_conflicts)[0]["event"], "conflict");
    // The hook hangs, but the daemon does not.
    one.write("traces/later.json", "saved meanwhile");
    assert!(onlooker.until(PATIENCE, || committed(&one, "traces/later.json")), "a hook held up the daemon");
    assert!(told(&told_errors).is_empty());
    assert_eq!(daemon.terminate().await.0, Some(0));

    // Nor does it outlive the daemon, with whatever it has open.
    let pid = std::fs::read_to_string(folder.path().join("on-conflict.pid")).unwrap();
    assert!(onlooker.until(Duration::from_secs(5), || is_gone(&pid)), "the hook outlives the daemon");

    // An error that stays is told once, across cycles and restarts.
    server.forbid("ListObjectsV2");
    for _ in 0..2 {
        let daemon = Daemon::start(&one).await;
        assert!(
            onlooker.until(PATIENCE, || told(&told_errors).len() == 1),
            "the hook for the error did not run"
        );
        one.run(&["sync"]).await;
        one.run(&["sync"]).await;
        assert_eq!(daemon.terminate().await.0, Some(0));
    }
    let errors = told(&told_errors);
    assert!(
        errors.len() == 1 && errors[0]["error"]["message"].as_str().unwrap().contains("capability"),
        "{errors:?}"
    );
}

fn is_gone(pid: &str) -> bool {
    match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_of_a_daemon_that_was_killed_ends_with_all_that_it_started() {
    let folder = fresh_folder();
    let mut one = Machine::with_folder(folder.path(), "one");
    hurry(&mut one);
    let (hold, _) = hook(folder.path(), "on-hold", "sleep 600 &\necho $$ $! > \"$0.pids\"\nwait");
    one.configure(&format!("[hooks]\non_hold = {hold}\ntimeout = \"1s\"\n"));
    one.good(&["init"]).await;
    for number in 0..30 {
        one.write(&format!("traces/{number}.json"), "one of many");
    }
    one.sync().await;
    for number in 0..30 {
        one.delete(&format!("traces/{number}.json"));
    }
    let onlooker = Onlooker::of(folder.path());
    let daemon = Daemon::start(&one).await;
    let pids = || std::fs::read_to_string(folder.path().join("on-hold.pids")).unwrap_or_default();
    assert!(onlooker.until(PATIENCE, || pids().ends_with('\n')), "the hook did not run");
    daemon.kill().await;
    let clock = SystemClock::new();
    for pid in pids().split_whitespace() {
        while !is_gone(pid) {
            assert!(clock.monotonic() < PATIENCE, "{pid} outlives its daemon");
            // Nothing tells the end of a process that is nobody's child here.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_a_sync_is_said_first_logged_and_told_to_the_hook() {
    let folder = fresh_folder();
    let mut server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    hurry(&mut machine);
    let (error, told_errors) = hook(folder.path(), "on-error", "");
    machine.configure(&format!("[hooks]\non_error = {error}\n"));
    machine.good(&["init"]).await;
    machine.sync().await;
    server.go_away().await;
    Database::open(Arc::new(RealFs), &machine.root.join("sync/cache.db"))
        .unwrap()
        .note("success", 1_000_000)
        .unwrap();
    let onlooker = Onlooker::of(folder.path());
    let mut daemon = Daemon::start(&machine).await;
    daemon.says("nothing has been synced for more than a day").await;
    assert!(onlooker.until(PATIENCE, || told(&told_errors).len() == 1), "the hook did not run");
    let status = machine.run(&["status", "--json"]).await.json();
    assert_eq!(status["errors"][0]["message"], "nothing has been synced for more than a day", "{status}");
    let text = machine.run(&["status"]).await.stdout;
    assert!(text.starts_with("✗ nothing has been synced for more than a day\n"), "{text}");
    server.come_back().await;
    machine.write("traces/a.json", "saved");
    assert!(onlooker.until(PATIENCE, || committed(&machine, "traces/a.json")), "it did not come back");
    // The cycle that committed it may not have come to its end yet.
    machine.good(&["sync"]).await;
    assert_eq!(machine.good(&["status", "--json"]).await.json()["errors"], serde_json::json!([]));
    assert_eq!(daemon.terminate().await.0, Some(0));
}
