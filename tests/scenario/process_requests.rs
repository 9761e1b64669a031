//! Requests of apps that ask too often, or for what there is not.

use cogzy_testkit::fresh_folder;

use crate::support::daemon::Daemon;
use crate::support::process::{Machine, noise};
use crate::support::s3_server::S3Server;
use crate::support::socket;

/// A request that an app makes by mistake, and what the answer speaks of.
const WRONG: [(&str, &str); 4] = [
    ("/v1/memories?ids=n1", "group"),
    ("/v1/memories?group=nodes&ids=n1&vectors=1", "vectors"),
    ("/v1/files", "path"),
    ("/v1/files?path=..%2Fa", "path"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_wrong_is_answered_with_a_problem() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let daemon = Daemon::start(&machine).await;
    for (resource, about) in WRONG {
        let answer = socket::ask(&machine, "GET", resource).await;
        assert_eq!(answer.status, Some(400), "{resource}: {answer:?}");
        let problem = answer.json();
        assert_eq!(problem["type"], "about:cogzy-vault/bad-request", "{resource}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(about), "{resource}: {problem}");
    }
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_without_a_body_lasts_until_resume() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let daemon = Daemon::start(&machine).await;
    let paused = socket::ask(&machine, "POST", "/v1/pause").await;
    assert_eq!((paused.status, &paused.json()["state"]), (Some(200), &"paused".into()), "{paused:?}");
    let wrong = socket::ask_with(&machine, "POST", "/v1/pause", "", r#"{"minutes":1}"#).await;
    assert_eq!(wrong.status, Some(400), "{wrong:?}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

/// An app that asks for a sync after each save and does not wait: while one cycle takes long, all of
/// these are one more, and whoever does wait comes right after it.
#[tokio::test(flavor = "multi_thread")]
async fn many_requests_for_a_sync_that_nobody_waits_for_are_one() {
    const ASKED: usize = 40;
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    for key in ["POLL_INTERVAL", "POLL_INTERVAL_ACTIVE"] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), "1h");
    }
    machine.good(&["init"]).await;
    server.stall();
    let before = server.requests("PUT");
    machine.write("vectors/large.npy", noise("large", 1 << 20));
    let daemon = Daemon::start(&machine).await;
    server.asked_to_put(before + 1).await;
    let json = "content-type: application/json\r\n";
    for _ in 0..ASKED {
        let answer = socket::ask_with(&machine, "POST", "/v1/sync", json, r#"{"wait":false}"#).await;
        assert_eq!(answer.status, Some(202), "{answer:?}");
    }
    let listed = server.requests("ListObjectsV2");
    server.resume();
    machine.sync().await;
    let listed = server.requests("ListObjectsV2") - listed;
    assert!((2..10).contains(&listed), "{listed} listings for {ASKED} requests");
    assert_eq!(daemon.terminate().await.0, Some(0));
}
