//! Desktop notifications, as the program that shows them gets them: a fake `notify-send`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cogzy_engine::fs::RealFs;
use cogzy_engine::state::Database;
use cogzy_testkit::fresh_folder;

use crate::support::daemon::{Daemon, Onlooker};
use crate::support::hook::{hook, told as heard};
use crate::support::process::{Machine, PATIENCE};
use crate::support::s3_server::S3Server;

/// A machine with a desktop: a session bus, and a program that writes each notice as one line.
fn with_desktop(machine: &mut Machine, folder: &Path) -> PathBuf {
    let (programs, told) = (folder.join("programs"), folder.join("told"));
    std::fs::create_dir_all(&programs).unwrap();
    let program = programs.join("notify-send");
    let script = format!(
        "#!/bin/sh\nenv > '{0}.env'\nprintf '%s|' \"$@\" | tr '\\n' ' ' >> '{0}'\necho >> '{0}'\n",
        told.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    machine.set("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    machine.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere");
    for (key, value) in
        [("POLL_INTERVAL", "1s"), ("POLL_INTERVAL_ACTIVE", "200ms"), ("BATCH_INTERVAL", "100ms")]
    {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), value);
    }
    told
}

fn lines(told: &Path) -> Vec<String> {
    std::fs::read_to_string(told).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_holds_and_a_day_without_a_sync_are_told_on_the_desktop_once_and_off_by_one_key() {
    let folder = fresh_folder();
    let mut server = S3Server::start().await;
    let [mut one, two] = ["one", "two"].map(|name| Machine::with_server(folder.path(), name, &server));
    let told = with_desktop(&mut one, folder.path());
    one.good(&["init"]).await;
    for number in 0..30 {
        one.write(&format!("traces/{number}.json"), format!("first {number}"));
    }
    one.sync().await;
    two.good(&["init"]).await;
    two.sync().await;
    for number in 0..2 {
        two.write(&format!("traces/{number}.json"), "by two");
    }
    two.sync().await;
    for number in 0..2 {
        one.write(&format!("traces/{number}.json"), "by one");
    }
    let onlooker = Onlooker::of(folder.path());
    let daemon = Daemon::start(&one).await;
    // The second file may settle a cycle later than the first.
    let versions = |notice: &String| match notice {
        notice if notice.starts_with("--app-name=Cogzy|--|Cogzy: 2 versions were set aside|") => 2,
        notice if notice.starts_with("--app-name=Cogzy|--|Cogzy: a version was set aside|") => 1,
        other => panic!("{other}"),
    };
    let all = || lines(&told).iter().map(versions).sum::<usize>() == 2;
    assert!(onlooker.until(PATIENCE, all), "no notice of the conflicts: {:?}", lines(&told));
    let before = lines(&told).len();
    let environment = std::fs::read_to_string(folder.path().join("told.env")).unwrap();
    assert!(!environment.contains("AWS_SECRET"), "the program got the keys");

    std::fs::remove_dir_all(one.root.join("traces")).unwrap();
    assert!(onlooker.until(PATIENCE, || lines(&told).len() == before + 1), "no notice of the hold");
    let notice = &lines(&told)[before];
    assert!(notice.contains("Cogzy: a change waits for you|") && notice.contains("approve"), "{notice}");
    one.run(&["sync"]).await;
    assert_eq!(daemon.terminate().await.0, Some(0));

    server.go_away().await;
    let database = Database::open(Arc::new(RealFs), &one.root.join("sync/cache.db")).unwrap();
    database.note("success", 1_000_000).unwrap();
    drop(database);
    let daemon = Daemon::start(&one).await;
    assert!(
        onlooker.until(PATIENCE, || lines(&told).len() == before + 2),
        "no notice of a day without a sync"
    );
    let notice = &lines(&told)[before + 1];
    assert!(notice.contains("nothing has been synced for more than a day"), "{notice}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_turns_notices_off_and_a_machine_without_a_desktop_has_none() {
    for without in ["COGZY_VAULT__NOTIFY__DESKTOP", "DBUS_SESSION_BUS_ADDRESS"] {
        let folder = fresh_folder();
        let [mut one, two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
        let told = with_desktop(&mut one, folder.path());
        match without {
            "DBUS_SESSION_BUS_ADDRESS" => drop(one.variables.remove(without)),
            key => one.set(key, "false"),
        }
        for key in
            ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "B2_APPLICATION_KEY", "B2_APPLICATION_KEY_ID"]
        {
            one.set(key, "a key of ours");
        }
        let (hook, hooked) = hook(folder.path(), "on-conflict", "env > \"$0.env\"");
        one.configure(&format!("[hooks]\non_conflict = {hook}\n"));
        one.good(&["init"]).await;
        one.write("a.json", "first");
        one.sync().await;
        two.good(&["init"]).await;
        two.sync().await;
        let onlooker = Onlooker::of(folder.path());
        // A notice would be queued behind the first hook: the second one comes after it.
        for round in 1..=2 {
            two.sync().await;
            two.write("a.json", format!("by two, {round}"));
            two.sync().await;
            one.write("a.json", format!("by one, {round}"));
            let daemon = Daemon::start(&one).await;
            let ran = || heard(&hooked).len() == round;
            assert!(onlooker.until(PATIENCE, ran), "the hook did not run");
            one.sync().await;
            assert_eq!(daemon.terminate().await.0, Some(0));
        }
        assert_eq!(lines(&told), [""; 0], "without {without}");
        let environment = std::fs::read_to_string(folder.path().join("on-conflict.env")).unwrap();
        assert!(environment.contains("PATH=") && !environment.contains("a key of ours"), "{environment}");
    }
}
