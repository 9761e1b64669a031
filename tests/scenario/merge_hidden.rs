//! A group that a filter has hidden for a time: what stands here may be what was agreed on once, so
//! nobody is to take it for memories of its own.

use std::sync::Arc;

use cogzy_engine::model::Validate;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::Merge;
use cogzy_testkit::fresh_folder;

use super::merge_by_hand::{put, read, ten, write};
use crate::support::device::Device;

#[tokio::test]
async fn memories_that_were_deleted_while_a_filter_hid_them_do_not_come_back() {
    for waits in [false, true] {
        let folder = fresh_folder();
        let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
        let [mut one, mut two] =
            ["one", "two"].map(|name| Device::new(folder.path(), name, Arc::clone(&remote)));
        for device in [&mut one, &mut two] {
            (device.validate, device.merge) = (Validate::Enforce, Merge::Entries);
            device.join(false).await.unwrap();
        }
        write(&one, &ten());
        one.sync().await;
        two.sync().await;

        let hidden = ["corpus/**", "vectors/**", "indexes/**"].map(str::to_owned);
        two.exclude.extend(hidden);
        two.restart();
        let holds = two.sync().await.holds;
        holds.iter().for_each(|hold| two.approve(hold.id));
        two.sync().await;
        let mut fewer = ten();
        fewer.remove("n3");
        put(&mut fewer, "n4", "as it is now", 4.5);
        write(&one, &fewer);
        one.sync().await;
        two.sync().await;

        two.exclude.clear();
        two.restart();
        if waits {
            // A group that is being written to waits, and the filter is agreed on.
            two.touch("corpus/nodes.json");
            two.sync_at_once().await;
        }
        let report = two.sync().await;
        assert_eq!((report.conflicts.len(), report.merged.len()), (1, 0), "{waits}: {report:?}");
        one.sync().await;
        assert_eq!((read(&one), read(&two)), (fewer.clone(), fewer), "{waits}");
    }
}
