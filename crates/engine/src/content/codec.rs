//! Codecs: the forms in which a pack stores chunks.
//!
//! - *raw*: the chunk as it is.
//! - *zstd*: one zstd frame (RFC 8878) that states the length of its content; no dictionary, no
//!   checksum.
//! - *planes* of width `w` (2, 4 or 8): `w` lengths, each a little-endian u32, then `w` planes one
//!   after the other, with nothing between or after them. Plane `i` holds the chunk's bytes at the
//!   positions `p` with `p mod w = i`, in order. If its length equals the plane's, the plane is
//!   stored raw. If it is smaller, the plane is stored as one zstd frame as above. A larger length
//!   is an error.
//!
//! In float32 vectors only the sign and exponent bytes compress well. zstd finds little of that
//! between the noise of the mantissas. Positions count from the start of the *chunk*: if elements
//! begin elsewhere, the planes are merely rotated.
//!
//! Invariants:
//! - Every codec but raw stores fewer bytes than the chunk has.
//! - Decoding allocates no more than the chunk's length. It returns exactly that many bytes or an
//!   error, and uses every stored byte. Only the chunk's digest tells if the bytes are the *right*
//!   ones.

use std::cell::Cell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{compress_bound, find_frame_compressed_size, get_frame_content_size};

use super::choose::choose;
use crate::model::{Codec, limits};

/// Maximum length of a chunk in bytes, in any vault.
pub const MAX_CHUNK: u32 = limits::CHUNK;

/// Compression level of whole chunks. Measured on a JSON corpus: level 1 stores 3 % more at nearly
/// the same speed, and level 5 takes three times as long for no gain.
const LEVEL: i32 = 3;
/// Compression level of planes. They gain only from skewed byte counts; level 3 looks for
/// repetitions instead and stores 1 % more.
const PLANE_LEVEL: i32 = 1;

/// Stored bytes that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A length that no chunk may have.
    #[error("a chunk of {0} bytes: expected 1 to {MAX_CHUNK}")]
    Length(u64),
    /// Raw bytes, or stored planes, of an unexpected length.
    #[error("{found} bytes are stored: expected {expected}")]
    Stored {
        /// Number of bytes stored.
        found: usize,
        /// Number of bytes expected.
        expected: usize,
    },
    /// Compressed bytes that are not shorter than their content. No writer stores those.
    #[error("{stored} bytes are stored for {len}: expected fewer")]
    NotSmaller {
        /// Number of bytes stored.
        stored: usize,
        /// Length of the content.
        len: usize,
    },
    /// The stored bytes end before the lengths of the planes.
    #[error("{0} bytes are stored: too few for the lengths of the planes")]
    NoLengths(usize),
    /// Bytes that are not one whole zstd frame, or a frame with a content of another length.
    #[error("expected one zstd frame of {stored} bytes with a content of {len}")]
    Frame {
        /// Number of bytes stored.
        stored: usize,
        /// Expected length of the content.
        len: usize,
    },
    /// An error of zstd.
    #[error("zstd: {0}")]
    Zstd(String),
}

/// Encodes chunks. The result depends on the chunk alone, so any number of encoders may share the
/// work.
pub struct Encoder {
    zstd: Compressor<'static>,
    planes: Compressor<'static>,
    stored: Vec<u8>,
    frame: Vec<u8>,
    plane: Vec<u8>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    /// Creates an encoder.
    ///
    /// # Errors
    /// If zstd cannot allocate memory.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self {
            zstd: Compressor::new(LEVEL).map_err(zstd)?,
            planes: Compressor::new(PLANE_LEVEL).map_err(zstd)?,
            stored: Vec::new(),
            frame: Vec::new(),
            plane: Vec::new(),
        })
    }

    /// Encodes a chunk with the codec that suits a sample of it, or as raw if that saves nothing.
    ///
    /// # Errors
    /// If the chunk is empty or too long, or zstd cannot allocate memory.
    pub fn encode<'a>(&'a mut self, chunk: &'a [u8]) -> Result<(Codec, &'a [u8]), CodecError> {
        chunk_len(chunk.len() as u64)?;
        let codec = choose(chunk, &mut self.planes, &mut self.frame)?;
        Ok(self.encode_as(codec, chunk)?.map_or((Codec::Raw, chunk), |stored| (codec, stored)))
    }

    /// Encodes a chunk with one codec. Returns `None` if that saves nothing.
    fn encode_as(&mut self, codec: Codec, chunk: &[u8]) -> Result<Option<&[u8]>, CodecError> {
        match (codec, width(codec)) {
            (Codec::Raw, _) => return Ok(None),
            (_, None) => compress(&mut self.zstd, chunk, &mut self.stored)?,
            (_, Some(width)) => self.encode_planes(width, chunk)?,
        }
        Ok((self.stored.len() < chunk.len()).then_some(&self.stored))
    }

    fn encode_planes(&mut self, width: usize, chunk: &[u8]) -> Result<(), CodecError> {
        let Self { planes: zstd, stored, frame, plane, .. } = self;
        let mut lengths = Vec::with_capacity(width);
        stored.clear();
        stored.resize(width * size_of::<u32>(), 0);
        for first in 0..width {
            plane.clear();
            plane.extend(chunk.iter().skip(first).step_by(width));
            compress(zstd, plane, frame)?;
            let smaller = if frame.len() < plane.len() { &*frame } else { &*plane };
            lengths.push(smaller.len());
            stored.extend_from_slice(smaller);
        }
        for (field, length) in stored.chunks_exact_mut(size_of::<u32>()).zip(lengths) {
            let length = u32::try_from(length).map_err(|_| CodecError::Length(length as u64))?;
            field.copy_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }
}

/// Decodes a chunk of `len` bytes.
///
/// # Errors
/// If `stored` is not the output of an encoder for that many bytes.
pub fn decode(codec: Codec, stored: &[u8], len: u32) -> Result<Vec<u8>, CodecError> {
    let len = chunk_len(len.into())?;
    if codec == Codec::Raw {
        let exact = || CodecError::Stored { found: stored.len(), expected: len };
        return (stored.len() == len).then(|| stored.to_vec()).ok_or_else(exact);
    }
    if stored.len() >= len {
        return Err(CodecError::NotSmaller { stored: stored.len(), len });
    }
    let known = DECOMPRESSOR.with(Cell::take);
    let mut zstd = known.map_or_else(Decompressor::new, Ok).map_err(self::zstd)?;
    let decoded = match width(codec) {
        None => {
            let mut chunk = Vec::new();
            decompress(&mut zstd, stored, len, &mut chunk).map(|()| chunk)
        }
        Some(width) => decode_planes(&mut zstd, width, stored, len),
    };
    DECOMPRESSOR.set(Some(zstd));
    decoded
}

thread_local! {
    /// To make one takes longer than to decode a small chunk.
    static DECOMPRESSOR: Cell<Option<Decompressor<'static>>> = const { Cell::new(None) };
}

fn decode_planes(
    zstd: &mut Decompressor<'_>,
    width: usize,
    stored: &[u8],
    len: usize,
) -> Result<Vec<u8>, CodecError> {
    let (lengths, mut rest) =
        stored.split_at_checked(width * size_of::<u32>()).ok_or(CodecError::NoLengths(stored.len()))?;
    let mut chunk = vec![0; len];
    let mut scratch = Vec::new();
    for (first, length) in lengths.as_chunks().0.iter().enumerate() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let plane_len = len.saturating_sub(first).div_ceil(width);
        if length > plane_len {
            return Err(CodecError::Stored { found: length, expected: plane_len });
        }
        let short = CodecError::Stored { found: rest.len(), expected: length };
        let (bytes, after) = rest.split_at_checked(length).ok_or(short)?;
        rest = after;
        let plane = if length < plane_len {
            decompress(zstd, bytes, plane_len, &mut scratch)?;
            &scratch
        } else {
            bytes
        };
        for (byte, from) in chunk.iter_mut().skip(first).step_by(width).zip(plane) {
            *byte = *from;
        }
    }
    if rest.is_empty() {
        Ok(chunk)
    } else {
        Err(CodecError::Stored { found: stored.len(), expected: stored.len() - rest.len() })
    }
}

/// Checks that a chunk may have this length.
fn chunk_len(len: u64) -> Result<usize, CodecError> {
    let fits = usize::try_from(len).ok().filter(|_| (1..=u64::from(MAX_CHUNK)).contains(&len));
    fits.ok_or(CodecError::Length(len))
}

/// Element width of a codec that splits bytes into planes.
pub(super) const fn width(codec: Codec) -> Option<usize> {
    match codec {
        Codec::Raw | Codec::Zstd => None,
        Codec::Planes2 => Some(2),
        Codec::Planes4 => Some(4),
        Codec::Planes8 => Some(8),
    }
}

/// Replaces `frame` with one zstd frame of `plain`.
pub(super) fn compress(
    zstd: &mut Compressor<'_>,
    plain: &[u8],
    frame: &mut Vec<u8>,
) -> Result<(), CodecError> {
    frame.clear();
    frame.reserve(compress_bound(plain.len()));
    zstd.compress_to_buffer(plain, frame).map_err(self::zstd)?;
    Ok(())
}

/// Replaces `plain` with the content of `frame`, which must be one whole frame of `len` bytes.
fn decompress(
    zstd: &mut Decompressor<'_>,
    frame: &[u8],
    len: usize,
    plain: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let whole = find_frame_compressed_size(frame) == Ok(frame.len());
    let stated = get_frame_content_size(frame).ok().flatten();
    let other = || CodecError::Frame { stored: frame.len(), len };
    if !whole || stated != Some(len as u64) {
        return Err(other());
    }
    plain.clear();
    plain.reserve_exact(len);
    zstd.decompress_to_buffer(frame, plain).map_err(self::zstd)?;
    if plain.len() == len { Ok(()) } else { Err(other()) }
}

fn zstd(error: std::io::Error) -> CodecError {
    CodecError::Zstd(error.to_string())
}

#[cfg(test)]
mod tests;
