//! Packs: the objects that hold chunks.
//!
//! A pack is `head · stored chunks · table · foot`, with all numbers little-endian:
//! - head, 8 bytes: `CGZpck`, then the format as u16.
//! - stored chunks: encoded by [`super::codec`], one after the other from byte 8 on, without gaps.
//! - table: 41 bytes per chunk, in the same order: its id (32), its length in the pack as u32, its
//!   length before compression as u32, its codec (0 raw, 1 zstd, 2 planes2, 3 planes4, 4 planes8).
//! - foot, 44 bytes: the table's length in bytes as u32, the table's BLAKE3, and the head again.
//!
//! Commits repeat the table, and readers use that copy. The table in the pack serves `verify
//! --deep`, and recovery if the commits are lost. Offsets are not stored: they follow from the
//! lengths, so no table can make chunks overlap or leave a byte of the pack unaccounted for.
//!
//! Invariants: a pack holds at least one chunk, and a chunk that is given out hashes to its id. A
//! pack exists only in memory until it is handed over, so a crash leaves nothing.

use bytes::Bytes;

use super::codec::{CodecError, decode};
use crate::model::{ChunkSlot, Codec, Digest, Enclosed, PackId, PackInfo, Stored, limits};

/// The format of packs.
const FORMAT: u32 = 1;

/// Size at which a pack is handed over, in bytes: large enough to make few requests, small enough
/// for one PUT.
pub const PACK_TARGET: usize = 16 << 20;

const MAGIC: [u8; 6] = *b"CGZpck";
const HEAD: usize = 8;
const ROW: usize = 32 + 4 + 4 + 1;
const FOOT: usize = 4 + 32 + HEAD;

/// Pack or chunk that cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// A pack written by a newer version of this program.
    #[error(
        "pack {pack} has format {found}, and this program reads up to {FORMAT}: install a newer cogzy-vault"
    )]
    Newer {
        /// The pack.
        pack: PackId,
        /// Format of the pack.
        found: u16,
    },
    /// The bytes are not a whole pack.
    #[error("pack {pack} is damaged at byte {at}: {why}")]
    Damaged {
        /// The pack.
        pack: PackId,
        /// Position in bytes from the start of the pack.
        at: usize,
        /// Cause.
        why: String,
    },
    /// A chunk's stored bytes cannot be decoded.
    #[error("chunk {} at byte {at} of pack {pack} is damaged: {why}", .chunk.short())]
    Chunk {
        /// The pack.
        pack: PackId,
        /// The chunk's id.
        chunk: Digest,
        /// Offset of the chunk in the pack.
        at: u32,
        /// Cause.
        why: CodecError,
    },
    /// A chunk's bytes do not match its id.
    #[error(
        "chunk {} at byte {at} of pack {pack} is damaged: its bytes hash to {}",
        .chunk.short(), .found.short()
    )]
    WrongBytes {
        /// The pack.
        pack: PackId,
        /// The chunk's id.
        chunk: Digest,
        /// Offset of the chunk in the pack.
        at: u32,
        /// Digest of the bytes.
        found: Digest,
    },
    /// A partial read of a pack returned another number of bytes than requested.
    #[error(
        "the read of bytes {start}..{end} of pack {pack} gave {found} bytes: expected all of them and no more"
    )]
    Range {
        /// The pack.
        pack: PackId,
        /// First byte requested.
        start: u64,
        /// End of the request, exclusive.
        end: u64,
        /// Number of bytes returned.
        found: usize,
    },
    /// A pack would grow beyond the range of its offsets.
    #[error("pack {pack} cannot take a chunk of {stored} bytes: it would be longer than 4 GiB")]
    Full {
        /// The pack.
        pack: PackId,
        /// Length of the stored chunk.
        stored: usize,
    },
}

/// Pack that is ready for upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedPack {
    /// Description of the pack for the commit that adds it.
    pub info: PackInfo,
    /// Bytes of the object.
    pub bytes: Bytes,
}

/// Pack under construction.
#[derive(Debug)]
pub struct PackBuilder {
    id: PackId,
    bytes: Vec<u8>,
    chunks: Vec<ChunkSlot>,
}

impl PackBuilder {
    /// Creates an empty pack with this id.
    #[must_use]
    pub fn new(id: PackId) -> Self {
        Self { id, bytes: head().to_vec(), chunks: Vec::new() }
    }

    /// Length in bytes that the object would have if it were finished now.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len() + self.chunks.len() * ROW + FOOT
    }

    /// Adds a chunk of `len` bytes, encoded by `codec`.
    ///
    /// # Errors
    /// If the chunk or the pack would be too long.
    pub fn push(&mut self, id: Digest, len: usize, codec: Codec, stored: &[u8]) -> Result<(), PackError> {
        let full = || PackError::Full { pack: self.id, stored: stored.len() };
        let number = |n: usize| u32::try_from(n).map_err(|_| full());
        number(self.size() + ROW + stored.len())?;
        let slot = ChunkSlot {
            id,
            offset: number(self.bytes.len())?,
            stored: number(stored.len())?,
            len: number(len)?,
            codec,
        };
        self.bytes.extend_from_slice(stored);
        self.chunks.push(slot);
        Ok(())
    }

    /// Finishes the pack. Returns `None` if it is empty.
    #[must_use]
    pub fn finish(self) -> Option<FinishedPack> {
        let Self { id, mut bytes, chunks } = self;
        if chunks.is_empty() {
            return None;
        }
        let start = bytes.len();
        for slot in &chunks {
            bytes.extend_from_slice(slot.id.as_bytes());
            bytes.extend_from_slice(&slot.stored.to_le_bytes());
            bytes.extend_from_slice(&slot.len.to_le_bytes());
            bytes.push(codec_byte(slot.codec));
        }
        let table = &bytes[start..];
        let digest = Digest::of(table);
        // `push` keeps the whole pack, and so its table, below 4 GiB.
        let length = u32::try_from(table.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(digest.as_bytes());
        bytes.extend_from_slice(&head());
        let info = PackInfo { id, digest: Digest::of(&bytes), size: bytes.len() as u64, chunks };
        Some(FinishedPack { info, bytes: bytes.into() })
    }
}

impl FinishedPack {
    /// The pack as it stands in a commit. None if it is too large for that.
    #[must_use]
    pub fn enclosed(&self) -> Option<Enclosed> {
        let chunks = self.info.chunks.clone();
        let end = chunks.last().map(|slot| slot.offset as usize + slot.stored as usize)?;
        let stored = self.bytes.get(HEAD..end)?;
        let fits = stored.len() as u64 <= limits::ENCLOSED && chunks.len() <= limits::ENCLOSED_CHUNKS;
        fits.then(|| Enclosed { chunks, bytes: Stored(stored.to_vec()) })
    }

    /// The pack that stands in a commit, under the id that it has there.
    ///
    /// # Errors
    /// If the chunks do not account for every byte.
    pub fn of_enclosed(id: PackId, enclosed: &Enclosed) -> Result<Self, PackError> {
        let Enclosed { chunks, bytes: Stored(bytes) } = enclosed;
        let (mut pack, mut rest) = (PackBuilder::new(id), bytes.as_slice());
        for slot in chunks {
            let stored = usize::try_from(slot.stored).unwrap_or(usize::MAX);
            let Some((chunk, after)) = rest.split_at_checked(stored) else { break };
            pack.push(slot.id, usize::try_from(slot.len).unwrap_or(usize::MAX), slot.codec, chunk)?;
            rest = after;
        }
        let damaged = || PackError::Damaged {
            pack: id,
            at: 0,
            why: format!("it stands in a commit, and its chunks do not account for {} bytes", bytes.len()),
        };
        let pack = pack.finish().ok_or_else(damaged)?;
        if !rest.is_empty() || pack.info.chunks != *chunks {
            return Err(damaged());
        }
        check_table(&pack.info)?;
        Ok(pack)
    }
}

/// Checks that a slot lies in a pack, as far as one can tell without its table.
///
/// # Errors
/// If it has lengths that no chunk has, or reaches beyond the longest pack.
pub fn check_slot(pack: PackId, slot: &ChunkSlot) -> Result<(), PackError> {
    let at = usize::try_from(slot.offset).unwrap_or(usize::MAX);
    let end = u64::from(slot.offset) + u64::from(slot.stored);
    let within = (HEAD as u64..=limits::PACK_STORED).contains(&end);
    let checked = check_lengths(slot).and_then(|()| {
        within.then_some(()).ok_or_else(|| format!("a chunk ends at byte {end}, and no pack is so long"))
    });
    checked.map_err(|why| PackError::Damaged { pack, at, why })
}

/// Checks a table that a commit names: that it accounts for every byte of a pack of that size.
///
/// # Errors
/// If no pack has such a table.
pub fn check_table(info: &PackInfo) -> Result<(), PackError> {
    let mut end = HEAD as u64;
    for slot in &info.chunks {
        check_slot(info.id, slot)?;
        if u64::from(slot.offset) != end {
            let why = format!("a chunk begins at byte {}: expected {end}", slot.offset);
            return Err(PackError::Damaged { pack: info.id, at: 0, why });
        }
        end += u64::from(slot.stored);
    }
    let whole = end + (info.chunks.len() * ROW + FOOT) as u64;
    if info.chunks.is_empty() || info.size != whole || whole > limits::PACK_STORED {
        let (size, most) = (info.size, limits::PACK_STORED);
        let why = format!("its table accounts for {whole} of {size} bytes: expected all, and at most {most}");
        return Err(PackError::Damaged { pack: info.id, at: 0, why });
    }
    Ok(())
}

/// Reads the table of a whole pack, and checks that it accounts for every byte.
///
/// # Errors
/// If the bytes are not a whole pack of a known format. The chunks themselves are not read;
/// [`open_chunk`] does that.
pub fn read_table(pack: PackId, bytes: &[u8]) -> Result<Vec<ChunkSlot>, PackError> {
    let damaged = |at: usize, why: String| PackError::Damaged { pack, at, why };
    let short = || damaged(bytes.len(), format!("it ends after {} bytes", bytes.len()));
    let (found, rest) = bytes.split_first_chunk::<HEAD>().ok_or_else(short)?;
    check_head(pack, 0, *found)?;
    let (rest, found) = rest.split_last_chunk::<HEAD>().ok_or_else(short)?;
    check_head(pack, bytes.len() - HEAD, *found)?;
    let (rest, expected) = rest.split_last_chunk::<32>().ok_or_else(short)?;
    let (body, length) = rest.split_last_chunk::<4>().ok_or_else(short)?;

    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let whole_rows = length > 0 && length.is_multiple_of(ROW);
    let start = body.len().checked_sub(length).filter(|_| whole_rows).ok_or_else(|| {
        let why = format!("its table has {length} bytes: expected a multiple of {ROW}, up to {}", body.len());
        damaged(bytes.len() - FOOT, why)
    })?;
    let (stored, table) = body.split_at(start);
    let start = HEAD + start;
    if Digest::of(table).as_bytes() != expected {
        return Err(damaged(start, "its table does not hash to what its foot says".into()));
    }

    let mut offset = HEAD as u64;
    let mut slots = Vec::with_capacity(table.len() / ROW);
    for (n, row) in table.as_chunks::<ROW>().0.iter().enumerate() {
        let slot = read_row(row, offset).map_err(|why| damaged(start + n * ROW, why))?;
        offset += u64::from(slot.stored);
        slots.push(slot);
    }
    if offset == start as u64 {
        Ok(slots)
    } else {
        let why =
            format!("its chunks take {} bytes, and its table names {}", stored.len(), offset - HEAD as u64);
        Err(damaged(start, why))
    }
}

/// Bytes of a slot in a whole pack. Empty if the pack is too short.
#[must_use]
pub fn stored_in<'a>(slot: &ChunkSlot, pack: &'a [u8]) -> &'a [u8] {
    let [start, stored] = [slot.offset, slot.stored].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
    pack.get(start..).and_then(|rest| rest.get(..stored)).unwrap_or_default()
}

/// Decodes a chunk from its stored bytes and checks it.
///
/// # Errors
/// If the bytes are damaged or belong to another chunk.
pub fn open_chunk(pack: PackId, slot: &ChunkSlot, stored: &[u8]) -> Result<Vec<u8>, PackError> {
    let damaged = |why| PackError::Chunk { pack, chunk: slot.id, at: slot.offset, why };
    let chunk = decode(slot.codec, stored, slot.len).map_err(damaged)?;
    let found = Digest::of(&chunk);
    if found == slot.id {
        Ok(chunk)
    } else {
        Err(PackError::WrongBytes { pack, chunk: slot.id, at: slot.offset, found })
    }
}

fn read_row(row: &[u8; ROW], offset: u64) -> Result<ChunkSlot, String> {
    let (id, rest) = row.split_first_chunk::<32>().ok_or("no id")?;
    let (stored, rest) = rest.split_first_chunk::<4>().ok_or("no length")?;
    let (len, rest) = rest.split_first_chunk::<4>().ok_or("no length")?;
    let codec = rest.first().copied().ok_or("no codec")?;
    let slot = ChunkSlot {
        id: Digest::from_bytes(*id),
        offset: u32::try_from(offset).map_err(|_| "a chunk begins past 4 GiB")?,
        stored: u32::from_le_bytes(*stored),
        len: u32::from_le_bytes(*len),
        codec: codec_of(codec).ok_or_else(|| format!("a chunk has codec {codec}: expected 0 to 4"))?,
    };
    check_lengths(&slot)?;
    Ok(slot)
}

fn check_lengths(slot: &ChunkSlot) -> Result<(), String> {
    let (stored, len, most) = (slot.stored, slot.len, limits::CHUNK);
    if stored == 0 || stored > len || len > most {
        return Err(format!("a chunk of {len} bytes takes {stored}: expected 1 to {most}, in no more"));
    }
    Ok(())
}

fn head() -> [u8; HEAD] {
    let [a, b, c, d, e, f] = MAGIC;
    let [low, high] = format().to_le_bytes();
    [a, b, c, d, e, f, low, high]
}

fn format() -> u16 {
    u16::try_from(FORMAT).unwrap_or(u16::MAX)
}

fn check_head(pack: PackId, at: usize, found: [u8; HEAD]) -> Result<(), PackError> {
    let [.., low, high] = found;
    let version = u16::from_le_bytes([low, high]);
    if !found.starts_with(&MAGIC) || version == 0 {
        let why = "it does not begin and end as a pack does".into();
        return Err(PackError::Damaged { pack, at, why });
    }
    if version > format() { Err(PackError::Newer { pack, found: version }) } else { Ok(()) }
}

/// Number of a codec, in packs and in the cache.
pub(crate) const fn codec_byte(codec: Codec) -> u8 {
    match codec {
        Codec::Raw => 0,
        Codec::Zstd => 1,
        Codec::Planes2 => 2,
        Codec::Planes4 => 3,
        Codec::Planes8 => 4,
    }
}

/// Codec of a number.
pub(crate) fn codec_of(byte: u8) -> Option<Codec> {
    [Codec::Raw, Codec::Zstd, Codec::Planes2, Codec::Planes4, Codec::Planes8]
        .into_iter()
        .find(|codec| codec_byte(*codec) == byte)
}

#[cfg(test)]
mod tests;
