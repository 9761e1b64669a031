//! Deletes swept packs: the last step of a prune.
//!
//! Decided here: when to stop. A piece of a prune deletes for about twice as long as it took to
//! weigh the bucket, and leaves the rest to the next piece. Freed is what a listing no longer
//! shows, whatever the store has said.
//!
//! A crash leaves packs that belong to nothing, and the next prune deletes them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::pieces::PruneRun;
use super::prune::Objects;
use super::repack::Worn;
use super::weigh::Looked;
use crate::content::ChunkIndex;
use crate::log::{Depth, Snapshot, pack_key};
use crate::model::{Digest, PackId, PackInfo};
use crate::planted::{Bug, planted};
use crate::state::Marked;
use crate::sync::session::Session;
use crate::sync::{Phase, Progress, SyncError};

/// Rounds of waiting for other heads. Others may commit during a sweep: after so many new heads,
/// the deletion is left to the next prune.
const ROUNDS: usize = 4;
/// Most packs that are deleted with one request, where the store can.
const BATCH: usize = 100;
/// Such requests that are under way at once; the remote may allow fewer.
const AT_ONCE: usize = 8;

/// Result of a deletion.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Packs that are gone.
    pub freed: Objects,
    /// True if there are more to delete.
    pub more: bool,
}

impl Session<'_> {
    /// Chunks of the `doomed` packs that are needed and lie nowhere else, whatever the tables of
    /// other packs say.
    async fn lone_copies(
        &self,
        head: &Snapshot,
        looked: &Looked,
        doomed: &BTreeSet<PackId>,
    ) -> Result<Vec<Worn>, SyncError> {
        let there = |pack: &&Arc<PackInfo>| looked.bucket.contains_key(&pack.id);
        let others: ChunkIndex = head.packs.values().filter(there).cloned().collect();
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

    /// Notes what is on its way out, durably: a grace period begins.
    fn note_leaving(&self, head: &Snapshot, looked: &Looked) -> Result<Marked, SyncError> {
        let marked = self.leaving(head, looked)?;
        marked.save(self.context.fs(), &self.context.layout.marked())?;
        Ok(marked)
    }

    /// Deletes swept packs, once every commit has been merged with the sweep. The kept history is
    /// weighed once more then: a sweep may have been decided on a view that was old by the time it
    /// was made, and a merge looks only at the newest state. A part of a swept pack that is needed
    /// after all moves to a new pack first.
    pub(super) async fn delete_swept(
        &mut self,
        looked: &Looked,
        run: &mut PruneRun,
    ) -> Result<Swept, SyncError> {
        let began = self.context.ports.clock.monotonic();
        for _ in 0..ROUNDS {
            self.log.refresh(Depth::Whole).await?;
            let settled = self.log.graph().heads();
            let head = self.stand().await?;
            if self.log.is_doubtful() {
                return Ok(Swept::default());
            }
            if settled != head.key.into_iter().collect::<Vec<_>>() {
                continue;
            }
            let marked = self.note_leaving(&head, looked)?;
            // As a rule there is nothing to delete, and so nothing to weigh.
            if !looked.objects().any(|pack| head.has_swept(&pack)) {
                return Ok(Swept::default());
            }
            let looked = self.look_for_old(&head, true).await?;
            if looked.stopped {
                return Ok(Swept::default());
            }
            if !looked.rescue.is_empty() {
                if !self.move_needed(&head, looked.rescue).await? {
                    return Ok(Swept::default());
                }
                continue;
            }
            let is_doomed = |pack: &PackId| {
                let early = planted(Bug::DeleteUnswept) && !looked.live.contains(pack);
                let due = marked.is_due(*pack, &looked.times, looked.now_ms, looked.grace_ms);
                let goes = head.has_swept(pack) && !looked.unread.contains(pack);
                early || goes && (due || planted(Bug::SweepAtOnce))
            };
            let doomed = looked.bucket.keys().copied().filter(is_doomed);
            let doomed: BTreeSet<PackId> = doomed.filter(|pack| !run.tried.contains(pack)).collect();
            let lone = self.lone_copies(&head, &looked, &doomed).await?;
            if !lone.is_empty() {
                if !self.move_needed(&head, lone).await? {
                    return Ok(Swept::default());
                }
                continue;
            }
            let weighed = self.context.ports.clock.monotonic().saturating_sub(began);
            // No time at all means one wave.
            let time = run.piece.map(|piece| if piece.is_zero() { piece } else { piece.max(2 * weighed) });
            return self.delete(&looked, &doomed, time, run).await;
        }
        tracing::warn!("other devices keep committing: what was swept is deleted by the next prune");
        Ok(Swept::default())
    }

    /// Deletes packs, many at once, until the `time` is over. One that cannot be deleted keeps no
    /// other from it.
    async fn delete(
        &mut self,
        looked: &Looked,
        doomed: &BTreeSet<PackId>,
        time: Option<Duration>,
        run: &mut PruneRun,
    ) -> Result<Swept, SyncError> {
        let (remote, clock) = (&self.context.ports.remote, &self.context.ports.clock);
        let until = time.map(|time| clock.monotonic().saturating_add(time));
        let keys: Vec<String> = doomed.iter().map(|pack| pack_key(*pack)).collect();
        let mut progress = Progress { phase: Phase::Delete, files_total: keys.len(), ..Progress::default() };
        let (mut failed, mut asked) = (Ok(()), 0);
        for wave in keys.chunks(BATCH * AT_ONCE) {
            self.watcher.progress(progress);
            // A store may take no more than one object at once: then several go side by side.
            let batch = wave.len().div_ceil(AT_ONCE).max(1);
            let deletions = join_all(wave.chunks(batch).map(|batch| remote.delete_all(batch))).await;
            for deleted in deletions {
                match deleted {
                    Err(error) if error.kind.offline() => return Err(error.into()),
                    deleted => failed = failed.and(deleted),
                }
            }
            asked += wave.len();
            progress.files_done = asked;
            self.watcher.progress(progress);
            if until.is_some_and(|until| clock.monotonic() >= until) {
                break;
            }
        }
        let asked: BTreeSet<PackId> = doomed.iter().take(asked).copied().collect();
        self.log.forget_packs(&asked);
        if asked.is_empty() {
            return Ok(Swept::default());
        }
        run.tried.extend(&asked);
        let said = failed.is_ok();
        run.go_on_after(failed)?;
        // None of these stands in a commit.
        let left = self.log.packs_there([]).await?;
        let kept = asked.iter().filter(|pack| left.contains_key(pack)).count();
        if kept > 0 && said {
            tracing::warn!(kept, "the store still lists packs that it said to have deleted");
        }
        let freed = looked.sum(asked.iter().filter(|pack| !left.contains_key(pack)));
        Ok(Swept { freed, more: asked.len() < doomed.len() })
    }
}
