//! Puts files of this disk back to the newest state: the part of a restore that no commit can do.
//!
//! A group whose files do not fit together here is neither pushed nor pulled over. A restore of the
//! very generation that stands commits nothing, and so would change nothing; but the user who asks
//! for it means the disk. Replaced files go to the trash; a sound version that was never sent is
//! kept as a conflict. A file that is being written is waited for; if that does not end, the
//! request is refused.
//!
//! A crash leaves the journal of an apply, which the next start finishes.

use std::collections::BTreeSet;

use crate::log::Depth;
use crate::model::{Item, Tree, VaultPath};
use crate::plan::{self, Action, Input, Plan, Step};
use crate::sync::cycle::{Incoming, SETTLE_TRIES, Scope};
use crate::sync::session::Session;
use crate::sync::{About, Refusal, Survey, SyncError};

impl Session<'_> {
    /// Puts `items` back. Returns the number of files that were replaced or removed.
    pub(crate) async fn put_back(&mut self, items: &BTreeSet<Item>) -> Result<usize, SyncError> {
        if items.is_empty() {
            return Ok(0);
        }
        self.finish_unfinished().await?;
        self.log.refresh(Depth::Near).await?;
        for _ in 1..SETTLE_TRIES {
            if let Ok(files) = self.try_put_back(items).await? {
                return Ok(files);
            }
            self.context.wait_to_settle().await;
        }
        self.try_put_back(items).await?.map_err(|busy| Refusal::Busy(busy).into())
    }

    /// Tries once. Returns the number of files, or the paths that are still being written.
    async fn try_put_back(
        &mut self,
        items: &BTreeSet<Item>,
    ) -> Result<Result<usize, Vec<String>>, SyncError> {
        let stored = self.context.record()?;
        let sides = self.look_at_remote(stored.as_ref(), false).await?;
        let agreed = self.log.snapshot(stored.as_ref().and_then(|record| record.commit)).await?;
        let survey = self.survey(stored.as_ref(), sides, Scope::default()).await?;
        let plan = broken(&survey, items, |path| self.context.visible(path));
        let busy: Vec<String> = plan.waiting.iter().map(|wait| wait.why.clone()).collect();
        if !busy.is_empty() {
            return Ok(Err(busy));
        }
        let steps: Vec<&Step> = plan.steps.iter().collect();
        let files = steps.iter().map(|step| step.files.len()).sum();
        let done = self.pull(&Incoming { steps, finish: true, ..Incoming::of(&survey) }).await?;
        let mut record = stored.unwrap_or_else(|| self.context.first_record(self.marker.vault));
        self.context.agree_applied(&mut record, &agreed, &survey.remote, &done)?;
        self.context.save_record(&record)?;
        self.conclude().await?;
        let left = plan.steps.iter().filter(|step| !done.contains(&step.item));
        let why = |item: &Item| {
            let known =
                self.report.problems.iter().find(|trouble| trouble.about == About::Item(item.clone()));
            known.map_or_else(|| format!("{item} is being written"), |trouble| trouble.message.clone())
        };
        let left: Vec<String> = left.map(|step| why(&step.item)).collect();
        Ok(if left.is_empty() { Ok(files) } else { Err(left) })
    }
}

/// The plan that pulls those of `items` that differ here from the newest state.
fn broken(survey: &Survey, items: &BTreeSet<Item>, visible: impl Fn(&VaultPath) -> bool) -> Plan {
    let mut remote: Tree = survey.remote.tree.clone();
    remote.retain(|path, _| visible(path));
    let Survey { base, local, .. } = survey;
    let (groups, ages) = (&survey.remote.groups, &survey.remote.ages);
    let input = Input::of([base, &local.tree, &remote], groups, ages);
    let mut plan = plan::reset(&Input { blocked: &local.blocked, ..input });
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
