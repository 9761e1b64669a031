//! A chunk in each codec: as long as its table says, or refused.

#![no_main]

use cogzy_engine::content::{MAX_CHUNK, decode};
use cogzy_engine::model::Codec;
use libfuzzer_sys::fuzz_target;

const CODECS: [Codec; 5] = [Codec::Raw, Codec::Zstd, Codec::Planes2, Codec::Planes4, Codec::Planes8];

fuzz_target!(|data: &[u8]| {
    let Some((head, stored)) = data.split_first_chunk::<5>() else { return };
    let [codec, len @ ..] = *head;
    let len = u32::from_le_bytes(len) % (u32::try_from(MAX_CHUNK).unwrap() + 1);
    let codec = CODECS[usize::from(codec) % CODECS.len()];
    if let Ok(chunk) = decode(codec, stored, len) {
        assert_eq!(chunk.len(), usize::try_from(len).unwrap());
    }
});
