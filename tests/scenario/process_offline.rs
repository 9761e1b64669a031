//! Networks that go, and paths that resist.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_testkit::fresh_folder;

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::process::{Machine, PATIENCE, noise};
use crate::support::s3_server::S3Server;
use crate::support::socket;

/// The longest time until sync goes on when the server is back: 5 s on an idle machine
/// (benches/outage.py), and this on a machine that runs many tests at once.
const AT_ONCE: Duration = Duration::from_secs(20);

fn committed(machine: &Machine, path: &str) -> bool {
    String::from_utf8(machine.read("sync/manifest.json").unwrap_or_default()).unwrap().contains(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn being_offline_is_left_at_once_when_the_server_is_back() {
    let folder = fresh_folder();
    let mut server = S3Server::start().await;
    let [mut one, two] = ["one", "two"].map(|name| Machine::with_server(folder.path(), name, &server));
    one.set("COGZY_VAULT__SYNC__BATCH_INTERVAL", "200ms");
    // A slow machine looks at a file so soon after it was written that it waits for that, too.
    one.set("COGZY_VAULT__SYNC__SETTLE", "0ms");
    // The whole schedule passes while the server is away.
    one.configure("[retry]\nschedule = [\"100ms\", \"200ms\", \"300ms\", \"400ms\"]\n");
    // A file of ours that is under way when the server goes.
    one.set("COGZY_VAULT__LIMITS__UPLOAD", "20MiB");
    one.good(&["init"]).await;
    two.good(&["init"]).await;
    let daemon = Daemon::start(&one).await;
    socket::until_state(&one, "in-sync").await;
    one.write("traces/known.json", "saved before");
    one.sync().await;
    let asked = server.requests("PUT");
    one.write("vectors/large.npy", noise("large", 40 << 20));
    server.asked_to_put(asked + 2).await;
    server.go_away().await;
    let status = socket::until_state(&one, "offline").await;
    assert!(status["errors"][0]["next_retry"].is_string(), "{status}");
    assert!(status["pending"]["up"]["files"] == 1, "{status}");
    // A file saved now is shown at once, although it cannot be sent.
    one.write("traces/offline.json", "saved offline");
    one.write("traces/known.json", "changed offline");
    let three = |status: &serde_json::Value| status["pending"]["up"]["files"] == 3;
    assert_eq!(socket::until(&one, "shown", three).await["state"], "offline");
    // A probe tries five times at most: now one is over, and the next one has begun.
    server.is_missed(6).await;
    let status = socket::until_state(&one, "offline").await;
    assert_eq!(status["errors"][0]["attempts"], 0, "being offline used up attempts");

    let outbox = socket::ask(&one, "GET", "/v1/outbox").await.json();
    assert!(outbox["total"] == 3 && outbox["waiting"][2]["path"] == "vectors/large.npy", "{outbox}");
    for waiting in outbox["waiting"].as_array().unwrap() {
        assert!(waiting["first_seen"].is_string() && waiting["attempts"] == 0, "{outbox}");
    }

    let onlooker = Onlooker::of(&one.root);
    let (clock, asked) = (SystemClock::new(), server.requests("PUT"));
    server.come_back().await;
    server.asked_to_put(asked + 1).await;
    let took = clock.monotonic();
    assert!(took < AT_ONCE, "sync went on after {took:?}");
    let all = || committed(&one, "vectors/large.npy") && committed(&one, "traces/offline.json");
    assert!(onlooker.until(PATIENCE, all), "something was lost");
    let status = socket::until_state(&one, "in-sync").await;
    assert_eq!(status["errors"], serde_json::json!([]));
    assert_eq!(socket::ask(&one, "GET", "/v1/outbox").await.json()["total"], 0);
    assert_eq!(daemon.terminate().await.0, Some(0));
    two.sync().await;
    assert_eq!(one.files(), two.files());
    assert_eq!(two.read("traces/known.json").unwrap(), b"changed offline");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_cannot_be_read_or_named_holds_up_no_other() {
    let folder = fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    for key in ["POLL_INTERVAL", "POLL_INTERVAL_ACTIVE", "BATCH_INTERVAL", "SETTLE"] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), "200ms");
    }
    machine.good(&["init"]).await;
    machine.write("traces/secret.json", "nobody reads this");
    let secret = machine.root.join("traces/secret.json");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    machine.write("traces/what\n.json", "no name for a vault");
    let machine = machine.as_nobody();
    let daemon = Daemon::start(&machine).await;
    let onlooker = Onlooker::of(&machine.root);
    for number in 0..3 {
        machine.write(&format!("traces/{number}.json"), "fine");
        assert!(
            onlooker.until(PATIENCE, || committed(&machine, &format!("traces/{number}.json"))),
            "it was held up"
        );
        machine.run(&["sync"]).await.expect(9, &[]);
    }
    // Polls that find nothing do not make it look well.
    let clock = SystemClock::new();
    let mut status = machine.run(&["status", "--json"]).await.json();
    let requests = |status: &serde_json::Value| status["transfer"]["requests"].as_u64().unwrap();
    let some_polls_later = requests(&status) + 3;
    while requests(&status) < some_polls_later {
        assert!(clock.monotonic() < PATIENCE, "it does not poll: {status}");
        status = machine.run(&["status", "--json"]).await.json();
    }
    let errors = status["errors"].as_array().unwrap();
    for path in ["traces/secret.json", "traces/what\n.json"] {
        let error =
            errors.iter().find(|error| error["path"] == path).unwrap_or_else(|| panic!("{path}: {status}"));
        assert!(error["attempts"].as_u64().unwrap() >= 3, "{status}");
        assert!(error["next_retry"].is_string() && error["next"].is_string(), "{status}");
    }
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(onlooker.until(PATIENCE, || committed(&machine, "traces/secret.json")), "it was given up");
    std::fs::remove_file(machine.root.join("traces/what\n.json")).unwrap();
    let clock = SystemClock::new();
    loop {
        let status = machine.run(&["status", "--json"]).await.json();
        if (&status["errors"], &status["state"]) == (&serde_json::json!([]), &"in-sync".into()) {
            break;
        }
        assert!(clock.monotonic() < PATIENCE, "it never came to rest: {status}");
    }
    assert_eq!(daemon.terminate().await.0, Some(0));
}
