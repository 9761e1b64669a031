use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::remote::MemoryRemote;

/// Counts the calls that are inside it at once, and gives no answer while it is told so.
#[derive(Debug, Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
    silent: AtomicBool,
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
        match self.silent.load(Ordering::SeqCst) {
            true => Err(RemoteError::new(RemoteErrorKind::UnknownOutcome, "put", "k")),
            false => Ok(()),
        }
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
#[tokio::test]
async fn silence_halves_the_number_of_calls_at_once_and_successes_bring_it_back() {
    let remote = Limited::new(Crowd::default(), 8);
    let at_once = async || {
        remote.inner.most.store(0, Ordering::SeqCst);
        futures_util::future::join_all((0..20).map(|_| remote.put("k", Bytes::new()))).await;
        remote.inner.most.load(Ordering::SeqCst)
    };
    assert_eq!(at_once().await, 8);
    remote.inner.silent.store(true, Ordering::SeqCst);
    remote.put("k", Bytes::new()).await.unwrap_err();
    assert_eq!(at_once().await, 4, "twenty more without an answer");
    remote.inner.silent.store(false, Ordering::SeqCst);
    assert_eq!(at_once().await, 2, "it was one, and the twentieth success is not the sixteenth");
    for _ in 0..10 {
        at_once().await;
    }
    assert_eq!(at_once().await, 8);
    assert_eq!(remote.width.lock().unwrap().surplus, 0);
}
