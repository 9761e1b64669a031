use proptest::prelude::*;

use super::*;
use crate::content::test_data::{json_nodes, noise, unit_rows};

const CODECS: [Codec; 5] = [Codec::Raw, Codec::Zstd, Codec::Planes2, Codec::Planes4, Codec::Planes8];

fn stored_as(codec: Codec, chunk: &[u8]) -> Option<Vec<u8>> {
    Encoder::new().unwrap().encode_as(codec, chunk).unwrap().map(<[u8]>::to_vec)
}

fn chosen(chunk: &[u8]) -> (Codec, usize) {
    let mut encoder = Encoder::new().unwrap();
    let (codec, stored) = encoder.encode(chunk).unwrap();
    (codec, stored.len())
}

/// Bytes with skewed counts at some positions, as in numbers.
fn numbers() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(prop_oneof![Just(0x00_u8), Just(0x01), Just(0xff)], 8), "[a-z]{3}", 1_usize..3000)
        .prop_map(|(masks, seed, length)| {
            noise(&seed, length).iter().zip(masks.iter().cycle()).map(|(byte, mask)| byte & mask).collect()
        })
}

#[test]
fn planes_are_stored_as_documented() {
    let chunk: Vec<u8> = (0..=255).flat_map(|n| [n, 7]).collect();
    let stored = stored_as(Codec::Planes2, &chunk[..511]).unwrap();
    let (lengths, planes) = stored.split_at(8);
    assert_eq!(lengths[..4], 256_u32.to_le_bytes(), "the first plane does not compress");
    assert_eq!(planes[..256], (0..=255).collect::<Vec<u8>>());
    assert_eq!(lengths[4..], u32::try_from(planes.len() - 256).unwrap().to_le_bytes());
    assert_eq!(zstd::decode_all(&planes[256..]).unwrap(), [7; 255]);
}

#[test]
fn float32_vectors_are_stored_as_planes_which_saves_space() {
    let rows = unit_rows("codec", 24, 1536);
    let chunk = &rows[..128 << 10];
    for offset in 0..4 {
        let chunk = &chunk[offset..];
        let whole = stored_as(Codec::Zstd, chunk).unwrap().len();
        let (codec, planes) = chosen(chunk);
        assert_eq!(codec, Codec::Planes4);
        assert!(planes * 100 <= chunk.len() * 87, "planes: {planes} of {}", chunk.len());
        assert!(whole * 100 >= chunk.len() * 90, "zstd: {whole} of {}", chunk.len());
    }
}

#[test]
fn each_kind_of_content_gets_its_codec() {
    let rows = unit_rows("kinds", 16, 1536);
    let bfloat16: Vec<u8> = rows.chunks_exact(4).flat_map(|float| [float[2], float[3]]).collect();
    let float64: Vec<u8> = rows
        .chunks_exact(4)
        .flat_map(|float| (f64::from(f32::from_le_bytes(float.try_into().unwrap())) / 3.0).to_le_bytes())
        .collect();
    assert_eq!(chosen(&bfloat16).0, Codec::Planes2);
    assert_eq!(chosen(&float64).0, Codec::Planes8);
    assert_eq!(chosen(&json_nodes("kinds", 400)).0, Codec::Zstd);
    assert_eq!(chosen(&noise("kinds", 64 << 10)), (Codec::Raw, 64 << 10));
    assert_eq!(chosen(b"x"), (Codec::Raw, 1));
}

/// Of text no sample is taken. Text in UTF-16 has a byte of nothing in each element.
#[test]
fn text_is_stored_as_zstd_in_any_script_and_where_that_saves_nothing_as_it_is() {
    for text in ["the same words, ", "dieselben Wörter, ", "одни и те же слова, ", "同じ言葉、"]
    {
        let chunk = text.repeat(40);
        let (codec, stored) = chosen(chunk.as_bytes());
        assert_eq!(codec, Codec::Zstd, "{text}");
        let best = CODECS.iter().filter_map(|codec| Some(stored_as(*codec, chunk.as_bytes())?.len())).min();
        assert_eq!(Some(stored), best, "{text}");
    }
    assert_eq!(chosen(b"few words").0, Codec::Raw);
    let digits: Vec<u8> = noise("digits", 4000).iter().map(|byte| b'0' + byte % 10).collect();
    let utf16: Vec<u8> = digits.iter().flat_map(|digit| [*digit, 0]).collect();
    assert_eq!(chosen(&utf16).0, Codec::Planes2);
}

#[test]
fn an_encoder_keeps_no_state_between_chunks() {
    let (json, rows) = (json_nodes("memory", 300), unit_rows("memory", 4, 1536));
    let mut used = Encoder::new().unwrap();
    for chunk in [&json, &rows, &json, &noise("memory", 5000), &rows] {
        let (codec, stored) = used.encode(chunk).unwrap();
        assert_eq!(Encoder::new().unwrap().encode(chunk).unwrap(), (codec, stored));
    }
}

#[test]
fn impossible_lengths_are_refused_before_any_allocation() {
    for codec in CODECS {
        for len in [0, MAX_CHUNK + 1, u32::MAX] {
            assert_eq!(decode(codec, b"", len), Err(CodecError::Length(len.into())));
        }
    }
    assert_eq!(Encoder::new().unwrap().encode(b"").err(), Some(CodecError::Length(0)));
    let long = vec![0; MAX_CHUNK as usize + 1];
    assert!(matches!(Encoder::new().unwrap().encode(&long), Err(CodecError::Length(_))));
}

#[test]
fn frames_that_are_not_exactly_the_chunk_are_refused() {
    let frame = |content: &[u8]| zstd::bulk::compress(content, 3).unwrap();
    let refused =
        |stored: &[u8], len| matches!(decode(Codec::Zstd, stored, len), Err(CodecError::Frame { .. }));
    assert_eq!(decode(Codec::Zstd, &frame(&[7; 1000]), 1000).unwrap(), [7; 1000]);
    assert!(refused(&frame(&[7; 1_000_000]), 1000), "a decompression bomb");
    assert!(refused(&frame(&[7; 999]), 1000), "too little");
    assert!(refused(&[frame(&[7; 500]), frame(&[7; 500])].concat(), 1000), "two frames");
    assert!(refused(&[&frame(&[7; 1000])[..], b"x"].concat(), 1000), "a byte after the frame");
    assert!(refused(b"\x50\x2a\x4d\x18\x00\x00\x00\x00", 1000), "a skippable frame");
    let unsized_frame = zstd::encode_all(&[7; 1000][..], 3).unwrap();
    assert!(refused(&unsized_frame, 1000), "a frame that does not state its length");
}

#[test]
fn bytes_that_no_encoder_stores_are_refused() {
    let larger = zstd::bulk::compress(b"x", 3).unwrap();
    let error = CodecError::NotSmaller { stored: larger.len(), len: 1 };
    assert_eq!(decode(Codec::Zstd, &larger, 1), Err(error));

    let chunk: Vec<u8> = (0..200).flat_map(|n| [n, 7]).collect();
    let stored = stored_as(Codec::Planes2, &chunk).unwrap();
    // The raw plane with one byte too many.
    let longer = [&201_u32.to_le_bytes(), &stored[4..208], b"x", &stored[208..]].concat();
    let error = CodecError::Stored { found: 201, expected: 200 };
    assert_eq!(decode(Codec::Planes2, &longer, 400), Err(error));
}

proptest! {
    #[test]
    fn every_codec_round_trips(chunk in numbers()) {
        for codec in CODECS {
            if let Some(stored) = stored_as(codec, &chunk) {
                prop_assert!(stored.len() < chunk.len());
                prop_assert_eq!(decode(codec, &stored, u32::try_from(chunk.len()).unwrap()), Ok(chunk.clone()));
            }
        }
    }

    #[test]
    fn the_chosen_codec_round_trips_and_never_takes_more_space(chunk in numbers()) {
        let mut encoder = Encoder::new().unwrap();
        let (codec, stored) = encoder.encode(&chunk).unwrap();
        prop_assert!(stored.len() <= chunk.len());
        prop_assert_eq!(decode(codec, stored, u32::try_from(chunk.len()).unwrap()), Ok(chunk.clone()));
    }

    #[test]
    fn any_other_length_is_refused(chunk in numbers(), len in 1_u32..4000, cut in 1_usize..8, more in 1_usize..8) {
        for codec in CODECS {
            let stored = stored_as(codec, &chunk).or_else(|| (codec == Codec::Raw).then(|| chunk.clone()));
            let Some(stored) = stored else { continue };
            let right = u32::try_from(chunk.len()).unwrap();
            if len != right {
                prop_assert!(decode(codec, &stored, len).is_err(), "{codec:?} gave {len} bytes of {right}");
            }
            let kept = stored.len().saturating_sub(cut);
            prop_assert!(decode(codec, &stored[..kept], right).is_err(), "{codec:?} accepted a part");
            let longer = [stored.as_slice(), &[0; 8][..more]].concat();
            prop_assert!(decode(codec, &longer, right).is_err(), "{codec:?} left bytes unread");
        }
    }

    #[test]
    fn random_bytes_give_an_error_or_the_stated_length(stored in prop::collection::vec(any::<u8>(), 0..300), len in 1_u32..2000) {
        for codec in CODECS {
            if let Ok(chunk) = decode(codec, &stored, len) {
                prop_assert_eq!(chunk.len(), usize::try_from(len).unwrap());
            }
        }
    }

    /// Random bytes rarely get past the lengths of the planes; these do.
    #[test]
    fn random_planes_give_an_error_or_the_stated_length(
        lengths in prop::collection::vec(0_u32..40, 2),
        planes in prop::collection::vec(any::<u8>(), 0..60),
        len in 1_u32..80,
    ) {
        let mut stored: Vec<u8> = lengths.iter().flat_map(|length| length.to_le_bytes()).collect();
        stored.extend(planes);
        if let Ok(chunk) = decode(Codec::Planes2, &stored, len) {
            prop_assert_eq!(chunk.len(), usize::try_from(len).unwrap());
        }
    }
}
