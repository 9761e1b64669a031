//! Limit on concurrent requests, which follows what the line and the store can take.
//!
//! A call that got no answer in time shared the line with the others, and so did a store that asks
//! to slow down: from then on half as many go out at once. Successes widen it again, one by one.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{Capabilities, Object, Page, Remote, RemoteError, RemoteErrorKind, Span};

/// Successes for which one call more may go out at once.
const WIDEN_AFTER: u32 = 16;

/// Remote with a limit on concurrent calls. Further calls wait, first come first served.
///
/// It belongs *inside* [`super::Retry`], so that a call that waits for its next attempt holds no
/// permit.
#[derive(Debug)]
pub struct Limited<R> {
    inner: R,
    most: usize,
    places: Semaphore,
    width: Mutex<Width>,
}

/// Number of calls that may go out at once.
#[derive(Debug)]
struct Width {
    now: usize,
    /// Places that still have to go.
    surplus: usize,
    successes: u32,
}

impl<R> Limited<R> {
    /// Limits `inner` to `concurrency` calls at once; 0 counts as 1.
    #[must_use]
    pub fn new(inner: R, concurrency: usize) -> Self {
        let most = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let width = Width { now: most, surplus: 0, successes: 0 };
        Self { inner, most, places: Semaphore::new(most), width: Mutex::new(width) }
    }

    async fn run<T>(
        &self,
        operation: &'static str,
        key: &str,
        call: impl Future<Output = Result<T, RemoteError>> + Send,
    ) -> Result<T, RemoteError> {
        // The semaphore is never closed. If it were, no call could ever go out again.
        let closed =
            |error| RemoteError::new(RemoteErrorKind::Other, operation, key).because(format!("{error}"));
        let place = self.places.acquire().await.map_err(closed)?;
        let ended = call.await;
        let mut width = self.width.lock().unwrap_or_else(PoisonError::into_inner);
        match &ended {
            Err(error) if error.kind.crowded() => {
                let half = (width.now / 2).max(1);
                width.surplus += width.now - half;
                (width.now, width.successes) = (half, 0);
            }
            Err(_) => {}
            Ok(_) if width.now < self.most => {
                width.successes += 1;
                if width.successes >= WIDEN_AFTER {
                    (width.now, width.successes) = (width.now + 1, 0);
                    if width.surplus > 0 { width.surplus -= 1 } else { self.places.add_permits(1) }
                }
            }
            Ok(_) => {}
        }
        width.surplus -= self.places.forget_permits(width.surplus);
        if width.surplus > 0 {
            width.surplus -= 1;
            place.forget();
        }
        ended
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
        self.run("put", key, self.inner.put(key, body)).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        self.run("get", key, self.inner.get(key, span)).await
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.run("head", key, self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.run("list", prefix, self.inner.list(prefix, after)).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.run("delete", key, self.inner.delete(key)).await
    }

    async fn delete_all(&self, keys: &[String]) -> Result<(), RemoteError> {
        let first = keys.first().map_or("", String::as_str);
        self.run("delete", first, self.inner.delete_all(keys)).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.run("time", "", self.inner.server_ms()).await
    }

    async fn clear_leftovers(&self) -> Result<usize, RemoteError> {
        self.run("delete", "", self.inner.clear_leftovers()).await
    }

    fn renew(&self) {
        self.inner.renew();
    }
}

#[cfg(test)]
mod tests;
