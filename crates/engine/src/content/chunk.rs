//! Where a file is cut into chunks.
//!
//! Cuts follow the content (FastCDC), so that an insertion moves only the cuts around it. The rule is part of the format: a
//! program that cuts elsewhere still reads everything, but finds none of its chunks in the vault and uploads all of it again.
//! It is FastCDC 2020 with normalisation level 2, gear table and masks as in the crate `fastcdc` (seed 0), and the lengths of
//! [`ChunkParams`]; a test holds it to a list of known cuts.
//!
//! The crate's own `StreamCDC` gives the same cuts, but allocates for every chunk, moves the rest of its buffer at each, and
//! takes an interrupted read for a failure; so only its cut function is used.
//!
//! Source: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems", IEEE TPDS
//! 31 (2020), which finds level 2 the best trade.

use std::io::{self, ErrorKind, Read};

use fastcdc::v2020::{Normalization, cut, select_masks};

use crate::model::ChunkParams;

/// How many of the longest chunks the buffer takes. The tail that moves to the front at each refill is shorter than one.
const BUFFERED: usize = 4;

/// Parameters that no chunker can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the vault's chunk lengths {}, {} and {} cannot be used: expected growing powers of two from 256 to 4194304",
    .0.min, .0.avg, .0.max
)]
pub struct BadChunkParams(pub ChunkParams);

/// Cuts one source after the other, in one buffer.
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
    /// A cutter for a vault with these parameters.
    ///
    /// # Errors
    /// Where the parameters are not [`ChunkParams::usable`].
    pub fn new(params: ChunkParams) -> Result<Self, BadChunkParams> {
        if !params.usable() {
            return Err(BadChunkParams(params));
        }
        let length = |bytes: u32| usize::try_from(bytes).map_err(|_| BadChunkParams(params));
        let (min, avg, max) = (length(params.min)?, length(params.avg)?, length(params.max)?);
        let (strict_mask, loose_mask) = select_masks(avg, Normalization::Level2);
        Ok(Self { min, avg, max, strict_mask, loose_mask, buffer: vec![0; max * BUFFERED] })
    }

    /// Starts on a source.
    pub const fn cut<R: Read>(&mut self, source: R) -> Chunks<'_, R> {
        Chunks { cutter: self, source, start: 0, end: 0, ended: false }
    }

    fn first_cut(&self, window: &[u8]) -> usize {
        let (strict, loose) = (self.strict_mask, self.loose_mask);
        cut(window, self.min, self.avg, self.max, strict, loose, strict << 1, loose << 1).1
    }
}

/// The chunks of one source, in order; each at least `min` and at most `max` bytes, the last one at least a byte.
#[derive(Debug)]
pub struct Chunks<'a, R> {
    cutter: &'a mut Cutter,
    source: R,
    /// What is read but not yet given out: `start..end` of the buffer.
    start: usize,
    end: usize,
    ended: bool,
}

impl<R: Read> Chunks<'_, R> {
    /// The next chunk; none at the end of the source. It stands in the cutter's buffer until the next call.
    ///
    /// # Errors
    /// Those of the source; an interrupted read is repeated.
    pub fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        // A cut looks ahead as far as the longest chunk.
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
