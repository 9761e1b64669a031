//! Changes of the groups that another device made: they wait for a person.
//!
//! Groups come with commits, and decide what moves together and what is checked before it is
//! replaced. So a change of them that this device has not made is held, with the items that it is
//! about; meanwhile this device goes by the groups that it knows, and everything else is synced.
//! Merges in the log go by the groups of the commits, the same on every device.
//!
//! The groups that this device goes by stand in `sync/reference.json`. Approved, the new ones stand
//! there before anything is done by them; rejected, a commit puts the old ones back.

use std::sync::Arc;

use super::Sides;
use crate::log::{LogError, Snapshot};
use crate::model::{CommitKind, Decisions, Group, Groups, HoldId, Tree};
use crate::plan::{self, Hold, Plan};
use crate::sync::SyncError;
use crate::sync::recovery::{Rewrite, Stand};
use crate::sync::session::Session;

/// Outcome for the groups of the newest commit.
#[derive(Debug, Default)]
pub(crate) enum Regrouped {
    /// They are the ones that this device goes by, or a person has approved them.
    #[default]
    Accepted,
    /// A person has to decide; until then this device goes by the old ones.
    Open,
    /// A person has rejected them: these are put back.
    Overruled(Vec<Group>),
}

/// The change of the groups in a survey.
#[derive(Debug)]
pub(crate) struct Change {
    hold: Hold,
    regrouped: Regrouped,
}

impl Change {
    /// The hold, unless a person has approved it: what is planned leaves its items out.
    pub(super) fn waits(&self) -> Option<&Hold> {
        Some(&self.hold).filter(|_| !matches!(self.regrouped, Regrouped::Accepted))
    }
}

impl Session<'_> {
    /// Compares the groups of the remote with those that this device goes by. Where these differ
    /// and nobody has approved it, the remote in `sides` gets the latter.
    pub(super) fn regroup(
        &self,
        sides: &mut Sides,
        local: &Tree,
        decisions: &Decisions,
    ) -> Result<Option<Change>, SyncError> {
        let Some(known) = self.known_groups(&sides.agreed) else { return Ok(None) };
        if known == sides.remote.groups.definitions() {
            return Ok(None);
        }
        let accepted =
            Groups::new(known.clone()).map_err(|error| LogError::groups("sync/reference.json", &error))?;
        let paths = sides.agreed.tree.keys().chain(sides.remote.tree.keys()).chain(local.keys());
        let Some(hold) = plan::groups_hold(&accepted, &sides.remote.groups, paths) else { return Ok(None) };
        if decisions.approved.contains(&hold.id) {
            return Ok(Some(Change { hold, regrouped: Regrouped::Accepted }));
        }
        let is_rejected = decisions.rejected.contains(&hold.id);
        let regrouped = if is_rejected { Regrouped::Overruled(known) } else { Regrouped::Open };
        sides.remote = Arc::new(Snapshot { groups: accepted, ..sides.remote.as_ref().clone() });
        Ok(Some(Change { hold, regrouped }))
    }

    /// The groups that this device goes by: those that stand in its record, else those that were
    /// agreed.
    pub(super) fn known_groups(&self, agreed: &Snapshot) -> Option<Vec<Group>> {
        let agreed = agreed.key.map(|_| agreed.groups.definitions().to_vec());
        self.reference.groups.clone().or(agreed)
    }

    /// The newest state with the groups that this device goes by: what is restored or decided moves
    /// with the files that the user of this device takes for its group.
    pub(crate) async fn stand_by_known_groups(&mut self) -> Result<Stand, SyncError> {
        let head = self.stand().await?;
        let agreed = self.log.snapshot(self.context.agreed()?).await?;
        let known = self.known_groups(&agreed).filter(|known| known != head.groups.definitions());
        let Some(known) = known else { return Ok(head) };
        let groups = Groups::new(known).map_err(|error| LogError::groups("sync/reference.json", &error))?;
        Ok(Arc::new(Snapshot { groups, ..head.as_ref().clone() }))
    }

    /// Goes by the groups of a survey from now on, durably, unless somebody has to decide.
    pub(super) fn go_by(&mut self, regrouped: &Regrouped, groups: &Groups) -> Result<(), SyncError> {
        let definitions = groups.definitions();
        if matches!(regrouped, Regrouped::Accepted) && self.reference.groups.as_deref() != Some(definitions) {
            self.reference.groups = Some(definitions.to_vec());
            self.save_reference()?;
        }
        Ok(())
    }

    /// Puts the groups back that this device goes by, for all devices.
    pub(super) async fn overrule(&mut self, groups: Vec<Group>, hold: HoldId) -> Result<(), SyncError> {
        let head = self.stand().await?;
        if head.groups.definitions() != groups {
            let rewrite = Rewrite { kind: CommitKind::Sync, groups: Some(groups), ..Rewrite::default() };
            self.rewrite(&head, rewrite, true).await?;
        }
        let mut record = self.context.record_or_first(self.marker.vault)?;
        record.decisions.rejected.remove(&hold);
        self.context.save_record(&record)
    }
}

/// Enters a change of the groups into the plan that was made with it ([`Change::waits`]). Returns
/// what became of it, and the hold that a person has rejected.
pub(super) fn enter(plan: &mut Plan, change: Option<Change>) -> (Regrouped, Option<HoldId>) {
    let Some(Change { hold, regrouped }) = change else { return (Regrouped::Accepted, None) };
    let id = hold.id;
    if matches!(regrouped, Regrouped::Accepted) {
        plan.approved.push(hold);
    }
    let rejected = matches!(regrouped, Regrouped::Overruled(_)).then_some(id);
    (regrouped, rejected)
}
