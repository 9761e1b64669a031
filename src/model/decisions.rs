//! What people have decided about holds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::HoldId;

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
