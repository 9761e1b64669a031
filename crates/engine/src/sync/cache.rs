//! Hands the log its copies of immutable objects out of the cache database.

use std::sync::Arc;

use crate::log::ObjectCache;
use crate::state::{Database, DatabaseError};

/// The cache database, as the log sees it. What it cannot read or keep, the log asks the remote for.
#[derive(Debug, Clone)]
pub struct DatabaseCache(pub Arc<Database>);

impl ObjectCache for DatabaseCache {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        noted(self.0.object(key)).flatten()
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        noted(self.0.put_object(key, bytes));
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        noted(self.0.object_keys(prefix)).unwrap_or_default()
    }

    fn remove(&self, key: &str) {
        noted(self.0.remove_object(key));
    }
}

fn noted<T>(result: Result<T, DatabaseError>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(%error, "the cache database fails; going on without it")).ok()
}
