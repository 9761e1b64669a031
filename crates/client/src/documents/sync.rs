//! One cycle: its result, or its plan.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AsideDocument, HoldDocument, PlanDocument, SchemaVersion, holds};
use cogzy_engine::model::ConflictId;
use cogzy_engine::plan::Plan;
use cogzy_engine::remote::Transfer;
use cogzy_engine::sync::{Clash, Report, Trouble};

/// The result of a cycle: `sync --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The generation that is agreed now.
    pub generation: u64,
    /// Files sent.
    pub pushed: usize,
    /// Files fetched.
    pub pulled: usize,
    /// Files deleted on this device.
    pub deleted_local: usize,
    /// Files deleted on the remote.
    pub deleted_remote: usize,
    /// Conflicts kept.
    #[schema(value_type = Vec<String>)]
    pub conflicts: Vec<ConflictId>,
    /// Groups whose two versions were merged, memory by memory, where there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<String>,
    /// Clashes in these merges, where there are any: both sides changed the same. What lost is
    /// kept as one of `conflicts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clashes: Vec<Clash>,
    /// Groups that a program saved as it knew them before the last pull, where there are any. What
    /// that pull had brought was merged with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reverted: Vec<String>,
    /// Changes that wait for a decision.
    pub holds: Vec<HoldDocument>,
    /// Paths that were left out, each with the reason.
    pub problems: Vec<Trouble>,
    /// Objects in the bucket that were set aside, or are not believed, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<AsideDocument>,
    /// The traffic with the remote.
    pub transfer: Transfer,
    /// With `--dry-run`, the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanDocument>,
}

impl From<&Report> for SyncDocument {
    fn from(report: &Report) -> Self {
        Self {
            schema: SchemaVersion,
            generation: report.generation,
            pushed: report.pushed,
            pulled: report.pulled,
            deleted_local: report.deleted_local,
            deleted_remote: report.deleted_remote,
            conflicts: report.conflicts.clone(),
            merged: report.merged.iter().map(ToString::to_string).collect(),
            clashes: report.clashes.iter().map(|(_, clash)| clash.clone()).collect(),
            reverted: report.reverted.iter().map(ToString::to_string).collect(),
            holds: holds(&report.holds),
            problems: report.problems.clone(),
            aside: AsideDocument::of(&report.aside),
            transfer: report.transfer,
            plan: None,
        }
    }
}

impl SyncDocument {
    /// The document of a plan: nothing was done.
    #[must_use]
    pub fn of_plan(plan: &Plan, generation: u64) -> Self {
        let report = Report { generation, holds: plan.holds.clone(), ..Report::default() };
        Self { plan: Some(PlanDocument::from(plan)), ..Self::from(&report) }
    }
}
