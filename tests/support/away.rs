//! A bucket that can be out of reach.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cogzy_engine::remote::{
    Capabilities, MemoryRemote, Object, Page, Remote, RemoteError, RemoteErrorKind, Span,
};

/// A bucket that can be out of reach.
#[derive(Debug, Default)]
pub struct Away {
    bucket: MemoryRemote,
    is_away: AtomicBool,
    breaks: AtomicBool,
    keeps: AtomicBool,
}

impl Away {
    /// Puts it out of reach, or back.
    pub fn set(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
    }

    /// Lets it go out of reach during the PUT of the next commit, which it then `keeps` or not.
    pub fn break_with_next_commit(&self, keeps: bool) {
        self.keeps.store(keeps, Ordering::SeqCst);
        self.breaks.store(true, Ordering::SeqCst);
    }

    fn there(&self, operation: &'static str, key: &str) -> Result<(), RemoteError> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(RemoteError::new(RemoteErrorKind::Offline, operation, key)),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Remote for Away {
    fn url(&self) -> String {
        self.bucket.url()
    }
    fn capabilities(&self) -> Capabilities {
        self.bucket.capabilities()
    }
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.there("put", key)?;
        if key.starts_with("commits/") && self.breaks.swap(false, Ordering::SeqCst) {
            self.set(true);
            if self.keeps.load(Ordering::SeqCst) {
                self.bucket.put(key, body).await?;
            }
            return self.there("put", key);
        }
        self.bucket.put(key, body).await
    }
    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        self.there("get", key)?;
        self.bucket.get(key, span).await
    }
    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.there("head", key)?;
        self.bucket.head(key).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.there("list", prefix)?;
        self.bucket.list(prefix, after).await
    }
    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.there("delete", key)?;
        self.bucket.delete(key).await
    }
    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.there("ask", "")?;
        self.bucket.server_ms().await
    }
}
