//! A remote in memory: the contract in its simplest form, and the store of tests and simulations.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Capabilities, Object, PAGE, Page, Remote, RemoteError, RemoteErrorKind, Span};
use crate::clock::Clock;

/// Bucket in memory. Clones share it, and it lives as long as the last of them.
#[derive(Clone, Default)]
pub struct MemoryRemote {
    objects: Arc<Mutex<StoredObjects>>,
    clock: Option<Arc<dyn Clock>>,
}

#[derive(Default)]
struct StoredObjects {
    by_key: BTreeMap<String, (Bytes, i64)>,
    puts: i64,
}

impl MemoryRemote {
    /// Creates an empty bucket whose objects carry the time of `clock`. In a bucket of
    /// [`MemoryRemote::default`], they carry the number of PUTs before them.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { objects: Arc::default(), clock: Some(clock) }
    }

    /// Removes an object, as a prune or an accident does. Returns its bytes, if it existed.
    pub fn remove(&self, key: &str) -> Option<Bytes> {
        self.lock().by_key.remove(key).map(|(bytes, _)| bytes)
    }

    /// Replaces an object's bytes, as damage does. True if the object existed.
    pub fn damage(&self, key: &str, bytes: Bytes) -> bool {
        match self.lock().by_key.get_mut(key) {
            Some(object) => {
                object.0 = bytes;
                true
            }
            None => false,
        }
    }

    /// All objects in the bucket.
    #[must_use]
    pub fn dump(&self) -> BTreeMap<String, Bytes> {
        self.lock().by_key.iter().map(|(key, (bytes, _))| (key.clone(), bytes.clone())).collect()
    }

    fn now_ms(&self, puts: i64) -> i64 {
        self.clock.as_ref().map_or(puts, |clock| clock.now_ns().div_euclid(1_000_000))
    }

    fn lock(&self) -> MutexGuard<'_, StoredObjects> {
        // No step leaves the map half changed, so a poisoned lock still guards a whole map.
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

    /// Refuses to overwrite an object with other bytes, which would break the contract.
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

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        match self.lock().by_key.get(key) {
            Some((bytes, _)) => span.of(key, bytes),
            None => Err(RemoteError::new(RemoteErrorKind::NotFound, "get", key)),
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
