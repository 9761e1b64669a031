//! Looks at both sides and plans: the part of a cycle that changes nothing.
//!
//! Decided here: which base a device without a record has, and how filters limit what it agrees on.
//! A crash leaves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Local;
use super::base::Agreed;
use super::given_up::forget_given_up;
use super::groups::Judged;
use super::look::Look;
use super::regroup::{self, Change, Regrouped};
use super::stale;
use crate::log::Snapshot;
use crate::model::{
    CommitKey, Decisions, Digest, Direction, Entry, HoldId, Holdings, Item, Losses, Recipe, SharedMap, Tree,
    VaultPath,
};
use crate::plan::{self, Input, Mode, Plan, Reason, Step, Waiting};
use crate::state::LastSync;
use crate::sync::brought::Reverted;
use crate::sync::session::{Context, Memory, Session};
use crate::sync::together::Bound;
use crate::sync::transact::held_by_command;
use crate::sync::{Amount, SyncError, Trouble, blocking};
use crate::vault::{Filter, Verdict};

/// Both sides, and the plan for them.
#[derive(Debug)]
pub struct Survey {
    /// State of the newest commit.
    pub(crate) remote: Arc<Snapshot>,
    /// Recipes of the state that was agreed last.
    pub(crate) recipes: SharedMap<Digest, Recipe>,
    /// Agreed state, as far as the filters show it.
    pub(crate) base: Tree,
    /// Agreed paths that the filters now exclude without approval: they keep their place in the
    /// base.
    pub(crate) hidden: Tree,
    /// Local state.
    pub(crate) local: Local,
    /// Groups that were looked into, and whose files do not fit together here.
    pub(crate) unfit: BTreeSet<Item>,
    /// Items that must be sent together.
    pub(crate) bound: Bound,
    /// Files that commits of this device took within the last day.
    pub(crate) losses: Losses,
    /// Steps to take.
    pub plan: Plan,
    /// Outcome for the groups of the newest commit, and the hold over them that a person has
    /// rejected.
    pub(crate) regrouped: (Regrouped, Option<HoldId>),
    /// Groups that a program saved as it knew them before the last pull.
    pub(crate) reverted: BTreeMap<Item, Reverted>,
    /// Files here, and their bytes.
    pub here: Amount,
    /// Facts of the groups, as far as they were looked into.
    pub holdings: Holdings,
    /// See [`Agreed::unknown_origins`].
    pub(crate) unknown_origins: BTreeSet<VaultPath>,
}

impl Survey {
    /// Generation of the remote state.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.remote.seq()
    }

    /// Names and items that cannot be synced as they are.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.local.troubles.iter()
    }

    /// Files of items that wait: held, or not settled. A file that a link has replaced does not
    /// count: it has nothing that could be sent.
    #[must_use]
    pub fn waiting(&self) -> Amount {
        let outgoing = self.plan.holds.iter().filter(|hold| hold.direction == Direction::Outgoing);
        let held = outgoing.flat_map(|hold| &hold.items);
        let is_here =
            |waiting: &&Waiting| waiting.blocked_by.as_ref().is_none_or(|name| !self.local.hides(name));
        let waiting = self.plan.waiting.iter().filter(is_here).map(|waiting| &waiting.item);
        let items: BTreeSet<&Item> = waiting.chain(held).collect();
        Amount { files: items.len(), bytes: 0 }
    }

    /// Files here and their bytes, once `done` of the items were brought in.
    pub(crate) fn here_after(&self, done: &BTreeSet<Item>) -> Amount {
        let brought = self.plan.steps.iter().filter(|step| step.incoming() && done.contains(&step.item));
        brought.flat_map(|step| &step.files).fold(self.here, |here, file| {
            let (left, came) = (file.from.is_some(), file.to.is_some());
            let size = |entry: Option<Entry>| entry.map_or(0, |entry| entry.size);
            Amount {
                files: (here.files + usize::from(came)).saturating_sub(usize::from(left)),
                bytes: (here.bytes + size(file.to)).saturating_sub(size(file.from)),
            }
        })
    }

    /// Files and bytes that the plan would send and fetch.
    #[must_use]
    pub fn pending(&self) -> (Amount, Amount) {
        (self.amount(Step::outgoing), self.amount(Step::incoming))
    }

    /// Files and bytes that are still to be fetched once `done` of the items were brought in.
    pub(crate) fn coming(&self, done: &BTreeSet<Item>) -> Amount {
        self.amount(|step| step.incoming() && !done.contains(&step.item))
    }

    fn amount(&self, wanted: impl Fn(&Step) -> bool) -> Amount {
        let files = self.plan.steps.iter().filter(|step| wanted(step)).flat_map(|step| &step.files);
        files.fold(Amount::default(), |sum, file| Amount {
            files: sum.files + 1,
            bytes: sum.bytes + file.to.map_or(0, |entry| entry.size),
        })
    }
}

/// The two commits that a survey compares.
#[derive(Debug, Clone)]
pub(crate) struct Sides {
    /// Head of the remote. None while nothing was committed.
    pub head: Option<CommitKey>,
    /// State of the vault at the head.
    pub remote: Arc<Snapshot>,
    /// State of the vault that this device agreed on last.
    pub agreed: Arc<Snapshot>,
}

/// Scope of a survey.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope {
    /// True to send also derived members that would stay here.
    pub derived: bool,
    /// True to hash every file again, whatever the cache says of it.
    pub rehash: bool,
    /// Change nothing: not even a disk that is new here is marked.
    pub dry: bool,
}

impl Session<'_> {
    /// Compares the local files with `sides` and plans. `record` is this device's record of what
    /// was agreed; none before the first.
    pub(crate) async fn survey(
        &mut self,
        record: Option<&LastSync>,
        mut sides: Sides,
        scope: Scope,
    ) -> Result<Survey, SyncError> {
        let Look { held, noted, mut local } = self.look(&sides, scope)?;
        // From here on, whatever compares the trees looks at their differences only.
        local.tree.share_with(&sides.agreed.tree);
        self.context.shown.begin_with(&local.tree);
        self.hold_unread_names(&mut local, &sides).await?;
        let decisions = record.map(|record| record.decisions.clone()).unwrap_or_default();
        let regrouped = self.regroup(&mut sides, &local.tree, &decisions)?;
        let Sides { head, remote: there, agreed } = sides;
        let mut remote = self.context.shown(&there.tree);
        let agreed_on = self.base_of(record, &agreed.tree, &local.tree, &remote, head).await?;
        let Agreed { mut base, hidden, mut unknown_origins } = agreed_on;
        let gone = there.gone_for_good();
        unknown_origins.extend(forget_given_up(&mut base, [&local.tree, &remote], &there.groups, &gone));
        local.tree.share_with(&base);
        self.meet_databases(&mut local, [&mut base, &mut remote], &there).await?;
        self.context.meet_disks(&mut local, &base, scope)?;
        blocking(|| self.context.look_for_missing(&mut local, &base));
        local.name_what_blocks(&base, &remote);
        blocking(|| self.context.block_unwritable(&mut local, &base, &remote));
        blocking(|| self.context.look_into_folders(&mut local, &remote));
        let (groups, joining) = (&there.groups, record.is_none_or(|record| record.joining));
        // One look before the scan and one after it: a command that ended in between may have left
        // half of its files in the scan.
        let held = held || self.context.groups_right()?.is_held();
        let Judged { mut unfit, holdings, left_out, .. } =
            blocking(|| self.context.judge(groups, &mut local, &mut base, &mut remote, held))?;
        unfit.partial = self.context.partly_hidden(groups, &there.tree);
        let judged_unfit = unfit.here.keys().cloned().collect();
        if held {
            held_by_command(groups, &mut unfit);
        }
        let reverted = blocking(|| self.context.find_reverts(groups, &local, &unfit, &mut base))?;
        let bound = Bound::of(noted, groups, &local.tree, &base);
        let losses = self.losses();
        let mut plan = plan::plan(&Input {
            blocked: &local.blocked,
            unfit: &unfit,
            left_out: &left_out,
            together: &bound.items,
            mode: if joining { Mode::Joining } else { Mode::Ordinary },
            push_derived: scope.derived,
            brakes: Some(self.context.settings.brakes),
            decisions: &decisions,
            closed: &there.resolved,
            held: record.map(|record| record.held.as_slice()).unwrap_or_default(),
            regroup: regrouped.as_ref().and_then(Change::waits),
            losses: &losses,
            ..Input::of([&base, &local.tree, &remote], groups, &there.ages)
        });
        stale::forget_displaced(&plan, &mut local);
        let Memory { here, there: facts, .. } = &mut *self.memory;
        let here = here.take(&local.tree, facts).amount();
        let regrouped = regroup::enter(&mut plan, regrouped);
        let mut survey = Survey {
            remote: there,
            recipes: agreed.recipes.clone(),
            base,
            hidden,
            local,
            unfit: judged_unfit,
            bound,
            losses,
            plan,
            regrouped,
            reverted,
            here,
            holdings,
            unknown_origins,
        };
        survey.hold_hidden(&decisions);
        Ok(survey)
    }
}

impl Survey {
    /// Holds the paths that the filters now exclude, until a person approves.
    fn hold_hidden(&mut self, decisions: &Decisions) {
        let Some(hold) = plan::filter_hold(&self.hidden) else { return };
        if decisions.approved.contains(&hold.id) {
            self.hidden = Tree::new();
            self.plan.approved.push(hold);
        } else {
            self.plan.holds.push(hold);
        }
    }
}

impl Context {
    /// The filters under which a device has agreed. None if they are the present ones.
    pub(super) fn earlier_filter(&self, record: &LastSync) -> Result<Option<Filter>, SyncError> {
        if record.filter == self.settings.filter_record {
            return Ok(None);
        }
        Ok(Some(Filter::as_agreed(&record.filter.include, &record.filter.exclude)?))
    }

    /// The part of a manifest that the present filters let be synced.
    pub(crate) fn shown(&self, manifest: &Tree) -> Tree {
        self.shown.of(&self.settings.filter, manifest)
    }

    /// The part of a manifest that earlier filters let be synced, or the present ones.
    pub(super) fn seen_through(&self, earlier: Option<&Filter>, manifest: &Tree) -> Tree {
        let Some(filter) = earlier else { return self.shown(manifest) };
        let mut seen = manifest.clone();
        seen.retain(|path, _| filter.verdict(path) == Verdict::Synced);
        seen
    }

    /// Notes in `record`, whose commit is `agreed`, that `items` stand here as in the commit
    /// `applied`.
    pub(crate) fn agree_applied(
        &self,
        record: &mut LastSync,
        agreed: &Snapshot,
        applied: &Snapshot,
        items: &BTreeSet<Item>,
    ) -> Result<(), SyncError> {
        self.amend_base(record, agreed, |base| {
            let of_items = |path: &VaultPath| items.contains(&applied.groups.item(path));
            base.retain(|path, _| !of_items(path));
            let fresh = applied.tree.iter().filter(|(path, _)| of_items(path) && self.visible(path));
            base.extend(fresh.map(|(path, entry)| (path.clone(), *entry)));
        })
    }

    /// Changes the base of `record`, whose commit is `agreed`.
    pub(super) fn amend_base(
        &self,
        record: &mut LastSync,
        agreed: &Snapshot,
        amend: impl FnOnce(&mut Tree),
    ) -> Result<(), SyncError> {
        let earlier = self.earlier_filter(record)?;
        let manifest = self.seen_through(earlier.as_ref(), &agreed.tree);
        let mut base = record.base(&manifest);
        amend(&mut base);
        record.set_base(record.commit, &manifest, &base);
        Ok(())
    }

    /// Updates `record` once the survey's items in `done` are agreed: `manifest` is that of
    /// `commit`.
    pub(crate) fn agree(
        &self,
        record: &mut LastSync,
        survey: &Survey,
        done: &BTreeSet<Item>,
        commit: Option<CommitKey>,
        manifest: &Tree,
    ) -> Result<(), SyncError> {
        let mut base = plan::agreed(&survey.plan, &survey.base, done);
        if survey.hidden.is_empty() {
            record.filter = self.settings.filter_record.clone();
        }
        let earlier = self.earlier_filter(record)?;
        // A join that is complete stays so.
        record.joining &= !survey.plan.strangers.is_subset(done);
        record.held = survey.plan.to_remember(done);
        // Older programs do not know this reason, and nothing depends on it.
        record.held.retain(|held| held.reason != Reason::Groups);
        forget_decided(record, survey, done);
        // A path that only the present filters show, or only the earlier ones, is an exception.
        base.extend(survey.hidden.iter().map(|(path, entry)| (path.clone(), *entry)));
        record.unknown_origins = survey.unknown_origins.clone();
        record.set_base(commit, &self.seen_through(earlier.as_ref(), manifest), &base);
        Ok(())
    }
}

/// Forgets decisions that are carried out, and those about states that are no more: if the same
/// state comes again, it is asked about again.
fn forget_decided(record: &mut LastSync, survey: &Survey, done: &BTreeSet<Item>) {
    for hold in survey.plan.approved.iter().chain(&survey.plan.rejected) {
        if matches!(hold.reason, Reason::Filter | Reason::Groups) || hold.items.is_subset(done) {
            record.decisions.approved.remove(&hold.id);
            record.decisions.rejected.remove(&hold.id);
        }
    }
    let Plan { holds, approved, rejected, .. } = &survey.plan;
    let there: BTreeSet<HoldId> = holds.iter().chain(approved).chain(rejected).map(|hold| hold.id).collect();
    record.decisions.approved.retain(|id| there.contains(id));
    record.decisions.rejected.retain(|id| there.contains(id));
    record.decisions.join &= record.joining;
}
