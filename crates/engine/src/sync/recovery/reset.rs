//! Makes the vault equal to the backup's newest generation, whatever state it is in.
//!
//! Every local file is hashed again. Files that differ are staged beside the vault and checked
//! against their digests; only then are they put in place, under the same journal as any apply.
//! Replaced files go to the trash, and versions that the backup never had become conflict copies.
//! Files that no rule syncs (config.json, cache, logs, excluded paths) are not looked at.
//!
//! A crash or an error before the journal is written leaves the vault as it was. After that, the
//! next start finishes the reset.

use std::collections::BTreeSet;
use std::path::Path;

use crate::fs::At;
use crate::log::Depth;
use crate::model::{Conflict, Decisions, Item, Tree, VaultPath};
use crate::plan::{self, Action, Input};
use crate::state::{LastSync, Pending, RecordError};
use crate::sync::cycle::{Incoming, SETTLE_TRIES, Scope, Sides};
use crate::sync::session::{Context, Session};
use crate::sync::{Engine, Refusal, Report, Request, Survey, SyncError, Watcher};
use crate::vault::ApplyError;

/// Result of a reset, or of its dry run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reset {
    /// Generation of the vault now.
    pub generation: u64,
    /// Files fetched.
    pub fetched: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Local files that another version replaced: they are in the trash, or are conflict copies.
    pub replaced: usize,
    /// Local files that the backup does not have: also in the trash, or conflict copies.
    pub deleted: usize,
    /// Versions that the backup never had: kept as conflicts.
    pub kept: Vec<Conflict>,
    /// Items that a program wrote to meanwhile: they were left as they were.
    pub left: Vec<String>,
    /// Report of the cycle after it, which sends the kept versions. None if that cycle failed.
    pub report: Option<Report>,
}

impl Engine {
    /// Resets the vault to the backup's newest generation. `dry_run`: only tells the changes.
    ///
    /// # Errors
    /// See [`SyncError`]; the vault is then as it was. A [`Refusal`] if the backup is empty, or
    /// files are in use.
    pub async fn reset(&mut self, dry_run: bool, watcher: &dyn Watcher) -> Result<Reset, SyncError> {
        let mut session = self.session(watcher).await?;
        if dry_run {
            return session.preview().await;
        }
        session.context.set_damaged_aside()?;
        let mut reset = session.carry_out().await?;
        drop(session);
        match self.settled_cycle(Request::FULL, watcher).await {
            Ok(report) => reset.report = Some(report),
            Err(error) => {
                tracing::warn!(%error, "the reset is done; what it kept is sent by a later sync");
            }
        }
        Ok(reset)
    }
}

impl Session<'_> {
    async fn preview(&mut self) -> Result<Reset, SyncError> {
        self.log.refresh(Depth::Whole).await?;
        let record = match self.context.record() {
            Err(SyncError::Record(error)) if is_damaged(&error) => None,
            record => record?,
        };
        let agreed = record.as_ref().and_then(|record| record.commit);
        if let Some(agreed) = agreed {
            self.log.check_agreed(agreed).await?;
        }
        let head = self.log.graph().heads().first().copied();
        let (remote, agreed) = (self.log.snapshot(head).await?, self.log.snapshot(agreed).await?);
        let remote = self.log.at_hand(remote);
        let (survey, _) = self.reset_survey(record.as_ref(), Sides { head, remote, agreed }).await?;
        Ok(Reset::of(&survey, &BTreeSet::new()))
    }

    async fn carry_out(&mut self) -> Result<Reset, SyncError> {
        self.finish_unfinished().await?;
        let mut whole = Reset::default();
        for attempt in 1..=SETTLE_TRIES {
            let record = self.context.record()?;
            let sides = self.look_at_remote(record.as_ref(), true).await?;
            let (survey, remote) = self.reset_survey(record.as_ref(), sides).await?;
            let last = attempt == SETTLE_TRIES;
            if !survey.plan.waiting.is_empty() && !last {
                self.context.wait_to_settle().await;
                continue;
            }
            if !survey.plan.waiting.is_empty() && whole == Reset::default() {
                return Err(Refusal::Busy(reasons(&survey)).into());
            }
            self.report = Report::default();
            let incoming = Incoming { finish: true, whole: true, ..Incoming::of(&survey) };
            let done = match self.pull(&incoming).await {
                Err(SyncError::Apply(ApplyError::Stranded(_))) if !last => {
                    self.recover().await?;
                    continue;
                }
                done => done?,
            };
            let waiting = survey.plan.waiting.iter().map(|wait| &wait.item);
            let not_done =
                survey.plan.steps.iter().map(|step| &step.item).filter(|item| !done.contains(item));
            let left: BTreeSet<Item> = waiting.chain(not_done).cloned().collect();
            self.agree_to_reset(record, &survey, &remote, &left)?;
            self.forget_losses()?;
            self.conclude().await?;
            whole.add(Reset::of(&survey, &left));
            if left.is_empty() {
                return Ok(whole);
            }
            let problems = self.report.problems.iter();
            let moved = problems.map(|trouble| format!("{}: {}", trouble.path, trouble.message));
            whole.left = reasons(&survey).into_iter().chain(moved).collect();
        }
        Ok(whole)
    }

    /// Both sides, with the plan of a reset; and the part of the remote that is synced here.
    async fn reset_survey(
        &mut self,
        record: Option<&LastSync>,
        sides: Sides,
    ) -> Result<(Survey, Tree), SyncError> {
        let mut remote = sides.remote.tree.clone();
        remote.retain(|path, _| self.context.visible(path));
        if sides.head.is_none() || remote.is_empty() {
            return Err(Refusal::Empty.into());
        }
        // Every file is hashed again, whatever the cache says of it.
        let mut survey = self.survey(record, sides, Scope { rehash: true, ..Scope::default() }).await?;
        survey.plan = plan::reset(&Input {
            blocked: &survey.local.blocked,
            closed: &survey.remote.resolved,
            ..Input::of(
                [&survey.base, &survey.local.tree, &remote],
                &survey.remote.groups,
                &survey.remote.ages,
            )
        });
        Ok((survey, remote))
    }

    /// Records that nothing is open any more: the base is the backup's state, but for items that
    /// could not be replaced, and for files of which nobody knows now whether they are still here:
    /// those behind a link or on a disk that is away. Where the backup has no such file, it goes
    /// once it is seen again, as it would have gone without the reset.
    fn agree_to_reset(
        &self,
        record: Option<LastSync>,
        survey: &Survey,
        remote: &Tree,
        left: &BTreeSet<Item>,
    ) -> Result<(), SyncError> {
        let mut record = record.unwrap_or_else(|| self.context.first_record(self.marker.vault));
        let hidden =
            |path: &VaultPath| !remote.contains_key(path) && survey.local.blocked.reason(path).is_some();
        let is_left = |path: &&VaultPath| left.contains(&survey.remote.groups.item(path)) || hidden(path);
        let mut base: Tree = remote.clone();
        base.retain(|path, _| !is_left(&path));
        base.extend(
            survey.base.iter().filter(|(path, _)| is_left(path)).map(|(path, entry)| (path.clone(), *entry)),
        );
        record.filter = self.context.settings.filter_record.clone();
        record.joining = false;
        record.held.clear();
        record.decisions = Decisions::default();
        record.unknown_origins = survey.unknown_origins.clone();
        record.set_base(survey.remote.key, remote, &base);
        self.context.save_record(&record)
    }
}

impl Context {
    /// Moves a damaged record aside, since a reset cures it; nothing counts as agreed then. If a
    /// commit was under way, it shows up in the log like that of another device, or never.
    fn set_damaged_aside(&self) -> Result<(), SyncError> {
        let (record, pending) = (self.layout.last_sync(), self.layout.pending());
        if LastSync::load(self.fs(), &record).is_err_and(|error| is_damaged(&error)) {
            self.set_aside(&record)?;
        }
        if Pending::load(self.fs(), &pending).is_err_and(|error| is_damaged(&error)) {
            self.set_aside(&pending)?;
        }
        Ok(())
    }

    fn set_aside(&self, path: &Path) -> Result<(), SyncError> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{}", self.ports.clock.now_ms()));
        tracing::warn!(file = %path.display(), "a damaged file of ours is moved aside");
        self.fs().rename(path, Path::new(&name)).at("move aside", path)?;
        let folder = self.layout.sync();
        Ok(self.fs().sync_dir(&folder).at("sync", &folder)?)
    }
}

/// Causes why items of the plan wait.
fn reasons(survey: &Survey) -> Vec<String> {
    survey.plan.waiting.iter().map(|wait| wait.why.clone()).collect()
}

const fn is_damaged(error: &RecordError) -> bool {
    matches!(error, RecordError::Damaged { .. })
}

impl Reset {
    /// Counts the changes of a reset's plan, without the items in `left`.
    fn of(survey: &Survey, left: &BTreeSet<Item>) -> Self {
        let mut reset = Self { generation: survey.generation(), ..Self::default() };
        for step in survey.plan.steps.iter().filter(|step| !left.contains(&step.item)) {
            if let Action::Conflict(conflict) = &step.action {
                reset.kept.push(conflict.as_ref().clone());
            }
            for file in &step.files {
                match file.to {
                    Some(to) => {
                        reset.fetched += 1;
                        reset.bytes += to.size;
                        reset.replaced += usize::from(file.from.is_some());
                    }
                    None => reset.deleted += 1,
                }
            }
        }
        reset.left = reasons(survey);
        reset
    }

    /// Adds the counts of another try.
    fn add(&mut self, later: Self) {
        let Self { generation, fetched, bytes, replaced, deleted, kept, left: _, report: _ } = later;
        self.generation = generation;
        self.fetched += fetched;
        self.bytes += bytes;
        self.replaced += replaced;
        self.deleted += deleted;
        self.kept.extend(kept);
        self.left.clear();
    }
}
