//! Resetting a vault to its backup, with the real engine over the reference store.

use std::path::Path;
use std::sync::Arc;

use cogzy_engine::model::Keep;
use cogzy_engine::remote::{MemoryRemote, Remote, RemoteErrorKind, Span};
use cogzy_engine::sync::{Phase, Progress, Refusal, Reset, SyncError, Unwatched, Watcher};
use cogzy_testkit::fresh_folder;

use crate::support::device::Device;

/// A vault with a group and two traces, synced; the store behind it.
async fn synced(folder: &Path) -> (Device, Arc<MemoryRemote>) {
    let store = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder, "one", Arc::clone(&store) as Arc<dyn Remote>).await;
    one.write("corpus/nodes.json", "memory ".repeat(50_000));
    one.write("vectors/nodes.npy", "vector ".repeat(60_000));
    one.write("traces/a.json", "a");
    one.write("traces/b.json", "b");
    one.sync().await;
    (one, store)
}

async fn reset(device: &mut Device) -> Result<Reset, SyncError> {
    device.pass(std::time::Duration::from_secs(10));
    device.engine().reset(false, &Unwatched).await
}

#[tokio::test]
async fn the_vault_becomes_what_the_backup_is_and_nothing_is_lost() {
    let folder = fresh_folder();
    let (mut one, store) = synced(folder.path()).await;
    let backup = one.files();
    one.write("config.json", "secret");
    one.write("cache/x", "cache");
    one.write("corpus/nodes.json", "an edit that was never sent");
    one.write("traces/new.json", "never sent either");
    one.delete("traces/b.json");
    let told = one.engine().reset(true, &Unwatched).await.unwrap();
    assert_eq!(one.text("traces/new.json").unwrap(), "never sent either", "a dry run changes nothing");
    let done = reset(&mut one).await.unwrap();
    assert_eq!((told.fetched, told.deleted, told.kept.len()), (done.fetched, done.deleted, done.kept.len()));
    assert_eq!(one.files(), backup);
    assert_eq!(
        (one.text("config.json").unwrap(), one.text("cache/x").unwrap()),
        ("secret".into(), "cache".into())
    );
    // Versions that were never sent are named, and can be brought back, on another device too.
    let items: Vec<String> = done.kept.iter().map(|conflict| conflict.item.to_string()).collect();
    assert_eq!(items, ["group:nodes", "file:traces/new.json"]);
    let mut two = Device::joined(folder.path(), "two", store).await;
    two.sync().await;
    assert_eq!(two.engine().conflicts().await.unwrap().len(), 2);
    for conflict in &done.kept {
        two.engine().resolve(conflict.id, Keep::Mine, true, &Unwatched).await.unwrap();
    }
    assert_eq!(two.text("corpus/nodes.json").unwrap(), "an edit that was never sent");
    assert_eq!(two.text("traces/new.json").unwrap(), "never sent either");
    // The corpus got much smaller by that, and here the user has not approved.
    let back = one.sync().await;
    assert_eq!((back.pushed, back.pulled, back.holds.len()), (0, 1, 1), "{back:?}");
    one.approve(back.holds[0].id);
    one.sync().await;
    assert_eq!(one.files(), two.files());
}

#[tokio::test]
async fn a_reset_cures_what_keeps_a_sync_from_going_on() {
    let folder = fresh_folder();
    let (mut one, _) = synced(folder.path()).await;
    let backup = one.files();
    // A record that cannot be read, and a vault that was emptied.
    for path in backup.keys() {
        one.delete(path);
    }
    std::fs::write(one.root.join("sync/last_sync.json"), "{").unwrap();
    assert!(one.try_sync().await.is_err());
    reset(&mut one).await.unwrap();
    assert_eq!(one.files(), backup);
    let quiet = one.sync().await;
    assert!(!quiet.moved() && quiet.holds.is_empty(), "{quiet:?}");
}

#[tokio::test]
async fn bytes_that_changed_without_a_trace_are_found_and_replaced() {
    let folder = fresh_folder();
    let (mut one, _) = synced(folder.path()).await;
    let backup = one.files();
    let path = one.root.join("traces/a.json");
    let before = path.metadata().unwrap().modified().unwrap();
    std::fs::write(&path, "x").unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    reset(&mut one).await.unwrap();
    assert_eq!(one.files(), backup);
}

#[tokio::test]
async fn a_backup_that_cannot_be_used_leaves_the_vault_as_it_was() {
    let folder = fresh_folder();
    let (mut one, store) = synced(folder.path()).await;
    one.write("corpus/nodes.json", "edited");
    one.write("traces/a.json", "edited");
    one.delete("vectors/nodes.npy");
    let before = one.files();
    // Every pack is damaged in turn, then missing.
    let packs: Vec<String> = keys(&store, "packs/").await;
    for key in &packs {
        let bytes = store.get(key, Span::UpTo(1 << 20)).await.unwrap();
        let mut bad = bytes.to_vec();
        let middle = bad.len() / 3;
        bad[middle] ^= 1;
        for damage in [Some(bad), None] {
            store.remove(key);
            if let Some(bad) = damage {
                store.put(key, bad.into()).await.unwrap();
            }
            one.restart();
            let failed = reset(&mut one).await;
            assert!(failed.is_err(), "{failed:?}");
            assert_eq!(one.files(), before);
            assert!(!one.root.join("sync/applying").exists());
        }
        store.remove(key);
        store.put(key, bytes).await.unwrap();
    }
    // An empty backup is no backup.
    for key in keys(&store, "").await {
        store.remove(&key);
    }
    one.restart();
    assert!(reset(&mut one).await.is_err());
    assert_eq!(one.files(), before);
}

#[tokio::test]
async fn an_empty_backup_and_one_without_files_are_refused() {
    let folder = fresh_folder();
    let store: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", store).await;
    one.write("traces/a.json", "a");
    let refused = reset(&mut one).await;
    assert!(matches!(refused, Err(SyncError::Refused(Refusal::Empty))), "{refused:?}");
    one.sync().await;
    one.delete("traces/a.json");
    let held = one.sync().await.holds;
    one.approve(held[0].id);
    one.sync().await;
    one.write("traces/b.json", "b");
    let refused = reset(&mut one).await;
    assert!(matches!(refused, Err(SyncError::Refused(Refusal::Empty))), "{refused:?}");
    assert_eq!(one.text("traces/b.json").unwrap(), "b");
}

/// A program that puts a link where a file was, at the moment when the backup's files arrive.
struct Links<'a>(&'a Path);

impl Watcher for Links<'_> {
    fn progress(&self, progress: Progress) {
        if progress.phase == Phase::Download && !self.0.is_symlink() {
            std::fs::remove_file(self.0).unwrap();
            std::os::unix::fs::symlink("nowhere", self.0).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_reset_could_not_replace_is_named_and_does_not_pass_for_an_edit_of_the_backup() {
    let folder = fresh_folder();
    let (mut one, store) = synced(folder.path()).await;
    let mut two = Device::joined(folder.path(), "two", store).await;
    two.sync().await;
    two.write("traces/a.json", "newer");
    two.write("traces/b.json", "newer");
    two.sync().await;
    one.pass(std::time::Duration::from_secs(10));
    let place = one.root.join("traces/a.json");
    let done = one.engine().reset(false, &Links(&place)).await.unwrap();
    assert_eq!(one.text("traces/b.json").unwrap(), "newer");
    assert!(done.left.iter().any(|why| why.contains("traces/a.json")), "{done:?}");
    one.delete("traces/a.json");
    one.write("traces/a.json", "of one");
    let report = one.sync().await;
    assert_eq!(
        (report.conflicts.len(), one.text("traces/a.json").unwrap().as_str()),
        (1, "newer"),
        "{report:?}"
    );
}

async fn keys(store: &MemoryRemote, prefix: &str) -> Vec<String> {
    let listed = cogzy_engine::remote::list_all(store, prefix, None).await;
    assert!(!listed.as_ref().is_err_and(|error| error.kind == RemoteErrorKind::Other));
    listed.unwrap().into_iter().map(|object| object.key).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_elsewhere_while_a_link_hid_it_stays_deleted_after_a_reset() {
    let folder = fresh_folder();
    let (mut one, store) = synced(folder.path()).await;
    one.write("notes/a.md", "a note");
    one.sync().await;
    let mut two = Device::joined(folder.path(), "two", store).await;
    two.sync().await;
    let (notes, aside) = (one.root.join("notes"), folder.path().join("aside"));
    std::fs::rename(&notes, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &notes).unwrap();
    two.delete("notes/a.md");
    two.write("traces/b.json", "newer");
    two.sync().await;
    reset(&mut one).await.unwrap();
    std::fs::remove_file(&notes).unwrap();
    std::fs::rename(&aside, &notes).unwrap();
    one.sync().await;
    two.sync().await;
    assert_eq!((two.text("notes/a.md"), one.text("notes/a.md")), (None, None), "it came back");
}
