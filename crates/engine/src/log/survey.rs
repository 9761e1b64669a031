//! Surveys the whole bucket, for a prune.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::TryStreamExt;

use super::chunks::{PACKS, parse_pack_key};
use super::enclosed::packs_of;
use super::format::{COMMITS, parse_commit_key};
use super::history::pushed_as;
use super::places::Contents;
use super::retain::InBucket;
use super::{Log, LogError, Snapshot};
use crate::model::{CommitKey, CommitKind, PackId, PackInfo};
use crate::planted::{Bug, planted};
use crate::remote::{Object, list_all};

/// Contents to keep.
#[derive(Debug, Clone, Default)]
pub struct Retained {
    /// Contents that must all be readable. If one is not, something is damaged.
    pub sure: Contents,
    /// Contents of void commits. Some were lost with the packs they relied on; the rest is kept
    /// like the others.
    pub void: Contents,
}

impl Retained {
    const fn part(&mut self, void: bool) -> &mut Contents {
        if void { &mut self.void } else { &mut self.sure }
    }
}

impl Log {
    /// Times at which commits were put, by the server's clock, in milliseconds since the Unix
    /// epoch. A commit was there before any that builds on it: where the clock was ahead for a
    /// while, the first one after that tells.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn commit_times(&self) -> Result<BTreeMap<CommitKey, i64>, LogError> {
        let listed = self.listed_times().await?;
        let mut times = self.graph.with_missing(&listed);
        times.retain(|key, _| listed.contains_key(key));
        Ok(times)
    }

    /// Times at which commits were put, as a listing of all of them shows it.
    pub(super) async fn listed_times(&self) -> Result<BTreeMap<CommitKey, i64>, LogError> {
        let listed = list_all(self.remote.as_ref(), COMMITS, None).await?;
        let time = |object: &Object| Some((parse_commit_key(&object.key)?, object.modified_ms));
        Ok(listed.iter().filter_map(time).collect())
    }

    /// Corrects times of packs that lie ahead of the server's clock: a pack was put before the
    /// first commit that names it.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn correct_times(
        &self,
        packs: &mut BTreeMap<PackId, InBucket>,
        times: &BTreeMap<CommitKey, i64>,
        now_ms: i64,
    ) -> Result<(), LogError> {
        if packs.values().all(|pack| pack.modified_ms <= now_ms) {
            return Ok(());
        }
        let known = times.keys().copied().filter(|key| self.graph.contains(*key));
        let mut reads = std::pin::pin!(self.reads(known));
        while let Some((key, commit)) = reads.try_next().await? {
            let Some(time) = times.get(&key) else { continue };
            for pack in packs_of(key, &commit) {
                packs.entry(pack.id).and_modify(|there| there.modified_ms = there.modified_ms.min(*time));
            }
        }
        Ok(())
    }

    /// Commits on the line of `head` that are no generation of their own: those of prunes, and all
    /// but the last of each push. This looks no further back than the newest `generations` that are.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn uncounted(
        &self,
        head: CommitKey,
        generations: u64,
    ) -> Result<BTreeSet<CommitKey>, LogError> {
        let (mut uncounted, mut pushes, mut counted) = (BTreeSet::new(), BTreeSet::new(), 0);
        // So many there cannot be.
        if generations > head.seq {
            return Ok(uncounted);
        }
        let mut reads = std::pin::pin!(self.reads(self.first_parents(head)));
        while counted < generations
            && let Some((key, commit)) = reads.try_next().await?
        {
            if commit.parents.len() > 1 {
                // The last part of a push may have lost.
                let mut brought = std::pin::pin!(self.reads(self.graph.brought(key)));
                while let Some((_, lost)) = brought.try_next().await? {
                    pushes.extend(pushed_as(&lost));
                }
            }
            // The newest comes first: of a push, that is the last part.
            let is_earlier_part = pushed_as(&commit).is_some_and(|push| !pushes.insert(push));
            if commit.kind == CommitKind::Prune || is_earlier_part {
                uncounted.insert(key);
            } else {
                counted += 1;
            }
        }
        Ok(uncounted)
    }

    /// All packs of the bucket: the objects, and those of the `named` ones that stand in commits.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn packs_there(
        &self,
        named: impl IntoIterator<Item = &Arc<PackInfo>>,
    ) -> Result<BTreeMap<PackId, InBucket>, LogError> {
        let listed = list_all(self.remote.as_ref(), PACKS, None).await?;
        let packs = listed.iter().filter_map(|object| {
            let Object { size, modified_ms, .. } = *object;
            Some((parse_pack_key(&object.key)?, InBucket { size, modified_ms, is_object: true }))
        });
        let mut packs: BTreeMap<PackId, InBucket> = packs.collect();
        let sizes: BTreeMap<PackId, u64> = named.into_iter().map(|pack| (pack.id, pack.size)).collect();
        let held = self.held(sizes.keys().copied()).await?.into_iter();
        let in_commit = |(pack, modified_ms)| {
            let size = sizes.get(&pack).copied().unwrap_or_default();
            (pack, InBucket { size, modified_ms, is_object: false })
        };
        packs.extend(held.map(in_commit));
        Ok(packs)
    }

    /// Contents of all generations from `horizon` to `head`, and of their conflicts.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn retained(&mut self, head: &Snapshot, horizon: u64) -> Result<Retained, LogError> {
        let mut retained = Retained { sure: Contents::of(head), void: Contents::default() };
        let Some(key) = head.key else { return Ok(retained) };
        let mut past = self.graph.ancestry(key);
        past.retain(|key| key.seq >= horizon);
        // There is more than one if a branch from before the horizon came late.
        for oldest in past.iter().filter(|key| key.seq == horizon && !planted(Bug::ForgetTheOldest)) {
            let state = self.snapshot(Some(*oldest)).await?;
            retained.part(head.void.contains(oldest)).extend(Contents::of(&state));
        }
        let mut reads = std::pin::pin!(self.reads(past));
        while let Some((key, commit)) = reads.try_next().await? {
            let contents = retained.part(head.void.contains(&key));
            let kept = commit.kept.iter().flat_map(|conflict| &conflict.files);
            let entries = commit.changes.iter().filter_map(|change| change.entry);
            entries.chain(kept.filter_map(|file| file.entry)).for_each(|entry| contents.add(&entry));
            commit.recipes.into_iter().for_each(|of| contents.add_recipe(of.digest, of.recipe));
        }
        Ok(retained)
    }
}
