use proptest::prelude::*;

use super::*;
use crate::content::test_data::noise;
use crate::content::{Encoder, PackBuilder};
use crate::model::{Codec, Digest};

fn slot(offset: u32, stored: u32) -> ChunkSlot {
    ChunkSlot { id: Digest::of(&offset.to_le_bytes()), offset, stored, len: stored, codec: Codec::Raw }
}

fn pack(id: u8) -> PackId {
    PackId::from_bytes([id; PackId::LEN])
}

fn within(gap: u64, stored: u64) -> ReadLimits {
    ReadLimits { gap, stored, ..ReadLimits::AT_ONCE }
}

fn ranges(slots: &[(PackId, ChunkSlot)], gap: u64, max: u64) -> Vec<(u8, Range<u64>)> {
    join_ranges(slots, within(gap, max))
        .into_iter()
        .map(|read| (read.pack.as_bytes()[0], read.range))
        .collect()
}

#[test]
fn neighbouring_chunks_share_a_read() {
    let (a, b) = (pack(1), pack(2));
    let slots =
        [(a, slot(8, 10)), (a, slot(20, 10)), (a, slot(20, 10)), (b, slot(30, 10)), (a, slot(30, 10))];
    assert_eq!(ranges(&slots, 2, 100), [(1, 8..30), (2, 30..40), (1, 30..40)]);
    assert_eq!(ranges(&slots, 1, 100), [(1, 8..18), (1, 20..30), (2, 30..40), (1, 30..40)]);
    assert_eq!(ranges(&slots, 2, 22), ranges(&slots, 2, 100));
    assert_eq!(ranges(&slots, 2, 21), [(1, 8..18), (1, 20..30), (2, 30..40), (1, 30..40)]);
    let backwards = [(a, slot(20, 10)), (a, slot(8, 10)), (a, slot(100, 1))];
    assert_eq!(ranges(&backwards, 2, 100), [(1, 8..30), (1, 100..101)]);
}

#[test]
fn the_largest_offsets_do_not_overflow() {
    let far = |offset| ChunkSlot { len: 1, ..slot(offset, u32::MAX) };
    let slots = [(pack(1), far(u32::MAX)), (pack(1), far(0))];
    assert_eq!(ranges(&slots, 0, u64::MAX), [(1, 0..2 * u64::from(u32::MAX))]);
    assert_eq!(ranges(&slots, u64::MAX, u64::MAX).len(), 1);
}

/// 1,500 chunks of 4 MiB each, which zstd stores in 190 bytes, must not be unpacked at once.
#[test]
fn a_read_ends_where_its_chunks_would_unpack_to_too_much() {
    let bomb = |n: u32| ChunkSlot { len: limits::CHUNK, codec: Codec::Zstd, ..slot(8 + n * 190, 190) };
    let slots: Vec<_> = (0..1500).map(|n| (pack(1), bomb(n))).collect();
    let reads = join_ranges(&slots, ReadLimits::AT_ONCE);
    let unpacked = |read: &PackRead| read.chunks.iter().map(|slot| u64::from(slot.len)).sum::<u64>();
    assert_eq!(reads.iter().map(unpacked).max(), Some(limits::READ_UNPACKED));
    assert_eq!(reads.len(), 375);
}

/// The same bomb as one read: it is unpacked part by part.
#[test]
fn a_read_of_a_whole_pack_is_unpacked_in_parts() {
    let small = |n: u32| ChunkSlot { len: 400 << 10, codec: Codec::Zstd, ..slot(8 + n * 190, 190) };
    let large = |n: u32| ChunkSlot { len: limits::CHUNK, ..small(n) };
    let slots: Vec<_> = (0..1500).map(|n| (pack(1), if n % 5 == 0 { large(n) } else { small(n) })).collect();
    let [read] = &join_ranges(&slots, ReadLimits::IN_PARTS)[..] else { panic!("expected one read") };
    let parts = read.parts();
    assert_eq!(
        parts.iter().flat_map(|part| &part.chunks).collect::<Vec<_>>(),
        read.chunks.iter().collect::<Vec<_>>()
    );
    let unpacked = |part: &PackRead| part.chunks.iter().map(|slot| u64::from(slot.len)).sum::<u64>();
    assert!(parts.iter().all(|part| part.chunks.len() == 1 || unpacked(part) <= PART_UNPACKED));
    assert!(
        parts.iter().all(|part| read.range.start <= part.range.start && part.range.end <= read.range.end)
    );
}

#[test]
fn reads_give_their_chunks_and_refuse_a_wrong_body() {
    let chunks: Vec<Vec<u8>> = ["a", "b", "c"].map(|seed| noise(seed, 100)).into();
    let mut encoder = Encoder::new().unwrap();
    let mut builder = PackBuilder::new(pack(1));
    for chunk in &chunks {
        let (codec, stored) = encoder.encode(chunk).unwrap();
        builder.push(Digest::of(chunk), chunk.len(), codec, stored).unwrap();
    }
    let finished = builder.finish().unwrap();
    let wanted: Vec<(PackId, ChunkSlot)> =
        finished.info.chunks[1..].iter().map(|slot| (pack(1), *slot)).collect();
    let [read] = &join_ranges(&wanted, ReadLimits::AT_ONCE)[..] else { panic!("expected one read") };
    assert_eq!(read.range, 108..308);
    let body = &finished.bytes[108..308];
    assert_eq!(read.open(body).collect::<Result<Vec<_>, _>>().unwrap(), chunks[1..]);
    for wrong in [&body[1..], &body[..199], &finished.bytes[108..309], b""] {
        assert!(read.open(wrong).all(|chunk| matches!(chunk, Err(PackError::Range { .. }))));
    }
    assert!(
        read.open(&finished.bytes[8..208]).all(|chunk| matches!(chunk, Err(PackError::WrongBytes { .. })))
    );

    let outside = PackRead { range: 200..300, ..read.clone() };
    assert!(
        outside.open(&finished.bytes[200..300]).all(|chunk| matches!(chunk, Err(PackError::Range { .. })))
    );
    let backwards = Range { start: 300, end: 200 };
    let backwards = PackRead { range: backwards, ..read.clone() };
    assert!(backwards.open(body).all(|chunk| matches!(chunk, Err(PackError::Range { .. }))));
}

#[test]
fn chunks_of_one_pack_are_brought_together_within_a_window() {
    let (a, b) = (pack(1), pack(2));
    let mut slots =
        [(b, slot(40, 10)), (a, slot(30, 10)), (b, slot(8, 10)), (a, slot(8, 10)), (b, slot(18, 10))];
    bring_together(&mut slots, 40);
    assert_eq!(
        slots.map(|(id, slot)| (id.as_bytes()[0], slot.offset)),
        [(2, 8), (2, 40), (1, 8), (1, 30), (2, 18)]
    );
}

proptest! {
    /// A chunk that is read too early stays in memory: no more than two windows of them.
    #[test]
    fn no_chunk_moves_further_than_a_window(
        slots in prop::collection::vec((0_u8..3, 0_u32..500, 1_u32..40), 0..60),
        window in 1_u64..300,
    ) {
        let slots: Vec<(PackId, ChunkSlot)> =
            (0..).zip(slots).map(|(n, (id, at, len))| (pack(id), slot(at * 100 + n, len))).collect();
        let mut moved = slots.clone();
        bring_together(&mut moved, window);
        for (at, now) in moved.iter().enumerate() {
            let was = slots.iter().position(|slot| slot == now).expect("no chunk is lost");
            let between = &slots[at.min(was)..=at.max(was)];
            let bytes: u64 = between.iter().map(|(_, slot)| u64::from(slot.len)).sum();
            prop_assert!(at == was || bytes <= window, "{bytes} of {window}");
        }
        let sorted = |mut slots: Vec<(PackId, ChunkSlot)>| { slots.sort_by_key(|(id, slot)| (*id, slot.offset)); slots };
        prop_assert_eq!(sorted(moved), sorted(slots));
    }

    #[test]
    fn reads_fetch_the_requested_chunks_in_order(
        slots in prop::collection::vec((0_u8..3, 0_u32..500, 1_u32..40), 0..60),
        gap in 0_u64..50,
        max in 40_u64..300,
    ) {
        let slots: Vec<(PackId, ChunkSlot)> = slots.into_iter().map(|(id, at, len)| (pack(id), slot(at, len))).collect();
        let reads = join_ranges(&slots, within(gap, max));
        let brought: Vec<(PackId, ChunkSlot)> =
            reads.iter().flat_map(|read| read.chunks.iter().map(|slot| (read.pack, *slot))).collect();
        prop_assert_eq!(brought, slots);
        for read in &reads {
            prop_assert!(read.range.end - read.range.start <= max);
            let mut covered: Vec<(u64, u64)> =
                read.chunks.iter().map(|slot| (slot.offset.into(), u64::from(slot.offset) + u64::from(slot.stored))).collect();
            covered.sort_unstable();
            prop_assert_eq!(covered[0].0, read.range.start);
            let mut end = read.range.start;
            for (from, to) in covered {
                prop_assert!(from <= end + gap, "a gap of {} bytes", from - end);
                end = end.max(to);
            }
            prop_assert_eq!(end, read.range.end);
        }
    }
}
