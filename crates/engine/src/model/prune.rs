//! What a commit says of old data.

use serde::{Deserialize, Serialize};

use super::{CommitKey, ConflictId, PackId};

/// Old data in the bucket: what is about to go, what goes, and what is not what it was because of it.
///
/// A pack is *marked* first: no new commit relies on it from then on. A grace period later it is *swept*: it belongs to no state any
/// more, and its object is deleted. Lists are sorted and free of duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prune {
    /// The oldest generation whose contents are kept from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon: Option<u64>,
    /// Packs that nothing needs any more; also such that no commit names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marked: Vec<PackId>,
    /// Packs that were marked and are needed after all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmarked: Vec<PackId>,
    /// Packs that no longer belong to the state, and never will again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub swept: Vec<PackId>,
    /// Of merges: commits that relied on swept packs. Their makers send again what was lost with those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub void: Vec<CommitKey>,
    /// Of merges: conflicts of the first parent whose bytes are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unkept: Vec<ConflictId>,
}

impl Prune {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
