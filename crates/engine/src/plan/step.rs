//! The contents of a plan: steps, waiting items and holds.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Hold;
use crate::model::{Conflict, Entry, Held, Item, VaultPath};

/// Kind of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "conflict")]
pub enum Action {
    /// The remote takes over the local version.
    Push,
    /// The remote's version replaces the local one.
    Pull,
    /// Like [`Action::Pull`], and the losing version is kept.
    Conflict(Box<Conflict>),
    /// Both sides already hold the same bytes. Only the record is updated.
    Adopt,
    /// Derived members stay different on purpose.
    KeepLocal,
}

/// Change of one file on the receiving side, from its present entry to its new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileStep {
    /// Path of the file.
    pub path: VaultPath,
    /// Entry that the file has now.
    pub from: Option<Entry>,
    /// Entry that the file will have.
    pub to: Option<Entry>,
}

/// Part of a plan that concerns one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The item.
    pub item: Item,
    /// Kind of the step.
    #[serde(flatten)]
    pub action: Action,
    /// Files that change on the receiving side (the remote for a push, the vault for a pull),
    /// sorted by path.
    pub files: Vec<FileStep>,
    /// State of the item's paths that both sides agree on after the step, sorted by path.
    #[serde(skip)]
    pub agreed: Vec<(VaultPath, Option<Entry>)>,
}

impl Step {
    /// True if the step writes to the vault.
    #[must_use]
    pub const fn incoming(&self) -> bool {
        matches!(self.action, Action::Pull | Action::Conflict(_))
    }

    /// True if the step writes to the remote.
    #[must_use]
    pub const fn outgoing(&self) -> bool {
        matches!(self.action, Action::Push)
    }
}

/// Item that changed but cannot be judged yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Waiting {
    /// The item.
    pub item: Item,
    /// Reason why it waits.
    pub why: String,
    /// The name that keeps it from being judged, where one does.
    #[serde(skip)]
    pub blocked_by: Option<VaultPath>,
    /// True if it waits until the user does something.
    #[serde(skip)]
    pub lasts: bool,
}

impl Waiting {
    pub(super) const fn of(item: Item, why: String) -> Self {
        Self { item, why, blocked_by: None, lasts: false }
    }

    /// One that waits until the user does something.
    pub(super) const fn lasting(item: Item, why: String) -> Self {
        Self { item, why, blocked_by: None, lasts: true }
    }
}

/// Steps, waiting items and holds, each sorted by item.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    /// Steps to carry out.
    pub steps: Vec<Step>,
    /// Items that are busy, not settled or unreadable.
    pub waiting: Vec<Waiting>,
    /// Waiting items that wait only for another item, which they must be sent with.
    #[serde(skip)]
    pub bound: BTreeMap<Item, Item>,
    /// Items of a device that joins whose two sides differ and have no common past, also those that
    /// wait. The join is complete once each is decided.
    #[serde(skip)]
    pub strangers: BTreeSet<Item>,
    /// Holds that wait for a person's decision.
    pub holds: Vec<Hold>,
    /// Holds that a person approved. Their items are among the steps.
    #[serde(skip)]
    pub approved: Vec<Hold>,
    /// Holds that a person rejected. Their items are among the steps, reversed, or wait.
    #[serde(skip)]
    pub rejected: Vec<Hold>,
}

impl Plan {
    /// Holds to pass on to the next plan, after the items in `done` are carried out: the open ones,
    /// and the remaining items of rejected ones. A reversal that is still outstanding must not pass
    /// as a small change next time.
    #[must_use]
    pub fn to_remember(&self, done: &BTreeSet<Item>) -> Vec<Held> {
        let left = self.rejected.iter().map(Hold::held).map(|mut held| {
            held.items.retain(|item| !done.contains(item));
            held
        });
        self.holds.iter().map(Hold::held).chain(left).filter(|held| !held.items.is_empty()).collect()
    }

    /// True if no step writes to either side.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.action, Action::Adopt | Action::KeepLocal))
    }
}
