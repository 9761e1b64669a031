//! The newest generation that an undo means, and generations that were made but do not come here at
//! once.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::model::Keep;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Point, Refusal, Rewritten, SyncError, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::prune::point;
use crate::support::device::Device;
use crate::support::process::Machine;

const NOTE: &str = "notes/a.txt";

async fn pair(folder: &Path) -> [Device; 2] {
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let one = Device::joined(folder, "one", Arc::clone(&remote)).await;
    [one, Device::joined(folder, "two", remote).await]
}

async fn edits(device: &mut Device, path: &str, versions: &[&str]) {
    for version in versions {
        device.write(path, version);
        device.sync().await;
    }
}

async fn undo(device: &mut Device, point: &Point) -> Result<Rewritten, SyncError> {
    device.pass(Duration::from_secs(10));
    device.engine().undo(point, false, false, &Unwatched).await
}

#[tokio::test(start_paused = true)]
async fn an_undo_takes_back_the_generation_that_was_the_newest_before_it_sent_anything() {
    let folder = fresh_folder();
    let [mut one, _] = pair(folder.path()).await;
    edits(&mut one, NOTE, &["1", "2"]).await;
    one.pass(Duration::from_secs(10));
    one.engine().restore(&point(1), &[], false, &Unwatched).await.unwrap();
    one.write("notes/new.txt", "saved a moment ago");
    let undone = undo(&mut one, &Point::Newest).await.unwrap();
    assert_eq!((undone.of, undone.changed, undone.deleted), (Some(3), 1, 0));
    assert_eq!(one.text(NOTE).as_deref(), Some("2"));
    assert_eq!(one.text("notes/new.txt").as_deref(), Some("saved a moment ago"));
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_another_device_made_meanwhile_is_not_taken_back_unnamed() {
    let folder = fresh_folder();
    let [mut one, mut two] = pair(folder.path()).await;
    edits(&mut one, NOTE, &["1", "2"]).await;
    two.sync().await;
    edits(&mut two, "notes/b.txt", &["of two"]).await;
    let refused = undo(&mut one, &Point::Newest).await;
    let Err(SyncError::Refused(Refusal::NotNewest { known, newest: 3 })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(known, "2");
    assert_eq!(undo(&mut one, &point(2)).await.unwrap().of, Some(2));
    assert_eq!(one.text(NOTE).as_deref(), Some("1"));
    assert_eq!(one.text("notes/b.txt").as_deref(), Some("of two"));
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_changed_no_file_is_passed_over_and_refused_by_its_number() {
    let folder = fresh_folder();
    let [mut one, mut two] = pair(folder.path()).await;
    edits(&mut one, NOTE, &["1"]).await;
    two.sync().await;
    two.write(NOTE, "of two");
    edits(&mut one, NOTE, &["2"]).await;
    two.sync().await;
    one.sync().await;
    let open = one.engine().conflicts().await.unwrap();
    one.pass(Duration::from_secs(10));
    let decided = one.engine().resolve(open[0].conflict.id, Keep::Remote, false, &Unwatched).await.unwrap();
    let number = decided.generation.unwrap();
    let refused = undo(&mut one, &point(number)).await;
    assert!(
        matches!(refused, Err(SyncError::Refused(Refusal::ChangedNothing(of))) if of == number),
        "{refused:?}"
    );
    assert_eq!(undo(&mut one, &Point::Newest).await.unwrap().of, Some(2));
    assert_eq!(one.text(NOTE).as_deref(), Some("1"));
}

/// A second request would make a second generation: after an undo, one that takes the undo back.
#[tokio::test]
async fn a_restored_path_that_cannot_be_replaced_now_is_named_and_the_generation_told() {
    let folder = fresh_folder();
    let machine = Machine::with_folder(folder.path(), "one");
    machine.good(&["init"]).await;
    machine.write("notes/plan", "a file");
    machine.write(NOTE, "1");
    machine.sync().await;
    machine.delete("notes/plan");
    machine.write("notes/plan/part", "a folder");
    machine.write(NOTE, "2");
    machine.sync().await;
    symlink("/", machine.root.join("notes/plan/link")).unwrap();
    let restored = machine.run(&["restore", "--generation", "1", "--yes", "--json"]).await;
    assert_eq!(restored.code, Some(9), "{restored:#?}");
    let restored = restored.json();
    assert!(restored["generation"].is_u64() && restored["of"] == 1, "{restored}");
    let problems = restored["sync"]["problems"].to_string();
    assert!(problems.contains("notes/plan"), "{restored}");
    assert_eq!(machine.read(NOTE).unwrap(), b"1");
    std::fs::remove_file(machine.root.join("notes/plan/link")).unwrap();
    machine.sync().await;
    assert_eq!(machine.read("notes/plan").unwrap(), b"a file");
}
