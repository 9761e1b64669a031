//! Speed of what every new byte goes through, on one core and from memory: cutting and hashing,
//! beside reading memory and BLAKE3 alone; then the codecs and what undoes them.
//!
//!     cargo bench --bench content

#![cfg(test)]

use std::convert::Infallible;
use std::hint::black_box;

use cogzy_engine::clock::{Clock, SystemClock, SystemEntropy};
use cogzy_engine::content::{Cutter, Encoder, Ingest, decode};
use cogzy_engine::model::{ChunkParams, Codec};

/// Bytes that go through each measurement.
const SIZE: usize = 128 << 20;
const ROUNDS: usize = 5;
/// Share of the slower of memory and BLAKE3 that cutting and hashing must reach.
const SHARE: f64 = 0.6;

fn main() {
    let floats = floats(SIZE);
    let text = text(SIZE);
    let memory = speed(SIZE, || read(&floats));
    let hash = speed(SIZE, || blake3::hash(&floats));
    let cutting = speed(SIZE, || cut(&floats, <[u8]>::len));
    let taken_in = speed(SIZE, || take_in(&floats));
    let share = taken_in / memory.min(hash);
    println!("memory read        {memory:8.0} MB/s");
    println!("BLAKE3             {hash:8.0} MB/s");
    println!("cut                {cutting:8.0} MB/s");
    println!(
        "cut and hashed     {taken_in:8.0} MB/s  {share:.2} of the slower of the first two, at least {SHARE}"
    );
    for (name, plain) in [("floats", &floats), ("text", &text)] {
        let chunks = cut(plain, <[u8]>::to_vec);
        let (mut stored, mut encoder) = (Vec::new(), Encoder::new().unwrap());
        let encoded = speed(SIZE, || stored = encode(&mut encoder, &chunks));
        let decoded = speed(SIZE, || undo(&stored));
        let rest = stored.iter().map(|one| one.bytes.len()).sum::<usize>();
        println!(
            "{name:8} encoded   {encoded:8.0} MB/s  to {:.2} of its size; decoded {decoded:8.0} MB/s",
            rest as f64 / SIZE as f64
        );
    }
}

/// A chunk as it is stored.
struct Stored {
    codec: Codec,
    bytes: Vec<u8>,
    len: u32,
}

fn encode(encoder: &mut Encoder, chunks: &[Vec<u8>]) -> Vec<Stored> {
    let stored = |chunk: &Vec<u8>| {
        let (codec, bytes) = encoder.encode(chunk).unwrap();
        Stored { codec, bytes: bytes.to_vec(), len: u32::try_from(chunk.len()).unwrap() }
    };
    chunks.iter().map(stored).collect()
}

fn undo(stored: &[Stored]) {
    for one in stored {
        black_box(decode(one.codec, &one.bytes, one.len).unwrap());
    }
}

/// Cuts; what is kept of each chunk.
fn cut<T>(plain: &[u8], keep: impl Fn(&[u8]) -> T) -> Vec<T> {
    let mut cutter = Cutter::new(ChunkParams::default()).unwrap();
    let (mut chunks, mut kept) = (cutter.cut(plain), Vec::new());
    while let Some(chunk) = chunks.next_chunk().unwrap() {
        kept.push(keep(chunk));
    }
    kept
}

/// Takes in bytes of which every chunk is stored already: all that is left is to cut and to hash.
fn take_in(plain: &[u8]) {
    let sink = |_| Ok::<(), Infallible>(());
    let mut ingest = Ingest::new(ChunkParams::default(), &SystemEntropy, |_| true, sink).unwrap();
    black_box(ingest.add(plain).unwrap());
}

fn read(plain: &[u8]) -> u64 {
    let words = plain.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    words.fold(0, u64::wrapping_add)
}

/// Megabytes a second, at the median of some rounds.
fn speed<T>(bytes: usize, mut work: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let clock = SystemClock::new();
            black_box(work());
            clock.monotonic().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    bytes as f64 / times[ROUNDS / 2] / 1e6
}

/// Numbers as vectors have them: noise in the mantissa, little in what is before it.
fn floats(bytes: usize) -> Vec<u8> {
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
fn text(bytes: usize) -> Vec<u8> {
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
