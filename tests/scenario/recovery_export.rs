//! What is written to folders outside the vault, where the bucket cannot be trusted.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use cogzy_engine::model::{Change, VaultPath};
use cogzy_engine::remote::{MemoryRemote, Remote, RemoteError, RemoteErrorKind};
use cogzy_engine::sync::{Point, Refusal, SyncError, Target, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::prune::Bucket;
use crate::prune_forged::forge;
use crate::support::around::{Around, Through};
use crate::support::history;
use crate::support::process::{Machine, noise};

#[tokio::test]
async fn an_export_writes_no_name_that_is_never_synced() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    one.write("traces/a.json", "a");
    one.sync().await;
    let state = history::Bucket::of(Arc::new(bucket.remote.clone())).head().await;
    let entry = *state.tree.values().next().unwrap();
    let names = [".ssh/authorized_keys", "CONFIG.json", "traces/.env"];
    forge(&bucket, |commit| {
        let change = |name| Change { path: VaultPath::new(name).unwrap(), entry: Some(entry) };
        commit.changes = names.map(change).to_vec();
    })
    .await;
    let target = Target::empty(folder.path().join("out"));
    let exported = one.engine().export(&Point::Newest, &[], &target, &Unwatched).await.unwrap();
    assert_eq!((exported.files, exported.never.len()), (1, 3), "{exported:?}");
    assert!(names.iter().all(|name| !target.folder.join(name).exists()));
    assert!(target.folder.join("traces/a.json").exists());
}

#[tokio::test]
async fn a_folder_that_is_not_empty_is_written_to_only_if_somebody_insists_and_no_link_is_followed() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("traces/a.json", "a");
    machine.write("b.json", "b");
    machine.sync().await;
    let (out, elsewhere) = (folder.path().join("out"), folder.path().join("elsewhere"));
    std::fs::create_dir_all(&out).unwrap();
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::write(out.join("mine"), "mine").unwrap();
    let out_name = out.to_str().unwrap();
    for verb in [vec!["export", out_name], vec!["restore", "--generation", "1", "--to", out_name]] {
        machine.run(&verb).await.expect(2, &["is not empty", "--force"]);
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1, "{verb:?} wrote something");
    }
    symlink(&elsewhere, out.join("traces")).unwrap();
    machine.run(&["export", "--force", out_name]).await.expect(2, &["exists already"]);
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0, "a link was followed");
    std::fs::remove_file(out.join("traces")).unwrap();
    machine.good(&["export", "--force", out_name]).await;
    assert_eq!(std::fs::read(out.join("traces/a.json")).unwrap(), b"a");
    assert_eq!(std::fs::read(out.join("mine")).unwrap(), b"mine");
}

#[tokio::test]
async fn a_folder_that_is_swapped_with_a_link_meanwhile_leads_nothing_out_of_the_target() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    one.write("traces/a.json", "a");
    one.sync().await;
    let (out, elsewhere) = (folder.path().join("out"), folder.path().join("elsewhere"));
    std::fs::create_dir_all(&elsewhere).unwrap();
    let swap = Swaps { from: elsewhere.clone(), to: out.join("traces") };
    let exported = one.engine().export(&Point::Newest, &[], &Target::empty(&out), &swap).await;
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0, "a link was followed");
    assert!(exported.is_err(), "{exported:?}");
    assert!(!matches!(exported, Err(SyncError::Refused(Refusal::NotEmpty(_)))), "{exported:?}");
}

#[tokio::test]
async fn a_target_in_the_vault_is_refused_however_it_is_spelled() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("traces/a.json", "a");
    machine.sync().await;
    let outside = machine.home.join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    symlink(&machine.root, machine.home.join("link")).unwrap();
    // Commands run in the home folder.
    for inside in ["outside/../.local/share/cogzy/out", "link/out", "link/traces/../out", "none/../link/out"]
    {
        machine.run(&["export", inside]).await.expect(2, &["lies inside the vault"]);
        let to = ["restore", "--generation", "1", "--to", inside];
        machine.run(&to).await.expect(2, &["lies inside the vault"]);
    }
    assert!(!machine.root.join("out").exists());
    let out = ".local/share/cogzy/../out";
    machine.good(&["export", out]).await;
    assert_eq!(std::fs::read(machine.home.join(".local/share/out/traces/a.json")).unwrap(), b"a");
}

#[tokio::test]
async fn a_place_that_cannot_be_a_folder_and_a_path_that_is_not_there_are_named() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("traces/a.json", "a");
    machine.sync().await;
    machine.write("traces/new.json", "new");
    machine.sync().await;
    std::fs::write(machine.home.join("file"), "x").unwrap();
    for place in ["file", "file/below"] {
        machine.run(&["export", place]).await.expect(2, &["cannot be written to", "another folder"]);
    }
    let to = ["restore", "--generation", "1", "traces/new.json", "--to", "out"];
    machine.run(&to).await.expect(2, &["generation 1 does not have it"]);
}

#[tokio::test]
async fn an_export_clears_away_what_one_that_was_killed_has_staged() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("traces/a.json", "a");
    machine.sync().await;
    let out = machine.home.join("out");
    let staged = |name: &str, file: &str| {
        std::fs::create_dir_all(out.join(name)).unwrap();
        std::fs::write(out.join(name).join(file), "half").unwrap();
    };
    staged(".cogzy-vault-0123abcd", "17");
    machine.good(&["export", "out"]).await;
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    std::fs::remove_dir_all(&out).unwrap();
    // Anything else may be a program's own.
    for (name, file) in [(".cogzy-vault-0123abcd", "note"), (".cogzy-vault-0123ABCD", "1")] {
        staged(name, file);
        machine.run(&["export", "out"]).await.expect(2, &["is not empty"]);
        assert!(out.join(name).join(file).exists());
        std::fs::remove_dir_all(&out).unwrap();
    }
}

#[tokio::test]
async fn a_conflict_that_no_commit_lists_yet_is_written_out_from_this_disk() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let [mut one, mut two] =
        [bucket.device(folder.path(), "one").await, bucket.device(folder.path(), "two").await];
    one.write("traces/a.json", "a");
    one.sync().await;
    two.sync().await;
    let mine = noise("several chunks", 1_000_000);
    two.write("traces/a.json", &mine);
    one.write("traces/a.json", "b");
    one.sync().await;
    two.use_remote(Arc::new(Through(NoPuts(bucket.remote.clone()))));
    let unsent = two.try_sync().await;
    assert!(unsent.is_err(), "{unsent:?}");
    let listed = two.engine().conflicts().await.unwrap();
    assert_eq!(listed.len(), 1);
    let target = Target::empty(folder.path().join("out"));
    let exported = two.engine().export_conflict(listed[0].conflict.id, &target, &Unwatched).await.unwrap();
    assert_eq!((exported.files, exported.lost.len()), (1, 0));
    assert_eq!(std::fs::read(target.folder.join("traces/a.json")).unwrap(), mine);
}

/// A bucket that takes nothing.
#[derive(Debug)]
struct NoPuts(MemoryRemote);

#[async_trait::async_trait]
impl Around for NoPuts {
    fn bucket(&self) -> &dyn Remote {
        &self.0
    }

    async fn put(&self, key: &str, _: bytes::Bytes) -> Result<(), RemoteError> {
        Err(RemoteError::new(RemoteErrorKind::Offline, "put", key))
    }
}

/// Puts a link into the target while it is written to.
struct Swaps {
    from: std::path::PathBuf,
    to: std::path::PathBuf,
}

impl cogzy_engine::sync::Watcher for Swaps {
    fn progress(&self, _: cogzy_engine::sync::Progress) {
        let _there_already = symlink(&self.from, &self.to);
    }

    fn planned(&self, _: &cogzy_engine::plan::Plan) {}
}
