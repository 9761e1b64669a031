//! Vectors that a side has embedded anew.

use super::{Document, Found, Tables};
use crate::merge::places::Elsewhere;
use crate::merge::{Unmerged, Version};

impl Tables<'_> {
    /// Refuses a merge where most vectors of entries that a side left alone are new: it embedded
    /// anew, and vectors of two models are no neighbours of each other. An entry that the other side
    /// has with the very same vector says nothing of the kind.
    pub(super) fn must_not_be_embedded_anew(&self) -> Result<(), Unmerged> {
        let on_both =
            |[here, there]: Elsewhere| Some([Found::of(self.here, here?)?, Found::of(self.there, there?)?]);
        let has_rows = |base: &Document<'_>| self.old_rows.is_some() || base.entries.is_empty();
        let anew = if self.base.is_some_and(has_rows) {
            let old = |version| {
                let entries = self.places.base.iter().enumerate();
                entries.filter_map(move |(at, both)| {
                    let [here, there] = *both;
                    let (document, new) =
                        if version == Version::Here { (self.here, here) } else { (self.there, there) };
                    let (old, new) = (self.old(Some(at))?, Found::of(document, new?)?);
                    Some(Aged { old, new, has_rows: self.has_old_rows(version, old), both: on_both(*both) })
                })
            };
            [Version::Here, Version::There].map(|version| (version, self.is_anew(old(version))))
        } else {
            let entries = self.places.there.iter().enumerate();
            let entries = entries.filter_map(|(at, [_, here])| {
                let [new, old] = on_both([*here, Some(at)])?;
                Some(Aged { old, new, has_rows: self.alike(at).rows, both: Some([new, old]) })
            });
            [(Version::There, self.is_anew(entries)), (Version::There, Ok(false))]
        };
        for (version, anew) in anew {
            if anew? {
                return Err(Unmerged::EmbeddedAnew { version });
            }
        }
        Ok(())
    }

    fn is_anew<'t>(&self, entries: impl Iterator<Item = Aged<'t>>) -> Result<bool, Unmerged> {
        let (mut alone, mut anew) = (0_usize, 0_usize);
        for Aged { old, new, has_rows, both } in entries {
            let agree = |[here, there]: [Found<'_>; 2]| {
                Ok::<_, Unmerged>(self.alike(there.at).rows && self.say_the_same([here, there])?)
            };
            if both.map_or(Ok(false), agree)? {
                alone += 1;
            } else if new.is_in_essence(&old)? {
                alone += 1;
                anew += usize::from(!has_rows);
            }
        }
        Ok(anew * 2 > alone)
    }
}

/// An entry in an older version and in a newer one.
struct Aged<'t> {
    old: Found<'t>,
    new: Found<'t>,
    /// True if the newer one has the rows of the older one.
    has_rows: bool,
    /// The entry on both sides, if both have it.
    both: Option<[Found<'t>; 2]>,
}
