use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::fs::RealFs;

fn open(folder: &Path) -> EventLog {
    let database = Arc::new(Database::open(Arc::new(RealFs), &folder.join("cache.db")).unwrap());
    EventLog::open(Arc::new(RealFs), folder.join("event_ids"), database).unwrap()
}

fn bodies(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{{\"n\":{number}}}")).collect()
}

#[test]
fn the_oldest_events_go_and_the_newest_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    log.append(7, &bodies(12_345), &[("head", "x".into())]).unwrap();
    let kept = log.after(0, usize::MAX).unwrap();
    assert_eq!((kept.len(), kept[0].id, kept.last().unwrap().id), (10_000, 2346, 12_345));
    assert_eq!(
        log.after(12_340, 3).unwrap().iter().map(|event| event.id).collect::<Vec<_>>(),
        [12_341, 12_342, 12_343]
    );
    assert_eq!(log.cursor("head").unwrap().as_deref(), Some("x"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Numbers grow by one across restarts. A lost database leaves a gap, and no number comes
    /// twice.
    #[test]
    fn no_number_is_given_twice(steps in prop::collection::vec((0_u8..4, 1_usize..900), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path());
        let (mut newest, mut lost) = (0, false);
        for (what, count) in steps {
            match what {
                0 => {
                    drop(log);
                    log = open(folder.path());
                }
                1 => {
                    drop(log);
                    for end in ["", "-wal", "-shm"] {
                        let _absent = std::fs::remove_file(folder.path().join(format!("cache.db{end}")));
                    }
                    log = open(folder.path());
                    lost = newest > 0;
                }
                _ => {
                    let given = log.append(0, &bodies(count), &[]).unwrap();
                    prop_assert_eq!(given.clone().count(), count);
                    if lost {
                        prop_assert!(*given.start() > newest);
                    } else {
                        prop_assert_eq!(*given.start(), newest + 1);
                    }
                    (newest, lost) = (*given.end(), false);
                }
            }
        }
    }
}
