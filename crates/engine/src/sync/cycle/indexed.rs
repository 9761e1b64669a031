//! The index of the vault's chunks, kept from one push or fetch to the next.
//!
//! It follows from the tables of packs, so a process that begins makes it once, and a crash leaves
//! nothing. Whoever works with it takes it out; where that ends in an error, the next one makes it
//! anew.

use std::sync::{Arc, Mutex, PoisonError};

use crate::content::ChunkIndex;
use crate::model::{PackId, PackInfo, SharedMap};

/// Packs by their ids.
pub(crate) type Packs = SharedMap<PackId, Arc<PackInfo>>;

/// The last index, and the packs that it is of.
#[derive(Debug, Default)]
pub(crate) struct Indexed(Mutex<Option<(Packs, ChunkIndex)>>);

impl Indexed {
    /// Takes out the index of these packs.
    pub(crate) fn take(&self, packs: &Packs) -> ChunkIndex {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (known, mut index) = kept.unwrap_or_default();
        // A table that is the same but stands elsewhere is exchanged, so that there is one of it.
        for (_, was, now) in known.diff_by(packs, Arc::ptr_eq) {
            was.into_iter().for_each(|pack| index.remove(&pack.id));
            now.into_iter().for_each(|pack| index.insert(Arc::clone(pack)));
        }
        index
    }

    /// Keeps the index of these packs.
    pub(crate) fn keep(&self, packs: Packs, index: ChunkIndex) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((packs, index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChunkSlot, Codec, Digest};

    fn pack(id: u8, chunk: u8) -> (PackId, Arc<PackInfo>) {
        let slot = ChunkSlot {
            id: Digest::from_bytes([chunk; 32]),
            offset: 8,
            stored: 10,
            len: 10,
            codec: Codec::Raw,
        };
        let id = PackId::from_bytes([id; PackId::LEN]);
        (id, Arc::new(PackInfo { id, digest: Digest::of(b""), size: 0, chunks: vec![slot] }))
    }

    #[test]
    fn the_index_that_is_kept_is_the_one_that_is_made_anew() {
        let indexed = Indexed::default();
        let told = |index: &ChunkIndex| {
            let places = (0..5).map(|chunk| index.places(&Digest::from_bytes([chunk; 32])).collect());
            places.collect::<Vec<Vec<(PackId, ChunkSlot)>>>()
        };
        let of = |packs: &Packs| told(&packs.values().cloned().collect());
        let mut packs = Packs::from([pack(1, 1), pack(2, 2)]);
        let index = indexed.take(&packs);
        assert_eq!(told(&index), of(&packs));
        indexed.keep(packs.clone(), index);
        // One goes, one comes, and one is another under the same name.
        packs.remove(&pack(1, 1).0);
        packs.extend([pack(2, 3), pack(4, 4)]);
        assert_eq!(told(&indexed.take(&packs)), of(&packs));
        assert_eq!(told(&indexed.take(&packs)), of(&packs), "one that was not given back");
    }
}
