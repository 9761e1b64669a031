//! Where the entries of three versions stand, by their ids.

use super::Unmerged;
use super::document::Document;

/// Places of an entry in two other versions.
pub(super) type Elsewhere = [Option<usize>; 2];

/// Of each entry of each version, its places in the two others.
pub(super) struct Places {
    /// Of those of the base: here and there.
    pub base: Vec<Elsewhere>,
    /// Of those here: in the base and there.
    pub here: Vec<Elsewhere>,
    /// Of those there: in the base and here.
    pub there: Vec<Elsewhere>,
}

impl Places {
    /// Finds the entries of each version in the others.
    pub fn of(
        base: Option<&Document<'_>>,
        here: &Document<'_>,
        there: &Document<'_>,
    ) -> Result<Self, Unmerged> {
        let (ours, theirs) = (here.places()?, there.places()?);
        let mut places = Self {
            base: Vec::new(),
            here: vec![Elsewhere::default(); here.entries.len()],
            there: vec![Elsewhere::default(); there.entries.len()],
        };
        for (at, entry) in there.entries.iter().enumerate() {
            if let Some(ours) = ours.get(&entry.id) {
                note(&mut places.here, *ours, 1, at);
                note(&mut places.there, at, 1, *ours);
            }
        }
        for (at, entry) in base.iter().flat_map(|base| base.entries.iter().enumerate()) {
            let both = [&ours, &theirs].map(|places| places.get(&entry.id).copied());
            for (side, found) in [&mut places.here, &mut places.there].into_iter().zip(both) {
                if let Some(found) = found {
                    note(side, found, 0, at);
                }
            }
            places.base.push(both);
        }
        Ok(places)
    }
}

fn note(side: &mut [Elsewhere], at: usize, other: usize, place: usize) {
    if let Some(slot) = side.get_mut(at).and_then(|places| places.get_mut(other)) {
        *slot = Some(place);
    }
}
