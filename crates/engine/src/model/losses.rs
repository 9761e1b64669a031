//! Files that commits of one device took from the vault in the last day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Entry, VaultPath};

/// File that a commit of this device deleted or overwrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Entry that stood before the first of these commits.
    pub entry: Entry,
    /// Time of the last of these commits, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// True if a file of another name came in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
}

/// Losses by path. Put back into the agreed files, they give what stood a day ago, but for what came since.
pub type Losses = BTreeMap<VaultPath, Loss>;
