use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::fs::RealFs;

/// A daemon's cycle looks while an app writes its note.
#[test]
fn a_note_is_written_whoever_forgets_old_ones_meanwhile() {
    let folder = cogzy_testkit::fresh_folder();
    let layout = Layout::new(folder.path());
    let looks = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while looks.fetch_add(1, Ordering::Relaxed) < 3000 {
                for note in together(&RealFs, &layout).unwrap() {
                    forget_together(&RealFs, &layout, &note.name).unwrap();
                }
            }
        });
        for number in 0.. {
            if looks.load(Ordering::Relaxed) > 3000 {
                break;
            }
            note_together(&RealFs, &layout, &format!("{number}")).unwrap();
        }
    });
}

#[test]
fn a_note_that_is_there_stays() {
    let folder = cogzy_testkit::fresh_folder();
    let layout = Layout::new(folder.path());
    for _ in 0..2 {
        note_together(&RealFs, &layout, "one").unwrap();
        assert_eq!(together(&RealFs, &layout).unwrap().len(), 1);
    }
}
