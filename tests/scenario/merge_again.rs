//! What was merged once and deleted since: an app that still holds it does not bring it back.

use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::Memories;

use super::merge_by_hand::{put, read, ten, write};
use super::merge_unasked::{agreed, both_write, bucket, open, save, sync};
use crate::support::device::Device;

/// The app of the second device adds a memory to what it holds, and saves that. It is merged, and
/// both devices come to hold `all`, and the new one.
pub async fn saved_and_merged(devices: &mut [Device; 2], held: &mut Memories, all: &mut Memories, id: &str) {
    save(&devices[1], held, id);
    put(all, id, id, 70.0);
    let report = devices[1].sync().await;
    assert_eq!((report.reverted.len(), report.merged.len()), (1, 1), "{report:?}");
    devices[0].pass(std::time::Duration::from_secs(60));
    sync(devices).await;
    assert_eq!((read(&devices[0]), read(&devices[1])), (all.clone(), all.clone()), "{id}");
}

#[tokio::test]
async fn what_was_merged_and_deleted_elsewhere_does_not_come_back_with_an_app_that_holds_it() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let (mut held, mut there) = (ten(), ten());
    put(&mut held, "here", "new here", 50.0);
    put(&mut held, "changed", "new here, too", 51.0);
    put(&mut held, "n1", "changed here", 52.0);
    put(&mut there, "there", "new there", 60.0);
    let report = both_write(&mut devices, &held, &there).await;
    assert_eq!((report.merged.len(), report.conflicts.len()), (1, 0), "{report:?}");
    devices[0].pass(std::time::Duration::from_secs(60));
    sync(&mut devices).await;
    // The other device has all of it, deletes one memory, and changes two.
    let mut both = read(&devices[0]);
    assert!(both.contains_key("here") && both.contains_key("there"));
    both.remove("here");
    put(&mut both, "changed", "changed there", 61.0);
    put(&mut both, "n1", "changed there, too", 62.0);
    write(&devices[0], &both);
    sync(&mut devices).await;
    for id in ["later", "later still"] {
        saved_and_merged(&mut devices, &mut held, &mut both, id).await;
        assert_eq!(open(&mut devices[1]).await, 0, "{id}");
    }
    // What it still has and changes itself is not forgotten.
    put(&mut held, "here", "changed here since", 71.0);
    save(&devices[1], &mut held, "last");
    devices[1].sync().await;
    assert_eq!(open(&mut devices[1]).await, 1);
}
