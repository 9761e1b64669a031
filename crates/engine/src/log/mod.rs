//! The commit log: which generations exist, what each one is, and how one is added.
//!
//! One protocol for every store, without conditional PUTs: no two writers share a key, a commit is visible before anything is
//! built on it, and two commits that were made at once are merged by whoever sees them, into the same bytes. docs/FORMAT.md
//! has the objects, docs/ARCHITECTURE.md the argument.
//!
//! Invariants: nothing is ever overwritten; packs are there before the commit that names them; a commit's rank is its
//! `(generation, id)` and never a clock's; what was outranked is merged, never dropped.
//!
//! Nothing here touches the vault's files: whoever calls applies what the log says. A crash leaves nothing but objects that
//! are already whole; [`Log::publish`] may be repeated with the same bytes for ever.

mod check;
mod checkpoint;
mod chunks;
mod devices;
mod error;
mod format;
mod graph;
mod header;
mod history;
mod merge;
mod needs;
mod old;
mod open;
mod read;
mod replay;
mod retain;
mod snapshot;
mod survey;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use check::ObjectFault;
pub use chunks::{ChunkReader, pack_key, parse_pack_key};
pub use devices::DeviceSeen;
pub use error::LogError;
pub use format::parse_commit_key;
pub use graph::{Graph, Node};
pub use header::create_vault;
pub use history::Past;
pub use merge::{Side, merge, virtual_base};
pub use needs::{Contents, Leaves, Listed, Places};
pub use old::OldData;
pub use replay::Versions;
pub use retain::{Bucket, Fate, InBucket, Window, fate, horizon};
pub use snapshot::Snapshot;
pub use survey::Retained;
pub use write::Prepared;

use crate::model::{CommitKey, PackId, VaultHeader, VaultId};
use crate::remote::Remote;

/// How many generations behind the head every poll looks: a PUT that was under way when a laptop went to sleep shows up late,
/// below the head.
pub const LOOK_BACK: u64 = 64;

/// Verified copies of immutable objects on this device, by key. Losing them costs requests and nothing else, so failures stay
/// inside.
pub trait ObjectCache: Send + Sync + std::fmt::Debug {
    /// The bytes kept under `key`.
    fn get(&self, key: &str) -> Option<Vec<u8>>;
    /// Keeps bytes under `key`.
    fn put(&self, key: &str, bytes: &[u8]);
    /// The keys that start with `prefix`, in byte order.
    fn keys(&self, prefix: &str) -> Vec<String>;
    /// Forgets `key`.
    fn remove(&self, key: &str);
}

/// How far a refresh looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// From some way behind the newest known commit: one request.
    Near,
    /// All of `commits/`: at the start, daily, and before a checkpoint.
    Whole,
}

/// The log of one vault, as far as this process has read it.
#[derive(Debug)]
pub struct Log {
    remote: Arc<dyn Remote>,
    cache: Arc<dyn ObjectCache>,
    headers: BTreeMap<VaultId, VaultHeader>,
    graph: Graph,
    /// What the newest listing showed.
    visible: BTreeSet<CommitKey>,
    /// The server's time of the newest commit that a listing showed, in milliseconds since the Unix epoch.
    newest_ms: Option<i64>,
    /// The few snapshots that were asked for last, the newest at the end.
    recent: Vec<Arc<Snapshot>>,
    /// Packs that are known to exist.
    seen_packs: BTreeSet<PackId>,
    /// The commit whose snapshot came from a checkpoint: where a replay can begin.
    checkpoint: Option<CommitKey>,
}

impl Log {
    /// The commits known so far.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// When the newest commit that a listing showed was put, by the server's clock, in milliseconds since the Unix epoch: the
    /// server's time is that or later.
    #[must_use]
    pub const fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// The remote that the log is read from.
    #[must_use]
    pub fn remote(&self) -> &Arc<dyn Remote> {
        &self.remote
    }
}
