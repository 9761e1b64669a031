//! The bucket, and each process's way to it.
//!
//! The bucket keeps the contract of [`cogzy_engine::remote`] and nothing more: listings may be
//! stale, a PUT may be applied long after it failed, bytes may be damaged on their way.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cogzy_engine::clock::Clock;
use cogzy_engine::model::CommitKey;
use cogzy_engine::remote::{
    Capabilities, Object, Page, Remote, RemoteError, RemoteErrorKind, Span, too_large,
};
use cogzy_testkit::rng::Rng;
use tokio::time::Instant;

use crate::clock::SimClock;
use crate::fuse::Fuse;
use crate::key::Key;
use crate::trace::Trace;

/// The bucket itself.
#[derive(Debug, Clone)]
pub struct Store(Arc<Mutex<Bucket>>);

#[derive(Debug, Clone, Default)]
pub struct Bucket {
    pub objects: BTreeMap<String, (Bytes, u64)>,
    /// Time at which each object was taken last, in milliseconds by the bucket's clock, as a
    /// listing says.
    times: BTreeMap<String, i64>,
    /// Time at which it was taken first, which no PUT that comes late changes.
    first: BTreeMap<String, i64>,
    clock: Option<Arc<SimClock>>,
    /// PUTs that failed and are yet to be applied, and at which number of requests.
    late: Vec<(u64, String, Bytes)>,
    pub requests: u64,
    pub puts: u64,
    /// Objects that a listing names at a time.
    pub page: usize,
    /// Objects that a rollback has taken away.
    lost: BTreeMap<String, (Bytes, u64)>,
    /// Keys that were put with other bytes than before.
    pub overwritten: Vec<String>,
}

impl Store {
    pub fn new() -> Self {
        // Pages are small, so that there are several.
        let bucket = Bucket { clock: Some(Arc::new(SimClock::new())), page: 50, ..Bucket::default() };
        Self(Arc::new(Mutex::new(bucket)))
    }

    /// The bucket as it was at `then`, for a world of its own.
    pub fn copy(&self, then: Instant) -> Self {
        let mut bucket = self.lock().clone();
        bucket.clock = bucket.clock.map(|clock| Arc::new(clock.copy(then)));
        Self(Arc::new(Mutex::new(bucket)))
    }

    pub fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap()
    }

    /// Applies all PUTs that are still on their way.
    pub fn settle(&self) {
        let mut bucket = self.lock();
        for (_, key, body) in std::mem::take(&mut bucket.late) {
            bucket.take(&key, body);
        }
    }
}

impl Bucket {
    /// The bucket goes back by so many requests, except for the objects that make it a vault.
    pub fn roll_back(&mut self, requests: u64) {
        let first = self.objects.iter().find(|(key, _)| key.starts_with("commits/")).map(|(_, (_, at))| *at);
        let Some(first) = first else { return };
        let until = self.requests.saturating_sub(requests).max(first);
        self.lost.extend(self.objects.extract_if(.., |_, (_, at)| *at > until));
        // PUTs on their way to the old state do not arrive in another.
        self.late.clear();
    }

    /// Brings back the objects that a rollback has taken away.
    pub fn roll_forward(&mut self) {
        for (key, (body, _)) in std::mem::take(&mut self.lost) {
            self.take(&key, body);
        }
    }

    pub fn is_rolled_back(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Somebody who is no device puts an object.
    pub fn put(&mut self, key: &str, body: Bytes) {
        self.take(key, body);
    }

    fn take(&mut self, key: &str, body: Bytes) {
        self.puts += 1;
        let now = self.now_ms();
        self.times.insert(key.into(), now);
        self.first.entry(key.into()).or_insert(now);
        match self.objects.get_mut(key) {
            // As a real bucket: the newest bytes are what is there from now on.
            Some((old, _)) if *old != body => {
                *old = body;
                self.overwritten.push(key.into());
            }
            Some(_) => {}
            None => drop(self.objects.insert(key.into(), (body, self.requests))),
        }
    }

    /// Describes the objects in the bucket. Packs by their sizes only: commits tell their contents.
    pub fn describe(&self, key: &mut Key) {
        let mut sizes = Vec::new();
        for (name, (body, _)) in &self.objects {
            if name.starts_with("packs/") {
                sizes.push(body.len());
            } else {
                key.say(name);
                key.object(body);
            }
        }
        sizes.sort_unstable();
        let (late, lost, overwritten) = (self.late.len(), self.lost.len(), self.overwritten.len());
        key.plain(format_args!("{sizes:?} {late} {lost} {overwritten}"));
    }

    /// Time at which a commit was put first, by the bucket's clock.
    pub fn put_at(&self, commit: CommitKey) -> Option<i64> {
        self.time_of(&format!("commits/{commit}"))
    }

    /// Time at which an object was put first, by the bucket's clock; also of one that is gone.
    pub fn time_of(&self, key: &str) -> Option<i64> {
        self.first.get(key).copied()
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.as_ref().map_or(0, |clock| clock.now_ns() / 1_000_000)
    }

    fn object(&self, key: &str, body: &Bytes) -> Object {
        let modified_ms = self.times.get(key).copied().unwrap_or_default();
        Object { key: key.into(), size: u64::try_from(body.len()).unwrap(), modified_ms }
    }

    fn request(&mut self) {
        self.requests += 1;
        let now = self.requests;
        let due = self.late.extract_if(.., |(at, ..)| *at <= now).collect::<Vec<_>>();
        for (_, key, body) in due {
            self.take(&key, body);
        }
    }
}

/// Faults on the way to the bucket, in percent of the requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoteFaults {
    pub before: usize,
    pub lost_response: usize,
    pub late: usize,
    pub stale: usize,
    pub damaged: usize,
    pub refused: usize,
    /// Commits, and only they, are applied when the store settles, and not before.
    pub late_commits: bool,
    /// After so many requests the device falls asleep for so long, and the request goes out when it
    /// wakes up.
    pub nap: Option<(usize, Duration)>,
    /// True if nothing gets through at all.
    pub offline: bool,
    /// The longest delay in milliseconds.
    pub delay_ms: usize,
}

/// The bucket as one process sees it.
#[derive(Clone)]
pub struct SimRemote {
    pub name: String,
    pub store: Store,
    pub fuse: Fuse,
    pub trace: Trace,
    pub rng: Arc<Mutex<Rng>>,
    pub faults: Arc<Mutex<RemoteFaults>>,
}

impl fmt::Debug for SimRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimRemote({})", self.name)
    }
}

impl SimRemote {
    fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap()
    }

    fn faults(&self) -> RemoteFaults {
        *self.faults.lock().unwrap()
    }

    fn error(&self, kind: RemoteErrorKind, operation: &'static str, key: &str) -> RemoteError {
        self.trace.note(format_args!("{}   {operation} {key}: {kind}", self.name));
        RemoteError::new(kind, operation, key)
    }

    fn nap(&self) -> Option<Duration> {
        let mut faults = self.faults.lock().unwrap();
        let (left, nap) = faults.nap?;
        faults.nap = left.checked_sub(1).map(|left| (left, nap));
        (left == 0).then_some(nap)
    }

    /// The way there. A process that has ended gets no answer.
    async fn arrive(&self, operation: &'static str, key: &str) -> Result<RemoteFaults, RemoteError> {
        let faults = self.faults();
        let delay = self.rng().below(faults.delay_ms + 1);
        tokio::time::sleep(Duration::from_millis(u64::try_from(delay).unwrap())).await;
        if let Some(nap) = self.nap() {
            self.trace.note(format_args!("{} sleeps before {operation} {key}", self.name));
            self.trace.mark(format!("nap before {operation} {}", family(key)));
            tokio::time::sleep(nap).await;
        }
        if self.fuse.is_dead() {
            std::future::pending::<()>().await;
        }
        self.store.lock().request();
        let refused = [
            RemoteErrorKind::Forbidden,
            RemoteErrorKind::Server,
            RemoteErrorKind::Throttled { retry_after: None },
        ];
        if faults.offline || self.rng().chance(faults.before) {
            self.trace.mark("remote: offline");
            return Err(self.error(RemoteErrorKind::Offline, operation, key));
        }
        if self.rng().chance(faults.refused) {
            let kind = *self.rng().pick(&refused);
            self.trace.mark("remote: refused (403, 429, 503)");
            return Err(self.error(kind, operation, key));
        }
        Ok(faults)
    }
}

#[async_trait]
impl Remote for SimRemote {
    fn url(&self) -> String {
        "sim:".into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { metered: true }
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        let faults = self.arrive("put", key).await?;
        if !self.fuse.effect() {
            self.trace.note(format_args!("{} ✝ before put {key}", self.name));
            self.trace.mark(format!("crash before: put {}", family(key)));
            std::future::pending::<()>().await;
        }
        self.trace.mark(format!("effect: put {}", family(key)));
        let held_back = faults.late_commits && key.starts_with("commits/");
        if held_back || self.rng().chance(faults.late) {
            let after = u64::try_from(5 + self.rng().below(150)).unwrap();
            let mut bucket = self.store.lock();
            let at = if held_back { u64::MAX } else { bucket.requests + after };
            bucket.late.push((at, key.into(), body));
            self.trace.mark("remote: late PUT");
            return Err(self.error(RemoteErrorKind::UnknownOutcome, "put (late)", key));
        }
        self.store.lock().take(key, body);
        self.trace.note(format_args!("{}   put {key}", self.name));
        if !self.fuse.effect() {
            self.trace.note(format_args!("{} ✝ after put {key}", self.name));
            self.trace.mark(format!("crash after: put {}", family(key)));
            std::future::pending::<()>().await;
        }
        if self.rng().chance(faults.lost_response) {
            self.trace.mark("remote: lost response");
            return Err(self.error(RemoteErrorKind::UnknownOutcome, "put (applied)", key));
        }
        Ok(())
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        let faults = self.arrive("get", key).await?;
        let found = self.store.lock().objects.get(key).map(|(body, _)| body.clone());
        let Some(body) = found else { return Err(self.error(RemoteErrorKind::NotFound, "get", key)) };
        let size = u64::try_from(body.len()).unwrap();
        let (range, empty) = match span {
            Span::UpTo(limit) if size > limit => return Err(too_large(key, limit, Some(size))),
            Span::UpTo(_) => (0..size, false),
            Span::Part(range) => (range.clone(), range.is_empty()),
        };
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
        if end > body.len() || empty {
            return Err(self.error(RemoteErrorKind::Malformed, "get", key));
        }
        let body = body.slice(start..end);
        if !body.is_empty() && self.rng().chance(faults.damaged) {
            if self.rng().chance(50) {
                self.trace.mark("remote: truncated body");
                return Err(self.error(RemoteErrorKind::Malformed, "get", key));
            }
            self.trace.mark("remote: flipped bit");
            self.trace.note(format_args!("{}   get {key}: a bit is flipped", self.name));
            let (mut bytes, at) = (body.to_vec(), self.rng().below(body.len()));
            bytes[at] ^= 1 << self.rng().below(8);
            return Ok(Bytes::from(bytes));
        }
        Ok(body)
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.arrive("head", key).await?;
        let bucket = self.store.lock();
        Ok(bucket.objects.get(key).map(|(body, _)| bucket.object(key, body)))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        let faults = self.arrive("list", prefix).await?;
        let stale = self.rng().chance(faults.stale);
        let oldest = u64::try_from(self.rng().below(12)).unwrap();
        let bucket = self.store.lock();
        let newest = bucket.requests.saturating_sub(oldest);
        if stale {
            self.trace.mark("remote: stale listing");
        }
        let begin = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut rest = bucket
            .objects
            .range::<str, _>((begin, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(_, (_, at))| !stale || *at < newest)
            .map(|(key, (body, _))| bucket.object(key, body));
        let objects: Vec<Object> = rest.by_ref().take(bucket.page).collect();
        Ok(Page { objects, more: rest.next().is_some() })
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.arrive("delete", key).await?;
        if !self.fuse.effect() {
            self.trace.note(format_args!("{} ✝ before delete {key}", self.name));
            std::future::pending::<()>().await;
        }
        self.trace.mark(format!("effect: delete {}", family(key)));
        self.store.lock().objects.remove(key);
        self.trace.note(format_args!("{}   delete {key}", self.name));
        if !self.fuse.effect() {
            self.trace.note(format_args!("{} ✝ after delete {key}", self.name));
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.arrive("time", "").await?;
        Ok(self.store.lock().now_ms())
    }
}

/// The folder of a key, or the start of its name.
fn family(key: &str) -> &str {
    key.split(['/', '-']).next().unwrap_or(key)
}
