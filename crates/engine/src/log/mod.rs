//! The commit log: the generations of a vault, and the protocol that adds one.
//!
//! One protocol serves every store, without conditional PUTs. No two writers share a key, and a
//! commit is visible before anything builds on it. If two commits are made at once, every device
//! that sees both merges them into the same bytes. docs/FORMAT.md describes the objects,
//! docs/ARCHITECTURE.md the argument.
//!
//! Invariants:
//! - Nothing is ever overwritten.
//! - Packs exist before the commit that names them.
//! - The rank of a commit is its `(generation, id)`; clocks play no part.
//! - An outranked commit is merged, never dropped.
//! - An object that is no whole commit of the history stops no device: it is set aside (`aside`).
//!
//! This module never touches the vault's files: its callers apply what the log says. A crash leaves
//! only whole objects. [`Log::publish`] may be repeated with the same bytes any number of times.

mod ahead;
mod aside;
mod bare;
mod branches;
mod check;
mod checkpoint;
mod chunks;
mod claimed;
mod claims;
mod compact;
mod crossed;
mod devices;
mod earlier;
mod enclosed;
mod encode;
mod error;
mod format;
mod frame;
mod graph;
mod header;
mod history;
mod keep;
mod leaving;
mod line;
mod lost;
mod merge;
mod needs;
mod old;
mod open;
mod parts;
mod places;
mod put_back;
mod read;
mod replay;
mod retain;
mod rules;
mod sift;
mod snapshot;
mod start;
mod steady;
mod sum;
mod survey;
mod take_in;
mod walk;
mod waypoints;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use ahead::Ahead;
pub use aside::Aside;
use aside::Notes;
pub use branches::{BranchVersion, Name};
pub use check::ObjectFault;
pub use chunks::{ChunkReader, Offsets, PACKS, pack_key, parse_pack_key};
pub use claimed::{ClaimedRecipes, note_wrong_recipe};
pub use claims::{Wishes, note_claim};
pub use devices::{DeviceSeen, devices};
pub use enclosed::{Enclosing, Holders, packs_of};
pub use error::{LogError, unless_lost};
pub use format::parse_commit_key;
pub use graph::{Graph, Node};
pub use header::create_vault;
pub use history::{Past, looks_back};
use leaving::Leaving;
pub use leaving::Named;
pub use lost::HEADS_BEFORE_LIST;
pub use merge::{Side, merge, virtual_base};
pub use needs::{Leaves, Listing};
pub use old::OldData;
pub use places::{Contents, Places};
use read::Listed;
pub use replay::PathVersions;
pub use retain::{Bucket, Fate, InBucket, Window, fate, horizon};
pub use snapshot::Snapshot;
use start::Start;
pub use survey::Retained;
pub use walk::Walk;
use waypoints::Waypoints;
pub use write::Prepared;

use crate::model::{Commit, CommitKey, PackId, PackInfo, SharedMap, VaultHeader, VaultId};
use crate::remote::{Object, Remote};

/// Number of generations behind the head that every poll lists. A PUT that a sleeping laptop had
/// started shows up late, below the head.
pub const LOOK_BACK: u64 = 64;

/// Verified copies of immutable objects on this device, by key. Losing them only costs requests, so
/// the methods report no errors.
pub trait ObjectCache: Send + Sync + std::fmt::Debug {
    /// Returns the bytes stored under `key`.
    fn get(&self, key: &str) -> Option<Vec<u8>>;
    /// Stores bytes under `key`.
    fn put(&self, key: &str, bytes: &[u8]);
    /// Keys that start with `prefix`, in byte order.
    fn keys(&self, prefix: &str) -> Vec<String>;
    /// Removes `key`.
    fn remove(&self, key: &str);
    /// This device's time, to date notes, in milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
}

/// Scope of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Commits from some generations behind the newest known one: one request.
    Near,
    /// All of `commits/`: once a day, and before a checkpoint or a prune.
    Whole,
}

/// Log of one vault, as far as this process has read it.
#[derive(Debug)]
pub struct Log {
    remote: Arc<dyn Remote>,
    cache: Arc<dyn ObjectCache>,
    headers: BTreeMap<VaultId, VaultHeader>,
    graph: Graph,
    /// Commits in the newest listing.
    visible: Listed,
    /// All of `commits/` as the opening has listed it, until a refresh takes it.
    listed: Option<Vec<Object>>,
    /// Server time of the newest commit in any listing, in milliseconds since the Unix epoch.
    newest_ms: Option<i64>,
    /// Most recently used snapshots, the newest last.
    recent: Vec<Arc<Snapshot>>,
    /// Older ones, from which replays can start.
    waypoints: Waypoints,
    /// Packs known to exist.
    seen_packs: BTreeSet<PackId>,
    /// Packs of a state that was trusted: all of them are known to exist, or to be lost.
    trusted: SharedMap<PackId, Arc<PackInfo>>,
    /// Packs that were named long ago and are not in the bucket.
    lost_packs: BTreeSet<PackId>,
    /// State that replays can start from.
    start: Option<Start>,
    /// Changes that had been applied to it when it was kept ([`Snapshot::applied`]).
    applied: usize,
    /// Generation of the newest checkpoint that was listed.
    checkpointed: u64,
    /// Commit that this device has agreed on: everything it builds on belongs to the history.
    agreed: Option<CommitKey>,
    /// Commit that this process put last, or its merge of some of many heads.
    own: Option<CommitKey>,
    /// That commit, until a state was made with it.
    fresh: Option<(CommitKey, Arc<Commit>)>,
    /// Turns that this run has waited for others to merge.
    waited: usize,
    /// Objects below `commits/` that the log does without.
    asides: Notes,
    /// Commits that packs may stand in.
    holders: Arc<Holders>,
    /// Next of the missing packs to look for.
    turn: usize,
    /// Packs on their way out.
    leaving: Leaving,
}

impl Log {
    /// Adds a commit of the history.
    fn know(&mut self, key: CommitKey, node: Node) {
        self.holders.note([key]);
        self.graph.insert(key, node);
    }

    /// Commits known so far.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Time of the newest listed commit, by the server's clock, in milliseconds since the Unix
    /// epoch. The server's time is at least that.
    #[must_use]
    pub const fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// Remote that the log is read from.
    #[must_use]
    pub fn remote(&self) -> &Arc<dyn Remote> {
        &self.remote
    }
}
