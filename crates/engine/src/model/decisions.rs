//! What waits for people, and what they have decided.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{HoldId, Item};

/// What has been decided about holds, by a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// Holds to let pass.
    #[serde(default)]
    pub approved: BTreeSet<HoldId>,
    /// Holds to decide the other way.
    #[serde(default)]
    pub rejected: BTreeSet<HoldId>,
    /// Whatever differs on both sides at a first join: the remote's version wins (`init --join`).
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
    /// More than half of the files were deleted.
    MassDelete,
    /// Every file changed at once.
    MassChange,
    /// The filters now exclude files that were synced.
    Filter,
}

/// Which side would lose something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The remote.
    Outgoing,
    /// This device.
    Incoming,
}

/// What is remembered of an open hold from one plan to the next. A hold over a mass of items stays until it is decided: other
/// files that come or go meanwhile must not make the same change look small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Why they wait.
    pub reason: Reason,
    /// Which side would lose something.
    pub direction: Direction,
    /// What is held.
    pub items: BTreeSet<Item>,
}
