//! Limit on bytes per second.
//!
//! A token bucket that one object may overdraw: a call waits until the calls before it are paid
//! for, and then runs at full speed. So the rate holds over the time that an object takes (packs
//! have about 16 MiB), not from packet to packet. Calls without a body, such as listings, never
//! wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Capabilities, Object, Page, Remote, RemoteError, Span};
use crate::clock::Clock;

/// Token bucket for one direction.
#[derive(Debug)]
struct TokenBucket {
    /// Limit in bytes per second, if any.
    rate: Option<u64>,
    /// Time at which all tokens taken so far are paid for.
    paid_at: Mutex<Duration>,
}

impl TokenBucket {
    const fn new(rate: Option<u64>) -> Self {
        Self { rate, paid_at: Mutex::new(Duration::ZERO) }
    }

    /// Takes tokens for `bytes`, and returns the time to wait before using them.
    fn take(&self, bytes: u64, now: Duration) -> Duration {
        let Some(rate) = self.rate.filter(|rate| *rate > 0) else { return Duration::ZERO };
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = (*paid_at).max(now);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
        *paid_at = begins.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        begins - now
    }
}

/// Remote with a limit on bytes per second in each direction.
///
/// It belongs *outside* [`super::Limited`], so that a call that waits for its tokens holds no
/// permit, and *inside* [`super::Retry`], so that repeated bytes count again.
#[derive(Debug)]
pub struct Paced<R> {
    inner: R,
    up: TokenBucket,
    down: TokenBucket,
    clock: Arc<dyn Clock>,
}

impl<R> Paced<R> {
    /// Limits `inner` to `up` and `down` bytes per second. `None` or 0 means no limit.
    #[must_use]
    pub const fn new(inner: R, up: Option<u64>, down: Option<u64>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, up: TokenBucket::new(up), down: TokenBucket::new(down), clock }
    }

    async fn wait(&self, bucket: &TokenBucket, bytes: u64) {
        let wait = bucket.take(bytes, self.clock.monotonic());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[async_trait]
impl<R: Remote> Remote for Paced<R> {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.wait(&self.up, body.len() as u64).await;
        self.inner.put(key, body).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        if let Span::Part(range) = &span {
            self.wait(&self.down, range.end.saturating_sub(range.start)).await;
            return self.inner.get(key, span).await;
        }
        // The length is known only afterwards, so the next call pays for it.
        self.wait(&self.down, 0).await;
        let bytes = self.inner.get(key, span).await?;
        let _for_the_next = self.down.take(bytes.len() as u64, self.clock.monotonic());
        Ok(bytes)
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

    async fn delete_all(&self, keys: &[String]) -> Result<(), RemoteError> {
        self.inner.delete_all(keys).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.inner.server_ms().await
    }

    async fn clear_leftovers(&self) -> Result<usize, RemoteError> {
        self.inner.clear_leftovers().await
    }

    fn renew(&self) {
        self.inner.renew();
    }
}

#[cfg(test)]
mod tests;
