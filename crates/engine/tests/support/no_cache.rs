//! A cache that keeps nothing.

use cogzy_engine::log::ObjectCache;

/// A cache that keeps nothing.
#[derive(Debug)]
pub struct NoCache;

impl ObjectCache for NoCache {
    fn get(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
    fn put(&self, _: &str, _: &[u8]) {}
    fn keys(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn remove(&self, _: &str) {}
    fn now_ms(&self) -> u64 {
        0
    }
}
