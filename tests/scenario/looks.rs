//! A look at the whole vault need not wait for the remote, and costs no more for that: not while the
//! remote is out of reach, and not where two names clash.

use std::path::PathBuf;
use std::sync::Arc;

use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_testkit::fresh_folder;

use crate::support::away::Away;
use crate::support::device::Device;

/// Notes that the engine has opened since the last question.
fn notes_read(device: &Device) -> Vec<PathBuf> {
    let notes = device.root.join("notes");
    device.opened.take().into_iter().filter(|path| path.starts_with(&notes)).collect()
}

#[tokio::test]
async fn an_attempt_costs_no_look_while_the_remote_is_out_of_reach() {
    let folder = fresh_folder();
    let remote = Arc::new(Away::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote) as Arc<dyn Remote>).await;
    // A vault that was never synced has all to be hashed: first the remote has to answer.
    one.write("notes/first.txt", "first");
    remote.set(true);
    one.try_sync().await.unwrap_err();
    assert_eq!(notes_read(&one), Vec::<PathBuf>::new());
    remote.set(false);
    assert_eq!(one.sync().await.pushed, 1);
    notes_read(&one);

    remote.set(true);
    for (name, read) in [("second", true), ("third", false), ("fourth", false)] {
        one.write(&format!("notes/{name}.txt"), name);
        one.try_sync().await.unwrap_err();
        assert_eq!(!notes_read(&one).is_empty(), read, "{name}");
    }
    remote.set(false);
    assert_eq!(one.sync().await.pushed, 3);
}

#[tokio::test]
async fn names_that_clash_are_not_read_again_by_every_sync() {
    let folder = fresh_folder();
    let store: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&store)).await;
    let mut two = Device::joined(folder.path(), "two", store).await;
    one.write("notes/b.txt", "known");
    one.sync().await;
    // By its bytes this name comes first, and so it would win if nobody knew the other one.
    one.write("notes/B.txt", "another");
    for _ in 0..2 {
        assert_eq!(one.sync().await.pushed, 0);
    }
    notes_read(&one);
    for _ in 0..2 {
        assert_eq!(one.sync().await.pushed, 0);
        assert_eq!(notes_read(&one), Vec::<PathBuf>::new());
    }
    two.sync().await;
    assert_eq!(two.text("notes/b.txt").as_deref(), Some("known"));
    assert_eq!(two.text("notes/B.txt"), None);
}
