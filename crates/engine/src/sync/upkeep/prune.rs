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
//!
//! A store that locks its objects refuses to delete some for a while. Such a refusal keeps nothing
//! else from going, and the prune ends with it ([`PruneRun::go_on_after`]).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pieces::PruneRun;
use super::repack::Worn;
use super::sweep::Swept;
use super::weigh::Looked;
use crate::log::{Depth, Fate, Snapshot};
use crate::model::{Commit, CommitKind, Keeps, PackId, PackInfo, Prune};
use crate::state::Marked;
use crate::sync::recovery::{Rewrite, Stand};
use crate::sync::session::Session;
use crate::sync::{Engine, SyncError, Watcher};

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
    /// Cause why nobody can tell what is to be kept, if so: a commit that no device has is lost or
    /// damaged in the bucket. Then nothing is marked or deleted, until that commit is older than what is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<String>,
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
        if dry_run {
            return session.would_prune().await;
        }
        let mut run = PruneRun::default();
        session.prune_now(&mut run).await?;
        Ok(run.result())
    }

    /// Does a piece of a prune: some of what there is to move and to delete. Between two pieces
    /// anything else may run. True if there is more to do.
    ///
    /// # Errors
    /// See [`Engine::prune`].
    pub async fn prune_piece(
        &mut self,
        run: &mut PruneRun,
        watcher: &dyn Watcher,
    ) -> Result<bool, SyncError> {
        self.session(watcher).await?.prune_now(run).await
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

    /// Notes that a prune has ended, and if it has `done` what could be done today. Another one is
    /// due again after an hour.
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
        // Other heads may need what this one does not.
        self.log.forget_weighed();
        let mut pruned = told(&looked, &head);
        pruned.dry_run = true;
        if self.log.is_doubtful() {
            return Ok(self.nothing(pruned));
        }
        let marked = self.leaving(&head, &looked)?;
        let due = |pack: &&PackId| {
            let is_read = !looked.unread.contains(*pack);
            is_read && marked.is_due(**pack, &looked.times, looked.now_ms, looked.grace_ms)
        };
        pruned.freed = looked.sum(looked.fate.delete.iter().chain(&looked.fate.sweep).filter(due));
        Ok(pruned)
    }

    /// Prunes, or does a piece of it. True if there is more to do.
    async fn prune_now(&mut self, run: &mut PruneRun) -> Result<bool, SyncError> {
        self.finish_unfinished().await?;
        self.log.refresh(Depth::Whole).await?;
        let mut head = self.stand().await?;
        let keeps = self.context.settings.retention.keeps();
        run.go_on_after(self.log.take_back_keeps(self.marker.device, keeps).await)?;
        self.log.put_back_header().await?;
        let mut looked = self.look_for_old(&head, false).await?;
        // Until what only a swept pack gives has moved, the packs that claim it must not be marked:
        // a state without them could not give it. One that is gone by now shows that this look is
        // old.
        if !looked.rescue.is_empty() {
            self.move_needed(&head, std::mem::take(&mut looked.rescue)).await?;
            self.log.refresh(Depth::Whole).await?;
            head = self.stand().await?;
            looked = self.look_for_old(&head, false).await?;
            if !looked.rescue.is_empty() {
                tracing::warn!("what only a swept pack gives cannot be moved yet: nothing is marked");
                looked.keep_all();
            }
        }
        let (worn, worn_left) = run.share(std::mem::take(&mut looked.worn));
        looked.worn = worn;
        let mut pruned = told(&looked, &head);
        if self.log.is_doubtful() {
            run.add(self.nothing(pruned));
            return run.end();
        }
        let Fate { mut mark, unmark, sweep, .. } = looked.fate.clone();
        self.context.leave_copies(&mut looked.worn, &looked.staying).await?;
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
        let mut swept = Swept::default();
        if !looked.stopped {
            let before_ms = looked.now_ms.saturating_sub(looked.grace_ms);
            run.go_on_after(self.log.delete_old_checkpoints(before_ms, &head).await)?;
            swept = self.delete_swept(&looked, run).await?;
        }
        pruned.freed = swept.freed;
        run.add(pruned);
        if worn_left || swept.more {
            return Ok(true);
        }
        if let Err(error) = self.log.remote().clear_leftovers().await {
            tracing::warn!(%error, "what cut-off uploads left behind could not be removed; the next prune tries again");
        }
        run.end()
    }

    /// The result where something was set aside that may yet turn out to be a commit that needs old
    /// data.
    fn nothing(&self, pruned: Pruned) -> Pruned {
        let doubtful = self.log.doubtful();
        tracing::warn!(
            doubtful,
            "objects below commits/ were set aside within the last day: nothing is pruned"
        );
        let none = Objects::default();
        Pruned { marked: none, repacked: none, freed: none, doubtful, ..pruned }
    }

    pub(super) async fn commit_prune(
        &mut self,
        head: &Stand,
        prune: Prune,
        packs: Vec<PackInfo>,
    ) -> Result<Option<Arc<Commit>>, SyncError> {
        let rewrite = Rewrite { kind: CommitKind::Prune, prune, packs, ..Rewrite::default() };
        self.rewrite(head, rewrite, true).await
    }

    /// Packs on their way out, as this device knows them now.
    pub(super) fn leaving(&self, head: &Snapshot, looked: &Looked) -> Result<Marked, SyncError> {
        let mut marked = Marked::load(self.context.fs(), &self.context.layout.marked(), self.marker.vault)?;
        let swept = looked.objects().filter(|pack| head.has_swept(pack)).collect();
        marked.see(&head.marked, &swept, looked.now_ms);
        Ok(marked)
    }

    /// Moves what is needed of packs that were swept all the same to new ones. True if there was
    /// any.
    pub(super) async fn rescue(&mut self) -> Result<bool, SyncError> {
        let head = self.stand().await?;
        if head.swept.is_empty() {
            return Ok(false);
        }
        self.log.forget_weighed();
        let looked = self.look_for_old(&head, true).await?;
        self.move_needed(&head, looked.rescue).await
    }

    /// Moves needed chunks of packs that are about to go to new packs, by a commit. True if there
    /// was any that could be read.
    pub(super) async fn move_needed(&mut self, head: &Stand, going: Vec<Worn>) -> Result<bool, SyncError> {
        let moved = self.context.repack(going, self.watcher).await?;
        if moved.packs.is_empty() {
            return Ok(false);
        }
        Ok(self.commit_prune(head, Prune::default(), moved.packs).await?.is_some())
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
        untold: looked.untold.clone(),
        doubtful: 0,
    }
}
