//! One cycle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::report::{Report, Standing, Trouble, Watcher, Weight};
use super::rewrite::parent_of;
use super::survey::Seen;
use super::unsent::Unsent;
use super::{DatabaseCache, Engine, Survey, SyncError};
use crate::log::{Depth, Log, LogError, Snapshot};
use crate::model::{CommitKey, Decisions, HoldId, Item, VaultId};
use crate::plan::Action;
use crate::planted::{Bug, planted};
use crate::remote::RemoteErrorKind;
use crate::state::LastSync;
use crate::vault::Marker;

/// How often what has not settled is waited for.
pub(super) const SETTLE_TRIES: usize = 4;
/// Clocks of file systems tick more coarsely than ours.
pub(super) const SETTLE_MARGIN: Duration = Duration::from_millis(50);
/// A remote that moves on more often than this while one cycle runs is left for the next.
const MAX_ROUNDS: usize = 8;

/// What a cycle shall do beyond asking the remote for news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ask {
    /// Scan the vault.
    pub scan: bool,
    /// List all of `commits/`.
    pub whole: bool,
}

/// What a cycle is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// How far it looks.
    pub ask: Ask,
    /// Also send derived members that would stay here.
    pub derived: bool,
}

impl Request {
    /// Everything: scan the vault and list all commits.
    pub const FULL: Self = Self { ask: Ask { scan: true, whole: true }, derived: false };
}

impl Engine {
    /// Runs one whole cycle.
    ///
    /// # Errors
    /// See [`SyncError`]; whatever was done until then stays done and is not done again.
    pub async fn cycle(&mut self, request: Request, watcher: &dyn Watcher) -> Result<Report, SyncError> {
        let before = self.ports.meter.read();
        let marker = Marker::read(self.fs(), &self.layout)?;
        let mut log = self.open_log(marker.vault).await?;
        let mut report = Report::default();
        self.recover(&mut log, &mut report).await?;
        let result = self.rounds(request, marker, &mut log, &mut report, watcher).await;
        self.log = Some(log);
        result?;
        self.unsent = Unsent::default();
        report.transfer = self.ports.meter.read() - before;
        Ok(report)
    }

    /// Runs cycles until what was written a moment ago has settled and gone through, within reason.
    ///
    /// # Errors
    /// See [`Engine::cycle`].
    pub async fn settled_cycle(
        &mut self,
        request: Request,
        watcher: &dyn Watcher,
    ) -> Result<Report, SyncError> {
        let mut whole = self.cycle(request, watcher).await?;
        for _ in 0..SETTLE_TRIES {
            if !whole.again() {
                break;
            }
            // Settled is what nothing happens to: there is no event to wait for.
            tokio::time::sleep(self.settings.settle + SETTLE_MARGIN).await;
            whole = self.cycle(request, watcher).await?.after(&whole);
        }
        self.note_success();
        Ok(whole)
    }

    async fn rounds(
        &mut self,
        request: Request,
        mut marker: Marker,
        log: &mut Log,
        report: &mut Report,
        watcher: &dyn Watcher,
    ) -> Result<(), SyncError> {
        self.finish_pending(log, report).await?;
        for round in 0..MAX_ROUNDS {
            let deep = request.ask.whole && round == 0;
            let record = self.record()?;
            let seen = self.look_at_remote(log, record.as_ref(), deep).await?;
            self.adopt_name(log, &mut marker)?;
            report.generation = seen.remote.seq();
            let idle = record.as_ref().is_some_and(|record| is_idle(record, seen.head)) && !self.unfinished;
            let scan = request.ask.scan && !planted(Bug::TrustTheWatcher);
            if idle && round == 0 && !scan && self.unkept(&seen.remote)?.is_empty() {
                return Ok(());
            }
            let survey = self
                .survey(log, marker.vault, record.as_ref(), seen.clone(), request.derived, watcher)
                .await?;
            watcher.planned(&survey.plan);
            note(&survey, report);
            self.unfinished = report.problems.iter().any(|trouble| trouble.weight.left_out());
            self.unsent = Unsent::of(&survey);
            self.forget_sent(&survey.bound)?;
            let open = seen.remote.conflicts.len() + self.unkept(&seen.remote)?.len();
            report.standing =
                Some(Standing { here: survey.here, waiting: survey.waiting(), conflicts: open });
            let stored = record;
            let mut record = stored.clone().unwrap_or_else(|| self.first_record(marker.vault));
            let mut done = match self.pull(log, &survey, false, report, watcher).await {
                Err(error) if round + 1 < MAX_ROUNDS && self.moved_on(log, &error, seen.head).await? => {
                    continue;
                }
                done => done?,
            };
            done.retain(|_| !planted(Bug::Echo));
            done.extend(settled_by_record(&survey));
            self.agree(&mut record, &survey, &done, seen.head, &survey.remote.tree)?;
            if stored.as_ref() != Some(&record) {
                record.save(self.fs(), &self.layout.last_sync())?;
            }
            self.conclude().await?;
            let pushed = self.push(log, &marker, &record, &survey, &done, report, watcher).await?;
            if pushed.is_none() {
                self.tidy(log, &record, report).await?;
                return Ok(());
            }
            if log.settle().await? == pushed {
                let record = self.record()?.unwrap_or(record);
                report.generation = pushed.map_or(0, |key| key.seq);
                self.tidy(log, &record, report).await?;
                return Ok(());
            }
            // Somebody committed at the same moment: the merge is pulled like any other commit.
        }
        Err(SyncError::Unsettled(MAX_ROUNDS))
    }

    /// Looks at both sides and plans, without changing anything.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn dry_run(&mut self, derived: bool, watcher: &dyn Watcher) -> Result<Survey, SyncError> {
        let marker = Marker::read(self.fs(), &self.layout)?;
        let mut log = self.open_log(marker.vault).await?;
        log.refresh(Depth::Whole).await?;
        let record = self.record()?;
        // A fork is left as it is: merging it would be a write. The highest head is what the merge would build on.
        let head = log.graph().heads().first().copied();
        let agreed_key = record.as_ref().and_then(|record| record.commit);
        if let Some(agreed) = agreed_key {
            log.check_agreed(agreed).await?;
        }
        let remote = log.snapshot(head).await?;
        let agreed = log.snapshot(before_void(&log, agreed_key, &remote)).await?;
        let seen = Seen { head, remote, agreed };
        let survey = self.survey(&mut log, marker.vault, record.as_ref(), seen, derived, watcher).await;
        self.log = Some(log);
        survey
    }

    /// Decides holds: `approved` pass, `rejected` are decided the other way, at the next cycle.
    ///
    /// # Errors
    /// Where the record cannot be written.
    pub fn decide(&self, approved: &[HoldId], rejected: &[HoldId]) -> Result<(), SyncError> {
        let marker = Marker::read(self.fs(), &self.layout)?;
        let stored = self.record()?;
        let mut record = stored.unwrap_or_else(|| self.first_record(marker.vault));
        record.decisions.approved.extend(approved);
        record.decisions.rejected.extend(rejected);
        for id in approved {
            record.decisions.rejected.remove(id);
        }
        Ok(record.save(self.fs(), &self.layout.last_sync())?)
    }

    /// What this device has agreed on; none where it has agreed on nothing yet or the record is lost.
    pub(super) fn record(&self) -> Result<Option<LastSync>, SyncError> {
        let Some(record) = LastSync::load(self.fs(), &self.layout.last_sync())? else { return Ok(None) };
        if record.remote != self.settings.remote {
            return Err(SyncError::OtherRemote {
                known: record.remote,
                configured: self.settings.remote.clone(),
            });
        }
        Ok(Some(record))
    }

    pub(super) fn first_record(&self, vault: VaultId) -> LastSync {
        let filter = self.settings.filter_record.clone();
        LastSync::new(vault, self.settings.remote.clone(), filter, Decisions::default())
    }

    /// The log, opened at the first cycle and kept.
    pub(super) async fn open_log(&mut self, expected: VaultId) -> Result<Log, SyncError> {
        let mut log = match self.log.take() {
            Some(log) => log,
            None => {
                let cache = Arc::new(DatabaseCache(Arc::clone(&self.ports.database)));
                let opened = Log::open(Arc::clone(&self.ports.remote), cache).await?;
                opened.ok_or(LogError::Foreign { expected, found: None })?
            }
        };
        if !log.look_for(expected).await? {
            return Err(LogError::Foreign { expected, found: log.vault() }.into());
        }
        Ok(log)
    }

    /// The remote's one head, after forks are merged, and what this device agreed on.
    pub(super) async fn look_at_remote(
        &self,
        log: &mut Log,
        record: Option<&LastSync>,
        whole: bool,
    ) -> Result<Seen, SyncError> {
        log.refresh(if whole { Depth::Whole } else { Depth::Near }).await?;
        let agreed_key = record.and_then(|record| record.commit);
        if let Some(agreed) = agreed_key {
            log.check_agreed(agreed).await?;
        }
        let agreed = log.snapshot(agreed_key).await?;
        log.trust_packs(&agreed);
        let head = log.settle().await?;
        let remote = log.snapshot(head).await?;
        let agreed = log.snapshot(before_void(log, agreed_key, &remote)).await?;
        Ok(Seen { head, remote, agreed })
    }

    /// Whether an object is missing because the head has moved on from what named it.
    async fn moved_on(
        &self,
        log: &mut Log,
        error: &SyncError,
        head: Option<CommitKey>,
    ) -> Result<bool, SyncError> {
        let SyncError::Log(LogError::Remote(error)) = error else { return Ok(false) };
        if error.kind != RemoteErrorKind::NotFound {
            return Ok(false);
        }
        log.refresh(Depth::Whole).await?;
        Ok(log.settle().await? != head)
    }

    /// Where two devices made a vault at once, both markers end up with the name that holds.
    fn adopt_name(&self, log: &Log, marker: &mut Marker) -> Result<(), SyncError> {
        let Some(vault) = log.vault().filter(|vault| *vault != marker.vault) else { return Ok(()) };
        tracing::info!(from = %marker.vault, to = %vault, "another device made this vault at the same moment; its name is used");
        marker.vault = vault;
        Ok(marker.write(self.fs(), &self.layout)?)
    }
}

/// Whether a poll that finds this head has nothing to do here.
fn is_idle(record: &LastSync, head: Option<CommitKey>) -> bool {
    record.commit == head && record.exceptions.is_empty()
}

/// What a device has agreed on if what it agreed on last is void: the last commit before that which is not. What it has since then it
/// sends again.
fn before_void(log: &Log, agreed: Option<CommitKey>, head: &Snapshot) -> Option<CommitKey> {
    let mut agreed = agreed;
    while let Some(void) = agreed.filter(|key| head.void.contains(key) && !planted(Bug::KeepVoid)) {
        tracing::warn!(commit = %void, "this commit relied on data that was removed meanwhile; its changes are sent again");
        agreed = parent_of(log, void);
    }
    agreed
}

/// Items that need nothing but a line in the record.
fn settled_by_record(survey: &Survey) -> BTreeSet<Item> {
    let quiet =
        survey.plan.steps.iter().filter(|step| matches!(step.action, Action::Adopt | Action::KeepLocal));
    quiet.map(|step| step.item.clone()).collect()
}

/// Tells the report what the survey could not deal with.
pub(super) fn note(survey: &Survey, report: &mut Report) {
    report.holds.clone_from(&survey.plan.holds);
    report.problems.clone_from(&survey.local.troubles);
    report.holdings = Some(survey.holdings.clone());
    for waiting in &survey.plan.waiting {
        let known = report.problems.iter().any(|trouble| waiting.why.contains(&trouble.message));
        // What waits for another item waits as that one does.
        let cause = survey.plan.bound.get(&waiting.item).map(ToString::to_string);
        let weight = |cause: &String| {
            let of_cause = report.problems.iter().find(|trouble| trouble.path == *cause);
            of_cause.map_or(Weight::Lasting, |trouble| trouble.weight)
        };
        if !known || cause.is_some() {
            let (path, message) = (waiting.item.to_string(), waiting.why.clone());
            let weight = cause.as_ref().map_or(Weight::Passing, weight);
            report.problems.push(Trouble { path, message, weight });
        }
    }
}
