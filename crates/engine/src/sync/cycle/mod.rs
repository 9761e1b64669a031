//! One cycle, from the state of both sides to the state that both agree on.
//!
//! The rooms in their order: [`begin`] opens the log, [`survey`] plans from both sides, at which
//! [`look`] looks; [`local`] turns a scan into the planner's input; [`names`] keeps back names that
//! not every device can read, [`databases`] what older ones would tear apart, until [`readers`] has
//! readers for them; [`groups`] looks into the files of groups, and [`stale`] leaves out what was
//! not computed again. [`pull`] and [`fetch`] bring in, [`push`], [`gather`], [`intake`] and [`upload`] send,
//! [`sent`] and [`commit`] make a generation of it, and [`tidy`] clears up.
//!
//! Decided here: the order, and when to begin again because the remote has moved on. A crash leaves
//! what each room says at its head; the next cycle finishes that first.

mod apply_lock;
mod base;
mod begin;
mod census;
mod claimed;
mod commit;
mod cut_short;
mod databases;
mod disks;
mod fetch;
mod finishing;
mod gather;
mod given_up;
mod groups;
mod hinted;
mod indexed;
mod intake;
mod local;
mod look;
mod missing;
mod names;
mod occupied;
mod old;
mod on_disk;
mod pieces;
mod pull;
mod push;
mod readers;
mod regroup;
mod room;
mod sent;
mod sources;
mod stale;
mod survey;
mod tidy;
mod unwritable;
mod uplink;
mod upload;
mod whole;

use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) use census::{Census, Visible};
pub(crate) use claimed::Judged;
pub(crate) use fetch::{Order, Wanted};
pub(crate) use groups::{FactsKnown, Members, kind, listed, looked_into};
pub(crate) use hinted::LastLook;
pub(crate) use indexed::Indexed;
pub(crate) use local::Local;
pub(crate) use look::Early;
pub(crate) use old::Old;
pub(crate) use on_disk::OnDisk;
pub(crate) use pull::Incoming;
pub(crate) use sources::list_chunks;
pub use survey::Survey;
pub(crate) use survey::{Scope, Sides};
pub(crate) use tidy::note;
pub(crate) use unwritable::PutOff;
pub(crate) use uplink::Uplink;
pub(crate) use upload::{Known, Run, Uploads};
pub use whole::WHOLE_LISTING;

use begin::Begun;
use look::before_void;
use regroup::Regrouped;

use super::report::Standing;
use super::session::{Context, Session};
use super::standing::Unsent;
use super::{Engine, Report, SyncError, Watcher};
use crate::log::Depth;
use crate::model::{HoldId, Item, VaultPath};
use crate::plan::Action;
use crate::planted::{Bug, planted};
use crate::state::LastSync;
use crate::vault::Marker;

/// Number of times a run waits for files that have not settled.
pub(crate) const SETTLE_TRIES: usize = 4;
/// Added to the settle window: clocks of file systems tick more coarsely than ours.
pub(crate) const SETTLE_MARGIN: Duration = Duration::from_millis(50);
/// Rounds of one cycle. If the remote moves on more often, the rest is left to the next cycle.
const MAX_ROUNDS: usize = 8;

/// Scope of a cycle, beyond asking the remote for news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ask {
    /// Scan the vault.
    pub scan: bool,
    /// List all of `commits/`.
    pub whole: bool,
}

/// Order for one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Scope of its looks.
    pub ask: Ask,
    /// Also send derived members that would stay here.
    pub derived: bool,
}

impl Request {
    /// A whole cycle: scans the vault and lists all commits.
    pub const FULL: Self = Self { ask: Ask { scan: true, whole: true }, derived: false };
}

/// Outcome of one round of a cycle.
enum Round {
    /// Both sides are as far as they come in this cycle.
    Done,
    /// The remote moved on meanwhile: another round looks at it again.
    Again,
}

impl Engine {
    /// Runs one whole cycle.
    ///
    /// # Errors
    /// See [`SyncError`]. Finished steps stay done, and the next cycle does not repeat them.
    pub async fn cycle(&mut self, request: Request, watcher: &dyn Watcher) -> Result<Report, SyncError> {
        self.cycle_at(request, None, watcher).await
    }

    /// Runs one cycle. Where it has to look at the vault, and that is enough, it looks only at the
    /// places that a watcher has named since the last look, and at what depends on them.
    ///
    /// # Errors
    /// See [`Engine::cycle`].
    pub async fn cycle_at(
        &mut self,
        request: Request,
        places: Option<BTreeSet<VaultPath>>,
        watcher: &dyn Watcher,
    ) -> Result<Report, SyncError> {
        let before = self.context.ports.meter.read();
        let Begun { mut session, stored, sides } = self.begin(request, places, watcher).await?;
        session.rounds(request, stored, sides).await?;
        let Session { mut report, memory, context, log, .. } = session;
        report.aside = log.aside();
        if request.ask.whole {
            context.note_whole_listing(log);
        }
        memory.unsent = Unsent::default();
        report.transfer = context.ports.meter.read() - before;
        Ok(report)
    }

    /// Runs cycles until files written a moment ago have settled and gone through, within reason.
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
            self.context.wait_to_settle().await;
            // All of the log was listed a moment ago.
            let request = Request { ask: Ask { whole: false, ..request.ask }, ..request };
            whole = self.cycle(request, watcher).await?.after(&whole);
        }
        self.write_manifest().await?;
        self.note_success();
        Ok(whole)
    }

    /// Looks at both sides and plans, without changing anything.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn dry_run(&mut self, derived: bool, watcher: &dyn Watcher) -> Result<Survey, SyncError> {
        let mut session = self.session(watcher).await?;
        session.log.refresh(Depth::Whole).await?;
        let record = session.context.record()?;
        // A fork is left as it is: merging it would be a write. A merge would build on the highest
        // head.
        let head = session.log.graph().heads().first().copied();
        let agreed_key = record.as_ref().and_then(|record| record.commit);
        if let Some(agreed) = agreed_key {
            session.log.check_agreed(agreed).await?;
        }
        let remote = session.log.snapshot(head).await?;
        let agreed = session.log.snapshot(before_void(session.log, agreed_key, &remote)).await?;
        session
            .survey(
                record.as_ref(),
                Sides { head, remote, agreed },
                Scope { derived, rehash: false, dry: true },
            )
            .await
    }

    /// Decides holds: `approved` pass, `rejected` are decided the other way, at the next cycle.
    ///
    /// # Errors
    /// Errors of writing the record.
    pub fn decide(&self, approved: &[HoldId], rejected: &[HoldId]) -> Result<(), SyncError> {
        let marker = Marker::read(self.context.fs(), &self.context.layout)?;
        self.context.decide(marker.vault, |record| {
            record.decisions.approved.extend(approved);
            record.decisions.rejected.extend(rejected);
            for id in approved {
                record.decisions.rejected.remove(id);
            }
        })
    }
}

impl Context {
    /// Waits for the settle window. A file settles when nothing happens to it, so there is no event
    /// to wait for.
    pub(crate) async fn wait_to_settle(&self) {
        tokio::time::sleep(self.settings.settle + SETTLE_MARGIN).await;
    }
}

impl Session<'_> {
    /// Finishes an apply and a commit that a crash or a lost response left half-way.
    pub(crate) async fn finish_unfinished(&mut self) -> Result<(), SyncError> {
        self.recover().await?;
        self.finish_pending().await
    }

    /// Goes on from the first look at the remote, and looks again as often as it has moved on.
    async fn rounds(
        &mut self,
        request: Request,
        stored: Option<LastSync>,
        sides: Sides,
    ) -> Result<(), SyncError> {
        let mut first = Some((stored, sides));
        for round in 0..MAX_ROUNDS {
            let (stored, sides) = match first.take() {
                Some(looked) => looked,
                None => {
                    let stored = self.context.record()?;
                    let sides = self.look_at_remote(stored.as_ref(), false).await?;
                    (stored, sides)
                }
            };
            if let Round::Done = self.round(request, round, stored, sides).await? {
                return Ok(());
            }
        }
        Err(SyncError::Unsettled(MAX_ROUNDS))
    }

    async fn round(
        &mut self,
        request: Request,
        round: usize,
        stored: Option<LastSync>,
        sides: Sides,
    ) -> Result<Round, SyncError> {
        self.adopt_name()?;
        self.report.generation = sides.remote.seq();
        let scan = request.ask.scan && !planted(Bug::TrustTheWatcher);
        if round == 0 && !scan && self.is_idle(stored.as_ref(), &sides)? {
            return Ok(Round::Done);
        }
        let head = sides.head;
        let scope = Scope { derived: request.derived, ..Scope::default() };
        let survey = self.survey(stored.as_ref(), sides, scope).await?;
        self.take_note(&survey)?;
        let known = self.report.problems.len();
        if let (Regrouped::Overruled(groups), Some(hold)) = &survey.regrouped {
            self.overrule(groups.clone(), *hold).await?;
            return Ok(Round::Again);
        }
        self.go_by(&survey.regrouped.0, &survey.remote.groups)?;
        let mut record = stored.clone().unwrap_or_else(|| self.context.first_record(self.marker.vault));
        let mut incoming = Incoming::of(&survey);
        self.report.reverted.extend(survey.reverted.keys().cloned());
        self.leave_put_off(&mut incoming);
        let mut done = match self.pull(&incoming).await {
            Err(error) if round + 1 < MAX_ROUNDS && self.moved_on(&error, &incoming, head).await? => {
                return Ok(Round::Again);
            }
            done => done?,
        };
        let written = incoming.steps.iter().flat_map(|step| &step.files).map(|file| &file.path);
        self.memory.written = written.cloned().collect();
        done.retain(|_| !planted(Bug::Echo));
        done.extend(settled_by_record(&survey));
        self.note_bases(&survey, &done, stored.as_ref().and_then(|record| record.commit))?;
        self.context.agree(&mut record, &survey, &done, head, &survey.remote.tree)?;
        if stored.as_ref() != Some(&record) {
            self.context.save_record(&record)?;
        }
        self.note_losses(&survey, &done)?;
        self.conclude().await?;
        let pushed = self.push(&record, &survey, &done).await?;
        self.context.note_left_out_by(&survey, &done, pushed.is_some());
        if let Some(pushed) = pushed {
            if self.log.settle().await? != Some(pushed) {
                // Another device committed at the same moment: the merge is pulled like any other
                // commit.
                return Ok(Round::Again);
            }
            record = self.context.record()?.unwrap_or(record);
            self.report.generation = pushed.seq;
            if !self.context.left_out().is_empty() {
                self.context.forget_left_out(&*self.log.snapshot(Some(pushed)).await?);
            }
        }
        if round + 2 < MAX_ROUNDS && self.merge_unasked(&survey, &done).await? {
            return Ok(Round::Again);
        }
        self.tidy(&record).await?;
        self.note_standing(&survey, &done)?;
        let calm = self.report.problems.len() == known && survey.regrouped.1.is_none();
        self.memory.last = LastLook::of(&survey).filter(|_| calm);
        Ok(Round::Done)
    }

    /// True if a poll has found nothing to do here.
    fn is_idle(&self, record: Option<&LastSync>, sides: &Sides) -> Result<bool, SyncError> {
        let agreed = record.is_some_and(|record| record.commit == sides.head && record.exceptions.is_empty());
        Ok(agreed && !self.memory.unfinished && self.context.unkept(&sides.remote)?.is_empty())
    }

    /// Passes the findings of a survey to the watcher, the report and the next run.
    fn take_note(&mut self, survey: &Survey) -> Result<(), SyncError> {
        self.watcher.planned(&survey.plan);
        self.watcher.surveyed(survey.remote.seq(), survey.coming(&BTreeSet::new()));
        note(survey, &mut self.report);
        self.memory.unfinished = self.report.problems.iter().any(|trouble| trouble.weight.left_out());
        self.memory.unsent = Unsent::of(survey);
        self.context.forget_sent(&survey.bound)?;
        self.context.forget_left_out(&survey.remote);
        self.note_standing(survey, &BTreeSet::new())
    }

    /// Notes how things stand once `done` of the survey's items were brought in.
    fn note_standing(&mut self, survey: &Survey, done: &BTreeSet<Item>) -> Result<(), SyncError> {
        let conflicts = survey.remote.conflicts.len() + self.context.unkept(&survey.remote)?.len();
        let (here, waiting, coming) = (survey.here_after(done), survey.waiting(), survey.coming(done));
        self.report.standing = Some(Standing { here, waiting, coming, conflicts });
        Ok(())
    }

    /// Takes over the id that stays, if two devices made a vault at once.
    fn adopt_name(&mut self) -> Result<(), SyncError> {
        let ours = self.marker.vault;
        let Some(vault) = self.log.vault().filter(|vault| *vault != ours) else { return Ok(()) };
        tracing::info!(from = %ours, to = %vault, "another device made this vault at the same moment; its name is used");
        self.marker.vault = vault;
        self.marker.write(self.context.fs(), &self.context.layout)?;
        // The losses of the last day are losses of this vault.
        self.reference.rename(vault);
        self.save_reference()
    }
}

/// Items that only need a line in the record.
fn settled_by_record(survey: &Survey) -> BTreeSet<Item> {
    let quiet =
        survey.plan.steps.iter().filter(|step| matches!(step.action, Action::Adopt | Action::KeepLocal));
    quiet.map(|step| step.item.clone()).collect()
}
