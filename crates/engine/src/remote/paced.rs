//! No more bytes per second than allowed.
//!
//! A bucket of tokens that may be overdrawn by one object: a call waits until what went before it has been paid for, and is then
//! made at full speed. So the rate holds over the time that an object takes (packs have about 16 MiB), not from one packet to the
//! next. Listings and the like weigh nothing and never wait.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Capabilities, Object, Page, Remote, RemoteError};
use crate::clock::Clock;

/// Tokens for one direction.
#[derive(Debug)]
struct Bucket {
    /// Bytes per second; none: no limit.
    rate: Option<u64>,
    /// When everything that was taken until now has been paid for.
    paid_at: Mutex<Duration>,
}

impl Bucket {
    const fn new(rate: Option<u64>) -> Self {
        Self { rate, paid_at: Mutex::new(Duration::ZERO) }
    }

    /// Takes tokens for `bytes`, and gives how long to wait before they may be used.
    fn take(&self, bytes: u64, now: Duration) -> Duration {
        let Some(rate) = self.rate.filter(|rate| *rate > 0) else { return Duration::ZERO };
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = (*paid_at).max(now);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
        *paid_at = begins.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        begins - now
    }
}

/// A remote that is given and asked for no more bytes per second than allowed.
///
/// It belongs *outside* [`super::Limited`], so that a call that waits for its bytes keeps no place from others, and *inside*
/// [`super::Retry`], so that what is sent again counts again.
#[derive(Debug)]
pub struct Paced<R> {
    inner: R,
    up: Bucket,
    down: Bucket,
    clock: Arc<dyn Clock>,
}

impl<R> Paced<R> {
    /// At most `up` and `down` bytes per second; none or 0 is no limit.
    #[must_use]
    pub const fn new(inner: R, up: Option<u64>, down: Option<u64>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, up: Bucket::new(up), down: Bucket::new(down), clock }
    }

    async fn wait(&self, bucket: &Bucket, bytes: u64) {
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

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, RemoteError> {
        if let Some(range) = &range {
            self.wait(&self.down, range.end.saturating_sub(range.start)).await;
            return self.inner.get(key, Some(range.clone())).await;
        }
        // How long it is shows when it is there: whoever comes next pays for it.
        self.wait(&self.down, 0).await;
        let bytes = self.inner.get(key, None).await?;
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

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.inner.server_ms().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::remote::MemoryRemote;

    /// The time of tokio's paused clock.
    #[derive(Debug)]
    struct Virtual(Instant);

    impl Clock for Virtual {
        fn now_ns(&self) -> i64 {
            0
        }

        fn monotonic(&self) -> Duration {
            self.0.elapsed()
        }
    }

    fn paced(up: Option<u64>, down: Option<u64>) -> Paced<MemoryRemote> {
        Paced::new(MemoryRemote::default(), up, down, Arc::new(Virtual(Instant::now())))
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_bytes_go_out_than_allowed_however_many_calls_are_made_at_once() {
        let remote = paced(Some(1000), None);
        let began = Instant::now();
        let keys: Vec<String> = (0..11).map(|number| format!("k{number}")).collect();
        let puts = keys.iter().map(|key| remote.put(key, Bytes::from(vec![0; 500])));
        futures_util::future::try_join_all(puts).await.unwrap();
        // The first goes at once; the ten before the last take half a second each.
        assert_eq!(began.elapsed().as_secs_f64().round(), 5.0);
        remote.list("", None).await.unwrap();
        remote.get("k0", None).await.unwrap();
        assert_eq!(began.elapsed().as_secs_f64().round(), 5.0, "what weighs nothing waited");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let idle = Instant::now();
        remote.put("a", Bytes::from(vec![0; 2000])).await.unwrap();
        remote.put("b", Bytes::from(vec![0; 1])).await.unwrap();
        assert_eq!(idle.elapsed().as_secs_f64().round(), 2.0, "an hour of rest was saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_is_paid_for_whether_its_length_was_known_or_not() {
        let remote = paced(None, Some(100));
        remote.put("k", Bytes::from(vec![7; 1000])).await.unwrap();
        let began = Instant::now();
        remote.get("k", Some(0..300)).await.unwrap();
        remote.get("k", None).await.unwrap();
        assert_eq!(began.elapsed().as_secs_f64().round(), 3.0);
        remote.get("k", Some(0..1)).await.unwrap();
        assert_eq!(began.elapsed().as_secs_f64().round(), 13.0);
    }
}
