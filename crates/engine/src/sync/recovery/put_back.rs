//! Puts files of this disk back to the newest state: the part of a restore that no commit can do.
//!
//! A group whose files do not fit together here is neither pushed nor pulled over. A restore of the
//! very generation that stands commits nothing, and so would change nothing; but the user who asks
//! for it means the disk. Replaced files go to the trash; a sound version that was never sent is
//! kept as a conflict. A file that is being written is waited for; if that does not end, it is left
//! as it is and named.
//!
//! A crash leaves the journal of an apply, which the next start finishes.

use std::collections::BTreeSet;

use crate::log::Depth;
use crate::model::{Item, Tree, VaultPath};
use crate::plan::{self, Action, Input, Plan, Step};
use crate::sync::cycle::{Incoming, SETTLE_TRIES, Scope};
use crate::sync::report::{Trouble, Weight};
use crate::sync::session::Session;
use crate::sync::{About, Refusal, Survey, SyncError};

/// Result of putting files back.
#[derive(Default)]
pub(super) struct PutBack {
    /// Files that were replaced or removed.
    pub(super) files: usize,
    /// Items that could not be replaced, each with the cause.
    pub(super) left: Vec<Trouble>,
}

impl Session<'_> {
    /// Puts `items` back, as far as they can be replaced now.
    pub(super) async fn put_back(&mut self, items: &BTreeSet<Item>) -> Result<PutBack, SyncError> {
        let mut whole = PutBack::default();
        if items.is_empty() {
            return Ok(whole);
        }
        self.finish_unfinished().await?;
        self.log.refresh(Depth::Near).await?;
        for _ in 1..SETTLE_TRIES {
            whole.add(self.try_put_back(items, false).await?);
            if whole.left.is_empty() {
                return Ok(whole);
            }
            self.context.wait_to_settle().await;
        }
        whole.add(self.try_put_back(items, true).await?);
        Ok(whole)
    }

    /// Tries once. While anything is still being written, nothing is put back, unless `partly`.
    async fn try_put_back(&mut self, items: &BTreeSet<Item>, partly: bool) -> Result<PutBack, SyncError> {
        let stored = self.context.record()?;
        let sides = self.look_at_remote(stored.as_ref(), false).await?;
        let agreed = self.log.snapshot(stored.as_ref().and_then(|record| record.commit)).await?;
        let survey = self.survey(stored.as_ref(), sides, Scope::default()).await?;
        let plan = broken(&survey, items, |path| self.context.visible(path));
        let busy = plan.waiting.iter().map(|wait| Trouble::of(&wait.item, &wait.why, Weight::Passing));
        let mut left: Vec<Trouble> = busy.collect();
        if !left.is_empty() && !partly {
            return Ok(PutBack { files: 0, left });
        }
        let steps: Vec<&Step> = plan.steps.iter().collect();
        let done = self.pull(&Incoming { steps, finish: true, ..Incoming::of(&survey) }).await?;
        let mut record = stored.unwrap_or_else(|| self.context.first_record(self.marker.vault));
        self.context.agree_applied(&mut record, &agreed, &survey.remote, &done)?;
        self.context.save_record(&record)?;
        self.conclude().await?;
        let (placed, missed): (Vec<&Step>, Vec<&Step>) =
            plan.steps.iter().partition(|step| done.contains(&step.item));
        left.extend(missed.into_iter().map(|step| self.why_left(&step.item)));
        Ok(PutBack { files: placed.iter().map(|step| step.files.len()).sum(), left })
    }

    fn why_left(&self, item: &Item) -> Trouble {
        let known = self.report.problems.iter().find(|trouble| trouble.about == About::Item(item.clone()));
        known.cloned().unwrap_or_else(|| Trouble::of(item, "it is being written", Weight::Passing))
    }
}

impl PutBack {
    /// Adds the result of another try.
    fn add(&mut self, later: Self) {
        self.files += later.files;
        self.left = later.left;
    }

    /// The result of a request that made no generation, and so must have put back something.
    pub(super) fn or_refused(self) -> Result<Self, Refusal> {
        let why = |trouble: &Trouble| trouble.message.clone();
        match self.files {
            0 if !self.left.is_empty() => Err(Refusal::Busy(self.left.iter().map(why).collect())),
            _ => Ok(self),
        }
    }
}

/// The plan that pulls those of `items` that differ here from the newest state.
fn broken(survey: &Survey, items: &BTreeSet<Item>, visible: impl Fn(&VaultPath) -> bool) -> Plan {
    let mut remote: Tree = survey.remote.tree.clone();
    remote.retain(|path, _| visible(path));
    let Survey { base, local, .. } = survey;
    let (groups, ages) = (&survey.remote.groups, &survey.remote.ages);
    let input = Input::of([base, &local.tree, &remote], groups, ages);
    let mut plan = plan::reset(&Input { blocked: &local.blocked, closed: &survey.remote.resolved, ..input });
    plan.steps.retain(|step| items.contains(&step.item));
    plan.waiting.retain(|wait| items.contains(&wait.item));
    let unsent = unsent(survey);
    for step in plan.steps.iter_mut().filter(|step| !unsent.contains(&step.item)) {
        // It is broken, and the user asked for it: the trash keeps the old file, and there is
        // nothing to decide.
        step.action = Action::Pull;
    }
    plan
}

/// Items whose version here is sound, as far as that was looked into, and was never sent: a brake
/// holds it, in either direction, as at a first join; it was saved a moment ago; or it waits, for its
/// name, its disk, a command under `hold`, or what it was written with. The trash alone, which
/// forgets, is no place for the only copy: it is kept as a conflict.
fn unsent(survey: &Survey) -> BTreeSet<&Item> {
    let Survey { plan, unfit, .. } = survey;
    let held = plan.holds.iter().flat_map(|hold| &hold.items);
    let going =
        plan.steps.iter().filter(|step| step.outgoing() || matches!(step.action, Action::Conflict(_)));
    let waiting = plan.waiting.iter().map(|waiting| &waiting.item).filter(|item| !unfit.contains(item));
    held.chain(going.map(|step| &step.item)).chain(waiting).collect()
}
