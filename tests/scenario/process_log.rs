//! The daemon's log, and the secrets that must not be in it.

use cogzy_testkit::fresh_folder;

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::process::{Machine, PATIENCE};
use crate::support::s3_server::{S3Server, SECRET};

const LOG: &str = "logs/cogzy-vault.log";

fn log(machine: &Machine) -> String {
    String::from_utf8(machine.read(LOG).unwrap_or_default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_is_one_line_and_no_line_has_a_secret_or_a_content() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    machine.set("COGZY_VAULT__LOG__LEVEL", "trace");
    // Nothing else must be excluded for the log to stay out of the bucket.
    machine.set("COGZY_VAULT__FILTER__EXCLUDE", "[]");
    machine.good(&["init"]).await;
    machine.write("config.json", r#"{"api_key":"hidden-api-key"}"#);
    machine.write("traces/a.json", "what nobody else may read");
    let onlooker = Onlooker::of(&machine.root);
    let mut daemon = Daemon::start(&machine).await;
    let synced = || log(&machine).lines().any(|line| line.contains("synced") && line.contains("pushed=1"));
    assert!(onlooker.until(PATIENCE, synced), "no line tells of the cycle: {}", log(&machine));
    let said = daemon.said();
    assert_eq!(daemon.terminate().await.0, Some(0));

    let text = log(&machine);
    let line = text.lines().find(|line| line.contains("pushed=1")).unwrap();
    for field in ["generation=1", "conflicts=0", "requests=", "bytes_up=", "bytes_down=", "took_ms=", "INFO"]
    {
        assert!(line.contains(field), "{field} is missing: {line}");
    }
    assert!(text.contains("started") && text.contains("stopped by a signal"), "{text}");
    assert!(text.contains("DEBUG"), "not everything was logged");
    for hidden in [SECRET, "hidden", "nobody else", "Signature="] {
        assert!(!text.contains(hidden), "the log file says {hidden:?}");
        assert!(!said.contains(hidden), "standard error says {hidden:?}");
    }
    let two = Machine::with_server(folder.path(), "two", &server);
    two.good(&["init"]).await;
    two.sync().await;
    assert_eq!(two.files().keys().collect::<Vec<_>>(), ["traces/a.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_left_out_where_it_is_not_wanted_and_gone_without_where_it_cannot_be() {
    let folder = fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.set("COGZY_VAULT__LOG__FILE", "false");
    Daemon::start(&machine).await.terminate().await;
    assert!(machine.read(LOG).is_none());
    machine.set("COGZY_VAULT__LOG__FILE", "true");
    std::fs::create_dir_all(machine.root.join(LOG)).unwrap();
    let mut daemon = Daemon::start(&machine).await;
    assert!(daemon.said().contains("the log cannot be written to"), "{}", daemon.said());
    assert_eq!(daemon.terminate().await.0, Some(0));
}
