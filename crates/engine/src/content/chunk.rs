//! Cuts files into chunks.
//!
//! Cuts follow the content (FastCDC), so that an insertion moves only the cuts around it. The rule
//! is part of the format. A program that cuts elsewhere still reads everything, but finds none of
//! its chunks in the vault and uploads them all again. The rule is FastCDC 2020 with normalisation
//! level 2, the gear table and masks of the crate `fastcdc` (seed 0), and the lengths of
//! [`ChunkParams`]. A test compares it with a list of known cuts.
//!
//! The crate's `StreamCDC` makes the same cuts, but it allocates for every chunk, moves the rest of
//! its buffer each time, and treats an interrupted read as a failure. So only its cut function is
//! used.
//!
//! Source: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based
//! Storage Systems", IEEE TPDS 31 (2020), which finds level 2 the best trade-off.

use std::io::{self, ErrorKind, Read};

use fastcdc::v2020::{Normalization, cut, select_masks};

use crate::model::ChunkParams;

/// Capacity of the buffer, in chunks of the maximum length. A refill moves less than one of them.
const BUFFERED: usize = 4;

/// Parameters that a chunker cannot work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the vault's chunk lengths {}, {} and {} cannot be used: expected growing powers of two from 256 to 4194304",
    .0.min, .0.avg, .0.max
)]
pub struct BadChunkParams(pub ChunkParams);

/// Cuts one source after the other, with one buffer.
#[derive(Debug)]
pub struct Cutter {
    min: usize,
    avg: usize,
    max: usize,
    strict_mask: u64,
    loose_mask: u64,
    buffer: Vec<u8>,
}

impl Cutter {
    /// Creates a cutter for a vault with these parameters.
    ///
    /// # Errors
    /// If the parameters are not [`ChunkParams::usable`].
    pub fn new(params: ChunkParams) -> Result<Self, BadChunkParams> {
        if !params.usable() {
            return Err(BadChunkParams(params));
        }
        let length = |bytes: u32| usize::try_from(bytes).map_err(|_| BadChunkParams(params));
        let (min, avg, max) = (length(params.min)?, length(params.avg)?, length(params.max)?);
        let (strict_mask, loose_mask) = select_masks(avg, Normalization::Level2);
        Ok(Self { min, avg, max, strict_mask, loose_mask, buffer: vec![0; max * BUFFERED] })
    }

    /// Starts to cut a source.
    pub const fn cut<R: Read>(&mut self, source: R) -> Chunks<'_, R> {
        Chunks { cutter: self, source, start: 0, end: 0, ended: false }
    }

    fn first_cut(&self, window: &[u8]) -> usize {
        let (strict, loose) = (self.strict_mask, self.loose_mask);
        cut(window, self.min, self.avg, self.max, strict, loose, strict << 1, loose << 1).1
    }
}

/// Chunks of one source, in order. Each has `min` to `max` bytes; the last one may be shorter.
#[derive(Debug)]
pub struct Chunks<'a, R> {
    cutter: &'a mut Cutter,
    source: R,
    /// Bytes read but not yet returned: `start..end` of the buffer.
    start: usize,
    end: usize,
    ended: bool,
}

impl<R: Read> Chunks<'_, R> {
    /// Returns the next chunk, or `None` at the end of the source. The chunk stays in the cutter's
    /// buffer until the next call.
    ///
    /// # Errors
    /// Errors of the source. An interrupted read is repeated.
    pub fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        // A cut needs up to the maximum length of look-ahead.
        if !self.ended && self.end - self.start < self.cutter.max {
            self.fill()?;
        }
        let window = &self.cutter.buffer[self.start..self.end];
        if window.is_empty() {
            return Ok(None);
        }
        let length = self.cutter.first_cut(window);
        self.start += length;
        Ok(Some(&window[..length]))
    }

    fn fill(&mut self) -> io::Result<()> {
        let buffer = &mut self.cutter.buffer;
        buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < buffer.len() {
            match self.source.read(&mut buffer[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
