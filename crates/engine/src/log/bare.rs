//! Contents that are in use without a recipe, in little room.

use std::fmt;

use crate::model::{Digest, SharedMap};

/// Number of new contents after which those that are gone are forgotten.
const MANY: usize = 4096;

/// Beginnings of the digests of all contents in use that have no recipe, and maybe of others. Two
/// that begin alike cost no more than a look at all contents.
#[derive(Clone, Default)]
pub(crate) struct Bare {
    beginnings: SharedMap<u64, ()>,
    /// Number of them when all were in use.
    counted: usize,
}

/// Two devices with the same state need not remember the same contents that are gone.
impl fmt::Debug for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bare")
    }
}

impl Bare {
    /// Notes these contents, and no others.
    pub(super) fn of<'a>(contents: impl Iterator<Item = &'a Digest>) -> Self {
        let mut beginnings: Vec<u64> = contents.map(beginning).collect();
        beginnings.sort_unstable();
        beginnings.dedup();
        let counted = beginnings.len();
        Self { beginnings: beginnings.into_iter().map(|beginning| (beginning, ())).collect(), counted }
    }

    pub(super) fn note(&mut self, content: &Digest) {
        if !self.may_have(content) {
            self.beginnings.insert(beginning(content), ());
        }
    }

    /// False if the content is not in use without a recipe.
    pub(super) fn may_have(&self, content: &Digest) -> bool {
        self.beginnings.contains_key(&beginning(content))
    }

    /// True once there are so many that those which are gone are worth looking for.
    pub(super) const fn is_full(&self) -> bool {
        self.beginnings.len() > MANY + 2 * self.counted
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.beginnings.len()
    }
}

fn beginning(content: &Digest) -> u64 {
    let [first, ..] = content.as_bytes().as_chunks::<8>().0 else { return 0 };
    u64::from_le_bytes(*first)
}
