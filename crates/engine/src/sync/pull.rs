//! Fetching: everything of a generation is staged and checked, then put in its places.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fetch::{Order, Wanted};
use super::report::{Phase, Progress, Report, Watcher};
use super::transact::HELD;
use super::{Engine, Survey, SyncError, blocking};
use crate::clock::random;
use crate::log::Log;
use crate::model::{CommitKey, Conflict, Digest, Item};
use crate::plan::{Action, FileStep, Step};
use crate::planted::{Bug, planted};
use crate::vault::{
    ApplyId, ApplyItem, ApplyPlan, ApplyStep, FileLock, IoAt, Keeping, Marker, Seen, Stage, Staged,
    apply_unless, conclude, recover, settle_transaction,
};

/// How long other programs may hold the apply lock before this one goes on with something else.
const LOCK_WAIT: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Room that staging leaves free on the disk.
const RESERVE: u64 = 64 << 20;

impl Engine {
    /// Brings in what the plan pulls; `finish`: even if a crash comes first ([`ApplyPlan::finish`]). The items that are in place;
    /// all others are planned again. The journal stays until [`Engine::conclude`].
    pub(super) async fn pull(
        &mut self,
        log: &Log,
        survey: &Survey,
        finish: bool,
        report: &mut Report,
        watcher: &dyn Watcher,
    ) -> Result<BTreeSet<Item>, SyncError> {
        let steps: Vec<&Step> = survey.plan.steps.iter().filter(|step| step.incoming()).collect();
        if steps.is_empty() {
            return Ok(BTreeSet::new());
        }
        let id = ApplyId::new(self.ports.clock.now_ms(), random(self.ports.entropy.as_ref()));
        let stage = Stage::create(self.ports.fs.clone(), &self.layout, &id)?;
        let (mut items, wanted) = self.staging_plan(&steps, survey)?;
        if self.check_room(&wanted, self.layout.root()).is_err() {
            // A cycle that stops here never comes to tidy up.
            blocking(|| self.clear_trash())?;
            self.check_room(&wanted, self.layout.root())?;
        }
        let total = wanted.iter().map(|file| file.entry.size).sum();
        let progress = Progress {
            phase: Phase::Download,
            files_total: wanted.len(),
            bytes_total: total,
            ..Progress::default()
        };
        let old = self.old_files(&wanted, &steps, survey);
        let order = Order { params: log.header()?.chunking, remote: &survey.remote, wanted: &wanted, old };
        if let Err(error) = self.fetch(order, &stage, progress, watcher).await {
            // What cannot be removed now is removed at the next start; the fetch's own error says more.
            let _also_failed = stage.discard();
            return Err(error);
        }
        let refused = blocking(|| self.judge_staged(survey, &steps, &wanted, &stage, report))?;
        items.retain(|item| !refused.contains(&item.item));
        if items.is_empty() {
            stage.discard()?;
            return Ok(BTreeSet::new());
        }
        // Looked at again: the command may have begun after the plan was made.
        let unheld = self.unless_held()?;
        if unheld.is_none() {
            for item in items.iter().filter(|item| matches!(item.item, Item::Group(_))) {
                report.wait(&item.item, HELD);
            }
            items.retain(|item| matches!(item.item, Item::File(_)));
        }
        let commit = survey.remote.key.map(|key| key.to_string()).unwrap_or_default();
        let lock = self.apply_lock().await?;
        let plan = ApplyPlan { id, commit, finish, items };
        let mut applying = Progress { phase: Phase::Apply, files_total: wanted.len(), ..Progress::default() };
        let applied = blocking(|| {
            let moved = |item: &Item| self.moved_since(survey, item);
            apply_unless(self.fs(), &self.layout, plan, lock.as_ref(), &moved, &mut |_| {
                applying.files_done += 1;
                watcher.progress(applying);
            })
        })?;
        drop(unheld);
        for (item, why) in &applied.retry {
            report.wait(item, why.clone());
        }
        report.brought(&applied);
        Ok(applied.done.into_iter().collect())
    }

    /// The base is noted: the journal of the last apply, if there is one, has done its work.
    pub(super) async fn conclude(&self) -> Result<(), SyncError> {
        let path = self.layout.applying();
        match self.fs().lstat(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(IoAt { operation: "look at", path, source }.into()),
            Ok(_) => {
                // A journal may also be that of a transaction that is being written at this moment: it is gone once the lock is.
                let _lock = self.apply_lock().await?;
                Ok(blocking(|| conclude(self.fs(), &self.layout))?)
            }
        }
    }

    /// Finishes an apply that a crash cut short, and notes what it has agreed on: the remote may have moved on since, and what
    /// came from it must not pass for a local edit.
    pub(super) async fn recover(&self, log: &mut Log, report: &mut Report) -> Result<(), SyncError> {
        let lock = self.apply_lock().await?;
        let Some(recovered) = blocking(|| recover(self.fs(), &self.layout, lock.as_ref()))? else {
            return Ok(());
        };
        let applied = &recovered.applied;
        tracing::info!(
            commit = recovered.commit,
            done = applied.done.len(),
            again = applied.retry.len(),
            "an apply that was cut short has been finished"
        );
        if let Some(commit) = CommitKey::parse(&recovered.commit) {
            report.brought(applied);
            let done: BTreeSet<Item> = applied.done.iter().cloned().collect();
            // A first join that was cut short has agreed on what it brought, too.
            let vault = Marker::read(self.fs(), &self.layout)?.vault;
            let mut record = self.record()?.unwrap_or_else(|| self.first_record(vault));
            let there = log.recall(commit).await?;
            let agreed = match record.commit {
                Some(agreed) => log.recall(agreed).await?,
                None => log.snapshot(None).await?,
            };
            self.agree_applied(&mut record, &agreed, &there, &done)?;
            record.save(self.fs(), &self.layout.last_sync())?;
        }
        blocking(|| settle_transaction(self.fs(), &self.layout, &recovered))?;
        Ok(blocking(|| conclude(self.fs(), &self.layout))?)
    }

    /// The lock that other programs take shared while they open their files; none where there are no others.
    async fn apply_lock(&self) -> Result<Option<FileLock>, SyncError> {
        if !self.fs().is_shared() {
            return Ok(None);
        }
        let path = self.layout.apply_lock();
        let until = self.ports.clock.monotonic() + LOCK_WAIT;
        loop {
            if let Some(lock) = FileLock::try_take(&path)? {
                return Ok(Some(lock));
            }
            if self.ports.clock.monotonic() > until {
                let source = std::io::Error::from(std::io::ErrorKind::ResourceBusy);
                return Err(IoAt { operation: "lock", path, source }.into());
            }
            // Nobody tells when a `flock` is given back.
            tokio::time::sleep(LOCK_PAUSE).await;
        }
    }

    fn staging_plan(
        &self,
        steps: &[&Step],
        survey: &Survey,
    ) -> Result<(Vec<ApplyItem>, Vec<Wanted>), SyncError> {
        let (mut items, mut wanted) = (Vec::new(), Vec::new());
        for step in steps {
            let mut apply_steps = Vec::new();
            for file in &step.files {
                let new = file.to.map(|entry| {
                    let slot = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
                    wanted.push(Wanted { name: file.path.to_string(), slot, entry });
                    Staged { slot, content: entry.content() }
                });
                let stat = survey.local.stats.get(&file.path);
                let old =
                    file.from.zip(stat).map(|(entry, stat)| Seen { content: entry.content(), stat: *stat });
                let on_disk = survey.local.names.on_disk(&file.path);
                apply_steps.push(ApplyStep { path: file.path.clone(), on_disk, old, new });
            }
            items.push(ApplyItem {
                item: step.item.clone(),
                keep: keeping(step, survey)?,
                steps: apply_steps,
            });
        }
        Ok((items, wanted))
    }

    /// Whether the disk of `folder` has room for what is to be staged there.
    pub(super) fn check_room(&self, wanted: &[Wanted], folder: &Path) -> Result<(), SyncError> {
        self.check_free(wanted.iter().map(|file| file.entry.size).sum(), folder)
    }

    /// Whether the disk of `folder` has room for so many bytes.
    pub(super) fn check_free(&self, needed: u64, folder: &Path) -> Result<(), SyncError> {
        let folder = folder.to_owned();
        match self.fs().free_space(&folder) {
            Ok(free) if free < needed.saturating_add(RESERVE) => {
                Err(SyncError::NoRoom { needed, free, folder })
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the free space is unknown; going on");
                Ok(())
            }
        }
    }

    /// Local files that may hold chunks of what is wanted: the old versions, and files of the very content under other names.
    fn old_files(&self, wanted: &[Wanted], steps: &[&Step], survey: &Survey) -> Vec<PathBuf> {
        let locate = |path| survey.local.names.locate(self.layout.root(), path);
        let long =
            |file: &&FileStep| file.to.is_some_and(|entry| survey.remote.recipes.contains_key(&entry.digest));
        let replaced =
            steps.iter().flat_map(|step| &step.files).filter(long).filter(|file| file.from.is_some());
        let mut old: BTreeSet<PathBuf> = replaced.map(|file| locate(&file.path)).collect();
        let digests: BTreeSet<Digest> = wanted.iter().map(|file| file.entry.digest).collect();
        let same =
            survey.local.tree.iter().filter(|(_, entry)| entry.size > 0 && digests.contains(&entry.digest));
        old.extend(same.map(|(path, _)| locate(path)));
        old.into_iter().collect()
    }
}

/// Where the displaced version goes, if it lost a conflict: the one of this plan, or one that a merge has already listed.
fn keeping(step: &Step, survey: &Survey) -> Result<Option<Keeping>, SyncError> {
    let lost = |conflict: &&Conflict| {
        let here = |file: &crate::model::Kept| survey.local.tree.get(&file.path).copied() == file.entry;
        conflict.item == step.item && conflict.files.iter().all(here)
    };
    let conflict = match &step.action {
        Action::Conflict(conflict) => Some(conflict.as_ref()),
        _ => survey.remote.conflicts.values().find(lost),
    };
    let Some(conflict) = conflict.filter(|_| !planted(Bug::DropTheLoser)) else { return Ok(None) };
    Ok(Some(Keeping { id: conflict.id, record: super::keep::to_record(conflict)? }))
}
