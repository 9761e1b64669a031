//! Old data: the part of a commit that deletes it.

use serde::{Deserialize, Serialize};

use super::{CommitKey, ConflictId, Digest, PackId, bounded, limits};

/// Old data in the bucket: packs to delete, and commits and conflicts that lose their bytes.
///
/// A pack is *marked* first: from then on no new commit may rely on it. A grace period later it is
/// *swept*: it no longer belongs to any state, and its object is deleted. Lists are sorted and free
/// of duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prune {
    /// Oldest generation whose contents are kept from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon: Option<u64>,
    /// Packs that are no longer needed, including packs that no commit names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::LISTED }>")]
    pub marked: Vec<PackId>,
    /// Marked packs that are needed after all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::LISTED }>")]
    pub unmarked: Vec<PackId>,
    /// Packs that no longer belong to the state, and never will again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::LISTED }>")]
    pub swept: Vec<PackId>,
    /// In a merge: commits that relied on swept packs. Their devices send the lost contents again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::LISTED }>")]
    pub void: Vec<CommitKey>,
    /// In a merge, or where contents are given up: conflicts of the first parent whose bytes are
    /// gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::LISTED }>")]
    pub unkept: Vec<ConflictId>,
    /// Contents that the bucket has lost and that nobody could give back. One that a later commit
    /// brings again is no longer among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::LISTED }>")]
    pub given_up: Vec<Digest>,
}

impl Prune {
    /// True if the commit says nothing about old data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
