//! Holds: changes that wait for a person, and the decisions about them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{HoldId, Item};

/// Decisions that a person made about holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// Holds to let through.
    #[serde(default)]
    pub approved: BTreeSet<HoldId>,
    /// Holds to decide the other way.
    #[serde(default)]
    pub rejected: BTreeSet<HoldId>,
    /// True if the remote's version wins for every item that differs at a first join (`init
    /// --join`).
    #[serde(default)]
    pub join: bool,
}

impl Decisions {
    /// Nothing decided.
    #[must_use]
    pub const fn none() -> Self {
        Self { approved: BTreeSet::new(), rejected: BTreeSet::new(), join: false }
    }
}

/// Why a change waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Both sides hold different versions and have no common past.
    Differs,
    /// A group lost a primary member, or more than half of one.
    GroupLoss,
    /// Most of the files were deleted, at once or within a day.
    MassDelete,
    /// Most of the files were changed, or replaced by files of other names.
    MassChange,
    /// The filters now exclude files that were synced.
    Filter,
    /// Another device changed which files belong together, or how they are checked.
    Groups,
}

/// Side that would lose data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The remote.
    Outgoing,
    /// This device.
    Incoming,
}

/// Open hold, carried over from one plan to the next. A hold over a mass of items stays until it is
/// decided: other files that come or go meanwhile must not make the same change look small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Reason of the hold.
    pub reason: Reason,
    /// Side that would lose data.
    pub direction: Direction,
    /// Items on hold.
    pub items: BTreeSet<Item>,
}
