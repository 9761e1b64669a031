//! Packs that cost too many requests or too many bytes: small ones are joined, of worn ones only
//! what is needed is fetched, and they are deleted several at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cogzy_engine::remote::{Remote, RemoteError, Span};
use cogzy_engine::sync::Retention;
use cogzy_testkit::fresh_folder;

use crate::prune::{Bucket, DAY, assert_sound, edits, prune, version};
use crate::support::around::{Around, Through};
use crate::support::device::Device;

/// A bucket that counts what is read of its packs.
#[derive(Debug)]
struct Counting {
    bucket: Arc<dyn Remote>,
    gets: AtomicU64,
    bytes: AtomicU64,
    /// Deletions under way, and the most of them.
    deleting: [AtomicU64; 2],
    /// True while deletions delete nothing, as on a store that hides and keeps.
    keeps: AtomicBool,
}

impl Counting {
    fn of(bucket: &Bucket) -> Arc<Through<Self>> {
        let (gets, bytes, deleting, keeps) = Default::default();
        Arc::new(Through(Self { bucket: Arc::new(bucket.remote.clone()), gets, bytes, deleting, keeps }))
    }

    /// GETs of packs and their bytes since this was asked last.
    fn take(&self) -> (u64, u64) {
        (self.gets.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }
}

#[async_trait]
impl Around for Counting {
    fn bucket(&self) -> &dyn Remote {
        &*self.bucket
    }
    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        let body = self.bucket.get(key, span).await?;
        if key.starts_with("packs/") {
            self.gets.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        }
        Ok(body)
    }
    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        let [now, most] = &self.deleting;
        most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        now.fetch_sub(1, Ordering::Relaxed);
        if self.keeps.load(Ordering::Relaxed) { Ok(()) } else { self.bucket.delete(key).await }
    }
}

/// A device that keeps the newest generation alone.
async fn device(folder: &std::path::Path, name: &str, bucket: &Arc<Through<Counting>>) -> Device {
    let mut device = Device::joined(folder, name, Arc::clone(bucket) as Arc<dyn Remote>).await;
    device.retention = Retention { generations: 1, age: DAY, grace: 7 * DAY };
    device.restart();
    device
}

/// Requests that a new device needs: for packs, and all of them.
async fn of_a_new_device(
    folder: &std::path::Path,
    bucket: &Arc<Through<Counting>>,
    like: &Device,
) -> (u64, u64) {
    bucket.take();
    let mut new = device(folder, "new", bucket).await;
    new.sync().await;
    assert_eq!(new.files(), like.files());
    (bucket.take().0, new.requests())
}

const SAVES: usize = 151;

/// The path and the text of a small save.
fn save(number: usize) -> (String, String) {
    (format!("traces/{number}.json"), format!("save {number}"))
}

/// Saves as many small files, each by itself.
async fn save_one_by_one(device: &mut Device) {
    for (path, text) in (0..SAVES).map(save) {
        device.write(&path, text);
        device.sync_at_once().await;
    }
}

/// A further prune finds nothing to do, and nothing is damaged.
async fn assert_at_rest(bucket: &Bucket, device: &mut Device) {
    bucket.pass(8 * DAY);
    let quiet = prune(device).await;
    assert_eq!((quiet.marked.objects, quiet.freed.objects), (0, 0), "{quiet:?}");
    assert_sound(device).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_packs_are_joined_so_that_a_new_device_needs_few_requests() {
    let folder = fresh_folder();
    let (bucket, fresh) = (Bucket::new(), Bucket::new());
    let [counted, counted_fresh] = [&bucket, &fresh].map(Counting::of);
    let mut one = device(folder.path(), "one", &counted).await;
    one.enclose_nothing();
    let mut other = device(folder.path(), "other", &counted_fresh).await;
    save_one_by_one(&mut one).await;
    (0..SAVES).map(save).for_each(|(path, text)| other.write(&path, text));
    other.sync().await;
    one.sync().await;
    let (least, _) = of_a_new_device(&folder.path().join("fresh"), &counted_fresh, &other).await;
    let (before, _) = of_a_new_device(&folder.path().join("before"), &counted, &one).await;
    assert!(before > 150, "one for each save: {before}");
    for _ in 0..3 {
        bucket.pass(8 * DAY);
        prune(&mut one).await;
    }
    assert!(bucket.packs().len() < 10, "{:?}", bucket.packs());
    let (after, all) = of_a_new_device(&folder.path().join("after"), &counted, &one).await;
    // How large a pack becomes follows the speed of the line, which is measured.
    assert!(after < 10, "{after} requests for packs, {least} for those of a fresh upload");
    assert!(all < 60, "{all} requests in all: the commits since the last checkpoint are among them");
    assert_at_rest(&bucket, &mut one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_in_commits_are_joined_like_any_others() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let counted = Counting::of(&bucket);
    let mut one = device(folder.path(), "one", &counted).await;
    save_one_by_one(&mut one).await;
    assert!(bucket.packs().len() < 10, "each save stands in its commit, and the rest are checkpoints");
    let commits =
        |bucket: &Bucket| bucket.remote.dump().keys().filter(|key| key.starts_with("commits/")).count();
    let (_, before) = of_a_new_device(&folder.path().join("before"), &counted, &one).await;
    assert!(before > 150, "one for each save: {before}");
    for _ in 0..3 {
        bucket.pass(8 * DAY);
        let all = commits(&bucket);
        prune(&mut one).await;
        assert!(commits(&bucket) >= all, "a commit is no pack to delete");
    }
    let (after, all) = of_a_new_device(&folder.path().join("after"), &counted, &one).await;
    assert!(after < 10 && all < 60, "{after} requests for packs, {all} in all");
    assert_at_rest(&bucket, &mut one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_worn_pack_only_what_is_needed_is_fetched() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let counted = Counting::of(&bucket);
    let mut one = device(folder.path(), "one", &counted).await;
    for file in 0..20 {
        one.write(&format!("traces/{file}.json"), version(&file.to_string()));
    }
    one.sync().await;
    (1..20).for_each(|file| one.delete(&format!("traces/{file}.json")));
    one.write("traces/more.json", "more");
    let holds = one.sync().await.holds;
    holds.iter().for_each(|hold| one.approve(hold.id));
    one.sync().await;
    bucket.pass(8 * DAY);
    counted.take();
    let pruned = prune(&mut one).await;
    assert_eq!(pruned.repacked.objects, 1, "{pruned:?}");
    let (_, bytes) = counted.take();
    assert!((300_000..1_000_000).contains(&bytes), "{bytes} of six million bytes were fetched");
    for _ in 0..2 {
        bucket.pass(8 * DAY);
        prune(&mut one).await;
    }
    assert_sound(&mut one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn freed_is_what_the_store_no_longer_lists() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let counted = Counting::of(&bucket);
    let mut one = device(folder.path(), "one", &counted).await;
    edits(&mut one, "traces/a.json", &["a1", "a2", "a3", "a4", "a5"]).await;
    bucket.pass(8 * DAY);
    let marked = prune(&mut one).await.marked;
    assert!(marked.objects > 2, "{marked:?}");
    bucket.pass(8 * DAY);
    counted.keeps.store(true, Ordering::Relaxed);
    let all = bucket.packs();
    assert_eq!((prune(&mut one).await.freed.objects, bucket.packs()), (0, all), "nothing has gone");
    counted.keeps.store(false, Ordering::Relaxed);
    assert_eq!(prune(&mut one).await.freed, marked, "the next prune tries again");
    assert!(counted.deleting[1].load(Ordering::Relaxed) > 1, "several at once");
    assert_sound(&mut one).await;
}
