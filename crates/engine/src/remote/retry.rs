//! Making a failed call again, where that may help.
//!
//! Every call of the port is idempotent, so a call may be repeated after any error whose kind says so. The waits double and
//! are drawn anew each time ("full jitter": anything from nothing to the whole wait), so that devices that failed together
//! do not come back together. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
//!
//! This is for hiccups of seconds. Waits of minutes (offline, a long `Retry-After`) are the scheduler's: it is told at once.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Capabilities, Object, Page, Remote, RemoteError, RemoteErrorKind};
use crate::clock::Entropy;

/// How often a call is made again, and how long is waited in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a call is made in all; 0 counts as 1.
    pub attempts: u32,
    /// The longest wait before the first repetition; it doubles with each further one.
    pub base: Duration,
    /// The longest wait of all. Where the store asks for more, the call is given up.
    pub max: Duration,
}

impl Default for RetryPolicy {
    /// Five attempts within about a quarter of a minute.
    fn default() -> Self {
        Self { attempts: 5, base: Duration::from_millis(500), max: Duration::from_secs(20) }
    }
}

impl RetryPolicy {
    /// How long to wait after failure number `failures` (from 1) of this kind; none where no further attempt is due. `unit`
    /// is drawn from `0.0..1.0`.
    fn wait(&self, failures: u32, kind: RemoteErrorKind, unit: f64) -> Option<Duration> {
        if failures >= self.attempts || !kind.retryable() {
            return None;
        }
        let doubled = self.base.saturating_mul(2_u32.saturating_pow(failures - 1));
        let wait = doubled.min(self.max).mul_f64(unit.clamp(0.0, 1.0));
        match kind {
            RemoteErrorKind::Throttled { retry_after: Some(asked) } if asked > self.max => None,
            RemoteErrorKind::Throttled { retry_after: Some(asked) } => Some(asked.saturating_add(wait)),
            _ => Some(wait),
        }
    }
}

/// A remote whose calls are made again after errors that may pass.
#[derive(Debug)]
pub struct Retry<R> {
    inner: R,
    policy: RetryPolicy,
    entropy: Arc<dyn Entropy>,
}

impl<R> Retry<R> {
    /// Repeats the calls of `inner` as `policy` says.
    #[must_use]
    pub const fn new(inner: R, policy: RetryPolicy, entropy: Arc<dyn Entropy>) -> Self {
        Self { inner, policy, entropy }
    }

    async fn run<T, F>(&self, call: impl Fn() -> F + Send + Sync) -> Result<T, RemoteError>
    where
        F: Future<Output = Result<T, RemoteError>> + Send,
    {
        let mut failures = 0;
        loop {
            let error = match call().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            failures += 1;
            let Some(wait) = self.policy.wait(failures, error.kind, self.entropy.unit()) else {
                return Err(error);
            };
            tracing::debug!(%error, failures, ?wait, "the call is made again");
            tokio::time::sleep(wait).await;
        }
    }
}

#[async_trait]
impl<R: Remote> Remote for Retry<R> {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.run(|| self.inner.put(key, body.clone())).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, RemoteError> {
        self.run(|| self.inner.get(key, range.clone())).await
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.run(|| self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.run(|| self.inner.list(prefix, after)).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.run(|| self.inner.delete(key)).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.run(|| self.inner.server_ms()).await
    }
}

#[cfg(test)]
mod tests;
