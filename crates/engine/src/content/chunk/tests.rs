use std::collections::HashSet;

use fastcdc::v2020::FastCDC;
use proptest::prelude::*;

use super::*;
use crate::content::test_data::{Dribble, noise};
use crate::model::Digest;

const SMALL: ChunkParams = ChunkParams { min: 256, avg: 1024, max: 4096 };

fn chunks(params: ChunkParams, source: impl Read) -> Vec<Vec<u8>> {
    let mut cutter = Cutter::new(params).unwrap();
    let mut chunks = cutter.cut(source);
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next_chunk().unwrap() {
        all.push(chunk.to_vec());
    }
    all
}

/// Known cuts. A dependency that cuts elsewhere would upload every vault again, so this list never
/// changes.
#[test]
fn cuts_never_change() {
    let all = chunks(ChunkParams::default(), noise("golden", 2 << 20).as_slice());
    let lengths: Vec<usize> = all.iter().map(Vec::len).collect();
    assert_eq!(lengths, GOLDEN_LENGTHS);
    let ids: Vec<String> = all.iter().take(3).map(|chunk| Digest::of(chunk).to_string()).collect();
    assert_eq!(ids, GOLDEN_IDS);

    let small = chunks(SMALL, noise("golden", 16 << 10).as_slice());
    assert_eq!(small.iter().map(Vec::len).collect::<Vec<_>>(), GOLDEN_SMALL);
}

const GOLDEN_LENGTHS: &[usize] = &[
    71791, 81519, 67675, 96818, 166418, 48838, 90918, 73387, 75318, 43059, 74766, 68935, 51041, 55156, 84647,
    65559, 66868, 66672, 67108, 38712, 73906, 108027, 18823, 66059, 78034, 65477, 103871, 66808, 60942,
];
const GOLDEN_IDS: [&str; 3] = [
    "10277d6c3a1ceeddb220878944d24e28267d1885952d1dc79edf3951c20520b4",
    "6c18c8774fadbc1eb29a3dd0eccff27ac03afc4a35a37a4ce618c615de36657d",
    "921c0d3de0050e1cf68e2d717aaf5f1d52c3b53e9b5baa9b07d3ee11e236b8cc",
];
const GOLDEN_SMALL: &[usize] =
    &[290, 1072, 1045, 1115, 1346, 1038, 592, 705, 1141, 1266, 1435, 1718, 1320, 962, 1339];

#[test]
fn without_a_cut_chunks_have_the_maximum_length() {
    let zeros = vec![0; 3 * 4096 + 5];
    let lengths: Vec<usize> = chunks(SMALL, zeros.as_slice()).iter().map(Vec::len).collect();
    assert_eq!(lengths, [4096, 4096, 4096, 5]);
}

#[test]
fn lengths_lie_around_the_average() {
    let params = ChunkParams::default();
    let lengths: Vec<usize> =
        chunks(params, noise("lengths", 16 << 20).as_slice()).iter().map(Vec::len).collect();
    let mean = (16 << 20) / lengths.len();
    assert!((56 << 10..96 << 10).contains(&mean), "the mean length is {mean}");
    let longest = lengths.iter().filter(|length| **length == 256 << 10).count();
    assert!(longest * 50 < lengths.len(), "{longest} of {} chunks were cut by force", lengths.len());
}

#[test]
fn unusable_parameters_are_refused() {
    for (min, avg, max) in
        [(256, 1000, 4096), (128, 1024, 4096), (1024, 1024, 4096), (256, 1024, 8 << 20), (0, 0, 0)]
    {
        let params = ChunkParams { min, avg, max };
        assert_eq!(Cutter::new(params).err(), Some(BadChunkParams(params)));
    }
}

#[test]
fn a_failing_source_is_an_error_and_the_cutter_stays_usable() {
    let mut cutter = Cutter::new(SMALL).unwrap();
    let broken = noise("broken", 5000);
    let failing = broken.as_slice().chain(Dribble::failing());
    let mut chunks_of = cutter.cut(failing);
    let error = loop {
        match chunks_of.next_chunk() {
            Ok(chunk) => assert!(chunk.is_some(), "the source ended without its error"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(cutter.cut(&b"next"[..]).next_chunk().unwrap(), Some(&b"next"[..]));
}

proptest! {
    #[test]
    fn chunks_add_up_to_the_source_however_it_is_read(
        seed in "[a-z]{4}",
        length in 0_usize..60_000,
        steps in prop::collection::vec(0_usize..3000, 1..5),
    ) {
        let data = noise(&seed, length);
        let whole = chunks(SMALL, data.as_slice());
        prop_assert_eq!(&whole.concat(), &data);
        for (n, chunk) in whole.iter().enumerate() {
            prop_assert!(chunk.len() <= 4096 && !chunk.is_empty());
            prop_assert!(chunk.len() >= 256 || n + 1 == whole.len());
        }
        let whole_at_once = FastCDC::with_level(&data, 256, 1024, 4096, Normalization::Level2);
        prop_assert!(whole_at_once.map(|chunk| chunk.length).eq(whole.iter().map(Vec::len)));
        prop_assert_eq!(chunks(SMALL, Dribble::new(&data, steps)), whole);
    }

    #[test]
    fn an_edit_changes_only_the_chunks_around_it(at in 0_usize..60_000, insert in prop::collection::vec(any::<u8>(), 1..200)) {
        let data = noise("edited", 60_000);
        let mut edited = data.clone();
        edited.splice(at..at, insert);
        let old: HashSet<Vec<u8>> = chunks(SMALL, data.as_slice()).into_iter().collect();
        let fresh = chunks(SMALL, edited.as_slice()).iter().filter(|chunk| !old.contains(*chunk)).count();
        prop_assert!(fresh <= 12, "{fresh} chunks changed");
    }
}
