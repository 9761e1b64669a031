//! A store that takes nothing more from this device: a cap is used up, or its key may only read.
//! What others send comes all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cogzy_engine::remote::{MemoryRemote, Remote, RemoteError, RemoteErrorKind};
use cogzy_testkit::fresh_folder;

use crate::support::around::{Around, Through};
use crate::support::device::Device;

/// A bucket that refuses commits at times.
#[derive(Debug)]
struct Capped {
    bucket: MemoryRemote,
    is_full: AtomicBool,
    loses_answers: AtomicBool,
}

#[async_trait]
impl Around for Capped {
    fn bucket(&self) -> &dyn Remote {
        &self.bucket
    }
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        let error = |kind| Err(RemoteError::new(kind, "put", key));
        if !key.starts_with("commits/") {
            return self.bucket.put(key, body).await;
        }
        if self.is_full.load(Ordering::SeqCst) {
            return error(RemoteErrorKind::QuotaExceeded);
        }
        self.bucket.put(key, body).await?;
        if self.loses_answers.load(Ordering::SeqCst) {
            error(RemoteErrorKind::UnknownOutcome)
        } else {
            Ok(())
        }
    }
}

/// Two devices, of which the first one's commits are refused on demand.
async fn pair(folder: &std::path::Path) -> (Arc<Through<Capped>>, Device, Device) {
    let bucket = MemoryRemote::default();
    let capped = Capped {
        bucket: bucket.clone(),
        is_full: AtomicBool::default(),
        loses_answers: AtomicBool::default(),
    };
    let capped = Arc::new(Through(capped));
    let mut one = Device::joined(folder, "one", Arc::clone(&capped) as Arc<dyn Remote>).await;
    one.write("traces/a.json", "a");
    one.sync().await;
    let mut two = Device::joined(folder, "two", Arc::new(bucket)).await;
    two.sync().await;
    (capped, one, two)
}

async fn is_refused(device: &mut Device) {
    let error = device.try_sync().await.unwrap_err().to_string();
    assert!(error.contains("a cap or quota of the remote is used up"), "{error}");
}

#[tokio::test]
async fn what_others_send_is_fetched_while_the_store_refuses_our_own_commits() {
    let folder = fresh_folder();
    let (capped, mut one, mut two) = pair(folder.path()).await;
    capped.is_full.store(true, Ordering::SeqCst);
    one.write("traces/ours.json", "1");
    is_refused(&mut one).await;
    two.write("traces/theirs.json", "2");
    two.sync().await;
    is_refused(&mut one).await;
    // The outcome is not another one any more.
    one.pass(Duration::from_mins(15));
    for version in ["2", "3"] {
        is_refused(&mut one).await;
        assert_eq!(one.text("traces/theirs.json").as_deref(), Some(version));
        two.write("traces/theirs.json", "3");
        two.sync().await;
    }
    capped.is_full.store(false, Ordering::SeqCst);
    one.sync().await;
    two.sync().await;
    assert_eq!((two.text("traces/ours.json").as_deref(), two.conflicts().len()), (Some("1"), 0));
    assert_eq!(one.files(), two.files());
}

#[tokio::test]
async fn a_commit_that_is_there_is_not_given_up_because_it_is_refused_again() {
    let folder = fresh_folder();
    let (capped, mut one, mut two) = pair(folder.path()).await;
    capped.is_full.store(true, Ordering::SeqCst);
    one.write("traces/ours.json", "1");
    is_refused(&mut one).await;
    one.pass(Duration::from_mins(15));
    capped.is_full.store(false, Ordering::SeqCst);
    capped.loses_answers.store(true, Ordering::SeqCst);
    one.try_sync().await.unwrap_err();
    capped.is_full.store(true, Ordering::SeqCst);
    let (commits, sent) = (capped.bucket.dump().len(), one.sync().await.pushed);
    two.sync().await;
    assert_eq!((sent, two.text("traces/ours.json").as_deref()), (1, Some("1")));
    assert_eq!(capped.bucket.dump().len(), commits, "it was sent a second time");
}
