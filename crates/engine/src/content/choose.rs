//! Choice of a chunk's codec, from a sample of the chunk.
//!
//! This is not part of the format: a reader accepts any codec that a chunk names, and a bad choice
//! only costs space. zstd is run on the sample. Planes are not built: their order-0 entropy
//! estimates what zstd would store, and one count of bytes by position modulo 8 gives it for all
//! widths. Text needs no sample: it has no elements to take apart, and is zstd's own trade. Of
//! thousands of small files, that is a third of the work.

use zstd::bulk::Compressor;

use super::codec::{CodecError, compress, width};
use crate::model::Codec;

/// Length of one piece of a sample, in bytes: a multiple of all widths.
const PIECE: usize = 2 << 10;
/// Number of pieces in a sample. A chunk no longer than all of them is its own sample.
const PIECES: usize = 4;
/// Width of the widest elements, in bytes.
const WIDEST: usize = 8;
/// Overhead of a plane in bytes: its length field, and the headers of its frame and block.
const PLANE_HEADS: [f64; 2] = [4.0, 24.0];
/// Share of the length that a codec must save, compared to the simpler one before it.
const GAIN: f64 = 0.03;

/// Count of each byte at each position modulo [`WIDEST`].
type Counts = [[u32; 256]; WIDEST];

/// Chooses the codec for `chunk`. Overwrites `scratch`.
///
/// # Errors
/// If zstd cannot allocate memory.
pub fn choose(chunk: &[u8], zstd: &mut Compressor<'_>, scratch: &mut Vec<u8>) -> Result<Codec, CodecError> {
    let sample = sample(chunk);
    if is_text(&sample) {
        return Ok(Codec::Zstd);
    }
    let length = cost(sample.len());
    compress(zstd, &sample, scratch)?;
    let mut best = (Codec::Raw, length);
    if cost(scratch.len()) < best.1 - GAIN * length {
        best = (Codec::Zstd, cost(scratch.len()));
    }
    let counts = count(&sample);
    for codec in [Codec::Planes2, Codec::Planes4, Codec::Planes8] {
        let estimate = width(codec).map_or(length, |width| planes_cost(&counts, width));
        if estimate < best.1 - GAIN * length {
            best = (codec, estimate);
        }
    }
    Ok(best.0)
}

/// Evenly spread pieces of `chunk`. Each starts at a multiple of [`WIDEST`].
fn sample(chunk: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if chunk.len() <= PIECE * PIECES {
        return chunk.into();
    }
    let stride = (chunk.len() - PIECE) / (PIECES - 1) / WIDEST * WIDEST;
    (0..PIECES).flat_map(|n| chunk.iter().skip(n * stride).take(PIECE)).copied().collect()
}

/// True for text in UTF-8 without control characters but white space. Numbers in binary hardly ever
/// are; nor is text in UTF-16, which planes suit.
fn is_text(sample: &[u8]) -> bool {
    let is_control = |byte: &u8| *byte < b' ' && !byte.is_ascii_whitespace() || *byte == 0x7f;
    !sample.iter().any(is_control) && std::str::from_utf8(sample).is_ok()
}

fn count(sample: &[u8]) -> Counts {
    let mut counts = [[0; 256]; WIDEST];
    for element in sample.chunks(WIDEST) {
        for (counts, byte) in counts.iter_mut().zip(element) {
            counts[usize::from(*byte)] += 1;
        }
    }
    counts
}

/// Estimated size of all planes of this width together, in bytes.
fn planes_cost(counts: &Counts, width: usize) -> f64 {
    (0..width)
        .map(|plane| {
            let mut merged = [0; 256];
            for position in counts.iter().skip(plane).step_by(width) {
                merged.iter_mut().zip(position).for_each(|(sum, count)| *sum += count);
            }
            plane_cost(&merged)
        })
        .sum()
}

/// Estimated size of a plane with these byte counts, in bytes: its order-0 entropy and its
/// overhead.
fn plane_cost(counts: &[u32; 256]) -> f64 {
    let total = f64::from(counts.iter().sum::<u32>());
    let entropy = |count: f64| if count > 0.0 { count * (total / count).log2() } else { 0.0 };
    let bits: f64 = counts.iter().map(|count| entropy(f64::from(*count))).sum();
    let [length, frame] = PLANE_HEADS;
    length + total.min(bits / 8.0 + frame)
}

/// Length as a floating-point number. No sample exceeds a u32.
fn cost(length: usize) -> f64 {
    u32::try_from(length).map_or(f64::INFINITY, f64::from)
}
