//! Contents to measure with, and the way of each into chunks.

use std::convert::Infallible;
use std::hint::black_box;

use cogzy_engine::clock::SystemEntropy;
use cogzy_engine::content::{Cutter, Ingest};
use cogzy_engine::model::ChunkParams;

/// Cuts; what is kept of each chunk.
pub fn cut<T>(plain: &[u8], keep: impl Fn(&[u8]) -> T) -> Vec<T> {
    let mut cutter = Cutter::new(ChunkParams::default()).unwrap();
    let (mut chunks, mut kept) = (cutter.cut(plain), Vec::new());
    while let Some(chunk) = chunks.next_chunk().unwrap() {
        kept.push(keep(chunk));
    }
    kept
}

/// Takes in bytes of which every chunk is stored already: all that is left is to cut and to hash.
pub fn take_in(plain: &[u8]) {
    let sink = |_| Ok::<(), Infallible>(());
    let mut ingest = Ingest::new(ChunkParams::default(), &SystemEntropy, |_| true, sink).unwrap();
    black_box(ingest.add(plain).unwrap());
}

/// Numbers as vectors have them: noise in the mantissa, little in what is before it.
pub fn floats(bytes: usize) -> Vec<u8> {
    let mut bits = 1_u64;
    let mut next = || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        bits
    };
    let number = |drawn: u64| {
        let sum: u64 = (0..4).map(|at| drawn >> (16 * at) & 0xffff).sum();
        ((sum as f32 / 131_070.0) - 1.0) / 20.0 + (drawn & 0xff) as f32 * 1e-9
    };
    (0..bytes / 4).flat_map(|_| number(next()).to_le_bytes()).collect()
}

/// Entries of a corpus: words, and numbers that never come again.
pub fn text(bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "memory", "vault", "note", "meeting", "idea", "plan", "question", "answer", "graph", "cluster",
        "trace", "budget", "summer", "winter", "garden", "music",
    ];
    let (mut made, mut bits) = (Vec::with_capacity(bytes + 1000), 1_u64);
    while made.len() < bytes {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        made.extend_from_slice(format!("{{\"id\": \"{bits:016x}\", \"content\": \"").as_bytes());
        for at in 0..60_u32 {
            made.extend_from_slice(WORDS[(bits.rotate_left(at) >> 60) as usize].as_bytes());
            made.push(b' ');
        }
        made.extend_from_slice(b"\"}, ");
    }
    made.truncate(bytes);
    made
}
