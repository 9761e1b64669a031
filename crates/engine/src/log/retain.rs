//! Retention rules: the generations to keep, and the fate of each pack. Pure.
//!
//! This module deletes nothing. A doubtful pack (without a listed time, possibly part of a
//! checkpoint, or too young) stays.

use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, Snapshot};
use crate::model::{CommitKey, PackId};
use crate::planted::{Bug, planted};

/// Generations to keep: the union of both rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Number of newest generations to keep. A push counts once, and a prune does not count.
    pub generations: u64,
    /// Keeps every state in force at this time or later, in milliseconds since the Unix epoch by
    /// the server's clock.
    pub since_ms: i64,
}

/// Oldest generation whose contents `window` keeps; 0 if all are kept. `times` are the times at
/// which commits were put, by the server's clock; a commit without one counts as young. `uncounted`
/// are commits that are no generation of their own: parts of a push, and prunes, which changed no
/// file. If these counted, each prune would make the next one find more to remove.
///
/// Every kept commit descends from the one commit of that generation, so no kept state is a
/// difference to one that is not kept.
#[must_use]
pub fn horizon(
    graph: &Graph,
    head: CommitKey,
    times: &BTreeMap<CommitKey, i64>,
    uncounted: &BTreeSet<CommitKey>,
    window: Window,
) -> u64 {
    let line = || std::iter::successors(Some(head), |key| graph.get(*key)?.parents.first().copied());
    let counted = line().filter(|key| !uncounted.contains(key)).zip(1_u64..);
    // The oldest of the newest `generations` commits. If there are fewer, keep all.
    let mut newest = counted.take_while(|(_, number)| *number <= window.generations);
    let wanted_newest = match window.generations {
        0 => head.seq,
        wanted => newest.find(|(_, number)| *number == wanted).map_or(0, |(key, _)| key.seq),
    };
    let old = |key: &CommitKey| times.get(key).is_some_and(|time| *time < window.since_ms);
    let past = graph.ancestry(head);
    let first_young = past.iter().find(|key| !old(key)).map_or(head.seq, |key| key.seq);
    // The state in force at the start of the window is older than the window.
    let standing = line().find(old).map_or(0, |key| key.seq);
    let wanted = wanted_newest.min(first_young).min(standing);
    let mut open = BTreeSet::from([head]);
    while let Some(key) = open.pop_last() {
        if open.is_empty() && key.seq <= wanted {
            return key.seq;
        }
        open.extend(graph.get(key).into_iter().flat_map(|node| node.parents.iter().copied()));
    }
    0
}

/// Pack as described by a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InBucket {
    /// Length in bytes.
    pub size: u64,
    /// Time of the PUT by the server's clock, in milliseconds since the Unix epoch.
    pub modified_ms: i64,
    /// True if it is an object of its own, which can be deleted.
    pub is_object: bool,
}

/// Contents of the bucket, with the packs that are needed.
#[derive(Debug, Clone)]
pub struct Bucket<'a> {
    /// Newest state.
    pub state: &'a Snapshot,
    /// All packs in a listing.
    pub listed: &'a BTreeMap<PackId, InBucket>,
    /// Packs that a kept content needs.
    pub live: &'a BTreeSet<PackId>,
    /// Packs that a checkpoint needs. `None` if a checkpoint could not be read.
    pub checkpoints: Option<&'a BTreeSet<PackId>>,
    /// Times at which commits were put.
    pub times: &'a BTreeMap<CommitKey, i64>,
    /// The server's time.
    pub now_ms: i64,
    /// Time that packs stay after they are no longer needed, in milliseconds.
    pub grace_ms: i64,
}

/// Decisions about packs, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fate {
    /// Packs to mark: not needed, and older than the grace period.
    pub mark: Vec<PackId>,
    /// Packs to unmark: needed after all.
    pub unmark: Vec<PackId>,
    /// Packs to sweep: marked for longer than the grace period.
    pub sweep: Vec<PackId>,
    /// Marked packs to sweep later.
    pub waiting: Vec<PackId>,
    /// Packs that an earlier commit swept but that still exist: their objects may be deleted.
    pub delete: Vec<PackId>,
}

/// Decides the fate of each pack.
#[must_use]
pub fn fate(bucket: &Bucket<'_>) -> Fate {
    let Bucket { state, listed, live, checkpoints, times, now_ms, grace_ms } = bucket;
    let past_grace = |time: i64| time.saturating_add(*grace_ms) <= *now_ms;
    let mut fate = Fate::default();
    let known: BTreeSet<&PackId> =
        listed.keys().chain(state.packs.keys()).chain(state.marked.keys()).collect();
    for pack in known {
        if state.swept.contains(pack) {
            fate.delete.push(*pack);
            continue;
        }
        // A pack that no commit names may belong to a checkpoint.
        let of_commits = state.packs.contains_key(pack);
        let unneeded =
            !live.contains(pack) && checkpoints.map_or(of_commits, |checkpoints| !checkpoints.contains(pack));
        match (state.marked.get(pack), unneeded) {
            (Some(_), false) => fate.unmark.push(*pack),
            (Some(by), true) => {
                let due = times.get(by).is_some_and(|time| past_grace(*time)) || planted(Bug::SweepAtOnce);
                if due { fate.sweep.push(*pack) } else { fate.waiting.push(*pack) }
            }
            (None, true) => {
                let old = |pack: &InBucket| past_grace(pack.modified_ms) || planted(Bug::MarkYoungPacks);
                if listed.get(pack).is_some_and(old) {
                    fate.mark.push(*pack);
                }
            }
            (None, _) => {}
        }
    }
    fate
}

#[cfg(test)]
mod tests;
