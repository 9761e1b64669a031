//! Two devices commit at once: the merge of the log lists a conflict, and its base is what both
//! commits followed, which every device can read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::remote::{
    Capabilities, MemoryRemote, Object, Page, Remote, RemoteError, RemoteErrorKind, Span,
};
use cogzy_engine::sync::Unwatched;
use cogzy_testkit::fresh_folder;

use super::merge_by_hand::{put, read, ten, write};
use crate::support::device::Device;

/// The way to the bucket of a device that loses its line whenever it is about to commit.
#[derive(Debug)]
struct Breaking {
    inner: Arc<dyn Remote>,
    breaks: AtomicBool,
}

#[async_trait::async_trait]
impl Remote for Breaking {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        if key.starts_with("commits/") && self.breaks.load(Ordering::Relaxed) {
            return Err(RemoteError::new(RemoteErrorKind::UnknownOutcome, "put", key));
        }
        self.inner.put(key, body).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        self.inner.get(key, span).await
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.inner.list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.inner.delete(key).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.inner.server_ms().await
    }
}

#[tokio::test]
async fn a_conflict_of_a_fork_is_merged_from_the_common_ancestor_on_any_device() {
    for merges_on_one in [true, false] {
        let folder = fresh_folder();
        let bucket: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
        let line = Arc::new(Breaking { inner: Arc::clone(&bucket), breaks: AtomicBool::new(false) });
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
        line.breaks.store(true, Ordering::Relaxed);
        two.try_sync().await.unwrap_err();
        one.sync().await;
        line.breaks.store(false, Ordering::Relaxed);
        // Its commit is sent again: now there are two heads.
        two.sync().await;
        one.sync().await;
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
