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
fn copies_are_what_another_pack_has_that_does_not_move() {
    let packs = [pack(1, &[(1, 10), (2, 10)]), pack(2, &[(1, 10), (3, 100)]), pack(3, &[(2, 10)])];
    let worn = |at: usize| Worn { pack: Arc::clone(&packs[at]), live: packs[at].chunks.clone() };
    let found = |worn: &[Worn]| -> Vec<u8> {
        let copies = copies(worn, &packs);
        (1..=3).filter(|id| copies.contains(&Digest::from_bytes([*id; 32]))).collect()
    };
    assert_eq!(found(&[worn(0)]), [1, 2]);
    assert_eq!(found(&[worn(0), worn(2)]), [1], "the other copy moves, too");
    assert_eq!(found(&[worn(1)]), [1], "and nothing that is not asked for");
}
