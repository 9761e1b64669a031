//! More changes at once than a process can watch, and watchers that lose events or may not watch.

use std::os::unix::fs::PermissionsExt;

use cogzy_testkit::{amount, fresh_folder};
use rustix::process::Signal;

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::process::{Machine, PATIENCE};
use crate::support::socket;

/// A machine that syncs as soon as something has settled, and looks by itself as seldom as `rescan`
/// says.
fn hurried(folder: &std::path::Path, name: &str, rescan: &str) -> Machine {
    let mut machine = Machine::with_folder(folder, name);
    for key in ["POLL_INTERVAL", "POLL_INTERVAL_ACTIVE", "BATCH_INTERVAL", "SETTLE"] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), "200ms");
    }
    machine.set("COGZY_VAULT__SYNC__RESCAN_INTERVAL", rescan);
    machine
}

fn manifest(machine: &Machine) -> String {
    String::from_utf8(machine.read("sync/manifest.json").unwrap_or_default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_burst_of_thousands_of_changes_every_one_arrives() {
    let files = amount(2000, 5000);
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| {
        let mut machine = hurried(folder.path(), name, "1h");
        // A change of most files would wait for approval.
        machine.set("COGZY_VAULT__SAFETY__MIN_FILES", "1000000");
        machine
    });
    one.good(&["init"]).await;
    two.good(&["init"]).await;
    let daemons = [Daemon::start(&one).await, Daemon::start(&two).await];
    socket::until_state(&one, "in-sync").await;
    for folder in 0..10 {
        std::fs::create_dir_all(one.root.join(format!("traces/{folder}"))).unwrap();
    }
    for round in ["first", "second"] {
        for number in 0..files {
            // Like careless programs: no rename, into folders that no watch covers yet.
            let path = one.root.join(format!("traces/{}/{number}.json", number % 10));
            std::fs::write(path, format!("{number} {round}")).unwrap();
        }
    }
    let onlooker = Onlooker::of(&two.root);
    let last = |number: usize| two.read(&format!("traces/{}/{number}.json", number % 10));
    let all = || (0..files).rev().all(|number| last(number).is_some_and(|text| text.ends_with(b"second")));
    // Ten thousand fsyncs on each side, in a build that is not optimised.
    let arrived = onlooker.until(3 * PATIENCE, all);
    let status = socket::ask(&one, "GET", "/v1/status").await.text;
    assert!(arrived, "not every change arrived: {status}");
    assert_eq!(one.files(), two.files());
    for daemon in daemons {
        assert_eq!(daemon.terminate().await.0, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_whose_events_were_lost_arrive() {
    let folder = fresh_folder();
    let one = hurried(folder.path(), "one", "1h");
    one.good(&["init"]).await;
    one.write("traces/still.json", "this one stays as it is");
    let mut daemon = Daemon::start(&one).await;
    socket::until_state(&one, "in-sync").await;
    // While it stands still the system keeps so many events for it and no more.
    let kept = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
    let Some(kept) =
        kept.ok().and_then(|text| text.trim().parse::<usize>().ok()).filter(|kept| *kept < 100_000)
    else {
        eprintln!("skipped: no queue of this system can be made to overflow");
        return;
    };
    daemon.signal(Signal::STOP);
    // Each of them is at least two events; renaming one and the same file to and fro keeps the
    // vault small. Twice as many as are kept: the daemon may read some before it stands still.
    let [here, there] = ["traces/here.json", "traces/there.json"].map(|path| one.root.join(path));
    std::fs::write(&here, "moved to and fro").unwrap();
    for _ in 0..kept / 2 + 100 {
        std::fs::rename(&here, &there).unwrap();
        std::fs::rename(&there, &here).unwrap();
    }
    one.write("traces/last.json", "nobody was told of this one");
    let onlooker = Onlooker::of(&one.root);
    daemon.signal(Signal::CONT);
    daemon.says("events of the watcher were lost").await;
    let all = || manifest(&one).contains("traces/last.json") && manifest(&one).contains("traces/here.json");
    assert!(onlooker.until(PATIENCE, all), "not every change arrived");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_in_folders_that_may_not_be_watched_arrive() {
    let folder = fresh_folder();
    let mut one = hurried(folder.path(), "one", "1h");
    // A change of most files would wait for approval.
    one.set("COGZY_VAULT__SAFETY__MIN_FILES", "1000000");
    one.good(&["init"]).await;
    let Some(one) = one.watching_at_most(8).await else {
        eprintln!("skipped: this system lets nobody limit the watches of one program");
        return;
    };
    one.write("traces/first.json", "something to be in sync with");
    let mut daemon = Daemon::start(&one).await;
    socket::until_state(&one, "in-sync").await;
    let path = |number: usize| format!("traces/{number}/deep/a.json");
    for round in ["first", "second"] {
        for number in 0..20 {
            one.write(&path(number), format!("{number} {round}"));
        }
        if round == "first" {
            daemon.says("fs.inotify.max_user_watches").await;
        }
        let onlooker = Onlooker::of(&one.root);
        let digest = |number: usize| blake3::hash(format!("{number} {round}").as_bytes()).to_hex();
        let all = || (0..20).all(|number| manifest(&one).contains(digest(number).as_str()));
        assert!(onlooker.until(PATIENCE, all), "not every change of the {round} round arrived");
    }
    assert_eq!(daemon.terminate().await.0, Some(0));
    // So it is where not even the root may be watched.
    let one = one.watching_at_most(0).await.unwrap();
    let mut daemon = Daemon::start(&one).await;
    daemon.says("going on without a watcher").await;
    socket::until_state(&one, "in-sync").await;
    one.write("traces/blind.json", "saved");
    let onlooker = Onlooker::of(&one.root);
    assert!(onlooker.until(PATIENCE, || manifest(&one).contains("traces/blind.json")), "it did not arrive");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_watched_is_named_and_its_neighbours_are_watched() {
    let folder = fresh_folder();
    let mut machine = hurried(folder.path(), "one", "1h");
    // No poll comes to help.
    for key in ["POLL_INTERVAL", "POLL_INTERVAL_ACTIVE"] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), "1h");
    }
    machine.good(&["init"]).await;
    machine.write("traces/secret/a.json", "nobody lists this");
    machine.write("traces/first.json", "first");
    let secret = machine.root.join("traces/secret");
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    let machine = machine.as_nobody();
    let mut daemon = Daemon::start(&machine).await;
    daemon.says("not everything is watched").await;
    let onlooker = Onlooker::of(&machine.root);
    assert!(onlooker.until(PATIENCE, || manifest(&machine).contains("traces/first.json")));
    machine.write("traces/second.json", "the watch of its folder tells of it");
    assert!(onlooker.until(PATIENCE, || manifest(&machine).contains("traces/second.json")));
    let status = machine.run(&["status", "--json"]).await.json();
    let named = |why: &serde_json::Value| why.as_str().is_some_and(|why| why.contains("traces/secret"));
    assert!(named(&status["unwatched"][0]["why"]), "{status}");
    let told = machine.run(&["status"]).await.stdout;
    assert!(told.contains("changes are noticed only by a scan"), "{told}");
    let doctor = machine.run(&["doctor"]).await.stdout;
    assert!(doctor.contains("traces/secret"), "{doctor}");
    // Tried again after the next scan.
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o755)).unwrap();
    machine.write("traces/third.json", "a reason to scan");
    daemon.says("everything is watched again").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
}
