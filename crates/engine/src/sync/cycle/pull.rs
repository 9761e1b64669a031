//! Fetching: everything of a generation is staged and checked, then put in its places.
//!
//! Decided here: which staged groups may be applied, and that nothing is put in place for an item
//! that has moved since the scan. A crash before the journal leaves a stage, which the next start
//! removes; a crash after it leaves the journal, which [`Session::recover`] finishes or gives back
//! to the planner.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::fetch::lost_pack;
use super::{Local, Order, Survey, Wanted};
use crate::fs::{Fs, IoAt, found};
use crate::log::{Depth, LogError, Snapshot};
use crate::model::{
    CommitKey, Conflict, Digest, FileStat, Item, Kept, PackId, Recipe, SharedMap, Tree, VaultPath,
};
use crate::plan::{Action, FileStep, Step};
use crate::planted::{Bug, planted};
use crate::remote::RemoteErrorKind;
use crate::sync::brought::Reverted;
use crate::sync::conflicts::to_record;
use crate::sync::report::{Trouble, Weight};
use crate::sync::session::{Context, Session};
use crate::sync::transact::HELD;
use crate::sync::{Phase, Progress, SyncError, blocking};
use crate::vault::{
    ApplyError, ApplyId, ApplyItem, ApplyPlan, ApplyStep, FileLock, Keeping, Mounts, Purpose, Seen, Stage,
    Staged, apply_unless, members,
};

/// Changes to bring in.
pub(crate) struct Incoming<'a> {
    pub steps: Vec<&'a Step>,
    /// State that names the contents.
    pub remote: &'a Snapshot,
    /// Findings of the local scan.
    pub local: &'a Local,
    /// Recipes of the state that was agreed last.
    pub recipes: &'a SharedMap<Digest, Recipe>,
    /// Agreed state. None where nothing is noted of what is brought.
    pub base: Option<&'a Tree>,
    /// Groups that a program saved as it knew them before the last pull.
    pub reverted: BTreeMap<Item, Reverted>,
    pub purpose: Purpose,
    /// True to put them in place even if a crash comes first ([`ApplyPlan::finish`]).
    pub finish: bool,
    /// True to put nothing in place unless the bucket can give all of it.
    pub whole: bool,
}

impl<'a> Incoming<'a> {
    /// Changes that a survey's plan pulls.
    pub fn of(survey: &'a Survey) -> Self {
        let steps = survey.plan.steps.iter().filter(|step| step.incoming()).collect();
        let purpose = survey.remote.key.map_or(Purpose::Repair, Purpose::Generation);
        let Survey { remote, local, recipes, base, reverted, .. } = survey;
        let (base, reverted) = (Some(base), reverted.clone());
        Self { steps, remote, local, recipes, base, reverted, purpose, finish: false, whole: false }
    }
}

impl Session<'_> {
    /// Brings files in. Returns the items that are in place; all others are planned again. The
    /// journal stays until [`Session::conclude`].
    pub(crate) async fn pull(&mut self, incoming: &Incoming<'_>) -> Result<BTreeSet<Item>, SyncError> {
        if incoming.steps.is_empty() {
            return Ok(BTreeSet::new());
        }
        let id = self.apply_id();
        let (mut items, wanted) = incoming.staging_plan(self.context.fs())?;
        let wanted = self.fit(incoming, &mut items, wanted)?;
        let Some((stage, wanted)) = self.stage(incoming, &id, &mut items, wanted).await? else {
            return Ok(BTreeSet::new());
        };
        let staged: BTreeSet<&Item> = items.iter().map(|item| &item.item).collect();
        let refused =
            blocking(|| self.context.judge_staged(incoming, &staged, &wanted, &stage, &mut self.report))?;
        items.retain(|item| !refused.contains(&item.item));
        if items.is_empty() {
            stage.discard()?;
            return Ok(BTreeSet::new());
        }
        // A second look: a command may have begun after the plan was made.
        let right = self.context.groups_right()?;
        if right.is_held() {
            for item in items.iter().filter(|item| matches!(item.item, Item::Group(_))) {
                self.report.wait(&item.item, HELD);
            }
            items.retain(|item| matches!(item.item, Item::File(_)));
        }
        blocking(|| self.note_brought(incoming, &items, &wanted, &stage))?;
        let lock = match self.context.apply_lock().await {
            // They wait, and the cycle goes on with what is to be sent.
            Err(error @ SyncError::Reading) if !incoming.finish => {
                items.iter().for_each(|item| self.report.wait(&item.item, error.to_string()));
                stage.discard()?;
                return Ok(BTreeSet::new());
            }
            lock => lock?,
        };
        let plan = ApplyPlan { id, purpose: incoming.purpose.clone(), finish: incoming.finish, items };
        // Of many files they would stand in memory beside the journal.
        drop(wanted);
        let done = self.put_in_place(incoming, plan, lock.as_ref())?;
        drop(lock);
        drop(right);
        Ok(done)
    }

    /// Stages the files of items, as many as the disk takes. None if there are no items left.
    async fn stage(
        &mut self,
        incoming: &Incoming<'_>,
        id: &ApplyId,
        items: &mut Vec<ApplyItem>,
        mut wanted: Vec<Wanted>,
    ) -> Result<Option<(Stage, Vec<Wanted>)>, SyncError> {
        while !items.is_empty() {
            let mut stage = Stage::create(self.context.ports.fs.clone(), &self.context.layout, id)?;
            stage.spread(&self.context.layout, id, self.context.homes(items)?);
            let lost = match self.stage_all(incoming, &wanted, &stage).await {
                Ok(lost) => self.leave_out_lost(incoming, lost, items).await,
                Err(error) => Err(error),
            };
            let Err(error) = lost else { return Ok(Some((stage, wanted))) };
            // The next start removes a stage that cannot be removed now; the fetch's own error says
            // more.
            let discarded = stage.discard();
            if incoming.whole || !error.is_full() || discarded.is_err() {
                return Err(error);
            }
            tracing::warn!(%error, items = items.len(), "the disk took only a part of a pull: a smaller one is tried");
            wanted = self.halve(incoming, items, wanted)?;
        }
        Ok(None)
    }

    async fn stage_all(
        &self,
        incoming: &Incoming<'_>,
        wanted: &[Wanted],
        stage: &Stage,
    ) -> Result<BTreeMap<u32, SyncError>, SyncError> {
        let progress = Progress {
            phase: Phase::Download,
            files_total: wanted.len(),
            bytes_total: wanted.iter().map(|file| file.entry.size).sum(),
            ..Progress::default()
        };
        let old = incoming.old_files(wanted, self.context.layout.root());
        let order = Order { log: self.log, remote: incoming.remote, wanted, old };
        self.context.fetch(order, stage, progress, self.watcher).await
    }

    /// Leaves out items whose contents the bucket cannot give, and reports them. Fails with the
    /// cause if the remote has moved on meanwhile: then looking for them is in vain.
    async fn leave_out_lost(
        &mut self,
        incoming: &Incoming<'_>,
        lost: BTreeMap<u32, SyncError>,
        items: &mut Vec<ApplyItem>,
    ) -> Result<(), SyncError> {
        let gone: BTreeSet<PackId> = lost.values().filter_map(lost_pack).collect();
        if !gone.is_empty() {
            self.log.refresh(Depth::Whole).await?;
            if self.log.settle().await? != incoming.remote.key {
                return lost.into_values().next().map_or(Ok(()), Err);
            }
            self.log.note_lost(&gone);
        }
        if incoming.whole {
            return lost.into_values().next().map_or(Ok(()), Err);
        }
        // One lost pack may hold tens of thousands of small files.
        items.retain(|item| {
            let slots = item.steps.iter().filter_map(|step| step.new.map(|new| new.slot));
            let Some(error) = slots.into_iter().find_map(|slot| lost.get(&slot)) else { return true };
            let message = format!(
                "its content is lost or damaged in the bucket ({error}); run `cogzy-vault verify --repair` on a device that has the file"
            );
            self.report.problems.push(Trouble::of(&item.item, message, Weight::Lasting));
            false
        });
        Ok(())
    }

    fn put_in_place(
        &mut self,
        incoming: &Incoming<'_>,
        plan: ApplyPlan,
        lock: Option<&FileLock>,
    ) -> Result<BTreeSet<Item>, SyncError> {
        // Those that go count, too.
        let files_total = plan.items.iter().map(|item| item.steps.len()).sum();
        let mut applying = Progress { phase: Phase::Apply, files_total, ..Progress::default() };
        let applied = blocking(|| {
            let moved = |item: &Item| self.context.moved_since(incoming, item);
            apply_unless(self.context.fs(), &self.context.layout, plan, lock, &moved, &mut |_| {
                applying.files_done += 1;
                self.watcher.progress(applying);
            })
        })?;
        let failed = |step: &&Step| applied.failed.contains(&step.item);
        let steps = incoming.steps.iter().copied().filter(failed);
        let steps: BTreeMap<&Item, &Step> = steps.map(|step| (&step.item, step)).collect();
        for (item, why) in &applied.retry {
            if let Some(step) = steps.get(item) {
                self.put_off(step, why);
            } else {
                self.report.wait(item, why.clone());
            }
        }
        self.context.confirm_brought(&applied.done)?;
        self.tell_left(&applied.left);
        self.memory.put_off.retain(|item, _| !applied.done.contains(item));
        self.report.brought(&applied);
        let done: BTreeSet<Item> = applied.done.into_iter().collect();
        self.memory.brought = self.context.brought(incoming, &done);
        Ok(done)
    }

    /// True if a pull failed since the vault or the bucket moved on meanwhile, and can begin again:
    /// an object is missing that the head, from which it was planned, names no more; or a folder
    /// was moved away. Or if the disk is full: what is to be sent goes on without the pull.
    pub(super) async fn moved_on(
        &mut self,
        error: &SyncError,
        incoming: &Incoming<'_>,
        head: Option<CommitKey>,
    ) -> Result<bool, SyncError> {
        match error {
            error if error.is_full() => {
                tracing::warn!(%error, "the disk is full: what is to be brought waits");
                self.put_off_full(incoming, |_| true);
                self.recover().await.map(|()| true)
            }
            SyncError::Apply(ApplyError::Stranded(_)) => self.recover().await.map(|()| true),
            SyncError::Log(LogError::Remote(error)) if error.kind == RemoteErrorKind::NotFound => {
                self.log.refresh(Depth::Whole).await?;
                Ok(self.log.settle().await? != head)
            }
            _ => Ok(false),
        }
    }
}

impl Incoming<'_> {
    fn staging_plan(&self, fs: &dyn Fs) -> Result<(Vec<ApplyItem>, Vec<Wanted>), SyncError> {
        let (mut items, mut wanted) = (Vec::with_capacity(self.steps.len()), Vec::new());
        for step in &self.steps {
            // Most items are one file: a list that grows by itself begins with room for four.
            let mut apply_steps = Vec::with_capacity(step.files.len());
            for file in &step.files {
                let stat = self.local.stats.get(&file.path);
                let new = file.to.map(|mut entry| {
                    // Its mode in its place, as far as that is known: to change it there would cost
                    // each file a flush of its own.
                    let there = file.from.and(stat).map(|stat| stat.mode);
                    entry.mode = there.unwrap_or_else(|| fs.mode_of_new(entry.mode));
                    let slot = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
                    wanted.push(Wanted { name: file.path.to_string(), slot, entry });
                    Staged { slot, content: entry.content() }
                });
                let old =
                    file.from.zip(stat).map(|(entry, stat)| Seen { content: entry.content(), stat: *stat });
                let on_disk = self.local.names.on_disk(&file.path);
                apply_steps.push(ApplyStep { path: file.path.clone(), on_disk, old, new });
            }
            items.push(ApplyItem { item: step.item.clone(), keep: self.keeping(step)?, steps: apply_steps });
        }
        Ok((items, wanted))
    }

    /// Place for the displaced version, if it lost a conflict: that of this plan, or that of a
    /// conflict which a merge has already listed.
    fn keeping(&self, step: &Step) -> Result<Option<Keeping>, SyncError> {
        let lost = |conflict: &&Conflict| {
            let here = |file: &Kept| self.local.tree.get(&file.path).copied() == file.entry;
            conflict.item == step.item && conflict.files.iter().all(here)
        };
        let conflict = match &step.action {
            Action::Conflict(conflict) => Some(conflict.as_ref()),
            _ => self.remote.conflicts.values().find(lost),
        };
        let Some(conflict) = conflict.filter(|_| !planted(Bug::DropTheLoser)) else { return Ok(None) };
        Ok(Some(Keeping { id: conflict.id, record: to_record(conflict)? }))
    }
}

impl Context {
    /// The paths of items that were brought, as they were put in place. A file that stands
    /// otherwise was touched since: that was not us.
    fn brought<'i>(
        &self,
        incoming: &'i Incoming<'_>,
        done: &BTreeSet<Item>,
    ) -> BTreeMap<VaultPath, Option<FileStat>> {
        let steps = incoming.steps.iter().filter(|step| done.contains(&step.item));
        let place = |file: &'i FileStep| (incoming.local.names.locate(self.layout.root(), &file.path), file);
        let files: Vec<(PathBuf, &FileStep)> = steps.flat_map(|step| &step.files).map(place).collect();
        let mut brought = BTreeMap::new();
        for files in files.chunk_by(|(one, _), (next, _)| one.parent() == next.parent()) {
            let Some(folder) = files.first().and_then(|(place, _)| place.parent()) else { continue };
            let names: Vec<&OsStr> = files.iter().filter_map(|(place, _)| place.file_name()).collect();
            let gone = || names.iter().map(|_| Err(ErrorKind::NotFound.into())).collect();
            let Ok(stats) = found(self.fs().lstat_each(folder, &names)) else { continue };
            let stats = stats.unwrap_or_else(gone);
            for ((_, file), stat) in files.iter().zip(stats) {
                let Ok(stat) = found(stat) else { continue };
                let ours = match (&stat, file.to) {
                    (Some(stat), Some(entry)) => (stat.size, stat.mtime_ms()) == (entry.size, entry.mtime_ms),
                    (None, None) => true,
                    _ => false,
                };
                if ours {
                    brought.insert(file.path.clone(), stat);
                }
            }
        }
        brought
    }

    /// Our folder on the disk of each slot whose file will stand on another disk than the vault's.
    fn homes(&self, items: &[ApplyItem]) -> Result<BTreeMap<u32, String>, SyncError> {
        let mounts = Mounts::load(self.fs(), &self.layout)?;
        let steps = items.iter().flat_map(|item| &item.steps);
        let home = |step: &ApplyStep| {
            mounts.home(step.on_disk.as_deref().unwrap_or(step.path.as_str())).zip(step.new)
        };
        Ok(steps.filter_map(home).map(|(home, new)| (new.slot, home)).collect())
    }

    /// Cause for not replacing a group now: a member that stays in its place is not as the scan
    /// found it. The apply looks at the files it replaces. But a group moves together, and a
    /// program that writes another member, or a new one, has begun a new state of the whole group.
    fn moved_since(&self, incoming: &Incoming<'_>, item: &Item) -> Result<Option<String>, IoAt> {
        let Item::Group(name) = item else { return Ok(None) };
        let groups = &incoming.remote.groups;
        let steps = incoming.steps.iter().filter(|step| step.item == *item);
        let replaced: BTreeSet<&VaultPath> =
            steps.flat_map(|step| &step.files).map(|file| &file.path).collect();
        let wanted = |path: &VaultPath| {
            let member = groups.find(path).is_some_and(|(group, _)| group.name == *name);
            member && self.visible(path) && !replaced.contains(path)
        };
        let enters =
            |folder: &VaultPath| groups.reaches(name, folder) && !self.settings.filter.prunes(folder);
        let there = members(self.fs(), &self.layout, &wanted, &enters)?;
        let local = incoming.local;
        for (path, stat) in groups.members(name, &local.stats).filter(|(path, _)| wanted(path)) {
            match there.get(path) {
                Some(states) if states.contains(stat) => {}
                Some(_) => return Ok(Some(format!("{path} changed after it was scanned"))),
                None => return Ok(Some(format!("{path} was deleted after the scan"))),
            }
        }
        let known = |path: &VaultPath| local.stats.contains_key(path) || local.blocked.reason(path).is_some();
        Ok(there.keys().find(|path| !known(path)).map(|path| format!("{path} appeared after the scan")))
    }
}
