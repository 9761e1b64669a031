//! Groups that another device, or a stranger, changed: they wait for a person on each device.

use std::sync::Arc;

use cogzy_client::local_vault::LocalVault;
use cogzy_engine::model::{Group, Reason, Validate, VaultPath};
use cogzy_engine::sync::{Point, Refusal, SyncError, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::merge_by_hand::{put, ten, write};
use crate::prune::Bucket;
use crate::prune_forged::forge;
use crate::support::device::{Device, groups};
use crate::support::history;

async fn groups_there(bucket: &Bucket) -> Vec<Group> {
    let state = history::Bucket::of(Arc::new(bucket.remote.clone())).head().await;
    state.groups.definitions().to_vec()
}

fn save(device: &Device, text: &str) {
    device.write("corpus/nodes.json", text);
    device.write("vectors/nodes.npy", format!("vectors of {text}"));
}

#[tokio::test]
async fn groups_that_another_one_changed_wait_for_a_person_on_each_device() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    let mut two = bucket.device(folder.path(), "two").await;
    save(&one, "first");
    one.write("traces/a.json", "1");
    one.sync().await;
    two.sync().await;

    // The vectors no longer belong to the corpus.
    let mut changed = groups(Validate::Off);
    changed[0].primary = vec!["corpus/nodes.json".into()];
    let forged = changed.clone();
    forge(&bucket, |commit| commit.groups = Some(forged)).await;
    save(&one, "second");
    one.write("traces/a.json", "2");
    let report = one.sync().await;
    assert_eq!(report.holds.len(), 1, "{:?}", report.holds);
    let hold = &report.holds[0];
    assert_eq!((hold.reason, report.pushed), (Reason::Groups, 1), "other files go on");
    one.approve(hold.id);
    let report = one.sync().await;
    assert_eq!((report.holds.len(), report.pushed), (0, 2), "{report:?}");
    one.restart();
    assert_eq!(one.sync().await.holds, [], "what was approved stays so");

    for _ in 0..2 {
        let report = two.sync().await;
        assert_eq!(report.holds.len(), 1, "{:?}", report.holds);
        assert_eq!((report.holds[0].reason, report.holds[0].id), (Reason::Groups, hold.id));
        assert_eq!(two.text("traces/a.json").as_deref(), Some("2"), "other files come");
        assert_eq!(two.text("corpus/nodes.json").as_deref(), Some("first"));
        two.restart();
    }
    two.reject(hold.id);
    let report = two.sync().await;
    assert_eq!(report.holds, []);
    assert_eq!(groups_there(&bucket).await, groups(Validate::Off), "the old ones are put back");
    assert_eq!(two.text("corpus/nodes.json").as_deref(), Some("second"));
    assert_eq!(one.sync().await.holds.len(), 1, "for the other device that is a change again");
    let mut three = bucket.device(folder.path(), "three").await;
    assert_eq!(three.sync().await.holds, [], "a new device knows no other");
    assert_eq!(three.files(), two.files());
}

/// One device with a memory and two traces, and a change of the groups by a stranger.
async fn with_changed_groups(bucket: &Bucket, folder: &std::path::Path) -> Device {
    let mut one = bucket.device(folder, "one").await;
    save(&one, "first");
    one.write("traces/a.json", "1");
    one.write("traces/old.json", "moves");
    one.sync().await;
    let mut changed = groups(Validate::Off);
    changed[0].primary = vec!["corpus/nodes.json".into()];
    forge(bucket, |commit| commit.groups = Some(changed)).await;
    one
}

async fn digests(bucket: &Bucket) -> std::collections::BTreeMap<String, cogzy_engine::model::Digest> {
    let state = history::Bucket::of(Arc::new(bucket.remote.clone())).head().await;
    state.tree.iter().map(|(path, entry)| (path.to_string(), entry.digest)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_waits_whole_for_the_group_that_waits_for_a_person() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = with_changed_groups(&bucket, folder.path()).await;
    let before = digests(&bucket).await;
    let vault = LocalVault::open(&one.root).unwrap();
    let mut transaction = vault.transaction();
    for (path, text) in
        [("corpus/nodes.json", "second"), ("vectors/nodes.npy", "more"), ("traces/a.json", "about it")]
    {
        transaction.file(path, text.as_bytes().to_vec()).unwrap();
    }
    transaction.commit().unwrap();
    one.write("traces/b.json", "on its own");
    let report = one.sync().await;
    assert_eq!((report.holds.len(), report.pushed), (1, 1), "{report:?}");
    let after = digests(&bucket).await;
    assert_eq!(after["traces/a.json"], before["traces/a.json"], "half of a transaction is in the bucket");
    assert!(after.contains_key("traces/b.json"), "everything else goes on");
    one.approve(report.holds[0].id);
    let report = one.sync().await;
    assert_eq!((report.holds.len(), report.pushed), (0, 3), "{report:?}");
    assert_eq!(one.files(), digests(&bucket).await);
}

#[tokio::test]
async fn an_old_name_stays_in_the_bucket_while_the_new_one_waits_for_a_person() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = with_changed_groups(&bucket, folder.path()).await;
    std::fs::rename(one.root.join("traces/old.json"), one.root.join("vectors/nodes.npy")).unwrap();
    let report = one.sync().await;
    assert_eq!((report.holds.len(), report.deleted_remote), (1, 0), "{report:?}");
    assert!(digests(&bucket).await.contains_key("traces/old.json"), "its content is at no name any more");
    one.approve(report.holds[0].id);
    let report = one.sync().await;
    assert_eq!((report.holds.len(), report.deleted_remote), (0, 1), "{report:?}");
    assert_eq!(one.files(), digests(&bucket).await);
}

#[tokio::test]
async fn what_is_restored_while_a_change_of_groups_waits_moves_by_the_groups_of_this_device() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    save(&one, "first");
    one.sync().await;
    let first = one.files();
    save(&one, "second");
    one.sync().await;
    let mut changed = groups(Validate::Off);
    changed[0].primary = vec!["corpus/nodes.json".into()];
    forge(&bucket, |commit| commit.groups = Some(changed)).await;
    assert_eq!(one.sync().await.holds.len(), 1);

    let corpus = VaultPath::new("corpus/nodes.json").unwrap();
    let first_generation = Point::Generation("1".parse().unwrap());
    let restored = one.engine().restore(&first_generation, &[corpus], true, &Unwatched).await.unwrap();
    assert_eq!(restored.changed, 2, "the vectors come with the corpus: {restored:?}");
    let state = history::Bucket::of(Arc::new(bucket.remote.clone())).head().await;
    let there = |path: &str| state.tree[&VaultPath::new(path).unwrap()].digest;
    for path in ["corpus/nodes.json", "vectors/nodes.npy"] {
        assert_eq!(there(path), first[path], "{path}");
    }
    assert_ne!(state.groups.definitions(), groups(Validate::Off), "the change itself still waits");
}

/// What has left the group since, or belongs to another one, would be put back without the rest.
#[tokio::test]
async fn a_version_of_before_is_not_merged_once_the_groups_have_changed() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    let mut two = bucket.device(folder.path(), "two").await;
    write(&one, &ten());
    one.sync().await;
    two.sync().await;
    for (device, text) in [(&one, "of one"), (&two, "of two")] {
        let mut memories = ten();
        put(&mut memories, text, text, 7.0);
        write(device, &memories);
    }
    one.sync().await;
    assert_eq!(two.sync().await.conflicts.len(), 1);
    let conflict = two.conflicts()[0].clone();
    let mut changed = groups(Validate::Off);
    changed[0].primary = vec!["corpus/nodes.json".into()];
    forge(&bucket, |commit| commit.groups = Some(changed)).await;
    let hold = two.sync().await.holds[0].id;
    two.approve(hold);
    two.sync().await;
    let stands = two.files();
    two.pass(std::time::Duration::from_secs(10));
    let merged = two.engine().merge_conflict(conflict.id, true, &Unwatched).await;
    let Err(SyncError::Refused(Refusal::NotMerged { why, .. })) = merged else { panic!("{merged:?}") };
    assert!(why.contains("belong together in another way"), "{why}");
    assert_eq!(two.files(), stands);
}
