use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::remote::MemoryRemote;

/// Fails with the given kinds, one after the other, and then lets calls through.
#[derive(Debug)]
struct Flaky {
    failures: Mutex<Vec<RemoteErrorKind>>,
    /// Bytes of a part that come before the connection breaks.
    at_once: usize,
    /// Parts that were asked for.
    asked: Mutex<Vec<std::ops::Range<u64>>>,
    inner: MemoryRemote,
}

impl Flaky {
    fn new(failures: &[RemoteErrorKind]) -> Self {
        let failures = failures.iter().rev().copied().collect();
        let (asked, inner) = (Mutex::default(), MemoryRemote::default());
        Self { failures: Mutex::new(failures), at_once: usize::MAX, asked, inner }
    }

    fn fail(&self, operation: &'static str, key: &str) -> Result<(), RemoteError> {
        let next = self.failures.lock().unwrap().pop();
        next.map_or(Ok(()), |kind| Err(RemoteError::new(kind, operation, key)))
    }

    fn left(&self) -> usize {
        self.failures.lock().unwrap().len()
    }
}

#[async_trait]
impl Remote for Flaky {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.fail("put", key)?;
        self.inner.put(key, body).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        self.fail("get", key)?;
        let bytes = self.inner.get(key, span.clone()).await?;
        let Span::Part(range) = span else { return Ok(bytes) };
        self.asked.lock().unwrap().push(range);
        if bytes.len() <= self.at_once {
            return Ok(bytes);
        }
        let error = RemoteError::new(RemoteErrorKind::UnknownOutcome, "get", key);
        Err(error.after(bytes[..self.at_once].to_vec()))
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.fail("head", key)?;
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.fail("list", prefix)?;
        self.inner.list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.fail("delete", key)?;
        self.inner.delete(key).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.fail("time", "")?;
        self.inner.server_ms().await
    }
}

/// Entropy that always gives the same number, so that waits are predictable.
#[derive(Debug)]
struct Loaded(u8);

impl Entropy for Loaded {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

const POLICY: RetryPolicy =
    RetryPolicy { attempts: 3, base: Duration::from_secs(1), max: Duration::from_secs(60) };

fn retry(failures: &[RemoteErrorKind], draw: u8) -> Retry<Flaky> {
    Retry::new(Flaky::new(failures), POLICY, Arc::new(Loaded(draw)))
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_call_is_repeated() {
    let kinds = [RemoteErrorKind::Server; 2];
    let remote = retry(&kinds, 0);
    remote.put("k", Bytes::from_static(b"v")).await.unwrap();
    assert_eq!(remote.inner.left(), 0);
    *remote.inner.failures.lock().unwrap() = kinds.to_vec();
    assert_eq!(remote.get("k", Span::UpTo(9)).await.unwrap(), "v");
    *remote.inner.failures.lock().unwrap() = kinds.to_vec();
    assert!(remote.head("k").await.unwrap().is_some());
    *remote.inner.failures.lock().unwrap() = kinds.to_vec();
    assert_eq!(remote.list("", None).await.unwrap().objects.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_returns_its_error() {
    let kinds = [RemoteErrorKind::Server, RemoteErrorKind::Offline, RemoteErrorKind::UnknownOutcome];
    let error = retry(&kinds, 0).put("k", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::UnknownOutcome);
}

#[tokio::test(start_paused = true)]
async fn permanent_errors_are_returned_at_once() {
    for kind in [RemoteErrorKind::NotFound, RemoteErrorKind::Forbidden, RemoteErrorKind::BadCredentials] {
        let remote = retry(&[kind, RemoteErrorKind::Server], 255);
        assert_eq!(remote.get("k", Span::UpTo(9)).await.unwrap_err().kind, kind);
        assert_eq!(remote.inner.left(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_double_and_a_requested_wait_is_kept() {
    let start = tokio::time::Instant::now();
    let throttled = RemoteErrorKind::Throttled { retry_after: Some(Duration::from_secs(30)) };
    retry(&[throttled, RemoteErrorKind::Server], 255).head("k").await.unwrap();
    let waited = start.elapsed().as_secs_f64();
    assert!((32.9..33.1).contains(&waited), "30 s asked + 1 s drawn + 2 s drawn, not {waited}");
}

#[tokio::test(start_paused = true)]
async fn a_requested_wait_beyond_the_limit_is_passed_on() {
    let start = tokio::time::Instant::now();
    let kind = RemoteErrorKind::Throttled { retry_after: Some(Duration::from_secs(61)) };
    assert_eq!(retry(&[kind], 0).head("k").await.unwrap_err().kind, kind);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// A store with the object `k`, that gives so many bytes of a part at once.
async fn breaking(bytes: &[u8], at_once: usize) -> Retry<Flaky> {
    let flaky = Flaky { at_once, ..Flaky::new(&[]) };
    flaky.put("k", Bytes::copy_from_slice(bytes)).await.unwrap();
    Retry::new(flaky, POLICY, Arc::new(Loaded(0)))
}

#[tokio::test(start_paused = true)]
async fn a_part_that_comes_in_pieces_is_put_together_and_one_that_does_not_come_fails() {
    let bytes: Vec<u8> = (0..=255).cycle().take(2000).collect();
    for (at_once, requests) in [(5000, 1), (1800, 1), (1799, 2), (90, 20), (7, 258)] {
        let remote = breaking(&bytes, at_once).await;
        let read = remote.get("k", Span::Part(100..1900)).await.unwrap();
        assert_eq!(read, bytes[100..1900], "{at_once}");
        let asked = remote.inner.asked.lock().unwrap();
        let starts: Vec<u64> = (0..requests).map(|number| 100 + number * at_once as u64).collect();
        assert_eq!(asked.iter().map(|range| range.start).collect::<Vec<_>>(), starts);
        assert!(asked.iter().all(|range| range.end == 1900));
    }
    let remote = breaking(&bytes, 0).await;
    let error = remote.get("k", Span::Part(100..1900)).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::UnknownOutcome);
    assert_eq!(remote.inner.asked.lock().unwrap().len(), 3, "as many attempts as for any other call");
}

proptest! {
    #[test]
    fn waits_stay_within_their_bounds(
        attempts in any::<u32>(),
        failures in 1..=u32::MAX,
        base in any::<u32>(),
        max in any::<u32>(),
        unit in 0.0..1.0,
    ) {
        let policy = RetryPolicy {
            attempts,
            base: Duration::from_millis(base.into()),
            max: Duration::from_millis(max.into()),
        };
        let wait = policy.wait(failures, RemoteErrorKind::Server, unit);
        prop_assert_eq!(wait.is_some(), failures < attempts);
        prop_assert!(wait.unwrap_or_default() <= policy.max);
    }
}
