//! Contents of packs that are on their way out.
//!
//! The newest state does not name a swept pack any more, and what it holds is asked for until it is
//! deleted: something may need it after all. A pack is marked for a grace period before it is swept,
//! so a process that goes on looking knows it from then. Of others the commits of the whole history
//! tell: one of them names it, or none does, and it is a checkpoint's, or an upload's that was not
//! finished. They are read once.
//!
//! Whoever can write to the bucket can mark anything at any time. So a pack that a state marks and
//! does not name is not taken for one that no commit names. And while a commit cannot be read, what
//! no other one names may be a pack of its, and stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt;

use super::enclosed::packs_of;
use super::error::unless_lost;
use super::retain::InBucket;
use super::{Graph, Log, LogError, Snapshot};
use crate::model::{CommitKey, PackId, PackInfo};

/// Packs that are remembered from when they were marked, at most. A prune forgets those that are
/// gone.
const MOST: usize = 4096;

/// Packs that leave, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Packs, each with a commit in whose past it is named.
    named: BTreeMap<PackId, (CommitKey, Arc<PackInfo>)>,
    /// Packs that no commit of a past names, each with the commit whose past was read.
    unnamed: BTreeMap<PackId, CommitKey>,
    /// Packs in commits that a prune has weighed since their sweep.
    weighed: BTreeSet<PackId>,
}

/// Packs that commits name.
#[derive(Debug, Default)]
pub struct Named {
    /// The packs.
    pub packs: Vec<Arc<PackInfo>>,
    /// Others, which a commit may name that cannot be read.
    pub unread: BTreeSet<PackId>,
}

/// The commits among `some` that `head` builds on.
fn past_of(graph: &Graph, head: CommitKey, some: impl Iterator<Item = CommitKey>) -> BTreeSet<CommitKey> {
    let distinct: BTreeSet<CommitKey> = some.collect();
    distinct.into_iter().filter(|key| graph.descends(head, *key)).collect()
}

impl Log {
    /// Remembers what the packs hold that a state marks.
    pub(super) fn remember_leaving(&mut self, state: &Snapshot) {
        let Some(key) = state.key else { return };
        for pack in state.marked.keys().filter(|pack| !state.swept.contains(*pack)) {
            if let Some(info) = state.packs.get(pack).filter(|_| self.leaving.named.len() < MOST) {
                self.leaving.named.entry(*pack).or_insert_with(|| (key, Arc::clone(info)));
            }
        }
    }

    /// Forgets packs that are not `there` any more.
    pub fn forget_gone(&mut self, there: &BTreeMap<PackId, InBucket>) {
        self.leaving.named.retain(|pack, _| there.contains_key(pack));
        self.leaving.unnamed.retain(|pack, _| there.contains_key(pack));
    }

    /// Objects in the bucket (`there`) whose packs are swept from the state of `head`.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn swept_and_there(
        &mut self,
        head: &Snapshot,
        there: &BTreeMap<PackId, InBucket>,
    ) -> Result<Named, LogError> {
        let Some(key) = head.key else { return Ok(Named::default()) };
        let Leaving { named, unnamed, .. } = &self.leaving;
        let swept: Vec<PackId> = there.keys().copied().filter(|pack| head.has_swept(pack)).collect();
        let places = swept.iter().flat_map(|pack| {
            named.get(pack).map(|(at, _)| *at).into_iter().chain(unnamed.get(pack).copied())
        });
        let past = past_of(&self.graph, key, places);
        let (mut packs, mut unknown, mut read) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for pack in swept {
            if let Some((_, known)) = named.get(&pack).filter(|(at, _)| past.contains(at)) {
                packs.push(Arc::clone(known));
            } else {
                unknown.insert(pack);
                read.insert(unnamed.get(&pack).copied().filter(|at| past.contains(at)));
            }
        }
        let mut commits = BTreeSet::new();
        for read in read {
            commits.extend(match read {
                Some(read) => self.graph.only_in(key, read),
                None => self.graph.ancestry(key),
            });
        }
        let found = self.named(commits, &unknown).await?;
        for pack in &found.packs {
            unknown.remove(&pack.id);
            self.leaving.named.insert(pack.id, (key, Arc::clone(pack)));
        }
        if found.unread.is_empty() {
            self.leaving.unnamed.extend(unknown.into_iter().map(|pack| (pack, key)));
        }
        packs.extend(found.packs);
        packs.sort_by_key(|pack| pack.id);
        Ok(Named { packs, unread: found.unread })
    }

    /// Packs that are swept from the state of `head` and stand in commits, which stay. They are
    /// many after some years: only those that no prune has weighed since, unless `all` are asked
    /// for.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn swept_in_commits(
        &mut self,
        head: &Snapshot,
        all: bool,
    ) -> Result<Vec<Arc<PackInfo>>, LogError> {
        let Some(key) = head.key else { return Ok(Vec::new()) };
        self.leaving.weighed.retain(|pack| head.has_swept(pack));
        let mut holders = self.graph.ancestry(key);
        holders.retain(|key| {
            let pack = PackId::within(key.id);
            head.has_swept(&pack) && (all || !self.leaving.weighed.contains(&pack))
        });
        let wanted = holders.iter().map(|key| PackId::within(key.id)).collect();
        Ok(self.named(holders, &wanted).await?.packs)
    }

    /// Remembers swept packs of which nothing is needed: no commit may rely on them since.
    pub fn note_weighed(&mut self, packs: &[Arc<PackInfo>]) {
        self.leaving.weighed.extend(packs.iter().map(|pack| pack.id));
    }

    /// Has the next look ask for all packs in commits again.
    pub fn forget_weighed(&mut self) {
        self.leaving.weighed.clear();
    }

    /// The `wanted` packs that these commits name.
    async fn named(
        &self,
        commits: BTreeSet<CommitKey>,
        wanted: &BTreeSet<PackId>,
    ) -> Result<Named, LogError> {
        let (mut packs, mut all_read) = (BTreeMap::new(), true);
        let commits = if wanted.is_empty() { BTreeSet::new() } else { commits };
        let mut reads = std::pin::pin!(self.reads(commits));
        while let Some(read) = reads.next().await {
            let Some((key, commit)) = unless_lost(read)? else {
                // A pack that it alone knows cannot be put back, and the others can.
                all_read = false;
                continue;
            };
            let named = packs_of(key, &commit).filter(|pack| wanted.contains(&pack.id));
            // The first one counts, as in a state.
            for pack in named {
                packs.entry(pack.id).or_insert_with(|| Arc::new(pack));
            }
        }
        let others = wanted.iter().copied().filter(|pack| !all_read && !packs.contains_key(pack));
        Ok(Named { unread: others.collect(), packs: packs.into_values().collect() })
    }
}
