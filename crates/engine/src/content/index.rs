//! Index of the chunks in a vault's packs.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::model::{ChunkSlot, Digest, PackId, PackInfo};

/// Chunks of a set of packs, by id.
///
/// Two devices that upload at once may both store a chunk. The index keeps all its places, so that
/// it is still found after one of the packs is gone. The pack with the smallest id wins, in
/// whatever order packs were added.
///
/// A place is two numbers: the tables of the packs have the rest, and those the state has anyway.
/// An index of millions of chunks takes some twelve bytes for each.
#[derive(Debug, Clone, Default)]
pub struct ChunkIndex {
    /// Packs by number. Numbers of packs that were removed are given again.
    packs: Vec<Option<Arc<PackInfo>>>,
    free: Vec<u32>,
    numbers: BTreeMap<PackId, u32>,
    places: HashTable<Place>,
    /// Whoever writes to the bucket chooses the ids in his tables, so the hash has a secret.
    hasher: RandomState,
}

/// Numbers of a pack and of a slot in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    pack: u32,
    slot: u32,
}

impl ChunkIndex {
    /// Adds a pack's chunks. Adding a pack twice changes nothing. Of a chunk that stands in the
    /// table twice, the first place counts.
    pub fn insert(&mut self, pack: impl Into<Arc<PackInfo>>) {
        let pack = pack.into();
        let Some(number) = self.number(&pack) else { return };
        let Self { packs, places, hasher, .. } = self;
        places.reserve(pack.chunks.len(), |place| hash_of(hasher, packs, *place));
        for (slot, chunk) in (0..).zip(&pack.chunks) {
            let hash = hasher.hash_one(chunk.id);
            let known = |place: &Place| place.pack == number && id_of(packs, *place) == Some(chunk.id);
            if places.find(hash, known).is_none() {
                let place = Place { pack: number, slot };
                places.insert_unique(hash, place, |place| hash_of(hasher, packs, *place));
            }
        }
    }

    /// The pack's number, a new one if need be. None beyond four billion of them, which no memory
    /// holds.
    fn number(&mut self, pack: &Arc<PackInfo>) -> Option<u32> {
        if let Some(number) = self.numbers.get(&pack.id).copied() {
            if self.packs.get(number as usize).is_some_and(|known| known.as_ref() == Some(pack)) {
                return Some(number);
            }
            // Its places are numbers of another table.
            self.remove(&pack.id);
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                let number = u32::try_from(self.packs.len()).ok()?;
                self.packs.push(None);
                number
            }
        };
        *self.packs.get_mut(number as usize)? = Some(Arc::clone(pack));
        self.numbers.insert(pack.id, number);
        Some(number)
    }

    /// Removes a pack's chunks.
    pub fn remove(&mut self, pack: &PackId) {
        let Some(number) = self.numbers.remove(pack) else { return };
        let Some(pack) = self.packs.get_mut(number as usize).and_then(Option::take) else { return };
        for (slot, chunk) in (0..).zip(&pack.chunks) {
            let place = Place { pack: number, slot };
            if let Ok(found) = self.places.find_entry(self.hasher.hash_one(chunk.id), |known| *known == place)
            {
                found.remove();
            }
        }
        self.free.push(number);
    }

    /// Location of a chunk.
    #[must_use]
    pub fn get(&self, id: &Digest) -> Option<(PackId, ChunkSlot)> {
        self.unordered(id).min_by_key(|(pack, _)| *pack)
    }

    /// All locations of a chunk, by pack. What a table says may be wrong: whoever reads a chunk
    /// that is not there tries the next one.
    pub fn places(&self, id: &Digest) -> impl Iterator<Item = (PackId, ChunkSlot)> + use<> {
        let mut places: Vec<_> = self.unordered(id).collect();
        places.sort_unstable_by_key(|(pack, _)| *pack);
        places.into_iter()
    }

    fn unordered(&self, id: &Digest) -> impl Iterator<Item = (PackId, ChunkSlot)> {
        let places = self.places.iter_hash(self.hasher.hash_one(id));
        let found = places.filter_map(|place| {
            let pack = self.packs.get(place.pack as usize)?.as_ref()?;
            Some((pack.id, *pack.chunks.get(place.slot as usize)?))
        });
        found.filter(move |(_, slot)| slot.id == *id)
    }

    /// Removes all locations of a chunk.
    pub fn forget(&mut self, id: &Digest) {
        let Self { packs, places, hasher, .. } = self;
        let hash = hasher.hash_one(id);
        while let Ok(found) = places.find_entry(hash, |place| id_of(packs, *place) == Some(*id)) {
            found.remove();
        }
    }

    /// True if one of the packs holds the chunk.
    #[must_use]
    pub fn contains(&self, id: &Digest) -> bool {
        self.unordered(id).next().is_some()
    }
}

fn id_of(packs: &[Option<Arc<PackInfo>>], place: Place) -> Option<Digest> {
    Some(packs.get(place.pack as usize)?.as_ref()?.chunks.get(place.slot as usize)?.id)
}

fn hash_of(hasher: &RandomState, packs: &[Option<Arc<PackInfo>>], place: Place) -> u64 {
    // A place stands for a slot as long as it is in the table.
    id_of(packs, place).map_or(0, |id| hasher.hash_one(id))
}

impl<P: Into<Arc<PackInfo>>> FromIterator<P> for ChunkIndex {
    fn from_iter<I: IntoIterator<Item = P>>(packs: I) -> Self {
        let mut index = Self::default();
        packs.into_iter().for_each(|pack| index.insert(pack));
        index
    }
}

#[cfg(test)]
mod tests;
