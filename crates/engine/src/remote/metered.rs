//! Counters of requests and transferred bytes.

use std::future::Future;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Capabilities, Object, Page, Remote, RemoteError, Span};

/// Amount of data transferred. Only the bytes of objects count, not headers or listings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Transfer {
    /// Number of requests, including failed and repeated ones.
    pub requests: u64,
    /// Number of bytes sent, including those of failed PUTs, which used the line all the same.
    pub bytes_up: u64,
    /// Number of bytes received.
    pub bytes_down: u64,
}

impl Add for Transfer {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            bytes_up: self.bytes_up + other.bytes_up,
            bytes_down: self.bytes_down + other.bytes_down,
        }
    }
}

impl Sub for Transfer {
    type Output = Self;

    /// Transfer since `earlier`, never below zero.
    fn sub(self, earlier: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            bytes_up: self.bytes_up.saturating_sub(earlier.bytes_up),
            bytes_down: self.bytes_down.saturating_sub(earlier.bytes_down),
        }
    }
}

/// Counters of a [`Metered`] remote. Clones share them, so they stay readable when the remote is
/// wrapped further.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
    silent: AtomicBool,
}

impl Meter {
    /// Current counts.
    #[must_use]
    pub fn read(&self) -> Transfer {
        Transfer {
            requests: self.counters.requests.load(Ordering::Relaxed),
            bytes_up: self.counters.bytes_up.load(Ordering::Relaxed),
            bytes_down: self.counters.bytes_down.load(Ordering::Relaxed),
        }
    }

    /// True while the remote is out of reach: the last call that ended got no answer.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.counters.silent.load(Ordering::Relaxed)
    }

    /// Notes that a call ended with an answer, or without one.
    pub fn note_silence(&self, silent: bool) {
        self.counters.silent.store(silent, Ordering::Relaxed);
    }

    /// Counts a call, and notes if it was answered.
    async fn count<T>(
        &self,
        call: impl Future<Output = Result<T, RemoteError>> + Send,
    ) -> Result<T, RemoteError> {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let ended = call.await;
        self.note_silence(ended.as_ref().is_err_and(|error| error.kind.offline()));
        ended
    }
}

/// Remote that counts its requests. It belongs *inside* [`super::Retry`], so that repeated calls
/// count.
#[derive(Debug)]
pub struct Metered<R> {
    inner: R,
    meter: Meter,
}

impl<R> Metered<R> {
    /// Creates a remote that counts on `meter`.
    #[must_use]
    pub const fn new(inner: R, meter: Meter) -> Self {
        Self { inner, meter }
    }
}

#[async_trait]
impl<R: Remote> Remote for Metered<R> {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.meter.counters.bytes_up.fetch_add(body.len() as u64, Ordering::Relaxed);
        self.meter.count(self.inner.put(key, body)).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        let bytes = self.meter.count(self.inner.get(key, span)).await?;
        self.meter.counters.bytes_down.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.meter.count(self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.meter.count(self.inner.list(prefix, after)).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.meter.count(self.inner.delete(key)).await
    }

    async fn delete_all(&self, keys: &[String]) -> Result<(), RemoteError> {
        self.meter.count(self.inner.delete_all(keys)).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.meter.count(self.inner.server_ms()).await
    }

    async fn clear_leftovers(&self) -> Result<usize, RemoteError> {
        self.meter.count(self.inner.clear_leftovers()).await
    }

    fn renew(&self) {
        self.inner.renew();
    }
}

#[cfg(test)]
mod tests;
