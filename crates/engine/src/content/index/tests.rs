use proptest::prelude::*;

use super::*;

/// Pack with these chunks in this order, each ten bytes long.
fn pack(id: u8, chunks: &[u8]) -> PackInfo {
    let slot = |(n, chunk): (u32, &u8)| ChunkSlot {
        id: Digest::from_bytes([*chunk; 32]),
        offset: 8 + n * 10,
        stored: 10,
        len: 10,
        codec: Codec::Raw,
    };
    PackInfo {
        id: PackId::from_bytes([id; PackId::LEN]),
        digest: Digest::from_bytes([id; 32]),
        size: 0,
        chunks: (0..).zip(chunks).map(slot).collect(),
    }
}

proptest! {
    /// Compares with the plainest model: a list of packs, searched from the smallest id.
    #[test]
    fn the_index_finds_the_same_as_a_search_of_all_packs(
        packs in prop::collection::vec(prop::collection::vec(0_u8..12, 1..6), 1..6),
        steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..30),
    ) {
        let packs: Vec<PackInfo> = (0..).zip(&packs).map(|(id, chunks)| pack(id, chunks)).collect();
        let mut held = vec![false; packs.len()];
        let mut index = ChunkIndex::default();
        for (add, which) in steps {
            let which = which.index(packs.len());
            held[which] = add;
            if add { index.insert(&packs[which]) } else { index.remove(&packs[which]) }
            for chunk in 0..12 {
                let id = Digest::from_bytes([chunk; 32]);
                let expected = packs.iter().zip(&held).filter(|(_, held)| **held).find_map(|(pack, _)| {
                    Some((pack.id, *pack.chunks.iter().find(|slot| slot.id == id)?))
                });
                prop_assert_eq!(index.get(&id), expected);
            }
        }
        let again: ChunkIndex = packs.iter().zip(&held).rev().filter(|(_, held)| **held).map(|(pack, _)| pack).collect();
        prop_assert_eq!(index, again);
    }
}
