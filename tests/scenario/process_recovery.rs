//! The power goes in the middle of a reset or a restore, again and again: each is wholly done or
//! not begun, once the next command has run.

use std::collections::BTreeMap;
use std::path::Path;

use cogzy_client::socket as client;
use cogzy_engine::model::Digest;
use cogzy_testkit::{amount, fresh_folder};

use crate::support::daemon::Daemon;
use crate::support::moments::Moments;
use crate::support::process::{Machine, noise};

/// A generation: a group and twenty files, large enough that a run takes a while.
fn generation(machine: &Machine, version: &str) {
    machine.write("corpus/nodes.json", format!("[\"{version}\",\"{}\"]", "memory ".repeat(20_000)));
    machine.write("vectors/nodes.npy", noise(version, 3 << 20));
    machine.write("indexes/faiss.index", noise(&format!("index {version}"), 1 << 20));
    for number in 0..20 {
        machine.write(&format!("traces/{number}.json"), noise(&format!("{version} {number}"), 3000));
    }
    machine.write(&format!("traces/only-{version}.json"), version);
}

async fn machine(folder: &Path) -> Machine {
    let mut machine = Machine::with_folder(folder, "one");
    // A new version of nearly every file would wait for approval.
    machine.set("COGZY_VAULT__SAFETY__MIN_FILES", "1000000");
    machine.good(&["init"]).await;
    machine
}

/// Asserts that each file is wholly as it is in one of the states; it is gone only if one of them
/// lacks it.
fn whole(found: &BTreeMap<String, Digest>, states: &[&BTreeMap<String, Digest>], round: &str) {
    for (path, digest) in found {
        assert!(states.iter().any(|state| state.get(path) == Some(digest)), "{round}: {path} is of no state");
    }
    for path in states[0].keys().filter(|path| states.iter().all(|state| state.contains_key(*path))) {
        assert!(found.contains_key(path), "{round}: {path} is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_that_is_killed_at_any_moment_is_wholly_done_or_not_begun() {
    let folder = fresh_folder();
    let machine = machine(folder.path()).await;
    generation(&machine, "backup");
    machine.sync().await;
    let backup = machine.files();
    generation(&machine, "damage 0");
    let mut moments = Moments::within(machine.good(&["reset", "--yes"]).await.took);
    for round in 1..=amount(5, 50) {
        let version = format!("damage {round}");
        generation(&machine, &version);
        machine.delete("traces/7.json");
        let before = machine.files();
        moments.kill(&machine, &format!("reset {round}"), &["reset", "--yes"]).await;
        whole(&machine.files(), &[&before, &backup], &version);
        if round % 3 == 0 {
            moments.kill(&machine, &format!("again {round}"), &["reset", "--yes"]).await;
            whole(&machine.files(), &[&before, &backup], &version);
        }
        // The next command finishes what was begun; what was not begun is still as it was.
        let begun = machine.root.join("sync/applying").exists();
        if begun {
            machine.sync().await;
            assert_eq!(machine.files(), backup, "{version}: begun, and not finished");
        }
        machine.good(&["reset", "--yes"]).await;
        assert_eq!(machine.files(), backup, "{version}");
        let listed = machine.good(&["conflicts", "--json"]).await.json();
        let listed = listed["conflicts"].as_array().unwrap().clone();
        let mine = |path: &str| {
            let digest = before[path].to_string();
            listed
                .iter()
                .flat_map(|one| one["files"].as_array().unwrap())
                .any(|file| file["path"] == path && file["entry"]["digest"] == digest.as_str())
        };
        for path in ["corpus/nodes.json", "vectors/nodes.npy", "traces/3.json"] {
            assert!(mine(path), "{version}: {path} was never sent, and is not kept");
        }
    }
    moments.were_enough();
    machine.good(&["verify", "--deep"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_killed_at_any_moment_is_wholly_done_or_not_begun() {
    let folder = fresh_folder();
    let machine = machine(folder.path()).await;
    // Files that take long to write may make more than one generation.
    let (mut states, mut numbers) = (Vec::new(), Vec::new());
    for version in ["first", "second"] {
        generation(&machine, version);
        numbers.push(machine.sync().await["generation"].to_string());
        states.push(machine.files());
    }
    let undisturbed = machine.good(&["restore", "--yes", "--generation", &numbers[0]]).await.took;
    let mut moments = Moments::within(undisturbed);
    let mut at = 0;
    for round in 1..=amount(5, 50) {
        let (from, to) = (at, 1 - at);
        let args = ["restore", "--yes", "--generation", &numbers[to]];
        let killed = moments.kill(&machine, &format!("restore {round}"), &args).await;
        whole(&machine.files(), &[&states[from], &states[to]], &format!("round {round}"));
        machine.sync().await;
        // A brake may hold what was committed and not brought here: the yes died with the program.
        let held = machine.run(&["approve"]).await;
        assert!(matches!(held.code, Some(0 | 2)), "{held:?}");
        let found = machine.files();
        at = if found == states[to] { to } else { from };
        assert_eq!(found, states[at], "round {round}: it is done in part");
        assert!(killed || at == to, "round {round}: it said that it was done");
    }
    moments.were_enough();
    machine.good(&["verify", "--deep"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_does_it_where_one_holds_the_vault() {
    let folder = fresh_folder();
    let mut one = machine(folder.path()).await;
    let socket = folder.path().join("control.sock");
    one.set("COGZY_VAULT_SOCKET", &socket);
    let two = Machine::with_folder(folder.path(), "two");
    two.good(&["init"]).await;
    let (mut states, mut numbers) = (Vec::new(), Vec::new());
    for version in ["first", "second"] {
        generation(&one, version);
        numbers.push(one.sync().await["generation"].as_u64().unwrap());
        states.push(one.files());
    }
    two.sync().await;
    let daemon = Daemon::start(&one).await;
    one.good(&["restore", "--generation", &numbers[0].to_string(), "--yes"]).await;
    assert_eq!(one.files(), states[0]);
    let undone = one.good(&["undo", "--yes", "--json"]).await.json();
    let after = |by| Some(numbers[1] + by);
    assert_eq!((undone["generation"].as_u64(), undone["of"].as_u64()), (after(2), after(1)), "{undone}");
    assert_eq!(one.files(), states[1]);

    // A conflict that another device has lost.
    two.write("traces/3.json", "two's own");
    one.write("traces/3.json", "one's own");
    one.sync().await;
    two.sync().await;
    one.sync().await;
    let listed: serde_json::Value = client::get(&socket, "/v1/conflicts").await.unwrap();
    let id = listed["conflicts"][0]["id"].as_str().unwrap().to_owned();
    let resource = format!("/v1/conflicts/{id}/resolve");
    let decided: serde_json::Value =
        client::post(&socket, &resource, &serde_json::json!({ "keep": "mine" })).await.unwrap();
    assert_eq!(decided["changed"], 1, "{decided}");
    assert_eq!(one.read("traces/3.json").unwrap(), b"two's own");
    decided_by_device(&one, &two, &socket).await;
    one.run(&["conflicts", "resolve", &id, "--keep", "both"]).await.expect(2, &["no conflict is named"]);
    let history: serde_json::Value = client::get(&socket, "/v1/history").await.unwrap();
    let kinds: Vec<&str> =
        history["generations"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(
        (kinds[0], kinds.contains(&"restore"), kinds.contains(&"undo")),
        ("resolve", true, true),
        "{kinds:?}"
    );
    let versions: serde_json::Value = client::get(&socket, "/v1/history?path=traces/3.json").await.unwrap();
    assert!(versions["versions"].as_array().unwrap().len() >= 4, "{versions}");

    let backup = one.files();
    let told = one.good(&["reset", "--dry-run", "--json"]).await.json();
    assert_eq!((told["dry_run"].as_bool(), told["fetched"].as_u64()), (Some(true), Some(0)), "{told}");
    let done: serde_json::Value = client::post(&socket, "/v1/reset", &serde_json::json!({})).await.unwrap();
    assert_eq!(done["generation"], told["generation"]);
    assert_eq!(one.files(), backup);
    for (resource, body) in [
        ("/v1/restore", serde_json::json!({})),
        ("/v1/restore", serde_json::json!({ "generation": 1, "at": "2026-01-01T00:00:00Z" })),
        ("/v1/restore", serde_json::json!({ "generation": 999 })),
        ("/v1/restore", serde_json::json!({ "generation": 1, "paths": ["../x"] })),
        ("/v1/conflicts/nonsense/resolve", serde_json::json!({ "keep": "mine" })),
        ("/v1/undo", serde_json::json!({ "generation": "x" })),
    ] {
        let refused: Result<serde_json::Value, _> = client::post(&socket, resource, &body).await;
        assert!(matches!(refused, Err(client::ClientError::Refused(_))), "{resource} {body}: {refused:?}");
    }
    assert_eq!(one.files(), backup);
    assert_eq!(daemon.terminate().await.0, Some(0));
}

/// Decides conflicts over the socket by the device that made the version: the one of `one` stands.
async fn decided_by_device(one: &Machine, two: &Machine, socket: &Path) {
    for (name, keep, stands) in [
        ("this", "this", "one's own"),
        ("other", "other", "two's own"),
        ("named", "two", "two's own"),
        ("aside", "aside", "two's own"),
        ("remote", "remote", "one's own"),
    ] {
        let path = format!("traces/{name}.json");
        two.sync().await;
        two.write(&path, "two's own");
        one.write(&path, "one's own");
        one.sync().await;
        two.sync().await;
        one.sync().await;
        let listed: serde_json::Value = client::get(socket, "/v1/conflicts").await.unwrap();
        let id = listed["conflicts"][0]["id"].as_str().unwrap();
        let resource = format!("/v1/conflicts/{id}/resolve");
        let body = serde_json::json!({ "keep": "phone" });
        let refused = client::post::<serde_json::Value>(socket, &resource, &body).await;
        let Err(client::ClientError::Refused(problem)) = refused else { panic!("phone made neither") };
        assert!(problem.detail.contains("of a device named phone"), "{problem:?}");
        assert!(problem.next.contains("conflicts show"), "{problem:?}");
        let decide = serde_json::json!({ "keep": keep });
        client::post::<serde_json::Value>(socket, &resource, &decide).await.unwrap();
        assert_eq!(one.read(&path).unwrap(), stands.as_bytes(), "{keep}");
    }
}
