use super::*;
use crate::fs::RealFs;
use crate::model::CommitId;

fn pack(id: u8) -> PackId {
    PackId::from_bytes([id; PackId::LEN])
}

#[test]
fn a_pack_is_due_a_grace_period_after_this_device_saw_that_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("marked.json");
    let load = || Marked::load(&RealFs, &path, VaultId::from_bytes([1; 16])).unwrap();
    let key = CommitKey { seq: 7, id: CommitId::from_bytes([7; 32]) };
    let (ours, theirs, swept) = (pack(1), pack(2), pack(3));
    let marks = BTreeMap::from([(ours, key), (theirs, key)]);
    // The commit was put long ago, by the server's clock.
    let times = BTreeMap::from([(key, 10)]);
    let mut record = load();
    record.will_mark(&[ours], 1000);
    record.see(&marks, &[swept].into(), 1000);
    record.save(&RealFs, &path).unwrap();
    let due = |record: &Marked, now: i64| [ours, theirs, swept].map(|p| record.is_due(p, &times, now, 100));
    assert_eq!(due(&load(), 1000), [true, false, false], "what others say counts from when it is seen");
    assert_eq!(due(&load(), 1100), [true; 3]);
    let mut record = load();
    record.see(&BTreeMap::from([(theirs, key)]), &BTreeSet::new(), 1100);
    assert_eq!(due(&record, 1100), [false, true, false], "the others came back");
    record.see(&marks, &BTreeSet::new(), 1150);
    assert_eq!(due(&record, 1200), [false, true, false], "and are new when they go again");
    // The server's clock was ahead, and is right again.
    record.see(&marks, &BTreeSet::new(), 500);
    assert_eq!(due(&record, 599), [false; 3]);
    assert_eq!(due(&record, 600), [true, true, false], "nothing waits until that day");
    std::fs::write(&path, "{").unwrap();
    assert_eq!(due(&load(), 9999), [false; 3], "without the record nothing is due");
}
