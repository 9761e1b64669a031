use proptest::prelude::*;

use super::*;
use crate::content::Encoder;
use crate::content::test_data::{json_nodes, noise, unit_rows};

const ID: PackId = PackId::from_bytes([0xab; PackId::LEN]);

fn pack_of(chunks: &[Vec<u8>]) -> FinishedPack {
    let mut encoder = Encoder::new().unwrap();
    let mut builder = PackBuilder::new(ID);
    for chunk in chunks {
        let (codec, stored) = encoder.encode(chunk).unwrap();
        builder.push(Digest::of(chunk), chunk.len(), codec, stored).unwrap();
    }
    let size = builder.size();
    let pack = builder.finish().unwrap();
    assert_eq!(pack.bytes.len(), size);
    pack
}

/// A pack with every kind of codec, small enough to damage at each position.
fn small_pack() -> (Vec<Vec<u8>>, FinishedPack) {
    let chunks = vec![b"raw".to_vec(), json_nodes("small", 2), unit_rows("small", 4, 96), vec![0; 100]];
    let pack = pack_of(&chunks);
    let codecs: Vec<Codec> = pack.info.chunks.iter().map(|slot| slot.codec).collect();
    assert_eq!(codecs, [Codec::Raw, Codec::Zstd, Codec::Planes4, Codec::Zstd]);
    (chunks, pack)
}

/// Reads a pack by its own table, as recovery does.
fn read_all(bytes: &[u8]) -> Result<Vec<Vec<u8>>, PackError> {
    let slots = read_table(ID, bytes)?;
    slots
        .iter()
        .map(|slot| open_chunk(ID, slot, stored(slot, bytes).expect("the table exceeds its pack")))
        .collect()
}

fn stored<'a>(slot: &ChunkSlot, bytes: &'a [u8]) -> Option<&'a [u8]> {
    bytes.get(slot.offset as usize..(slot.offset + slot.stored) as usize)
}

#[test]
fn a_pack_reads_as_it_was_built() {
    let (chunks, pack) = small_pack();
    assert_eq!(read_table(ID, &pack.bytes).unwrap(), pack.info.chunks);
    assert_eq!(read_all(&pack.bytes).unwrap(), chunks);
    assert_eq!((pack.info.id, pack.info.size), (ID, pack.bytes.len() as u64));
    assert_eq!(pack.info.digest, Digest::of(&pack.bytes));
    assert_eq!(PackBuilder::new(ID).finish(), None);
}

/// Compares with docs/FORMAT.md byte for byte: old packs must stay readable.
#[test]
fn the_format_never_changes() {
    let pack = pack_of(&[b"one".to_vec(), b"four".to_vec()]);
    let row = |chunk: &[u8]| {
        let len = u32::try_from(chunk.len()).unwrap().to_le_bytes();
        [&Digest::of(chunk).as_bytes()[..], &len, &len, &[0]].concat()
    };
    let table = [row(b"one"), row(b"four")].concat();
    let digest = Digest::of(&table);
    let expected =
        [&b"CGZpck\x01\x00"[..], b"onefour", &table, &[82, 0, 0, 0], digest.as_bytes(), b"CGZpck\x01\x00"]
            .concat();
    assert_eq!(pack.bytes, expected);
}

#[test]
fn every_shorter_pack_is_refused() {
    let (_, pack) = small_pack();
    for length in 0..pack.bytes.len() {
        assert!(read_table(ID, &pack.bytes[..length]).is_err(), "{length} bytes were accepted");
    }
    assert!(read_table(ID, &[&pack.bytes[..], b"x"].concat()).is_err(), "a longer pack was accepted");
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless() {
    let (chunks, pack) = small_pack();
    let mut bytes = pack.bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        // Some bits of a zstd frame mean nothing to its decoder. Flipping them is harmless.
        if let Ok(read) = read_all(&bytes) {
            assert_eq!(read, chunks, "bit {bit} changed the chunks");
            let holds =
                |slot: &&ChunkSlot| (slot.offset..slot.offset + slot.stored).contains(&(bit as u32 / 8));
            let slot = pack.info.chunks.iter().find(holds);
            assert!(slot.is_some_and(|slot| slot.codec != Codec::Raw), "bit {bit} was not noticed");
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn newer_formats_are_refused_with_their_version() {
    let (_, pack) = small_pack();
    for at in [6, pack.bytes.len() - 2] {
        let mut bytes = pack.bytes.to_vec();
        bytes[at] = 2;
        assert_eq!(read_table(ID, &bytes), Err(PackError::Newer { pack: ID, found: 2 }));
    }
}

/// Pack with a forged table and a matching foot, as only a faulty writer makes it.
fn with_rows(rows: &[(u32, u32, u8)], stored: usize) -> Vec<u8> {
    let row = |&(stored, len, codec): &(u32, u32, u8)| {
        [&[7; 32][..], &stored.to_le_bytes(), &len.to_le_bytes(), &[codec]].concat()
    };
    let table = rows.iter().map(row).collect::<Vec<_>>().concat();
    let length = u32::try_from(table.len()).unwrap().to_le_bytes();
    let digest = Digest::of(&table);
    [&head()[..], &vec![0; stored], &table, &length, digest.as_bytes(), &head()].concat()
}

#[test]
fn impossible_tables_are_refused() {
    assert_eq!(read_table(ID, &with_rows(&[(5, 5, 0), (3, 9, 1)], 8)).unwrap().len(), 2);
    for (rows, stored, why) in [
        (&[][..], 0, "no chunk"),
        (&[(5, 5, 0), (4, 9, 1)], 8, "chunks beyond the table"),
        (&[(5, 5, 0)], 8, "bytes that belong to no chunk"),
        (&[(8, 8, 5)], 8, "an unknown codec"),
        (&[(8, 7, 1)], 8, "a chunk that takes more than it is long"),
        (&[(8, 8, 0), (0, 1, 1)], 8, "a chunk that takes nothing"),
        (&[(8, limits::CHUNK + 1, 1)], 8, "a chunk that is too long"),
        (&[(u32::MAX, u32::MAX, 0), (9, 9, 0)], 8, "lengths that overflow"),
    ] {
        let error = read_table(ID, &with_rows(rows, stored));
        assert!(matches!(error, Err(PackError::Damaged { .. })), "{why}: {error:?}");
    }
}

#[test]
fn a_chunk_is_only_given_out_under_its_own_id() {
    let chunks = vec![noise("a", 50), noise("b", 50)];
    let pack = pack_of(&chunks);
    let [one, other] = pack.info.chunks[..] else { panic!("expected two chunks") };
    let bytes = stored(&other, &pack.bytes).unwrap();
    let found = Digest::of(&chunks[1]);
    let wrong = PackError::WrongBytes { pack: ID, chunk: one.id, at: one.offset, found };
    assert_eq!(open_chunk(ID, &one, bytes), Err(wrong));
    assert!(matches!(open_chunk(ID, &other, &bytes[1..]), Err(PackError::Chunk { .. })));
    assert_eq!(open_chunk(ID, &other, bytes).unwrap(), chunks[1]);
}

proptest! {
    #[test]
    fn any_pack_reads_as_it_was_built(
        chunks in prop::collection::vec(("[a-z]{2}", 1_usize..500).prop_map(|(seed, length)| noise(&seed, length)), 1..20),
    ) {
        let pack = pack_of(&chunks);
        prop_assert_eq!(read_table(ID, &pack.bytes).unwrap(), pack.info.chunks);
        prop_assert_eq!(read_all(&pack.bytes).unwrap(), chunks);
    }

    #[test]
    fn random_bytes_are_no_pack(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read_table(ID, &bytes).is_err());
        let framed = [&head()[..], &bytes, &head()].concat();
        prop_assert!(read_table(ID, &framed).is_err());
    }

    #[test]
    fn random_slots_open_no_chunk(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        stored in prop_oneof![any::<u32>(), 0_u32..100],
        len in prop_oneof![any::<u32>(), 0_u32..200],
        codec in 0_u8..5,
    ) {
        let codec = codec_of(codec).unwrap();
        let slot = ChunkSlot { id: Digest::from_bytes([1; 32]), offset: u32::MAX, stored, len, codec };
        prop_assert!(open_chunk(ID, &slot, &bytes).is_err());
    }
}

#[test]
fn a_small_pack_stands_in_a_commit_and_comes_out_as_it_was() {
    let (_, pack) = small_pack();
    let enclosed = pack.enclosed().unwrap();
    let stored: u32 = pack.info.chunks.iter().map(|slot| slot.stored).sum();
    assert_eq!(enclosed.bytes.0.len(), stored as usize, "head, table and foot follow from the chunks");
    assert_eq!(FinishedPack::of_enclosed(ID, &enclosed).unwrap(), pack);
    let large = pack_of(&[noise("large", 8193)]);
    assert_eq!(large.enclosed(), None);
}
