//! The wishes of a device for its merges.

use std::collections::BTreeSet;

/// Rules of a merge, from the configuration of the device that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Quiet members, of entries and of the document: where both sides changed one, the version
    /// that stands has it, and it alone keeps no entry from being deleted.
    pub quiet: BTreeSet<String>,
    /// Fields that no vector is computed from.
    pub no_embed: BTreeSet<String>,
    /// Which of two sides stands where both changed a field. None: the version that stands.
    pub rank: Option<Rank>,
}

/// Ranks of the two sides of an entry, by one of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rank {
    /// The field, whose value is a text.
    pub field: String,
    /// Its values, the highest first. Any other value is the lowest, and so is none.
    pub order: Vec<String>,
}

impl Rank {
    /// True if `one` ranks higher than `other`.
    #[must_use]
    pub fn is_higher(&self, one: Option<&str>, other: Option<&str>) -> bool {
        self.place(one) < self.place(other)
    }

    fn place(&self, value: Option<&str>) -> usize {
        self.order.iter().position(|known| Some(known.as_str()) == value).unwrap_or(self.order.len())
    }
}
