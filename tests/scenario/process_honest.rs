//! Exit codes, states and errors say what is so: `docs/ARCHITECTURE.md`, invariant 12.

use std::os::unix::fs::PermissionsExt;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_testkit::fresh_folder;
use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::process::{Machine, PATIENCE};
use crate::support::s3_server::S3Server;
use crate::support::socket;

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_missing_is_a_usage_error_and_a_missing_disk_is_waited_for() {
    let folder = fresh_folder();
    let bare = Machine::bare(folder.path(), "bare");
    bare.run(&["status"]).await.expect(2, &["nothing is set up yet", "cogzy-vault init"]);
    let mut regionless = Machine::bare(folder.path(), "regionless");
    regionless.set("AWS_ACCESS_KEY_ID", "an-id");
    regionless.set("AWS_SECRET_ACCESS_KEY", "a-secret");
    // Or it would be asked of a metadata service that is not there.
    regionless.set("AWS_EC2_METADATA_DISABLED", "true");
    let ran = regionless.run(&["init", "--remote", "s3://bucket/memory"]).await;
    ran.expect(2, &["s3.region", "cogzy-vault config path"]);

    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.sync().await;
    let bucket = folder.path().join("bucket");
    std::fs::rename(&bucket, folder.path().join("unplugged")).unwrap();
    let ran = machine.run(&["sync"]).await;
    ran.expect(3, &["the backup folder is missing", "plug in or mount its disk"]);
    // Plugged in again: the daemon goes on by itself.
    std::fs::rename(folder.path().join("unplugged"), &bucket).unwrap();
    let daemon = Daemon::start(&machine).await;
    socket::until_state(&machine, "in-sync").await;
    std::fs::rename(&bucket, folder.path().join("unplugged")).unwrap();
    machine.write("traces/new.json", "new");
    socket::until_state(&machine, "offline").await;
    std::fs::rename(folder.path().join("unplugged"), &bucket).unwrap();
    socket::until_state(&machine, "in-sync").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_with_an_unreadable_file_is_not_in_sync() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("traces/secret.json", "secret");
    let secret = machine.root.join("traces/secret.json");
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    let machine = machine.as_nobody();
    let daemon = Daemon::start(&machine).await;
    let status = until_state(&machine, "error").await;
    assert_eq!(status["errors"][0]["path"], "traces/secret.json", "{status}");
    let ran = machine.run(&["status"]).await;
    assert_eq!(ran.code, Some(9), "{ran:#?}");
    assert!(ran.stdout.contains("1 problem, told below"), "{ran:#?}");
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    machine.good(&["sync"]).await;
    until_state(&machine, "in-sync").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
}

/// Asks as the user whose daemon it is.
async fn until_state(machine: &Machine, wanted: &str) -> Value {
    let clock = SystemClock::new();
    loop {
        let status = machine.run(&["status", "--json"]).await.json();
        if status["state"] == wanted {
            return status;
        }
        assert!(clock.monotonic() < PATIENCE, "it was never {wanted}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_by_hand_that_failed_is_told_by_status_until_one_succeeds() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    machine.sync().await;
    let errors = async |code| {
        let ran = machine.run(&["status", "--json"]).await;
        ran.expect(code, &[]);
        ran.json()["errors"].clone()
    };
    assert_eq!(errors(0).await, serde_json::json!([]));
    let mut away = machine.clone();
    away.set("COGZY_VAULT__S3__ENDPOINT", "http://127.0.0.1:1");
    away.run(&["sync"]).await.expect(3, &[]);
    let told = errors(3).await;
    assert!(told[0]["message"].as_str().unwrap().starts_with("the last sync failed, at "), "{told}");
    assert!(told[0]["next"].as_str().unwrap().contains("cogzy-vault sync"), "{told}");
    machine.sync().await;
    assert_eq!(errors(0).await, serde_json::json!([]));
    // A name that cannot be synced is told by the code, too.
    machine.write("traces/a\u{7}b.json", "{}");
    machine.run(&["sync"]).await.expect(9, &[]);
    assert_eq!(errors(9).await.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_vault_does_not_take_the_place_of_the_first() {
    let folder = fresh_folder();
    let machine = Machine::bare(folder.path(), "one");
    let [first, second] = ["first", "second"].map(|name| machine.home.join(name).display().to_string());
    let remote = format!("file://{}", machine.home.join("bucket").display());
    machine.good(&["--vault", &first, "init", "--remote", &remote]).await;
    let named = async || machine.good(&["config", "show"]).await.stdout;
    assert!(named().await.contains(&first));
    let ran = machine.good(&["--vault", &second, "init"]).await;
    assert!(ran.stdout.contains(&format!("goes on naming the vault {first}")), "{ran:#?}");
    // What is proposed leads to the second one.
    assert!(ran.stdout.contains(&format!("cogzy-vault --vault {second} sync")), "{ran:#?}");
    assert!(named().await.contains(&first) && !named().await.contains(&second));
    // Nor does a third one lead the first to another remote.
    let third = machine.home.join("third").display().to_string();
    let before = std::fs::read(machine.config_file()).unwrap();
    let ran = machine.run(&["--vault", &third, "init", "--remote", "file:///tmp/elsewhere"]).await;
    ran.expect(2, &[&first, "remote = \"file:///tmp/elsewhere\" is for another one", "--config FILE"]);
    assert_eq!(std::fs::read(machine.config_file()).unwrap(), before);
    let own = machine.home.join("own.toml").display().to_string();
    let bucket = format!("file://{}", machine.home.join("another").display());
    machine.good(&["--config", &own, "--vault", &third, "init", "--remote", &bucket]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_two_filled_sides_proposes_the_command_that_joins_them() {
    let folder = fresh_folder();
    let first = Machine::with_folder(folder.path(), "first");
    first.good(&["init"]).await;
    first.write("traces/there.json", "there");
    first.sync().await;
    let bucket = folder.path().canonicalize().unwrap().join("bucket");
    let remote = format!("file://{}", bucket.display());
    let second = Machine::bare(folder.path(), "second");
    second.groups(cogzy_engine::model::Validate::Off);
    second.write("traces/here.json", "here");
    let ran = second.run(&["init", "--remote", &remote]).await;
    let join = format!("cogzy-vault init --remote {remote} --join");
    ran.expect(4, &[&join]);
    let words: Vec<&str> = join.split(' ').skip(1).collect();
    second.good(&words).await;
    second.sync().await;
    assert_eq!(second.read("traces/there.json").unwrap(), b"there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_is_found_without_the_sessions_variables() {
    let folder = fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let without = machine.clone();
    let runtime = machine.home.join("run");
    std::fs::create_dir(&runtime).unwrap();
    machine.set("XDG_RUNTIME_DIR", runtime);
    let daemon = Daemon::start(&machine).await;
    socket::until_state(&machine, "in-sync").await;
    let status = without.good(&["status", "--json"]).await.json();
    assert_eq!(status["daemon"]["pid"], daemon.pid(), "cron would not find it: {status}");
    without.write("traces/new.json", "new");
    without.sync().await;
    assert_eq!(daemon.terminate().await.0, Some(0));
    let status = without.good(&["status", "--json"]).await.json();
    assert_eq!(status["daemon"]["running"], false, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_a_document_for_programs() {
    let folder = fresh_folder();
    let bare = Machine::bare(folder.path(), "bare");
    let error = async |args: &[&str]| {
        let ran = bare.run(&[args, &["--json"]].concat()).await;
        assert_ne!(ran.code, Some(0), "{ran:#?}");
        let document: Value = ran.json();
        assert_eq!(document["schema"], 1, "{document}");
        document["error"].clone()
    };
    let none = error(&["sync"]).await;
    assert_eq!((&none["kind"], &none["next"]), (&"usage".into(), &"cogzy-vault init".into()), "{none}");
    assert!(none["message"].as_str().unwrap().contains("nothing is set up"), "{none}");
    assert_eq!(none["path"], Value::Null);
    let unknown = error(&["sink"]).await;
    assert!(unknown["message"].as_str().unwrap().contains("sink"), "{unknown}");
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    std::fs::remove_file(machine.root.join(".cogzy-vault")).unwrap();
    let ran = machine.run(&["sync", "--json"]).await;
    let path = ran.json()["error"]["path"].clone();
    assert!(path.as_str().unwrap().ends_with(".cogzy-vault"), "{ran:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_starts_offline_knows_what_was_agreed() {
    let folder = fresh_folder();
    let mut server = S3Server::start().await;
    let machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    machine.write("traces/a.json", "a");
    let generation = machine.sync().await["generation"].clone();
    server.go_away().await;
    let daemon = Daemon::start(&machine).await;
    let status = socket::until_state(&machine, "offline").await;
    assert_eq!(status["generation"], generation, "{status}");
    assert!(status["last_sync"].is_string() && status["files"] == 1, "{status}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_pull_the_status_is_that_of_the_moment() {
    let folder = fresh_folder();
    let [mut one, two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    // Long enough for a scan that were needed to be seen as one.
    one.set("COGZY_VAULT__SYNC__SETTLE", "3s");
    one.set("COGZY_VAULT__SYNC__BATCH_INTERVAL", "30s");
    one.good(&["init"]).await;
    one.write("traces/a.json", "first");
    one.sync().await;
    two.good(&["init", "--join"]).await;
    two.sync().await;
    let daemon = Daemon::start(&one).await;
    socket::until_state(&one, "in-sync").await;
    two.write("traces/a.json", "second");
    two.sync().await;
    // One cycle that pulls; its own writes are no changes.
    one.good(&["sync"]).await;
    let status = socket::ask(&one, "GET", "/v1/status").await.json();
    assert_eq!((&status["state"], &status["files"]), (&"in-sync".into(), &1.into()), "{status}");
    // The watcher's hints of that pull are all in by now: a file of the user's own comes behind
    // them.
    one.write("traces/b.json", "saved here");
    socket::until_state(&one, "pending").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
}
