//! A remote in memory: what the contract means, in the fewest words, and the store of tests and simulations.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Capabilities, Object, PAGE, Page, Remote, RemoteError, RemoteErrorKind};
use crate::clock::Clock;

/// A bucket that lives as long as its last clone; clones share it.
#[derive(Clone, Default)]
pub struct MemoryRemote {
    objects: Arc<Mutex<Objects>>,
    clock: Option<Arc<dyn Clock>>,
}

#[derive(Default)]
struct Objects {
    by_key: BTreeMap<String, (Bytes, i64)>,
    puts: i64,
}

impl MemoryRemote {
    /// An empty bucket whose objects bear the time of `clock`. Those of [`MemoryRemote::default`] bear the number of PUTs
    /// before them.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { objects: Arc::default(), clock: Some(clock) }
    }

    /// Takes an object away, as a prune or an accident does; none where it was not there.
    pub fn remove(&self, key: &str) -> Option<Bytes> {
        self.lock().by_key.remove(key).map(|(bytes, _)| bytes)
    }

    /// Puts other bytes in an object's place, as damage does. Whether there was one.
    pub fn damage(&self, key: &str, bytes: Bytes) -> bool {
        match self.lock().by_key.get_mut(key) {
            Some(object) => {
                object.0 = bytes;
                true
            }
            None => false,
        }
    }

    /// Everything in the bucket.
    #[must_use]
    pub fn dump(&self) -> BTreeMap<String, Bytes> {
        self.lock().by_key.iter().map(|(key, (bytes, _))| (key.clone(), bytes.clone())).collect()
    }

    fn now_ms(&self, puts: i64) -> i64 {
        self.clock.as_ref().map_or(puts, |clock| clock.now_ns().div_euclid(1_000_000))
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        // No step below leaves the map half changed, so what a panic elsewhere poisoned is still whole.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryRemote({} objects)", self.lock().by_key.len())
    }
}

fn object(key: &str, bytes: &Bytes, modified_ms: i64) -> Object {
    Object { key: key.to_owned(), size: bytes.len() as u64, modified_ms }
}

#[async_trait]
impl Remote for MemoryRemote {
    fn url(&self) -> String {
        "memory:".to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { metered: false }
    }

    /// Refuses to overwrite an object with other bytes: whoever does that has broken the contract.
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        let mut objects = self.lock();
        if objects.by_key.get(key).is_some_and(|(bytes, _)| *bytes != body) {
            return Err(
                RemoteError::new(RemoteErrorKind::Other, "put", key).because("the key holds other bytes")
            );
        }
        objects.puts += 1;
        let now = self.now_ms(objects.puts);
        objects.by_key.insert(key.to_owned(), (body, now));
        Ok(())
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, RemoteError> {
        let objects = self.lock();
        let Some((bytes, _)) = objects.by_key.get(key) else {
            return Err(RemoteError::new(RemoteErrorKind::NotFound, "get", key));
        };
        let Some(range) = range else { return Ok(bytes.clone()) };
        let end = usize::try_from(range.end).ok().filter(|end| *end <= bytes.len());
        match (usize::try_from(range.start), end) {
            (Ok(start), Some(end)) if start < end => Ok(bytes.slice(start..end)),
            _ => Err(super::no_such_range(key, &range, Some(bytes.len() as u64))),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        Ok(self.lock().by_key.get(key).map(|(bytes, modified_ms)| object(key, bytes, *modified_ms)))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        let objects = self.lock();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut rest = objects
            .by_key
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, (bytes, modified_ms))| object(key, bytes, *modified_ms));
        let page = rest.by_ref().take(PAGE).collect();
        Ok(Page { objects: page, more: rest.next().is_some() })
    }
    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.remove(key);
        Ok(())
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        Ok(self.now_ms(self.lock().puts))
    }
}
