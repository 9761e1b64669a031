//! Frees data that retention no longer needs.
//!
//! In two commits. The first *marks* packs that no kept generation, open conflict or checkpoint
//! needs and that are older than the grace period, by the server's clock: from then on nothing new
//! relies on them. A grace period later a second commit *sweeps* those that still nothing needs.
//! Their objects are deleted only when that commit is seen and every other commit that is there by
//! then has been merged. A device that slept through all that finds its commit merged, except for
//! files that it had built on swept packs: those it sends again.
//!
//! A crash before a commit leaves everything as it was; between a sweep and the deletion it leaves
//! objects that belong to nothing, and the next prune deletes them. A device deletes only what it
//! has known to go for a grace period ([`Marked`]). Every doubt (a listing without a time, a
//! checkpoint that cannot be read, a fork that does not settle) ends in not deleting.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::repack::Worn;
use super::weigh::Looked;
use crate::content::ChunkIndex;
use crate::log::{Depth, Fate, Snapshot, pack_key};
use crate::model::{Commit, CommitKind, Digest, Keeps, PackId, PackInfo, Prune};
use crate::planted::{Bug, planted};
use crate::state::Marked;
use crate::sync::recovery::{Rewrite, Stand};
use crate::sync::session::Session;
use crate::sync::{Engine, Phase, Progress, SyncError, Watcher};

/// Rounds of waiting for other heads. Others may commit during a sweep: after so many new heads,
/// the deletion is left to the next prune.
const ROUNDS: usize = 4;
/// Deletions that are under way at once.
const AT_ONCE: usize = 8;
/// Key of the time at which the last prune ended.
pub const PRUNED: &str = "pruned";
const HOUR_MS: u64 = 3600 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// History that is kept in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Number of the newest generations.
    pub generations: u64,
    /// Age up to which states are kept as well.
    pub age: Duration,
    /// Time for which data stays after nothing needs it any more.
    pub grace: Duration,
}

impl Retention {
    /// Old data to keep, as other devices are told: they keep it, too.
    #[must_use]
    pub fn keeps(&self) -> Keeps {
        let seconds = self.age.as_secs() + u64::from(self.age.subsec_nanos() > 0);
        Keeps { generations: self.generations, seconds }
    }
}

/// Some packs or other objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Objects {
    /// Their number.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Result of a prune, or of its dry run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Pruned {
    /// True if nothing was to be changed.
    pub dry_run: bool,
    /// Newest generation.
    pub generation: u64,
    /// Oldest generation that is kept.
    pub kept_from: u64,
    /// All packs in the bucket.
    pub all: Objects,
    /// Packs that something needs.
    pub needed: Objects,
    /// Newly marked packs: they go after the grace period, unless something needs them by then.
    pub marked: Objects,
    /// Newly marked packs of which a part is still needed: that part moves to new packs first.
    pub repacked: Objects,
    /// Packs marked earlier whose grace period has not passed.
    pub waiting: Objects,
    /// Packs deleted.
    pub freed: Objects,
    /// Versions that are to be kept and cannot be put together. The rest of them is kept. While one
    /// of the newest generation or of an open conflict is among them, nothing is marked or deleted.
    pub damaged: usize,
    /// True if nothing is marked or deleted because of that.
    #[serde(default)]
    pub stopped: bool,
    /// Objects that were set aside less than a day ago: while there are any, nothing is marked or
    /// deleted.
    #[serde(default)]
    pub doubtful: usize,
}

impl Engine {
    /// Marks, sweeps and deletes data that retention no longer needs.
    ///
    /// # Errors
    /// See [`SyncError`]; data deleted until then was not needed.
    pub async fn prune(&mut self, dry_run: bool, watcher: &dyn Watcher) -> Result<Pruned, SyncError> {
        let mut session = self.session(watcher).await?;
        if dry_run { session.would_prune().await } else { session.prune_now().await }
    }

    /// True if this device's last prune is a day ago. The first question counts as a prune: on the
    /// first day nothing is old.
    #[must_use]
    pub fn prune_is_due(&self) -> bool {
        match self.context.ports.database.noted(PRUNED) {
            // A time noted by a clock that was ahead tells nothing.
            Ok(Some(last)) => !(last.saturating_sub(DAY_MS)..last.saturating_add(DAY_MS))
                .contains(&self.context.ports.clock.now_ms()),
            Ok(None) => {
                self.note_prune(true);
                false
            }
            Err(error) => {
                tracing::warn!(%error, "the time of the last prune cannot be read, so nothing is pruned");
                false
            }
        }
    }

    /// Notes that a prune has ended. A failed one is due again after an hour.
    pub fn note_prune(&self, done: bool) {
        let ago = if done { 0 } else { DAY_MS - HOUR_MS };
        let now = self.context.ports.clock.now_ms().saturating_sub(ago);
        if let Err(error) = self.context.ports.database.note(PRUNED, now) {
            tracing::warn!(%error, "the time of this prune could not be noted");
        }
    }
}

impl Session<'_> {
    async fn would_prune(&mut self) -> Result<Pruned, SyncError> {
        self.log.refresh(Depth::Whole).await?;
        if let Some(agreed) = self.context.agreed()? {
            self.log.check_agreed(agreed).await?;
        }
        let head = self.log.graph().heads().first().copied();
        let head = self.log.snapshot(head).await?;
        let looked = self.look_for_old(&head, false).await?;
        let mut pruned = told(&looked, &head);
        pruned.dry_run = true;
        if self.log.is_doubtful() {
            return Ok(self.nothing(pruned));
        }
        let marked = self.leaving(&head, &looked)?;
        let due = |pack: &&PackId| marked.is_due(**pack, &looked.times, looked.now_ms, looked.grace_ms);
        pruned.freed = looked.sum(looked.fate.delete.iter().chain(&looked.fate.sweep).filter(due));
        Ok(pruned)
    }

    async fn prune_now(&mut self) -> Result<Pruned, SyncError> {
        self.finish_unfinished().await?;
        self.log.refresh(Depth::Whole).await?;
        let head = self.stand().await?;
        self.log.take_back_keeps(self.marker.device, self.context.settings.retention.keeps()).await?;
        self.log.put_back_header().await?;
        let looked = self.look_for_old(&head, false).await?;
        let mut pruned = told(&looked, &head);
        if self.log.is_doubtful() {
            return Ok(self.nothing(pruned));
        }
        let Fate { mut mark, unmark, sweep, .. } = looked.fate.clone();
        let moved = self.context.repack(looked.worn.clone(), self.watcher).await?;
        mark.extend(&moved.left);
        mark.sort();
        if !(mark.is_empty() && unmark.is_empty() && sweep.is_empty()) {
            let mut marked = self.leaving(&head, &looked)?;
            marked.will_mark(&mark, looked.now_ms);
            marked.save(self.context.fs(), &self.context.layout.marked())?;
            let horizon = (looked.horizon > head.horizon).then_some(looked.horizon);
            let prune = Prune { horizon, marked: mark, unmarked: unmark, swept: sweep, ..Prune::default() };
            let commit = self.commit_prune(&head, prune, moved.packs).await?;
            pruned.generation = commit.map_or(pruned.generation, |commit| commit.seq);
        }
        if !looked.stopped {
            let before_ms = looked.now_ms.saturating_sub(looked.grace_ms);
            self.log.delete_old_checkpoints(before_ms, &head).await?;
            pruned.freed = self.delete_swept(&looked).await?;
        }
        if let Err(error) = self.log.remote().clear_leftovers().await {
            tracing::warn!(%error, "what cut-off uploads left behind could not be removed; the next prune tries again");
        }
        Ok(pruned)
    }

    /// The result where something was set aside that may yet turn out to be a commit that needs old
    /// data.
    fn nothing(&self, pruned: Pruned) -> Pruned {
        let doubtful = self.log.aside().len();
        tracing::warn!(
            doubtful,
            "objects below commits/ were set aside within the last day: nothing is pruned"
        );
        let none = Objects::default();
        Pruned { marked: none, repacked: none, freed: none, doubtful, ..pruned }
    }

    async fn commit_prune(
        &mut self,
        head: &Stand,
        prune: Prune,
        packs: Vec<PackInfo>,
    ) -> Result<Option<Commit>, SyncError> {
        let rewrite = Rewrite { kind: CommitKind::Prune, prune, packs, ..Rewrite::default() };
        self.rewrite(head, rewrite, true).await
    }

    /// Chunks of the `doomed` packs that are needed and lie nowhere else, whatever the tables of
    /// other packs say.
    async fn lone_copies(
        &self,
        head: &Snapshot,
        looked: &Looked,
        doomed: &BTreeSet<PackId>,
    ) -> Result<Vec<Worn>, SyncError> {
        let there = |pack: &&Arc<PackInfo>| looked.bucket.contains_key(&pack.id);
        let others: ChunkIndex = head.packs.values().filter(there).map(AsRef::as_ref).collect();
        let going: Vec<&Arc<PackInfo>> =
            looked.swept.iter().filter(|pack| doomed.contains(&pack.id)).collect();
        let copies = going.iter().flat_map(|pack| &pack.chunks).map(|slot| slot.id);
        let needed: BTreeSet<Digest> = copies.filter(|id| looked.chunks.contains_key(id)).collect();
        let missing = self.context.not_there(&others, needed).await?;
        let lone = going.into_iter().map(|pack| {
            let live = pack.chunks.iter().filter(|slot| missing.contains(&slot.id)).copied().collect();
            Worn { pack: Arc::clone(pack), live }
        });
        Ok(lone.filter(|worn| !worn.live.is_empty()).collect())
    }

    /// Packs on their way out, as this device knows them now.
    fn leaving(&self, head: &Snapshot, looked: &Looked) -> Result<Marked, SyncError> {
        let mut marked = Marked::load(self.context.fs(), &self.context.layout.marked(), self.marker.vault)?;
        let swept = looked.bucket.keys().copied().filter(|pack| head.has_swept(pack)).collect();
        marked.see(&head.marked, &swept, looked.now_ms);
        Ok(marked)
    }

    /// Notes what is on its way out, durably: a grace period begins.
    fn note_leaving(&self, head: &Snapshot, looked: &Looked) -> Result<Marked, SyncError> {
        let marked = self.leaving(head, looked)?;
        marked.save(self.context.fs(), &self.context.layout.marked())?;
        Ok(marked)
    }

    /// Moves what is needed of packs that were swept all the same to new ones. True if there was
    /// any.
    pub(super) async fn rescue(&mut self) -> Result<bool, SyncError> {
        let head = self.stand().await?;
        if head.swept.is_empty() {
            return Ok(false);
        }
        let looked = self.look_for_old(&head, true).await?;
        if looked.rescue.is_empty() {
            return Ok(false);
        }
        let moved = self.context.repack(looked.rescue, self.watcher).await?;
        Ok(self.commit_prune(&head, Prune::default(), moved.packs).await?.is_some())
    }

    /// Deletes swept packs, once every commit has been merged with the sweep. The kept history is
    /// weighed once more then: a sweep may have been decided on a view that was old by the time it
    /// was made, and a merge looks only at the newest state. A part of a swept pack that is needed
    /// after all moves to a new pack first.
    async fn delete_swept(&mut self, looked: &Looked) -> Result<Objects, SyncError> {
        for _ in 0..ROUNDS {
            self.log.refresh(Depth::Whole).await?;
            let settled = self.log.graph().heads();
            let head = self.stand().await?;
            if self.log.is_doubtful() {
                return Ok(Objects::default());
            }
            if settled != head.key.into_iter().collect::<Vec<_>>() {
                continue;
            }
            let marked = self.note_leaving(&head, looked)?;
            // As a rule there is nothing to delete, and so nothing to weigh.
            if !looked.bucket.keys().any(|pack| head.has_swept(pack)) {
                return Ok(Objects::default());
            }
            let looked = self.look_for_old(&head, true).await?;
            if looked.stopped {
                return Ok(Objects::default());
            }
            if !looked.rescue.is_empty() {
                let moved = self.context.repack(looked.rescue, self.watcher).await?;
                if moved.packs.is_empty() {
                    return Ok(Objects::default());
                }
                self.commit_prune(&head, Prune::default(), moved.packs).await?;
                continue;
            }
            let is_doomed = |pack: &PackId| {
                let early = planted(Bug::DeleteUnswept) && !looked.live.contains(pack);
                let due = marked.is_due(*pack, &looked.times, looked.now_ms, looked.grace_ms);
                early || head.has_swept(pack) && (due || planted(Bug::SweepAtOnce))
            };
            let doomed: BTreeSet<PackId> = looked.bucket.keys().copied().filter(is_doomed).collect();
            let lone = self.lone_copies(&head, &looked, &doomed).await?;
            if !lone.is_empty() {
                let moved = self.context.repack(lone, self.watcher).await?;
                if moved.packs.is_empty() {
                    return Ok(Objects::default());
                }
                self.commit_prune(&head, Prune::default(), moved.packs).await?;
                continue;
            }
            return self.delete(&looked, &doomed).await;
        }
        tracing::warn!("other devices keep committing: what was swept is deleted by the next prune");
        Ok(Objects::default())
    }

    /// Deletes packs, several at once. Freed is what no listing shows afterwards, whatever the
    /// store has said.
    async fn delete(&mut self, looked: &Looked, doomed: &BTreeSet<PackId>) -> Result<Objects, SyncError> {
        let remote = &self.context.ports.remote;
        let delete = |pack: PackId| async move { remote.delete(&pack_key(pack)).await };
        let mut deletions = stream::iter(doomed.iter().copied()).map(delete).buffer_unordered(AT_ONCE);
        let mut progress =
            Progress { phase: Phase::Delete, files_total: doomed.len(), ..Progress::default() };
        while let Some(deleted) = deletions.next().await {
            deleted?;
            progress.files_done += 1;
            self.watcher.progress(progress);
        }
        drop(deletions);
        self.log.forget_packs(doomed);
        if doomed.is_empty() {
            return Ok(Objects::default());
        }
        let left = self.log.packs_there().await?;
        let kept = doomed.iter().filter(|pack| left.contains_key(pack)).count();
        if kept > 0 {
            tracing::warn!(kept, "the store still lists packs that it said to have deleted");
        }
        Ok(looked.sum(doomed.iter().filter(|pack| !left.contains_key(pack))))
    }
}

fn told(looked: &Looked, head: &Snapshot) -> Pruned {
    Pruned {
        dry_run: false,
        generation: head.seq(),
        kept_from: looked.horizon.max(head.horizon),
        all: looked.sum(looked.bucket.keys()),
        needed: looked.sum(&looked.live),
        marked: looked.sum(looked.fate.mark.iter().chain(looked.worn.iter().map(|worn| &worn.pack.id))),
        repacked: looked.sum(looked.worn.iter().map(|worn| &worn.pack.id)),
        waiting: looked.sum(&looked.fate.waiting),
        freed: Objects::default(),
        damaged: looked.damaged,
        stopped: looked.stopped,
        doubtful: 0,
    }
}
