//! `doctor`: finds what is wrong, with a daemon and without, on the network and off it, and changes
//! nothing.

use std::os::unix::fs::PermissionsExt;

use cogzy_testkit::fresh_folder;
use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::process::{Machine, Ran};
use crate::support::s3_server::{S3Server, SECRET};

/// The finding about `check`, which must be there.
fn found<'a>(document: &'a Value, check: &str) -> &'a Value {
    let all = document["findings"].as_array().unwrap();
    let one = all.iter().find(|finding| finding["check"] == check);
    one.unwrap_or_else(|| panic!("nothing about {check}: {document:#}"))
}

/// Runs it both ways: the code is the same, each fault has a cure, no secret is shown, and the
/// vault stays as it is.
async fn look_at(machine: &Machine, at_rest: bool) -> (Ran, Value) {
    let before = at_rest.then(|| machine.everything());
    let plain = machine.run(&["doctor"]).await;
    let json = machine.run(&["doctor", "--json"]).await;
    assert_eq!(plain.code, json.code, "{plain:#?}");
    assert!(!format!("{plain:?}{json:?}").contains(SECRET), "{plain:#?}");
    assert!(before.is_none_or(|before| before == machine.everything()), "it changed the vault");
    let document = json.json();
    for finding in document["findings"].as_array().unwrap() {
        let cured = finding["next"].is_string() || finding["level"] == "ok" || finding["level"] == "note";
        assert!(cured, "no cure: {finding}");
        assert!(plain.stdout.contains(finding["check"].as_str().unwrap()), "{plain:#?}");
    }
    (plain, document)
}

async fn look(machine: &Machine) -> (Ran, Value) {
    look_at(machine, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_in_order_gets_a_clean_bill_and_an_estimate() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    machine.write("traces/a.json", "a");
    machine.sync().await;
    let puts = server.requests("PutObject");
    let (plain, document) = look(&machine).await;
    assert_eq!(plain.code, Some(0), "{plain:#?}");
    for check in ["version", "vault", "remote", "clock", "last sync"] {
        assert_eq!(found(&document, check)["level"], "ok", "{document:#}");
    }
    assert_eq!(server.requests("PutObject"), puts, "it wrote to the bucket");
    assert_eq!(found(&document, "credentials")["level"], "warning", "only this shell has them");
    assert_eq!(found(&document, "daemon")["level"], "warning");
    assert_eq!(document["month"]["idle_polls"], 23_760, "{document:#}");
    assert!(plain.stdout.contains("for 1 device of this vault"), "{plain:#?}");
    assert!(plain.stdout.contains("23,760 polls, one every 60s"), "{plain:#?}");

    let daemon = Daemon::start(&machine).await;
    // The daemon may write its own files meanwhile.
    let (plain, document) = look_at(&machine, false).await;
    assert_eq!(plain.code, Some(0), "{plain:#?}");
    assert_eq!(found(&document, "daemon")["level"], "ok", "{document:#}");
    assert_eq!(daemon.terminate().await.0, Some(0));

    let credentials = machine.home.join(".config/cogzy-vault/credentials.env");
    std::fs::write(&credentials, "A=b\n").unwrap();
    std::fs::set_permissions(&credentials, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (plain, _) = look(&machine).await;
    assert!(plain.stdout.contains("next: chmod 600"), "{plain:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_is_that_of_the_worst() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    let (plain, document) = look(&machine).await;
    assert_eq!(plain.code, Some(4), "{plain:#?}");
    assert_eq!(found(&document, "vault")["level"], "error");
    machine.good(&["init"]).await;

    machine.set("AWS_SECRET_ACCESS_KEY", "wrong");
    let (plain, document) = look(&machine).await;
    assert_eq!(plain.code, Some(8), "{plain:#?}");
    assert_eq!(found(&document, "clock")["level"], "ok", "a refusal tells the time, too");
    machine.set("AWS_SECRET_ACCESS_KEY", SECRET);

    drop(server);
    let (plain, document) = look(&machine).await;
    assert_eq!(plain.code, Some(3), "{plain:#?}");
    assert_eq!(found(&document, "remote")["level"], "error");
    assert_eq!(found(&document, "vault")["level"], "ok");

    machine.set("COGZY_VAULT__SYNC__POLL_INTERVAL", "soon");
    let (plain, document) = look(&machine).await;
    assert_eq!(plain.code, Some(2), "{plain:#?}");
    let message = found(&document, "config")["message"].as_str().unwrap();
    assert!(message.contains("sync.poll_interval"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_tries_what_the_store_takes_and_the_doctor_remembers_what_it_refused() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let machine = Machine::with_server(folder.path(), "one", &server);
    server.forbid("DeleteObject");
    let ran = machine.good(&["init"]).await;
    let words = "lets this key delete nothing, so a prune frees nothing there";
    for words in [words, "deleteFiles", "the store: a bucket"] {
        assert!(ran.stdout.contains(words), "{ran:#?}");
    }
    let (_, document) = look(&machine).await;
    assert_eq!(found(&document, "rights")["level"], "warning", "{document:#}");
    // The same, once the key may.
    server.allow("DeleteObject");
    let told = machine.good(&["init", "--json"]).await.json();
    assert_eq!(told["warnings"], serde_json::Value::Null, "{told}");
    let (_, document) = look(&machine).await;
    assert!(
        document["findings"].as_array().unwrap().iter().all(|one| one["check"] != "rights"),
        "{document:#}"
    );
    // A store that keeps objects for a while is no missing right.
    server.lock_objects_for(30);
    server.forbid("DeleteObject");
    let ran = machine.good(&["init"]).await;
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(all.contains("in its first 30 days") && !all.contains(words), "{ran:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_changed_after_the_daemon_started_are_told() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    let credentials = machine.home.join(".config/cogzy-vault/credentials.env");
    std::fs::write(&credentials, "AWS_SECRET_ACCESS_KEY=x\n").unwrap();
    // Some time after this test, whenever it runs.
    let later = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1 << 33);
    let changed = |when| std::fs::File::options().write(true).open(&credentials).unwrap().set_modified(when);
    machine.set("AWS_SECRET_ACCESS_KEY", "rotated");
    let daemon = Daemon::start(&machine).await;
    let words = "still has the keys of before";
    changed(std::time::UNIX_EPOCH).unwrap();
    let told = machine.run(&["doctor"]).await;
    assert!(!told.stdout.contains(words), "{told:#?}");
    changed(later).unwrap();
    let told = machine.run(&["doctor"]).await;
    assert!(told.stdout.contains(words) && told.stdout.contains("service stop"), "{told:#?}");
    let status = crate::support::socket::until_state(&machine, "error").await;
    assert!(status["errors"][0]["next"].as_str().unwrap().contains("only when it is restarted"), "{status}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}
