//! Groups that another device, or a stranger, changed: they wait for a person on each device.

use std::sync::Arc;

use cogzy_engine::model::{Group, Reason, Validate};
use cogzy_testkit::fresh_folder;

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
