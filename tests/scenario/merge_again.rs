//! What was merged once and deleted since: an app that still holds it does not bring it back.

use cogzy_testkit::fresh_folder;

use super::merge_by_hand::{put, read, ten, write};
use super::merge_unasked::{agreed, both_write, bucket, open, save, sync};

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
        save(&devices[1], &mut held, id);
        put(&mut both, id, id, 70.0);
        let report = devices[1].sync().await;
        assert_eq!((report.reverted.len(), report.merged.len()), (1, 1), "{report:?}");
        devices[0].pass(std::time::Duration::from_secs(60));
        sync(&mut devices).await;
        assert_eq!((read(&devices[0]), read(&devices[1])), (both.clone(), both.clone()), "{id}");
        assert_eq!(open(&mut devices[1]).await, 0, "{id}");
    }
    // What it still has and changes itself is not forgotten.
    put(&mut held, "here", "changed here since", 71.0);
    save(&devices[1], &mut held, "last");
    devices[1].sync().await;
    assert_eq!(open(&mut devices[1]).await, 1);
}
