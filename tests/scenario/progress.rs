//! Progress that is told never says that more is done than there is.

use std::sync::Mutex;
use std::time::Duration;

use cogzy_engine::sync::{Phase, Progress, Request, Watcher};
use cogzy_testkit::fresh_folder;

use crate::prune::Bucket;
use crate::support::device::Device;

/// Everything that was told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<Progress>>);

impl Watcher for Told {
    fn progress(&self, progress: Progress) {
        self.0.lock().unwrap().push(progress);
    }
}

/// The last word on the files that were put in place, after a cycle that told of nothing wrong.
async fn applied(device: &mut Device) -> (usize, usize) {
    device.pass(Duration::from_secs(10));
    let told = Told::default();
    device.engine().cycle(Request::FULL, &told).await.unwrap();
    let told = told.0.into_inner().unwrap();
    for progress in &told {
        let Progress { files_done, files_total, bytes_done, bytes_total, .. } = *progress;
        assert!(files_total == 0 || files_done <= files_total, "{progress:?}");
        assert!(bytes_total == 0 || bytes_done <= bytes_total, "{progress:?}");
    }
    let last = told.iter().rfind(|progress| progress.phase == Phase::Apply).unwrap();
    (last.files_done, last.files_total)
}

#[tokio::test]
async fn files_that_go_are_counted_with_those_that_come() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    let mut two = bucket.device(folder.path(), "two").await;
    for at in 0..5 {
        one.write(&format!("traces/{at}.json"), format!("trace {at}"));
        one.write(&format!("notes/{at}.txt"), format!("note {at}"));
    }
    one.sync().await;
    assert_eq!(applied(&mut two).await, (10, 10));
    std::fs::rename(one.root.join("traces"), one.root.join("moved")).unwrap();
    one.sync().await;
    assert_eq!(applied(&mut two).await, (10, 10), "five come, and five go");
    assert_eq!(two.files(), one.files());
}
