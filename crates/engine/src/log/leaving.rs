//! What packs hold that are on their way out.
//!
//! The newest state does not name a swept pack any more, and what it holds is asked for until it is
//! deleted: something may need it after all. A pack is marked for a grace period before it is swept,
//! so a process that goes on looking knows it from then. What no commit had named by then (a
//! checkpoint's pack, or one of an upload that was not finished) only a commit since can name. Of a
//! pack that this process has not seen marked, the commits of the whole history tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt;

use super::enclosed::packs_of;
use super::retain::InBucket;
use super::{Log, LogError, Snapshot};
use crate::model::{CommitKey, PackId, PackInfo};

/// Packs that a state marked that was looked at.
pub(super) type Leaving = BTreeMap<PackId, Marked>;

/// What was known of a marked pack.
#[derive(Debug, Clone)]
pub(super) struct Marked {
    /// Newest state that marks it, of those that were looked at.
    state: CommitKey,
    /// The pack; none if no commit up to that one names it.
    pack: Option<Arc<PackInfo>>,
}

impl Log {
    /// Remembers what the packs hold that a state marks.
    pub(super) fn remember_leaving(&mut self, state: &Snapshot) {
        let Some(key) = state.key else { return };
        for pack in state.marked.keys() {
            if self.leaving.get(pack).is_none_or(|known| known.state < key) {
                self.leaving.insert(*pack, Marked { state: key, pack: state.packs.get(pack).cloned() });
            }
        }
    }

    /// Forgets packs that are not `there` any more.
    pub fn forget_gone(&mut self, there: &BTreeMap<PackId, InBucket>) {
        self.leaving.retain(|pack, _| there.contains_key(pack));
    }

    /// Objects in the bucket (`there`) whose packs are swept from the state of `head`.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn swept_and_there(
        &self,
        head: &Snapshot,
        there: &BTreeMap<PackId, InBucket>,
    ) -> Result<Vec<Arc<PackInfo>>, LogError> {
        let Some(key) = head.key else { return Ok(Vec::new()) };
        let (mut packs, mut unnamed) = (Vec::new(), BTreeSet::new());
        let mut commits = BTreeSet::new();
        let mut oldest = Some(key);
        for pack in there.keys().copied().filter(|pack| head.has_swept(pack)) {
            let marked = self.leaving.get(&pack).filter(|marked| self.graph.descends(key, marked.state));
            if let Some(known) = marked.and_then(|marked| marked.pack.as_ref()) {
                packs.push(Arc::clone(known));
            } else {
                unnamed.insert(pack);
                oldest = oldest.min(marked.map(|marked| marked.state));
            }
        }
        if !unnamed.is_empty() {
            commits = match oldest {
                Some(oldest) => self.graph.only_in(key, oldest),
                None => self.graph.ancestry(key),
            };
        }
        packs.extend(self.named(commits, &unnamed).await?);
        packs.sort_by_key(|pack| pack.id);
        Ok(packs)
    }

    /// Packs that are swept from the state of `head` and stand in commits, which stay. They are
    /// many after some years.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn swept_in_commits(&self, head: &Snapshot) -> Result<Vec<Arc<PackInfo>>, LogError> {
        let Some(key) = head.key else { return Ok(Vec::new()) };
        let mut holders = self.graph.ancestry(key);
        holders.retain(|key| head.has_swept(&PackId::within(key.id)));
        let wanted = holders.iter().map(|key| PackId::within(key.id)).collect();
        self.named(holders, &wanted).await
    }

    /// The `wanted` packs that these commits name. One that cannot be read names none.
    async fn named(
        &self,
        commits: BTreeSet<CommitKey>,
        wanted: &BTreeSet<PackId>,
    ) -> Result<Vec<Arc<PackInfo>>, LogError> {
        let mut packs = BTreeMap::new();
        let mut reads = std::pin::pin!(self.reads(commits));
        while let Some(read) = reads.next().await {
            let (key, commit) = match read {
                // A pack that it alone knows cannot be put back, and the others can.
                Err(error) if error.is_of_a_place() => continue,
                read => read?,
            };
            let named = packs_of(key, &commit).filter(|pack| wanted.contains(&pack.id));
            packs.extend(named.map(|pack| (pack.id, Arc::new(pack))));
        }
        Ok(packs.into_values().collect())
    }
}
