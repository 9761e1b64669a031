//! A plan: what a cycle would do. The same JSON as the engine's own [`Plan`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use cogzy_engine::model::{Conflict, Direction, Entry, HoldId, Item, Reason, VaultPath};
use cogzy_engine::plan::{Action, FileStep, Hold, Plan, Share, Step, Waiting};

/// A plan, sorted by item: `sync --dry-run --json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PlanDocument {
    /// Items that the cycle deals with.
    pub steps: Vec<StepDocument>,
    /// Items that are busy, not settled or unreadable.
    pub waiting: Vec<WaitingItemDocument>,
    /// Items that wait for a person's decision.
    pub holds: Vec<PlannedHoldDocument>,
}

/// One item's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepDocument {
    /// The item: `{"group":NAME}` or `{"file":PATH}`.
    #[schema(value_type = Object)]
    pub item: Item,
    /// The action.
    #[serde(flatten)]
    pub action: ActionDocument,
    /// The files that change on the receiving side, sorted by path.
    pub files: Vec<FileStepDocument>,
}

/// The action that a plan takes on an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "conflict")]
pub enum ActionDocument {
    /// The remote takes over the local version.
    Push,
    /// The remote's version replaces the local one.
    Pull,
    /// The same, and the losing version is kept.
    Conflict(Box<ConflictRecord>),
    /// Both sides hold the same bytes already: only the record is brought up to date.
    Adopt,
    /// Derived members stay different on purpose.
    KeepLocal,
}

/// A conflict with its losing version, as the engine records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct ConflictRecord(pub Conflict);

/// One file of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileStepDocument {
    /// The path.
    #[schema(value_type = String)]
    pub path: VaultPath,
    /// The entry that stands there now; none where the file is new.
    #[schema(value_type = Option<Object>)]
    pub from: Option<Entry>,
    /// The entry that will stand there; none where the file is deleted.
    #[schema(value_type = Option<Object>)]
    pub to: Option<Entry>,
}

/// An item that cannot be judged yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingItemDocument {
    /// The item.
    #[schema(value_type = Object)]
    pub item: Item,
    /// The reason.
    pub why: String,
}

/// Items that a plan holds until the user decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedHoldDocument {
    /// The hold's id.
    #[schema(value_type = String)]
    pub id: HoldId,
    /// The reason: `differs`, `group-loss`, `mass-delete`, `mass-change` or `filter`.
    #[schema(value_type = String)]
    pub reason: Reason,
    /// The side that would lose something: `outgoing` is the remote, `incoming` this device.
    #[schema(value_type = String)]
    pub direction: Direction,
    /// The held items.
    #[schema(value_type = Vec<Object>)]
    pub items: BTreeSet<Item>,
    /// The share of the vault, for a mass: its `files`, `of` how many, whether earlier commits took
    /// some of them (`slowly`), and whether others come in their place (`replaced`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub share: Option<Share>,
}

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        Self {
            steps: plan.steps.iter().map(StepDocument::from).collect(),
            waiting: plan.waiting.iter().map(WaitingItemDocument::from).collect(),
            holds: plan.holds.iter().map(PlannedHoldDocument::from).collect(),
        }
    }
}

impl From<&Step> for StepDocument {
    fn from(step: &Step) -> Self {
        let files = step.files.iter().map(FileStepDocument::from).collect();
        Self { item: step.item.clone(), action: ActionDocument::from(&step.action), files }
    }
}

impl From<&Action> for ActionDocument {
    fn from(action: &Action) -> Self {
        match action {
            Action::Push => Self::Push,
            Action::Pull => Self::Pull,
            Action::Conflict(conflict) => Self::Conflict(Box::new(ConflictRecord(Conflict::clone(conflict)))),
            Action::Adopt => Self::Adopt,
            Action::KeepLocal => Self::KeepLocal,
        }
    }
}

impl From<&FileStep> for FileStepDocument {
    fn from(file: &FileStep) -> Self {
        Self { path: file.path.clone(), from: file.from, to: file.to }
    }
}

impl From<&Waiting> for WaitingItemDocument {
    fn from(waiting: &Waiting) -> Self {
        Self { item: waiting.item.clone(), why: waiting.why.clone() }
    }
}

impl From<&Hold> for PlannedHoldDocument {
    fn from(hold: &Hold) -> Self {
        let Hold { id, reason, direction, items, share } = hold;
        Self { id: *id, reason: *reason, direction: *direction, items: items.clone(), share: *share }
    }
}

#[cfg(test)]
mod tests;
