//! Limit on concurrent requests.

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Capabilities, Object, Page, Remote, RemoteError, RemoteErrorKind, Span};

/// Remote with a limit on concurrent calls. Further calls wait, first come first served.
///
/// It belongs *inside* [`super::Retry`], so that a call that waits for its next attempt holds no
/// permit.
#[derive(Debug)]
pub struct Limited<R> {
    inner: R,
    places: Semaphore,
}

impl<R> Limited<R> {
    /// Limits `inner` to `concurrency` calls at once; 0 counts as 1.
    #[must_use]
    pub fn new(inner: R, concurrency: usize) -> Self {
        Self { inner, places: Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS)) }
    }

    async fn place(&self, operation: &'static str, key: &str) -> Result<SemaphorePermit<'_>, RemoteError> {
        // The semaphore is never closed. If it were, no call could ever go out again.
        let closed =
            |error| RemoteError::new(RemoteErrorKind::Other, operation, key).because(format!("{error}"));
        self.places.acquire().await.map_err(closed)
    }
}

#[async_trait]
impl<R: Remote> Remote for Limited<R> {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        let _place = self.place("put", key).await?;
        self.inner.put(key, body).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        let _place = self.place("get", key).await?;
        self.inner.get(key, span).await
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        let _place = self.place("head", key).await?;
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        let _place = self.place("list", prefix).await?;
        self.inner.list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        let _place = self.place("delete", key).await?;
        self.inner.delete(key).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        let _place = self.place("time", "").await?;
        self.inner.server_ms().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::remote::MemoryRemote;

    /// Counts the calls that are inside it at once.
    #[derive(Debug, Default)]
    struct Crowd {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl Remote for Crowd {
        fn url(&self) -> String {
            String::new()
        }

        fn capabilities(&self) -> Capabilities {
            MemoryRemote::default().capabilities()
        }

        async fn put(&self, _: &str, _: Bytes) -> Result<(), RemoteError> {
            let inside = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(inside, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }

        async fn get(&self, key: &str, _: Span) -> Result<Bytes, RemoteError> {
            Err(RemoteError::new(RemoteErrorKind::NotFound, "get", key))
        }

        async fn head(&self, _: &str) -> Result<Option<Object>, RemoteError> {
            Ok(None)
        }

        async fn list(&self, _: &str, _: Option<&str>) -> Result<Page, RemoteError> {
            Ok(Page::default())
        }

        async fn delete(&self, _: &str) -> Result<(), RemoteError> {
            Ok(())
        }

        async fn server_ms(&self) -> Result<i64, RemoteError> {
            Ok(0)
        }
    }

    #[tokio::test]
    async fn concurrent_calls_stay_within_the_limit() {
        for (allowed, expected) in [(0, 1), (3, 3), (usize::MAX, 20)] {
            let remote = Limited::new(Crowd::default(), allowed);
            let calls = (0..20).map(|_| remote.put("k", Bytes::new()));
            futures_util::future::try_join_all(calls).await.unwrap();
            assert_eq!(remote.inner.most.load(Ordering::SeqCst), expected);
        }
    }
}
