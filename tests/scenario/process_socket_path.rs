//! Paths that are too long for a socket: the daemon takes a short one by itself, and one that
//! somebody has named is refused with its limit.

use cogzy_testkit::fresh_folder;

use crate::support::daemon::Daemon;
use crate::support::process::Machine;

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_too_deep_for_a_socket_has_it_in_the_users_state_folder() {
    let folder = fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    machine.root = machine.home.join("d".repeat(120));
    machine.set("COGZY_VAULT_DIR", machine.root.clone());
    machine.good(&["init"]).await;
    let status = machine.good(&["status", "--json"]).await.json();
    assert_eq!(status["daemon"]["running"], false);
    let daemon = Daemon::start(&machine).await;
    let status = machine.good(&["status", "--json"]).await.json();
    assert_eq!(status["daemon"]["running"], true, "the command did not find the daemon: {status}");
    let lock = String::from_utf8(machine.read("sync/lock").unwrap()).unwrap();
    assert!(lock.starts_with(&*machine.home.join(".local/state/cogzy-vault").to_string_lossy()), "{lock}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_socket_with_too_long_a_path_is_a_usage_error_that_names_the_limit() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    let long = format!("/tmp/{}.sock", "s".repeat(120));
    let limit = if cfg!(target_os = "linux") { "takes 107" } else { "takes 103" };
    for verb in ["status", "run", "sync", "pause", "conflicts", "events"] {
        let ran = machine.run(&["--socket", &long, verb]).await;
        ran.expect(2, &[&long, "has 130 bytes", limit, "--socket PATH"]);
    }
    let doctor = machine.run(&["--socket", &long, "doctor"]).await;
    assert!(doctor.code == Some(2) && doctor.stdout.contains(limit), "{doctor:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_folder_is_too_deep_all_works_but_the_daemon() {
    let folder = fresh_folder();
    let deep = folder.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let machine = Machine::with_folder(&deep, "one");
    for verb in ["init", "sync", "history", "conflicts"] {
        machine.good(&[verb]).await;
    }
    let status = machine.good(&["status", "--json"]).await.json();
    assert_eq!(status["daemon"]["running"], false);
    machine.run(&["run"]).await.expect(2, &["the path of the daemon's socket is too long", "--socket PATH"]);
}

/// The lock of a vault tells where its daemon listens, and is copied with the vault.
#[tokio::test(flavor = "multi_thread")]
async fn commands_for_a_copy_of_a_vault_do_not_go_to_the_daemon_of_the_original() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("traces/a.json", "a");
    machine.sync().await;
    assert_eq!(Daemon::start(&machine).await.terminate().await.0, Some(0));
    let copy = machine.root.with_extension("copy");
    let copied = std::process::Command::new("cp").arg("-a").args([&machine.root, &copy]).status().unwrap();
    assert!(copied.success());
    let daemon = Daemon::start(&machine).await;
    let of_copy = ["--vault", copy.to_str().unwrap()];
    let status = machine.good(&[&of_copy[..], &["status", "--json"]].concat()).await.json();
    assert_eq!(status["daemon"]["running"], false, "the daemon of the original answers: {status}");
    std::fs::write(copy.join("traces/b.json"), "b").unwrap();
    let synced = machine.good(&[&of_copy[..], &["sync", "--json"]].concat()).await.json();
    assert_eq!(synced["pushed"], 1, "{synced}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

/// So it is where the vault's disk holds no sockets, as exFAT.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_can_hold_no_socket_has_it_in_the_users_state_folder() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("sync/control", "no folder");
    let daemon = Daemon::start(&machine).await;
    let status = machine.good(&["status", "--json"]).await.json();
    assert_eq!(status["daemon"]["running"], true, "the command did not find the daemon: {status}");
    let lock = String::from_utf8(machine.read("sync/lock").unwrap()).unwrap();
    assert!(lock.starts_with(&*machine.home.join(".local/state/cogzy-vault").to_string_lossy()), "{lock}");
    assert_eq!(daemon.terminate().await.0, Some(0));
    assert!(!std::path::Path::new(lock.lines().next().unwrap()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_socket_was_removed_is_found_again() {
    let folder = fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    let runtime = machine.home.join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    machine.set("XDG_RUNTIME_DIR", runtime.clone());
    machine.good(&["init"]).await;
    let mut daemon = Daemon::start(&machine).await;
    std::fs::remove_dir_all(runtime.join("cogzy-vault")).unwrap();
    daemon.says("is made anew").await;
    let status = machine.good(&["status", "--json"]).await.json();
    assert_eq!(status["daemon"]["running"], true, "{status}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}
