use proptest::prelude::*;

use super::*;
use crate::model::Codec;

/// Pack with these chunks in this order, each ten bytes long.
fn pack(id: u8, chunks: &[u8]) -> Arc<PackInfo> {
    let slot = |(n, chunk): (u32, &u8)| ChunkSlot {
        id: Digest::from_bytes([*chunk; 32]),
        offset: 8 + n * 10,
        stored: 10,
        len: 10,
        codec: Codec::Raw,
    };
    Arc::new(PackInfo {
        id: PackId::from_bytes([id; PackId::LEN]),
        digest: Digest::from_bytes([id; 32]),
        size: 0,
        chunks: (0..).zip(chunks).map(slot).collect(),
    })
}

proptest! {
    /// Compares with the plainest model: a list of packs, searched from the smallest id.
    #[test]
    fn the_index_finds_the_same_as_a_search_of_all_packs(
        packs in prop::collection::vec(prop::collection::vec(0_u8..12, 1..6), 1..6),
        steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..30),
    ) {
        let packs: Vec<Arc<PackInfo>> = (0..).zip(&packs).map(|(id, chunks)| pack(id, chunks)).collect();
        let mut held = vec![false; packs.len()];
        let mut index = ChunkIndex::default();
        for (add, which) in steps {
            let which = which.index(packs.len());
            held[which] = add;
            if add { index.insert(Arc::clone(&packs[which])) } else { index.remove(&packs[which].id) }
            for chunk in 0..12 {
                let id = Digest::from_bytes([chunk; 32]);
                let held = packs.iter().zip(&held).filter(|(_, held)| **held).map(|(pack, _)| pack);
                let expected: Vec<(PackId, ChunkSlot)> = held
                    .filter_map(|pack| Some((pack.id, *pack.chunks.iter().find(|slot| slot.id == id)?)))
                    .collect();
                prop_assert_eq!(index.places(&id).collect::<Vec<_>>(), expected.clone());
                prop_assert_eq!(index.get(&id), expected.first().copied());
                prop_assert_eq!(index.contains(&id), !expected.is_empty());
            }
        }
    }

    /// A forgotten chunk has no place until a pack that holds it is added again.
    #[test]
    fn a_chunk_is_forgotten_until_its_pack_is_added_again(
        packs in prop::collection::vec(prop::collection::vec(0_u8..6, 1..6), 1..6),
        gone in 0_u8..6,
    ) {
        let packs: Vec<Arc<PackInfo>> = (0..).zip(&packs).map(|(id, chunks)| pack(id, chunks)).collect();
        let all: ChunkIndex = packs.iter().cloned().collect();
        let mut index = all.clone();
        index.forget(&Digest::from_bytes([gone; 32]));
        for chunk in 0..6 {
            let id = Digest::from_bytes([chunk; 32]);
            prop_assert_eq!(index.get(&id), all.get(&id).filter(|_| chunk != gone));
        }
        packs.iter().cloned().for_each(|pack| index.insert(pack));
        for chunk in 0..6 {
            let id = Digest::from_bytes([chunk; 32]);
            prop_assert_eq!(index.get(&id), all.get(&id));
        }
    }

    /// A pack under a known id takes the place of the known one.
    #[test]
    fn another_table_under_the_same_id_replaces_the_first(
        one in prop::collection::vec(0_u8..6, 1..6),
        other in prop::collection::vec(0_u8..6, 1..6),
    ) {
        let mut index = ChunkIndex::default();
        index.insert(pack(1, &one));
        index.insert(pack(1, &other));
        for chunk in 0..6 {
            prop_assert_eq!(index.contains(&Digest::from_bytes([chunk; 32])), other.contains(&chunk));
        }
    }
}
