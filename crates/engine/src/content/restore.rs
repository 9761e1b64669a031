//! Reads of packs that fetch the chunks of contents.

use std::collections::HashMap;
use std::ops::Range;

use super::pack::{PackError, open_chunk};
use crate::model::{ChunkSlot, PackId, limits};

/// Limits of one read of a pack, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Largest gap between two chunks: reading it costs less than another request.
    pub gap: u64,
    /// Most bytes of the pack, which the caller holds in memory.
    pub stored: u64,
    /// Most bytes that its chunks unpack to.
    pub unpacked: u64,
}

impl ReadLimits {
    /// For a read whose chunks are all held in memory: half of a pack, which is a little larger
    /// than its target.
    pub const AT_ONCE: Self =
        Self { gap: GAP, stored: (8 << 20) + (512 << 10), unpacked: limits::READ_UNPACKED };
    /// For a read that is taken apart by [`PackRead::parts`]: a whole pack.
    pub const IN_PARTS: Self = Self { gap: GAP, stored: limits::PACK_STORED, unpacked: u64::MAX };
}

const GAP: u64 = 64 << 10;
/// Bytes that the chunks of one part unpack to, unless it is a single chunk.
const PART_UNPACKED: u64 = 1 << 20;

/// Bytes that chunks unpack to among which [`bring_together`] changes the order. The caller holds
/// them in memory until they are needed.
pub const READ_WINDOW: u64 = 32 << 20;

/// One read of a pack, and the chunks it fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackRead {
    /// The pack.
    pub pack: PackId,
    /// Bytes to read.
    pub range: Range<u64>,
    /// Chunks in these bytes, in the order in which they are needed.
    pub chunks: Vec<ChunkSlot>,
}

impl PackRead {
    /// Length of the body in bytes, if the range is one.
    #[must_use]
    pub const fn length(&self) -> Option<u64> {
        self.range.end.checked_sub(self.range.start)
    }

    /// The read as smaller ones, so that each is unpacked by itself, whatever all of them unpack
    /// to. Their chunks, one read after the other, are those of the whole.
    #[must_use]
    pub fn parts(&self) -> Vec<Self> {
        let slots: Vec<(PackId, ChunkSlot)> = self.chunks.iter().map(|slot| (self.pack, *slot)).collect();
        let limits = ReadLimits { gap: u64::MAX, stored: u64::MAX, unpacked: PART_UNPACKED };
        join_ranges(&slots, limits)
    }

    /// Decodes and checks the chunks, one by one, from the bytes of the read.
    ///
    /// # Errors
    /// If `body` does not have the length of the range, or a chunk in it is damaged.
    pub fn open<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = Result<Vec<u8>, PackError>> + 'a {
        self.chunks.iter().map(move |slot| {
            let Range { start, end } = self.range;
            let found = body.len();
            let other = PackError::Range { pack: self.pack, start, end, found };
            let stored = (self.length() == Some(found as u64)).then(|| {
                let from = usize::try_from(u64::from(slot.offset).checked_sub(start)?).ok()?;
                body.get(from..)?.get(..usize::try_from(slot.stored).ok()?)
            });
            open_chunk(self.pack, slot, stored.flatten().ok_or(other)?)
        })
    }
}

/// Brings chunks of one pack together, so that fewer reads fetch them. Files are seldom needed in
/// the order in which they were sent. No chunk moves by more than `window` bytes of what chunks
/// unpack to. Packs stay in the order of their first use.
pub fn bring_together(slots: &mut [(PackId, ChunkSlot)], window: u64) {
    let mut rest = slots;
    while !rest.is_empty() {
        let mut unpacked = 0_u64;
        let fits = |(_, slot): &&(PackId, ChunkSlot)| {
            unpacked = unpacked.saturating_add(slot.len.into());
            unpacked <= window
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (now, later) = rest.split_at_mut(count);
        let mut first: HashMap<PackId, usize> = HashMap::new();
        for (at, (pack, _)) in now.iter().enumerate() {
            first.entry(*pack).or_insert(at);
        }
        now.sort_by_key(|(pack, slot)| (first.get(pack).copied(), slot.offset));
        rest = later;
    }
}

/// Plans reads that fetch chunks in the given order: the chunks of all reads, one read after the
/// other, are `slots`. A chunk joins the previous read if it lies in the same pack and the read
/// stays within the limits.
#[must_use]
pub fn join_ranges(slots: &[(PackId, ChunkSlot)], limits: ReadLimits) -> Vec<PackRead> {
    let mut reads: Vec<PackRead> = Vec::new();
    let mut unpacked = 0;
    for &(pack, slot) in slots {
        let start = u64::from(slot.offset);
        let end = start + u64::from(slot.stored);
        let last = reads.last_mut().filter(|read| {
            let away = start.saturating_sub(read.range.end).max(read.range.start.saturating_sub(end));
            let joined = end.max(read.range.end) - start.min(read.range.start);
            let fits = joined <= limits.stored && unpacked + u64::from(slot.len) <= limits.unpacked;
            read.pack == pack && away <= limits.gap && fits
        });
        match last {
            Some(read) => {
                unpacked += u64::from(slot.len);
                read.range = start.min(read.range.start)..end.max(read.range.end);
                read.chunks.push(slot);
            }
            None => {
                unpacked = slot.len.into();
                reads.push(PackRead { pack, range: start..end, chunks: vec![slot] });
            }
        }
    }
    reads
}

#[cfg(test)]
mod tests;
