//! The next steps of errors and refusals; [`crate::next_steps`] has the table.

use cogzy_engine::fs::RealFs;
use cogzy_engine::vault::FileLock;
use cogzy_testkit::fresh_folder;

use crate::next_steps::{error, obey, obeyed, objects, synced};
use crate::support::process::Machine;

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_is_missing_or_damaged() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let (files, marker) = (machine.files(), machine.root.join(".cogzy-vault"));
    let whole = std::fs::read(&marker).unwrap();
    std::fs::write(&marker, "{").unwrap();
    obeyed(&machine, &["sync"]).await;
    machine.good(&["sync"]).await;
    std::fs::remove_file(&marker).unwrap();
    let told = error(&machine, &["sync"]).await;
    // "Put the folder back", and then the command.
    std::fs::write(&marker, whole).unwrap();
    assert_eq!(obey(&machine, told["next"].as_str().unwrap()).await[0].code, Some(0), "{told}");
    assert!(!machine.good(&["status"]).await.stdout.contains("failed"), "the failure is still told");
    assert_eq!(machine.files(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_lost_its_newest_state() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    machine.write("traces/0.json", "newer");
    machine.sync().await;
    std::fs::remove_file(objects(folder.path(), "commits").pop().unwrap()).unwrap();
    obeyed(&machine, &["sync"]).await;
    machine.good(&["sync"]).await;
    let other = Machine::with_folder(folder.path(), "other");
    other.good(&["init"]).await;
    other.sync().await;
    assert_eq!(machine.files(), other.files());
    assert_eq!(machine.read("traces/0.json").unwrap(), b"newer", "what the backup lost is put back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_damaged() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let (files, record) = (machine.files(), machine.root.join("sync/last_sync.json"));
    std::fs::write(&record, "{").unwrap();
    let told = error(&machine, &["sync"]).await;
    std::fs::rename(&record, machine.home.join("aside")).unwrap();
    assert_eq!(obey(&machine, told["next"].as_str().unwrap()).await[0].code, Some(0), "{told}");
    assert_eq!(machine.files(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_is_damaged() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    for pack in objects(folder.path(), "packs") {
        let mut bytes = std::fs::read(&pack).unwrap();
        bytes[20..30].fill(b'X');
        std::fs::write(pack, bytes).unwrap();
    }
    let other = Machine::with_folder(folder.path(), "other");
    other.good(&["init"]).await;
    let told = other.run(&["sync", "--json"]).await;
    assert_eq!(told.code, Some(9), "{told:#?}");
    let told = told.json()["problems"][0]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("on a device that has the file"), "{told}");
    assert_eq!(obey(&machine, &told).await[0].code, Some(0), "{told}");
    other.good(&["sync"]).await;
    assert_eq!(other.files(), machine.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_remote_in_the_configuration() {
    let folder = fresh_folder();
    let mut machine = synced(folder.path(), "one").await;
    let url = format!("file://{}", folder.path().join("elsewhere").display());
    machine.set("COGZY_VAULT__REMOTE", &url);
    let ran = obeyed(&machine, &["sync"]).await;
    assert!(ran[0].stdout.contains(&url), "what is configured is not shown: {ran:#?}");
    machine.sync().await;
    let mut other = Machine::with_folder(folder.path(), "other");
    other.set("COGZY_VAULT__REMOTE", url);
    other.good(&["init"]).await;
    other.sync().await;
    assert_eq!(other.files(), machine.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_another_process_holds() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let lock = FileLock::try_take(&RealFs, &machine.root.join("sync/lock")).unwrap().unwrap();
    for verb in ["run", "sync"] {
        let told = error(&machine, &[verb]).await;
        assert!(told["next"].as_str().unwrap().starts_with("wait until it is done"), "{told}");
    }
    machine.good(&["status"]).await;
    drop(lock);
    machine.good(&["sync"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_holds_nothing_yet() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("a.json", "a");
    let told = error(&machine, &["reset", "--yes"]).await;
    for ran in obey(&machine, told["next"].as_str().unwrap()).await {
        assert_eq!(ran.code, Some(0), "{told}: {ran:#?}");
    }
    machine.good(&["reset", "--yes"]).await;
    assert_eq!(machine.read("a.json").unwrap(), b"a");
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_that_cannot_be_decided_so() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    obeyed(&machine, &["conflicts", "resolve", "0123", "--keep", "both"]).await;
    let other = Machine::with_folder(folder.path(), "other");
    other.good(&["init"]).await;
    other.sync().await;
    other.write("traces/0.json", "other's");
    other.sync().await;
    machine.write("traces/0.json", "one's");
    machine.sync().await;
    let list = machine.good(&["conflicts", "list", "--json"]).await.json();
    let id = list["conflicts"][0]["id"].as_str().unwrap().to_owned();
    let told = error(&machine, &["conflicts", "resolve", &id, "--keep", "phone"]).await;
    let next = told["next"].as_str().unwrap().replace("ID", &id);
    let shown = obey(&machine, &next).await;
    assert!(shown.iter().all(|ran| ran.code == Some(0)), "{shown:#?}");
    assert!(shown[1].stdout.contains("version of other"), "whose they are is not told: {shown:#?}");
    let told = error(&machine, &["conflicts", "resolve", &id, "--keep", "merged"]).await;
    let shown = obey(&machine, &told["next"].as_str().unwrap().replace("ID", &id)).await;
    assert!(shown.iter().all(|ran| ran.code == Some(0)), "{shown:#?}");
    // Decided already.
    obeyed(&machine, &["conflicts", "resolve", &id, "--keep", "both"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_the_past_and_is_not_there() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    for args in [
        &["restore", "--generation", "99"][..],
        &["restore", "--generation", "1", "no.json"],
        &["restore", "--at", "2020-01-01T00:00:00Z"],
    ] {
        let ran = obeyed(&machine, args).await;
        // A file that had not settled at once comes in a generation of its own.
        let lists = ran[0].stdout.starts_with(|first: char| first.is_ascii_digit());
        assert!(lists, "the generations are not listed: {ran:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wants_to_be_said_twice() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    machine.write("traces/0.json", "second");
    let second = machine.sync().await["generation"].to_string();
    machine.write("traces/0.json", "third");
    machine.sync().await;
    let told = error(&machine, &["undo", &second]).await;
    assert!(told["next"].as_str().unwrap().contains("with `--force`"), "{told}");
    machine.good(&["undo", &second, "--force"]).await;
    assert_eq!(machine.read("traces/0.json").unwrap(), b"trace 0");
    std::fs::remove_dir_all(machine.root.join("traces")).unwrap();
    machine.run(&["approve", "--all"]).await.expect(0, &[]);
    let emptied = machine.sync().await["generation"].to_string();
    machine.good(&["undo"]).await;
    assert!(machine.read("traces/1.json").is_some());
    let told = error(&machine, &["restore", "--generation", &emptied]).await;
    assert!(told["next"].as_str().unwrap().contains("with `--yes`"), "{told}");
    machine.good(&["restore", "--generation", &emptied, "--yes"]).await;
    assert_eq!(machine.read("traces/1.json"), None);
    assert!(obeyed(&machine, &["reset"]).await[0].stdout.contains("generation"), "nothing was reset");
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_are_not_empty_or_in_the_vault() {
    let folder = fresh_folder();
    let machine = synced(folder.path(), "one").await;
    let (full, inside) = (machine.home.join("full"), machine.root.join("copy"));
    std::fs::create_dir_all(full.join("traces")).unwrap();
    std::fs::write(full.join("mine"), "mine").unwrap();
    let told = error(&machine, &["export", full.to_str().unwrap()]).await;
    assert!(told["next"].as_str().unwrap().contains("`--force` writes beside"), "{told}");
    machine.good(&["export", full.to_str().unwrap(), "--force"]).await;
    assert!(full.join("mine").exists() && full.join("traces/0.json").exists());
    let told = error(&machine, &["export", inside.to_str().unwrap()]).await;
    assert_eq!(told["next"], "choose a folder outside the vault");
    machine.good(&["export", machine.home.join("outside").to_str().unwrap()]).await;
}
