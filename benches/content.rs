//! Speed of what every new byte goes through, on one core and from memory: cutting and hashing,
//! beside reading memory and BLAKE3 alone; then the codecs and what undoes them.
//!
//!     cargo bench --bench content

#![cfg(test)]

mod contents;

use std::hint::black_box;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::content::{Encoder, decode};
use cogzy_engine::model::Codec;
use contents::{cut, floats, take_in, text};

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
