//! Files that are broken here come back from the history, whatever the record says of them; sound
//! ones that were never sent are kept.

use std::time::Duration;

use cogzy_client::local_vault::LocalVault;
use cogzy_engine::model::{Digest, Keep, Validate};
use cogzy_engine::sync::{Point, Rewritten, Unwatched};
use cogzy_testkit::memory::corpus;

use crate::support::device::{Device, collect};
use crate::validation::{World, invalid, world, write_group};

/// Cuts the end of a file off, as a disk or a program that dies does.
fn cut_short(device: &Device, path: &str, by: usize) {
    let bytes = device.read(path).unwrap();
    device.write(path, &bytes[..bytes.len() - by]);
}

async fn restore(device: &mut Device, generation: &str, paths: &[&str]) -> Rewritten {
    device.pass(Duration::from_secs(10));
    let point = Point::Generation(generation.parse().unwrap());
    let paths: Vec<_> = paths.iter().map(|path| path.parse().unwrap()).collect();
    device.engine().restore(&point, &paths, false, &Unwatched).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_here_comes_back_by_a_restore_of_the_very_generation_that_stands() {
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    one.sync().await;
    two.sync().await;
    let good = one.files();
    cut_short(&one, "corpus/nodes.json", 200);
    let broken = one.read("corpus/nodes.json").unwrap();
    let report = one.sync().await;
    assert_eq!(invalid(&report).len(), 1, "it is held back: {report:?}");
    let verified = one.verify().await;
    assert!(verified.faults.iter().any(|fault| fault.path == "group:nodes"), "{verified:?}");

    let restored = restore(&mut one, "1", &["corpus/nodes.json"]).await;
    assert_eq!((restored.generation, restored.put_back), (None, 1), "{restored:?}");
    assert_eq!(one.files(), good);
    assert!(lies_in_trash(&one, &broken), "what was broken is still there to be looked at");
    let report = one.sync().await;
    assert!(report.problems.is_empty() && !report.moved(), "{report:?}");
    two.sync().await;
    assert_eq!(two.files(), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_and_a_restore_of_everything_mend_what_is_broken_too() {
    let World { mut one, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    one.sync().await;
    let first = one.files();
    write_group(&one, 33, "second");
    one.sync().await;
    cut_short(&one, "vectors/nodes.npy", 8);
    one.pass(Duration::from_secs(10));
    let newest = Point::Generation("2".parse().unwrap());
    let undone = one.engine().undo(&newest, false, false, &Unwatched).await.unwrap();
    assert_eq!(undone.generation, Some(3));
    assert_eq!(one.files(), first);
    cut_short(&one, "indexes/faiss.index", 3);
    assert_eq!(restore(&mut one, "3", &[]).await.put_back, 1);
    assert_eq!(one.files(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_brake_holds_is_kept_as_a_conflict_when_a_restore_takes_its_place() {
    const FILES: usize = 30;
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    let write = |device: &Device, text: &str| {
        (0..FILES)
            .for_each(|number| device.write(&format!("traces/{number}.json"), format!("{text} {number}")));
    };
    write(&one, "first");
    one.sync().await;
    two.sync().await;
    let first = one.files();
    write(&one, "never sent");
    assert_eq!(one.sync().await.holds.len(), 1);
    one.pass(Duration::from_secs(10));
    let restored = restore(&mut one, "1", &[]).await;
    assert_eq!((restored.put_back, restored.report.conflicts.len()), (FILES, FILES), "{restored:?}");
    assert_eq!(one.files(), first);
    // Another device can bring them back, too.
    two.sync().await;
    let kept = two.engine().conflicts().await.unwrap();
    assert_eq!(kept.len(), FILES);
    two.engine().resolve(kept[0].conflict.id, Keep::Mine, true, &Unwatched).await.unwrap();
    let back = (0..FILES).filter_map(|number| two.text(&format!("traces/{number}.json")));
    assert_eq!(back.filter(|text| text.starts_with("never sent")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_look_at_both_sides_is_kept_as_a_conflict_when_a_restore_takes_its_place() {
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    one.write("traces/t1.json", "first");
    one.sync().await;
    two.sync().await;
    // Without its record, this device cannot tell whether the other side may replace its version.
    two.write("traces/t1.json", "never sent");
    std::fs::remove_file(two.root.join("sync/last_sync.json")).unwrap();
    two.restart();
    assert_eq!(two.sync().await.holds.len(), 1);
    two.pass(Duration::from_secs(10));
    let restored = restore(&mut two, "1", &[]).await;
    assert_eq!((restored.put_back, restored.report.conflicts.len()), (1, 1), "{restored:?}");
    assert_eq!(two.text("traces/t1.json").as_deref(), Some("first"));
    one.sync().await;
    assert_eq!(one.engine().conflicts().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_memory_that_waits_for_another_file_is_kept_as_a_conflict_when_a_restore_takes_its_place() {
    let World { mut one, .. } = world(Validate::Enforce).await;
    one.write("traces/t1.json", "first");
    write_group(&one, 30, "first");
    one.sync().await;
    let vectors = one.read("vectors/nodes.npy").unwrap();
    // One transaction, of which the trace waits: somebody puts a link in its place.
    let vault = LocalVault::open(&one.root).unwrap();
    let mut transaction = vault.transaction();
    let sound = corpus(30, "never sent");
    transaction.file("corpus/nodes.json", sound.clone().into_bytes()).unwrap();
    transaction.file("traces/t1.json", b"about it".to_vec()).unwrap();
    transaction.commit().unwrap();
    one.delete("traces/t1.json");
    std::os::unix::fs::symlink("elsewhere.json", one.root.join("traces/t1.json")).unwrap();
    let report = one.sync().await;
    assert_eq!(report.pushed, 0, "both wait: {report:?}");
    let restored = restore(&mut one, "1", &["corpus/nodes.json"]).await;
    assert_eq!((restored.put_back, restored.report.conflicts.len()), (1, 1), "{restored:?}");
    assert_ne!(one.text("corpus/nodes.json").unwrap(), sound);
    assert_eq!(one.read("vectors/nodes.npy").unwrap(), vectors);
    let kept = one.engine().conflicts().await.unwrap();
    assert_eq!(kept.len(), 1, "the only copy would go with the trash");
    one.engine().resolve(kept[0].conflict.id, Keep::Mine, true, &Unwatched).await.unwrap();
    assert_eq!(one.text("corpus/nodes.json").unwrap(), sound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_loss_is_taken_back_although_what_is_left_does_not_fit_together() {
    let World { mut one, .. } = world(Validate::Enforce).await;
    write_group(&one, 300, "a memory of some length, so that the file is no short one");
    one.sync().await;
    let good = one.files();
    let length = one.read("corpus/nodes.json").unwrap().len();
    cut_short(&one, "corpus/nodes.json", length - 100);
    let report = one.sync().await;
    assert_eq!(report.holds.len(), 1, "{report:?}");
    one.reject(report.holds[0].id);
    let report = one.sync().await;
    assert_eq!((report.holds.len(), report.pulled), (0, 1), "{report:?}");
    assert_eq!(one.files(), good);
}

/// True if the trash of a device holds these bytes.
fn lies_in_trash(device: &Device, bytes: &[u8]) -> bool {
    let mut files = std::collections::BTreeMap::new();
    let trash = device.root.join("sync/trash");
    collect(&trash, &trash, &mut files);
    files.values().any(|digest| *digest == Digest::of(bytes))
}
