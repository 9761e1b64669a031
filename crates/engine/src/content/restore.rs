//! Reads of packs that fetch the chunks of contents.

use std::collections::HashMap;
use std::ops::Range;

use super::pack::{PackError, open_chunk};
use crate::model::{ChunkSlot, PackId, limits};

/// Largest gap in bytes that a joined read may include: reading it costs less than another request.
pub const READ_GAP: u64 = 64 << 10;
/// Largest joined read in bytes, which the caller holds in memory: half of a pack, which is a
/// little larger than its target.
pub const READ_MAX: u64 = (8 << 20) + (512 << 10);

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
    /// Decodes and checks the chunks, one by one, from the bytes of the read.
    ///
    /// # Errors
    /// If `body` does not have the length of the range, or a chunk in it is damaged.
    pub fn open<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = Result<Vec<u8>, PackError>> + 'a {
        self.chunks.iter().map(move |slot| {
            let Range { start, end } = self.range;
            let found = body.len();
            let other = PackError::Range { pack: self.pack, start, end, found };
            let stored = (end.checked_sub(start) == Some(found as u64)).then(|| {
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
/// other, are `slots`. A chunk joins the previous read if it lies in the same pack, at most `gap`
/// bytes away, and the read stays within `max` bytes and within [`limits::READ_UNPACKED`] of what
/// its chunks unpack to.
#[must_use]
pub fn join_ranges(slots: &[(PackId, ChunkSlot)], gap: u64, max: u64) -> Vec<PackRead> {
    let mut reads: Vec<PackRead> = Vec::new();
    let mut unpacked = 0;
    for &(pack, slot) in slots {
        let start = u64::from(slot.offset);
        let end = start + u64::from(slot.stored);
        let last = reads.last_mut().filter(|read| {
            let away = start.saturating_sub(read.range.end).max(read.range.start.saturating_sub(end));
            let joined = end.max(read.range.end) - start.min(read.range.start);
            let fits = unpacked + u64::from(slot.len) <= limits::READ_UNPACKED;
            read.pack == pack && away <= gap && joined <= max && fits
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
