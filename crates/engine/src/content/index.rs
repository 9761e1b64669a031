//! Index of the chunks in a vault's packs.

use std::collections::BTreeMap;

use crate::model::{ChunkSlot, Codec, Digest, PackId, PackInfo};

/// Chunks of a set of packs, by id.
///
/// Two devices that upload at once may both store a chunk. The index keeps all its places, so that
/// it is still found after one of the packs is gone. The pack with the smallest id wins, in
/// whatever order packs were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkIndex {
    places: BTreeMap<(Digest, PackId), Location>,
}

/// Rest of a slot, without its id: an index of millions of chunks should not store each id twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Location {
    offset: u32,
    stored: u32,
    len: u32,
    codec: Codec,
}

impl ChunkIndex {
    /// Adds a pack's chunks. Adding a pack twice changes nothing.
    pub fn insert(&mut self, pack: &PackInfo) {
        for &ChunkSlot { id, offset, stored, len, codec } in &pack.chunks {
            self.places.entry((id, pack.id)).or_insert(Location { offset, stored, len, codec });
        }
    }

    /// Removes a pack's chunks.
    pub fn remove(&mut self, pack: &PackInfo) {
        for slot in &pack.chunks {
            self.places.remove(&(slot.id, pack.id));
        }
    }

    /// Location of a chunk.
    #[must_use]
    pub fn get(&self, id: &Digest) -> Option<(PackId, ChunkSlot)> {
        self.places(id).next()
    }

    /// All locations of a chunk, by pack. What a table says may be wrong: whoever reads a chunk
    /// that is not there tries the next one.
    pub fn places(&self, id: &Digest) -> impl Iterator<Item = (PackId, ChunkSlot)> + '_ {
        let (first, last) =
            (PackId::from_bytes([0; PackId::LEN]), PackId::from_bytes([u8::MAX; PackId::LEN]));
        self.places.range((*id, first)..=(*id, last)).map(|(&(id, pack), place)| {
            let &Location { offset, stored, len, codec } = place;
            (pack, ChunkSlot { id, offset, stored, len, codec })
        })
    }

    /// Removes all locations of a chunk.
    pub fn forget(&mut self, id: &Digest) {
        let packs: Vec<PackId> = self.places(id).map(|(pack, _)| pack).collect();
        for pack in packs {
            self.places.remove(&(*id, pack));
        }
    }

    /// True if one of the packs holds the chunk.
    #[must_use]
    pub fn contains(&self, id: &Digest) -> bool {
        self.get(id).is_some()
    }
}

impl<'a> FromIterator<&'a PackInfo> for ChunkIndex {
    fn from_iter<I: IntoIterator<Item = &'a PackInfo>>(packs: I) -> Self {
        let mut index = Self::default();
        packs.into_iter().for_each(|pack| index.insert(pack));
        index
    }
}

#[cfg(test)]
mod tests;
