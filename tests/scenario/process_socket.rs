//! The control socket from the outside: the programs that get in, and the limits of a misbehaving
//! one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_testkit::fresh_folder;
use tokio::io::AsyncWriteExt;

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::process::{Machine, PATIENCE};
use crate::support::socket;

/// The longest stop, whichever client is connected.
const PROMPT: Duration = Duration::from_secs(5);

async fn kept(folder: &Path) -> (Machine, Daemon) {
    let mut machine = Machine::with_folder(folder, "one");
    for (key, value) in
        [("POLL_INTERVAL", "1s"), ("POLL_INTERVAL_ACTIVE", "200ms"), ("BATCH_INTERVAL", "100ms")]
    {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), value);
    }
    machine.good(&["init"]).await;
    let daemon = Daemon::start(&machine).await;
    (machine, daemon)
}

/// Saves a file and waits until it is committed.
fn saved(machine: &Machine, path: &str) {
    let onlooker = Onlooker::of(&machine.root);
    machine.write(path, "saved meanwhile");
    let named =
        || String::from_utf8(machine.read("sync/manifest.json").unwrap_or_default()).unwrap().contains(path);
    assert!(onlooker.until(PATIENCE, named), "{path} was not synced meanwhile");
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_gets_in() {
    let folder = fresh_folder();
    let (machine, mut daemon) = kept(folder.path()).await;
    let path = socket::path_of(&machine);
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    assert_eq!(socket::ask(&machine, "GET", "/v1/status").await.status, Some(200));
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: another user needs root to be played");
        return;
    }
    // Even where the modes have been opened, a program of another user gets no answer.
    for path in path.ancestors().take_while(|path| path.starts_with(folder.path())) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let other = fresh_folder();
    std::fs::set_permissions(other.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut stranger = Machine::with_folder(other.path(), "stranger");
    stranger.good(&["init"]).await;
    stranger = stranger.as_nobody();
    let ran = stranger.run(&["--socket", path.to_str().unwrap(), "status"]).await;
    ran.expect(1, &["the daemon broke off"]);
    daemon.says("a program of another user tried the control socket").await;
    assert_eq!(socket::ask(&machine, "GET", "/v1/status").await.status, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_misbehaves_is_refused_or_cut_off_and_sync_goes_on() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let path = socket::path_of(&machine);
    for header in ["origin: http://localhost\r\n", "referer: http://localhost/page\r\n"] {
        let refused = socket::ask_with(&machine, "POST", "/v1/sync", header, "{}").await;
        assert_eq!(refused.status, Some(403), "{refused:?}");
        assert!(refused.text.contains("application/problem+json"), "{refused:?}");
    }

    // A body of 1 GB: announced, and sent in chunks without an announcement.
    let head = "POST /v1/sync HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let announced = format!("{head}content-length: 1073741824\r\n\r\n");
    assert_eq!(socket::exchange(&path, announced.as_bytes()).await.status, Some(413));
    let mut stream = socket::connect(&path).await;
    stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0_u64;
    while sent < 1 << 30 && stream.write_all(&chunk).await.is_ok() {
        sent += 0x10000;
    }
    assert!(sent < 16 << 20, "{sent} bytes were taken");

    // Connections that say nothing, and requests that stop in the middle of their head or their
    // body.
    let mut idle = Vec::new();
    for number in 0..200 {
        let mut stream = socket::connect(&path).await;
        let part = match number % 4 {
            0 => "GET /v1/sta",
            1 => "POST /v1/sync HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"wait\"",
            _ => "",
        };
        stream.write_all(part.as_bytes()).await.unwrap();
        idle.push(stream);
    }
    let clock = SystemClock::new();
    let asked = clock.monotonic();
    assert_eq!(socket::ask(&machine, "GET", "/v1/status").await.status, Some(200));
    assert!(clock.monotonic() - asked < PROMPT, "status took {:?}", clock.monotonic() - asked);
    saved(&machine, "traces/meanwhile.json");
    // Each of them is let go after a while, and none of the halves was taken for a request.
    for stream in &mut idle {
        let answer = socket::rest(stream).await;
        assert!(matches!(answer.status, None | Some(408)), "{answer:?}");
    }
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_those_who_are_connected() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let mut open = Vec::new();
    for _ in 0..50 {
        let mut stream = socket::connect(&socket::path_of(&machine)).await;
        stream.write_all(b"GET /v1/st").await.unwrap();
        open.push(stream);
    }
    let (code, took) = daemon.terminate().await;
    assert_eq!(code, Some(0));
    assert!(took < PROMPT, "it took {took:?} to stop");
    assert!(!socket::path_of(&machine).exists(), "the socket outlives its daemon");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_holds_the_lock_removes_a_socket() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    machine.run(&["run"]).await.expect(7, &["another process holds the vault"]);
    assert_eq!(
        socket::ask(&machine, "GET", "/v1/health").await.status,
        Some(200),
        "its socket was taken away"
    );
    daemon.kill().await;
    assert!(socket::path_of(&machine).exists(), "this test is about a socket that was left behind");
    machine.run(&["retry"]).await.expect(6, &["no daemon runs"]);
    // The status is then what a look at the vault says.
    assert_eq!(machine.good(&["status", "--json"]).await.json()["state"], "stopped");
    let again = Daemon::start(&machine).await;
    assert_eq!(socket::ask(&machine, "GET", "/v1/status").await.json()["daemon"]["running"], true);
    assert_eq!(again.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_is_there() {
    let folder = fresh_folder();
    let (machine, _daemon) = kept(folder.path()).await;
    let document = socket::ask(&machine, "GET", "/v1/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{document}");
    assert!(document["paths"]["/v1/status"]["get"].is_object(), "{document}");
}
