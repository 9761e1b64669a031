//! Packs over a slow line, in virtual time.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::*;
use crate::remote::{
    Capabilities, Limited, MemoryRemote, Object, Page, RemoteErrorKind, Retry, RetryPolicy, Span,
};

/// Bytes that an uplink of 256 kbit/s carries in a second.
const RATE: u64 = 32 << 10;
/// A piece that goes over the line at once.
const PIECE: u64 = 4 << 10;
const FILE: usize = 1 << 20;

/// A line that all calls share, and that may break now and then with all that is on it.
#[derive(Debug)]
struct SlowLine {
    store: MemoryRemote,
    breaks_every: Duration,
    began: Instant,
    free_at: std::sync::Mutex<Instant>,
    sent: Arc<AtomicU64>,
}

impl SlowLine {
    fn new(breaks_every: Duration, sent: &Arc<AtomicU64>) -> Self {
        let (store, began, sent) = (MemoryRemote::default(), Instant::now(), Arc::clone(sent));
        Self { store, breaks_every, began, free_at: std::sync::Mutex::new(began), sent }
    }

    fn breaks(&self) -> u128 {
        self.began.elapsed().as_nanos() / self.breaks_every.as_nanos()
    }
}

#[async_trait]
impl Remote for SlowLine {
    fn url(&self) -> String {
        self.store.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        let (breaks, mut left) = (self.breaks(), body.len() as u64);
        while left > 0 {
            let piece = left.min(PIECE);
            let there = {
                let mut free_at = self.free_at.lock().unwrap();
                *free_at =
                    (*free_at).max(Instant::now()) + Duration::from_secs_f64(piece as f64 / RATE as f64);
                *free_at
            };
            tokio::time::sleep_until(there).await;
            self.sent.fetch_add(piece, Ordering::Relaxed);
            if self.breaks() != breaks {
                return Err(RemoteError::new(RemoteErrorKind::UnknownOutcome, "put", key));
            }
            left -= piece;
        }
        self.store.put(key, body).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        self.store.get(key, span).await
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.store.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.store.list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.store.delete(key).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.store.server_ms().await
    }
}

/// A clock that follows tokio's paused time.
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

/// Randomness that repeats itself in each run of the test.
#[derive(Debug, Default)]
struct Seeded(AtomicU64);

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(bytes);
    }
}

/// A device that tries again until all is there. Returns the tries, and the bytes sent for each
/// byte.
async fn send_all(files: u64, breaks_every: Duration) -> (u32, f64) {
    let sent = Arc::<AtomicU64>::default();
    let entropy = Arc::new(Seeded::default());
    let line = Limited::new(SlowLine::new(breaks_every, &sent), 8);
    let remote: Arc<dyn Remote> = Arc::new(Retry::new(line, RetryPolicy::default(), entropy.clone()));
    let database = Arc::new(Database::in_memory().unwrap());
    let (uplink, clock) = (Uplink::default(), Arc::new(Virtual(Instant::now())));
    for tries in 1..=100 {
        let (snapshot, index) = (Snapshot::default(), ChunkIndex::default());
        let mut known = Known::new(&snapshot, &index, database.uploaded().unwrap());
        let (remote, database) = (Arc::clone(&remote), Arc::clone(&database));
        let uploads = Uploads::over(remote, database, &uplink, clock.clone(), Interrupt::default());
        if send(files, &mut known, &uploads, entropy.as_ref()).await.is_ok() {
            let bytes = files * FILE as u64;
            return (tries, sent.load(Ordering::Relaxed) as f64 / bytes as f64);
        }
    }
    panic!("it never arrives");
}

async fn send(
    files: u64,
    known: &mut Known<'_>,
    uploads: &Uploads,
    entropy: &dyn Entropy,
) -> Result<(), SyncError> {
    let mut run = Run::new(ChunkParams::default(), entropy, known, uploads.clone())?;
    for number in 0..files {
        let mut bytes = vec![0; FILE];
        blake3::Hasher::new().update(b"file").update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
        run.add(&mut bytes.as_slice())?.unwrap();
        run.send().await?;
    }
    run.finish()?;
    uploads.wait_for(0).await
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_carries_100_mib_with_little_more_than_their_bytes_also_where_it_breaks_every_minute() {
    let (tries, ratio) = send_all(100, Duration::from_secs(1 << 30)).await;
    assert!(tries == 1 && ratio < 1.02, "{tries} tries, {ratio} times the bytes");
    let (tries, ratio) = send_all(100, Duration::from_secs(60)).await;
    assert!(ratio <= 1.15, "{tries} tries, {ratio} times the bytes");
}

#[tokio::test(start_paused = true)]
async fn packs_that_arrived_before_a_failure_are_used_by_the_next_try() {
    // The line breaks so often that no try comes to its end by itself.
    let (tries, ratio) = send_all(8, Duration::from_secs(13)).await;
    assert!(tries > 1 && ratio <= 2.0, "{tries} tries, {ratio} times the bytes");
}
