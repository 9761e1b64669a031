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
    /// Place that the file left, if it is gone.
    #[serde(default)]
    pub place: Place,
}

/// Place that a deleted file left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Nothing came in it. A new file may make up for the loss.
    #[default]
    Free,
    /// A file of another name is about to come in it and has not settled yet.
    Awaited,
    /// A file of another name stands in it.
    Taken,
}

/// Losses by path. Put back into the agreed files, they give the files of a day ago, except for
/// those that came since.
pub type Losses = BTreeMap<VaultPath, Loss>;
