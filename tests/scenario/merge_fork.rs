//! Two devices commit at once: the merge of the log lists a conflict, and its base is what both
//! commits followed, which every device can read.

use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Merge, Unwatched};
use cogzy_testkit::fresh_folder;

use super::merge_by_hand::{put, read, ten, write};
use super::merge_unasked::{agreed, bucket, changed};
use crate::support::device::Device;
use crate::support::sleeper::Sleeper;

/// Both commit what they have written, and learn of the other's commit.
async fn commit_at_once(one: &mut Device, two: &mut Device, line: &Sleeper) {
    line.falls_asleep();
    two.try_sync().await.unwrap_err();
    one.sync().await;
    line.wakes_up();
    // Its commit is sent again: now there are two heads.
    two.sync().await;
    one.sync().await;
}

#[tokio::test]
async fn a_conflict_of_a_fork_is_merged_from_the_common_ancestor_on_any_device() {
    for merges_on_one in [true, false] {
        let folder = fresh_folder();
        let bucket: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
        let line = Arc::new(Sleeper::over(Arc::clone(&bucket)));
        let mut one = Device::joined(folder.path(), "one", bucket).await;
        let mut two = Device::joined(folder.path(), "two", Arc::clone(&line) as Arc<dyn Remote>).await;
        write(&one, &ten());
        one.sync().await;
        two.sync().await;
        let (mut ours, mut theirs) = (ten(), ten());
        put(&mut ours, "by-one", "new by one", 50.0);
        ours.remove("n2");
        put(&mut theirs, "by-two", "new by two", 60.0);
        put(&mut theirs, "n3", "changed by two", 63.0);
        write(&one, &ours);
        write(&two, &theirs);
        commit_at_once(&mut one, &mut two, &line).await;
        two.sync().await;
        let open = one.engine().conflicts().await.unwrap();
        assert_eq!(open.len(), 1);
        let device = if merges_on_one { &mut one } else { &mut two };
        device.pass(Duration::from_secs(10));
        let merged = device.engine().merge_conflict(open[0].conflict.id, false, &Unwatched).await.unwrap();
        assert!(merged.clashes.is_empty(), "{:?}", merged.clashes);
        let mut expected = theirs;
        expected.remove("n2");
        put(&mut expected, "by-one", "new by one", 50.0);
        one.sync().await;
        two.sync().await;
        assert_eq!((read(&one), read(&two)), (expected.clone(), expected));
        assert_eq!(one.files(), two.files());
    }
}

/// A laptop that is closed right after a save cannot merge what that save lost against. The others
/// wait for it for an hour, however often what stands there changes meanwhile.
#[tokio::test]
async fn a_version_whose_device_does_not_merge_it_is_merged_by_another_one_after_an_hour() {
    let mut attempts = 0;
    loop {
        attempts += 1;
        assert!(attempts < 30, "the second device never loses");
        let folder = fresh_folder();
        let [bucket, _] = bucket();
        let line = Arc::new(Sleeper::over(Arc::clone(&bucket)));
        let [mut one, mut two] = agreed(folder.path(), [bucket, Arc::clone(&line) as Arc<dyn Remote>]).await;
        two.merge = Merge::Off;
        two.restart();
        let (here, mut there, mut both) = changed();
        write(&two, &here);
        write(&one, &there);
        commit_at_once(&mut one, &mut two, &line).await;
        if one.engine().conflicts().await.unwrap().is_empty() {
            // The other version has lost, and its device has merged it at once.
            continue;
        }
        for (id, minutes) in [("later", 30), ("still-later", 25)] {
            one.pass(Duration::from_secs(minutes * 60));
            put(&mut there, id, id, 70.0);
            put(&mut both, id, id, 70.0);
            write(&one, &there);
            assert!(one.sync().await.merged.is_empty(), "after {minutes} minutes more");
        }
        one.pass(Duration::from_secs(6 * 60));
        assert_eq!(one.sync().await.merged.len(), 1);
        two.sync().await;
        assert_eq!((read(&one), read(&two)), (both.clone(), both));
        assert_eq!(one.files(), two.files());
        assert!(two.engine().conflicts().await.unwrap().is_empty());
        return;
    }
}
