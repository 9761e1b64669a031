//! Repetition of failed calls.
//!
//! Every call of the port is idempotent, so it may be repeated after any error whose kind allows
//! it. The waits double, and each is drawn at random ("full jitter": from zero to the whole wait),
//! so that devices that failed together do not return together. Source: M. Brooker, "Exponential
//! Backoff And Jitter", AWS Architecture Blog, 2015.
//!
//! This covers hiccups of seconds. Waits of minutes (offline, a long `Retry-After`) are up to the
//! scheduler, which gets the error at once.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{Capabilities, Object, Page, Remote, RemoteError, RemoteErrorKind, Span};
use crate::clock::Entropy;

/// Number of attempts, and the waits between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Total number of attempts; 0 counts as 1.
    pub attempts: u32,
    /// Longest wait before the first repetition. It doubles with each further one.
    pub base: Duration,
    /// Upper bound of all waits. If the store asks for a longer one, the call fails.
    pub max: Duration,
}

impl Default for RetryPolicy {
    /// Five attempts, with at most 7.5 seconds of waits in all.
    fn default() -> Self {
        Self { attempts: 5, base: Duration::from_millis(500), max: Duration::from_secs(20) }
    }
}

impl RetryPolicy {
    /// Time to wait after failure number `failures` (from 1) of this kind, or `None` if no attempt
    /// is left. `unit` is drawn from `0.0..1.0`.
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

/// Remote that repeats calls after transient errors.
#[derive(Debug)]
pub struct Retry<R> {
    inner: R,
    policy: RetryPolicy,
    entropy: Arc<dyn Entropy>,
}

impl<R> Retry<R> {
    /// Repeats the calls of `inner` according to `policy`.
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
            // An attempt that brought a part of an answer is as good as the first one.
            failures = if error.came.is_empty() { failures + 1 } else { 1 };
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

    /// Of a part, what has come before a connection broke is not asked for again.
    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        let came = Mutex::new(BytesMut::new());
        let lock = || came.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = || async {
            let rest = match &span {
                Span::Part(range) => Span::Part(range.start + lock().len() as u64..range.end),
                whole @ Span::UpTo(_) => whole.clone(),
            };
            let got = self.inner.get(key, rest).await;
            got.inspect_err(|error| lock().extend_from_slice(&error.came))
        };
        let rest = self.run(ask).await?;
        let mut came = came.into_inner().unwrap_or_else(PoisonError::into_inner);
        if came.is_empty() {
            return Ok(rest);
        }
        came.extend_from_slice(&rest);
        Ok(came.freeze())
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

    async fn delete_all(&self, keys: &[String]) -> Result<(), RemoteError> {
        self.run(|| self.inner.delete_all(keys)).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.run(|| self.inner.server_ms()).await
    }

    async fn clear_leftovers(&self) -> Result<usize, RemoteError> {
        self.run(|| self.inner.clear_leftovers()).await
    }

    fn renew(&self) {
        self.inner.renew();
    }
}

#[cfg(test)]
mod tests;
