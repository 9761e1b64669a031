//! What a plan says: steps, what waits, and what is held.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Hold;
use crate::model::{Conflict, Entry, Held, Item, VaultPath};

/// What is done with an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "conflict")]
pub enum Action {
    /// The remote takes over what is here.
    Push,
    /// What is here is replaced by the remote's.
    Pull,
    /// The same, and the losing version is kept.
    Conflict(Box<Conflict>),
    /// Both sides hold the same bytes already: only the record is brought up to date.
    Adopt,
    /// Derived members stay different on purpose.
    KeepLocal,
}

/// What becomes of one file on the side that changes: from what it must hold now, to what it will hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileStep {
    /// Which file.
    pub path: VaultPath,
    /// What stands there now.
    pub from: Option<Entry>,
    /// What will stand there.
    pub to: Option<Entry>,
}

/// One item's part of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which item.
    pub item: Item,
    /// What is done with it.
    #[serde(flatten)]
    pub action: Action,
    /// The files that change on the receiving side (the remote for a push, here for a pull), sorted by path.
    pub files: Vec<FileStep>,
    /// What is agreed for the item's paths once the step is done.
    #[serde(skip)]
    pub agreed: BTreeMap<VaultPath, Option<Entry>>,
}

impl Step {
    /// Whether something is written here.
    #[must_use]
    pub const fn incoming(&self) -> bool {
        matches!(self.action, Action::Pull | Action::Conflict(_))
    }

    /// Whether something is written there.
    #[must_use]
    pub const fn outgoing(&self) -> bool {
        matches!(self.action, Action::Push)
    }
}

/// An item that something happened to but that cannot be judged yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Waiting {
    /// Which item.
    pub item: Item,
    /// What it waits for.
    pub why: String,
    /// The name that keeps it from being judged, where one does.
    #[serde(skip)]
    pub blocked_by: Option<VaultPath>,
}

impl Waiting {
    pub(super) const fn of(item: Item, why: String) -> Self {
        Self { item, why, blocked_by: None }
    }
}

/// What is to be done, sorted by item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    /// Items that are dealt with.
    pub steps: Vec<Step>,
    /// Items that are busy, not settled or unreadable.
    pub waiting: Vec<Waiting>,
    /// Those of them that wait for nothing but another item, which they must not be sent without.
    #[serde(skip)]
    pub bound: BTreeMap<Item, Item>,
    /// Items that wait for a person's decision.
    pub holds: Vec<Hold>,
    /// Holds that a person has let pass: their items are among the steps.
    #[serde(skip)]
    pub approved: Vec<Hold>,
    /// Holds that a person has decided the other way: their items are among the steps, turned round, or wait.
    #[serde(skip)]
    pub rejected: Vec<Hold>,
}

impl Plan {
    /// What the next plan has to know of this one's holds, once `done` of its items are: those that are open, and what is left of
    /// those that were rejected. What could not be turned round yet must not pass as a small change the next time.
    #[must_use]
    pub fn to_remember(&self, done: &BTreeSet<Item>) -> Vec<Held> {
        let left = self.rejected.iter().map(Hold::held).map(|mut held| {
            held.items.retain(|item| !done.contains(item));
            held
        });
        self.holds.iter().map(Hold::held).chain(left).filter(|held| !held.items.is_empty()).collect()
    }

    /// Whether nothing is to be written on either side.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.action, Action::Adopt | Action::KeepLocal))
    }
}
