//! `status` for people and for programs, as it changes, and the progress of a `sync` that the
//! daemon runs.

use std::process::Stdio;

use cogzy_testkit::fresh_folder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout};

use crate::support::daemon::Daemon;
use crate::support::process::{Machine, PATIENCE, noise};
use crate::support::s3_server::S3Server;
use crate::support::socket;

/// `status --watch`, and its lines.
struct Watching {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(machine: &Machine, args: &[&str]) -> Self {
        let mut command = machine.command(&[&["status", "--watch"], args].concat());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that fits.
    async fn line(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        let next = async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("it ended by itself");
                seen.push(line.clone());
                if fits(&line) {
                    return line;
                }
            }
        };
        let line = tokio::time::timeout(PATIENCE, next).await;
        line.unwrap_or_else(|_| panic!("{what} was never shown: {seen:#?}"))
    }

    /// Ends it as Ctrl-C does.
    async fn interrupt(mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it does not end").unwrap().code()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_the_daemon_come_upload_and_be_done() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    let mut people = Watching::start(&machine, &[]);
    let mut programs = Watching::start(&machine, &["--json"]);
    people.line("that no daemon runs", |line| line.starts_with("■ no daemon runs")).await;
    people.line("what to do", |line| line.contains("next: `cogzy-vault service install`")).await;
    let state = |line: &str| serde_json::from_str::<Value>(line).unwrap()["state"].clone();
    programs.line("that no daemon runs", |line| state(line) == "stopped").await;

    server.stall();
    let asked = server.requests("PUT");
    machine.write("vectors/large.npy", noise("large", 40 << 20));
    let daemon = Daemon::start(&machine).await;
    server.asked_to_put(asked + 1).await;
    people
        .line("the upload", |line| line.starts_with("⟳ uploading 0/1 · ") && line.contains("/41.9 MB"))
        .await;
    let uploading = |line: &str| {
        let status: Value = serde_json::from_str(line).unwrap();
        status["state"] == "syncing" && status["progress"]["phase"] == "upload"
    };
    programs.line("the upload", uploading).await;
    server.resume();
    people.line("that all is in sync", |line| line.starts_with("✓ in sync · 1 file")).await;
    programs.line("that all is in sync", |line| state(line) == "in-sync").await;
    for watching in [people, programs] {
        assert_eq!(watching.interrupt().await, Some(0));
    }
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_through_the_daemon_shows_how_far_the_daemon_is() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    // It leaves the work to the `sync`.
    machine.set("COGZY_VAULT__SYNC__SETTLE", "1s");
    machine.set("COGZY_VAULT__SYNC__BATCH_INTERVAL", "1h");
    machine.good(&["init"]).await;
    machine.good(&["sync"]).await;
    let daemon = Daemon::start(&machine).await;
    server.stall();
    let asked = server.requests("PUT");
    // Each settles by itself: the one that is written at once comes last.
    machine.write("vectors/large.npy", noise("large", 40 << 20));
    machine.write("traces/small.json", "a trace");
    let mut command = machine.command(&["sync"]);
    let mut child = command.spawn().unwrap();
    server.asked_to_put(asked + 1).await;
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let shown = async { while !lines.next_line().await.unwrap().unwrap().starts_with("uploading ") {} };
    tokio::time::timeout(PATIENCE, shown).await.expect("no progress was shown");
    server.resume();
    let ran = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert!(String::from_utf8(ran.stdout).unwrap().contains("2 sent"));
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_does_not_wait_for_an_upload() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    machine.write("traces/small.json", "a trace");
    machine.sync().await;
    server.stall();
    let asked = server.requests("PUT");
    machine.write("vectors/large.npy", noise("large", 40 << 20));
    let daemon = Daemon::start(&machine).await;
    server.asked_to_put(asked + 1).await;
    // The upload goes on only when all of these have been answered.
    for resource in ["/v1/history", "/v1/history?path=traces", "/v1/conflicts", "/v1/changes?since=0"] {
        let answer = socket::ask(&machine, "GET", resource).await;
        assert_eq!(answer.status, Some(200), "{resource}: {answer:?}");
    }
    let json = "content-type: application/json\r\n";
    for (resource, body) in
        [("/v1/sync", r#"{"dry_run":true}"#), ("/v1/reset", r#"{"dry_run":true}"#), ("/v1/verify", "{}")]
    {
        let answer = socket::ask_with(&machine, "POST", resource, json, body).await;
        assert_eq!(answer.status, Some(200), "{resource}: {answer:?}");
    }
    let health = socket::ask(&machine, "GET", "/v1/health").await;
    assert!(health.status == Some(200) && health.json()["ok"] == true, "{health:?}");
    assert_eq!(machine.good(&["verify", "--json"]).await.json()["verified"]["differing"], 0);
    assert_eq!(socket::ask(&machine, "GET", "/v1/status").await.json()["state"], "syncing");
    server.resume();
    socket::until_state(&machine, "in-sync").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn colour_is_only_where_it_is_asked_for() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.sync().await;
    assert!(!machine.good(&["status"]).await.stdout.contains('\u{1b}'));
    assert!(!machine.good(&["status", "--color", "always", "--json"]).await.stdout.contains('\u{1b}'));
    assert!(machine.good(&["status", "--color", "always"]).await.stdout.contains("\u{1b}[33m■ no daemon"));
}
