//! The way to the bucket of a device that falls asleep between its packs and their commit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cogzy_engine::remote::{Capabilities, Object, Page, Remote, RemoteError, RemoteErrorKind, Span};

/// The way to the bucket of a device that falls asleep whenever it is about to commit.
#[derive(Debug)]
pub struct Sleeper {
    inner: Arc<dyn Remote>,
    asleep: AtomicBool,
    /// The commit that it was about to put.
    held: Mutex<Option<(String, Bytes)>>,
}

#[async_trait::async_trait]
impl Remote for Sleeper {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        if key.starts_with("commits/") && self.asleep.load(Ordering::Relaxed) {
            *self.held.lock().unwrap() = Some((key.to_owned(), body));
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

impl Sleeper {
    /// The way to this bucket. The device is awake.
    pub fn over(inner: Arc<dyn Remote>) -> Self {
        Self { inner, asleep: AtomicBool::new(false), held: Mutex::default() }
    }

    /// From now on the device does not get as far as a commit.
    pub fn falls_asleep(&self) {
        self.asleep.store(true, Ordering::Relaxed);
    }

    pub fn wakes_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// The commit arrives while the device still sleeps.
    pub async fn arrives(&self) {
        let (key, body) = self.held.lock().unwrap().take().unwrap();
        self.inner.put(&key, body).await.unwrap();
        self.wakes_up();
    }
}
