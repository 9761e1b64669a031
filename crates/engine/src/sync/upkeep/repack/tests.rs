use super::*;

#[test]
fn small_packs_are_many_where_they_cost_more_than_twice_the_requests() {
    let many = |count: usize, size: u64| are_many(std::iter::repeat_n(size, count));
    assert!(!many(FEW, 1000));
    assert!(many(FEW + 1, 1000));
    assert!(!many(100, SMALL), "two of them make one: nothing is won");
    assert!(many(100, SMALL / 2));
    assert!(!many(0, 0));
}

fn pack(id: u8, chunks: &[(u8, u32)]) -> Arc<PackInfo> {
    let slot = |(chunk, stored): &(u8, u32)| ChunkSlot {
        id: Digest::from_bytes([*chunk; 32]),
        offset: 8,
        stored: *stored,
        len: *stored,
        codec: crate::model::Codec::Raw,
    };
    let (id, digest) = (PackId::from_bytes([id; PackId::LEN]), Digest::from_bytes([id; 32]));
    Arc::new(PackInfo { id, digest, size: 1 << 20, chunks: chunks.iter().map(slot).collect() })
}

#[test]
fn a_chunk_that_another_pack_keeps_is_not_moved() {
    // Chunk 1 is placed in the first pack, of which little else is needed, and lies in the second.
    let packs = [pack(1, &[(1, 10), (2, 10), (9, 100)]), pack(2, &[(1, 10), (3, 100)])];
    let mut places = Places::default();
    for (chunk, at) in [(1, 0), (2, 0), (3, 1)] {
        places.chunks.insert(Digest::from_bytes([chunk; 32]), packs[at].id);
    }
    let moved = |packs: &[Arc<PackInfo>]| -> Vec<(PackId, Vec<Digest>)> {
        let worn = worn(packs, &places, |_| true).into_iter();
        worn.map(|worn| (worn.pack.id, worn.live.iter().map(|slot| slot.id).collect())).collect()
    };
    assert_eq!(moved(&packs), [(packs[0].id, vec![Digest::from_bytes([2; 32])])]);
    let both = vec![Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32])];
    assert_eq!(moved(&packs[..1]), [(packs[0].id, both)], "nowhere else");
}
