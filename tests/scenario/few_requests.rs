//! Over a slow line most of a sync is waiting for answers: what need not be asked is not, and the
//! rest is asked at the same time.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cogzy_engine::clock::SystemClock;
use cogzy_engine::model::Digest;
use cogzy_engine::remote::{Capabilities, MemoryRemote, Object, Page, Remote, RemoteError, Span};
use cogzy_testkit::fresh_folder;

use crate::support::device::Device;
use crate::support::process::noise;

/// A bucket that writes down what it is asked.
#[derive(Debug)]
pub struct Recording {
    bucket: MemoryRemote,
    /// Operation and first folder of each request.
    asked: Mutex<Vec<String>>,
    /// Objects that listings have named.
    named: AtomicUsize,
    /// Requests under way for the state of an object, and the most of them.
    heads: [AtomicU64; 2],
    /// Time that a request takes, at least and at most.
    latency: [Duration; 2],
}

impl Recording {
    fn new() -> Arc<Self> {
        Self::slow([Duration::ZERO; 2])
    }

    /// One whose requests take some time each, at least and at most.
    pub fn slow(latency: [Duration; 2]) -> Arc<Self> {
        let bucket = MemoryRemote::with_clock(Arc::new(SystemClock::default()));
        Arc::new(Self {
            bucket,
            asked: Mutex::default(),
            named: AtomicUsize::new(0),
            heads: Default::default(),
            latency,
        })
    }

    async fn note(&self, operation: &str, key: &str) {
        let folder = key.split('/').next().unwrap_or(key);
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(format!("{operation} {folder}"));
            asked.len()
        };
        let [least, most] = self.latency;
        if !most.is_zero() {
            // As good as any: spread, and the same each time.
            let part = Digest::of(&number.to_le_bytes()).as_bytes()[0];
            tokio::time::sleep(least + (most - least) * u32::from(part) / 256).await;
        }
    }

    /// Keys of the bucket.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.bucket.dump().into_keys()
    }

    /// Number of objects that listings have named since this was asked last.
    pub fn named(&self) -> usize {
        self.named.swap(0, Ordering::Relaxed)
    }

    /// What was asked since this was asked last.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Remote for Recording {
    fn url(&self) -> String {
        self.bucket.url()
    }
    fn capabilities(&self) -> Capabilities {
        self.bucket.capabilities()
    }
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.note("put", key).await;
        self.bucket.put(key, body).await
    }
    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        self.note("get", key).await;
        self.bucket.get(key, span).await
    }
    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.note("head", key).await;
        let [now, most] = &self.heads;
        most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        now.fetch_sub(1, Ordering::Relaxed);
        self.bucket.head(key).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.note("list", prefix).await;
        let page = self.bucket.list(prefix, after).await?;
        self.named.fetch_add(page.objects.len(), Ordering::Relaxed);
        Ok(page)
    }
    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.note("delete", key).await;
        self.bucket.delete(key).await
    }
    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.bucket.server_ms().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_save_asks_three_things_and_a_larger_one_four() {
    let (folder, bucket) = (fresh_folder(), Recording::new());
    let mut device = Device::joined(folder.path(), "one", Arc::clone(&bucket) as Arc<dyn Remote>).await;
    device.write("traces/1.json", "first");
    device.sync().await;
    bucket.take();
    device.write("traces/1.json", noise("second", 4 << 10));
    device.sync().await;
    assert_eq!(bucket.take(), ["list commits", "put commits", "list commits"]);
    device.write("traces/1.json", noise("third", 9 << 10));
    device.sync().await;
    assert_eq!(bucket.take(), ["list commits", "put packs", "put commits", "list commits"]);
    device.sync().await;
    assert_eq!(bucket.take(), ["list commits"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_device_asks_two_things_for_a_small_save() {
    let (folder, bucket) = (fresh_folder(), Recording::new());
    let join = |name| Device::joined(folder.path(), name, Arc::clone(&bucket) as Arc<dyn Remote>);
    let (mut one, mut two) = (join("one").await, join("two").await);
    for version in ["first", "second"] {
        one.write("traces/1.json", noise(version, 4 << 10));
        one.sync().await;
        bucket.take();
        two.sync().await;
        assert_eq!(two.files(), one.files());
    }
    assert_eq!(bucket.take(), ["list commits", "get commits"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_asks_for_packs_at_the_same_time_and_reads_lists_before_it_reads_files() {
    let (folder, bucket) = (fresh_folder(), Recording::new());
    let join = |name| Device::joined(folder.path(), name, Arc::clone(&bucket) as Arc<dyn Remote>);
    let mut one = join("one").await;
    for name in ["a", "b", "c", "d"] {
        // So long that its list of chunks is a chunk.
        one.write(&format!("corpus/{name}.bin"), noise(name, 12 << 20));
        one.sync().await;
    }
    let mut new = join("new").await;
    bucket.take();
    new.sync().await;
    assert_eq!(new.files(), one.files());
    let [_, most] = &bucket.heads;
    assert!(most.load(Ordering::Relaxed) >= 4, "packs are asked for one after the other");
    let asked = bucket.take();
    let count = |what: &str| asked.iter().filter(|asked| *asked == what).count();
    let packs = count("head packs");
    let reads = count("get packs");
    assert!(reads <= 2 * packs, "{reads} reads of {packs} packs: one for what it holds, one for its lists");
}
