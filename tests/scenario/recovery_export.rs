//! What is written to folders outside the vault, where the bucket cannot be trusted.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use cogzy_engine::model::{Change, VaultPath};
use cogzy_engine::sync::{Point, Refusal, SyncError, Target, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::prune::Bucket;
use crate::prune_forged::forge;
use crate::support::{history, process::Machine};

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
