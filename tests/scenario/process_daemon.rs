//! `run`: the daemon as a process.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use cogzy_engine::model::Digest;
use cogzy_testkit::{amount, fresh_folder};

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::history::Bucket;
use crate::support::process::{Machine, PATIENCE, noise};
use crate::support::s3_server::S3Server;

/// The longest stop: far less than the upload that is under way, and than any service manager
/// waits.
const PROMPT: Duration = Duration::from_secs(5);

/// A daemon's day in seconds.
fn hurry(machine: &mut Machine) {
    for (key, value) in [
        ("POLL_INTERVAL", "200ms"),
        ("POLL_INTERVAL_ACTIVE", "200ms"),
        ("BATCH_INTERVAL", "200ms"),
        ("SETTLE", "150ms"),
    ] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_beside_one_daemon_appears_beside_another() {
    let folder = fresh_folder();
    let [mut one, mut two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    for machine in [&mut one, &mut two] {
        hurry(machine);
        machine.good(&["init"]).await;
    }
    let daemons = [Daemon::start(&one).await, Daemon::start(&two).await];
    let [see_one, see_two] = [&one, &two].map(|machine| Onlooker::of(&machine.root));

    one.write("traces/a.json", "saved by one");
    assert!(see_two.until(PATIENCE, || two.read("traces/a.json").is_some()), "it never arrived");
    assert_eq!(two.read("traces/a.json").unwrap(), b"saved by one");
    two.write("traces/a.json", "edited by two");
    two.write("traces/b.json", "saved by two");
    let there = || {
        one.read("traces/a.json").is_some_and(|text| text == b"edited by two")
            && one.read("traces/b.json").is_some()
    };
    assert!(see_one.until(PATIENCE, there), "it never came back");
    one.delete("traces/b.json");
    assert!(see_two.until(PATIENCE, || two.read("traces/b.json").is_none()), "it was never deleted");

    // While a daemon runs it is the one that syncs and verifies, and the status knows it; nothing
    // is set up beside it.
    one.good(&["sync"]).await;
    assert_eq!(one.good(&["verify", "--deep", "--json"]).await.json()["verified"]["deep"], true);
    assert_eq!(
        one.good(&["verify", "--repair", "--json"]).await.json()["repaired"]["lost"],
        serde_json::json!([])
    );
    let before = one.read("sync/last_sync.json");
    let again = one.good(&["init", "--json"]).await.json();
    assert!(again["joined"] == true && again["created"] == false && again["vault"].is_string(), "{again}");
    let other = one.run(&["init", "--device-name", "another"]).await;
    other.expect(7, &["a daemon keeps this vault, with device_name = one and not another", "stop it"]);
    assert_eq!(one.read("sync/last_sync.json"), before);
    let status = one.good(&["status", "--json"]).await.json();
    assert_eq!(status["daemon"]["running"], true, "{status}");
    for daemon in daemons {
        let (code, took) = daemon.terminate().await;
        assert_eq!(code, Some(0));
        assert!(took < PROMPT, "{took:?}");
    }
    for machine in [&one, &two] {
        assert_eq!(machine.sync().await["pushed"], 0);
    }
    assert_eq!(one.files(), two.files());
    assert_eq!(one.read("sync/manifest.json"), two.read("sync/manifest.json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_has_not_settled_is_pending_whatever_polls_find() {
    let folder = fresh_folder();
    let mut one = Machine::with_folder(folder.path(), "one");
    hurry(&mut one);
    // Several polls come before it has settled.
    one.set("COGZY_VAULT__SYNC__SETTLE", "2s");
    one.good(&["init"]).await;
    let daemon = Daemon::start(&one).await;
    one.write("traces/a.json", "saved");
    let mut states = Vec::new();
    loop {
        let status = one.good(&["status", "--json"]).await.json();
        if status["generation"] == 1 {
            break;
        }
        states.push(status["state"].as_str().unwrap().to_owned());
    }
    let first = states.iter().position(|state| state == "pending");
    let after = &states[first.expect("it was never pending")..];
    assert!(after.iter().all(|state| state != "in-sync"), "{states:?}");
    daemon.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_stopped_in_the_middle_of_an_upload_ends_at_once() {
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
    let (code, took) = daemon.terminate().await;
    assert_eq!(code, Some(0));
    assert!(took < PROMPT, "it took {took:?} to stop");
    server.resume();
    one.sync().await;
    two.sync().await;
    assert_eq!(one.files(), two.files());
    assert_eq!(two.read("vectors/large.npy").unwrap(), noise("large", 40 << 20));
    two.good(&["verify", "--deep"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_stopped_as_soon_as_it_runs_ends_as_it_should() {
    let folder = fresh_folder();
    let machine = Machine::bare(folder.path(), "fresh");
    for _ in 0..10 {
        assert_eq!(Daemon::start(&machine).await.terminate().await.0, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_configured_a_vault_is_kept_in_a_folder_beside_it() {
    let folder = fresh_folder();
    let machine = Machine::bare(folder.path(), "fresh");
    let mut daemon = Daemon::start(&machine).await;
    let said = daemon.said();
    let beside = machine.home.join(".local/share/cogzy-remote");
    for words in [
        "no remote is configured",
        &format!("file://{}", beside.display()),
        &machine.root.display().to_string(),
        "cogzy-vault init --remote b2://",
    ] {
        assert!(said.contains(words), "it does not say {words:?}: {said}");
    }
    let onlooker = Onlooker::of(&machine.root);
    machine.write("traces/first.json", "my first memory");
    let named = || {
        let manifest = machine.read("sync/manifest.json").unwrap_or_default();
        String::from_utf8(manifest).unwrap().contains("traces/first.json")
    };
    assert!(onlooker.until(PATIENCE, named), "it was never committed: {}", daemon.said());
    assert_eq!(daemon.terminate().await.0, Some(0));
    assert!(beside.join("users/default/commits").is_dir());

    // Again, on what is there; and by the other verbs, without any further step.
    Daemon::start(&machine).await.terminate().await;
    assert_eq!(machine.sync().await["pushed"], 0);
    machine.good(&["verify", "--deep"]).await;
}

/// Time for which half a state stands in the file: long enough to be scanned and read, and far
/// shorter than the settle window.
const HALF: Duration = Duration::from_millis(60);

#[tokio::test(flavor = "multi_thread")]
async fn of_a_file_that_is_rewritten_in_place_only_whole_states_are_committed() {
    let folder = fresh_folder();
    let [mut one, mut two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    for machine in [&mut one, &mut two] {
        hurry(machine);
        // Scans must fall into the writing, and a test that is held up for a moment must not look
        // like a writer who pauses.
        machine.set("COGZY_VAULT__SYNC__RESCAN_INTERVAL", "1s");
        machine.set("COGZY_VAULT__SYNC__SETTLE", "1s");
        machine.good(&["init"]).await;
    }
    let state = |number: u8| noise("state", 1 << 20).iter().map(|byte| byte ^ number).collect::<Vec<_>>();
    let path = "vectors/nodes.npy";
    one.write("corpus/nodes.json", "[]");
    one.write(path, state(0));
    let daemons = [Daemon::start(&one).await, Daemon::start(&two).await];
    let onlooker = Onlooker::of(&two.root);
    let visible = || two.read(path).map(|bytes| Digest::of(&bytes));
    let mut whole = BTreeSet::from([Digest::of(&state(0))]);
    assert!(
        onlooker.until(PATIENCE, || visible() == whole.first().copied()),
        "the first state never arrived"
    );
    let mut file = File::options().write(true).open(one.root.join(path)).unwrap();
    let mut number = 0;
    for _ in 0..amount(2, 5) {
        // Now and then the writer rests for as long as it takes that the state arrives.
        for _ in 0..25 {
            number += 1;
            let next = state(number);
            let (first, second) = next.split_at(next.len() / 2);
            whole.insert(Digest::of(&next));
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(first).unwrap();
            let torn = || visible().is_some_and(|digest| !whole.contains(&digest));
            assert!(!onlooker.until(HALF, torn), "the other device shows half a state");
            file.write_all(second).unwrap();
        }
        let last = Digest::of(&state(number));
        assert!(onlooker.until(PATIENCE, || visible() == Some(last)), "the last state never arrived");
    }
    let versions = Bucket::in_folder(folder.path()).await.versions(path).await;
    assert!(versions.is_subset(&whole), "half a state was committed");
    assert!(versions.len() > 2, "only {} versions were committed", versions.len());
    for daemon in daemons {
        assert_eq!(daemon.terminate().await.0, Some(0));
    }
}
