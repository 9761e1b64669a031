//! Access to a file: as bytes at offsets, and as a stream of blocks.

use std::io::{self, Write};
use std::ops::Range;

use crate::fs::ReadFile;

/// Buffer size in bytes: large enough that system calls cost little.
const BUFFER: usize = 256 << 10;
/// Bytes copied at once.
const COPIED: usize = 1 << 20;
/// Most bytes that are kept behind a mark.
pub(crate) const LONGEST_MARKED: usize = 64 << 20;

/// Open file of known length.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    file: &'a dyn ReadFile,
    len: u64,
    /// Number of bytes that a stream reads at a time.
    buffer: usize,
}

impl<'a> Block<'a> {
    pub(crate) const fn new(file: &'a dyn ReadFile, len: u64) -> Self {
        Self { file, len, buffer: BUFFER }
    }

    #[cfg(test)]
    pub(crate) const fn in_blocks_of(self, buffer: usize) -> Self {
        Self { buffer, ..self }
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Fills the buffer with the bytes from `at` on.
    pub(crate) fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }

    /// Copies a part of the file, by way of the buffer.
    pub(crate) fn copy(
        &self,
        mut span: Range<u64>,
        buffer: &mut Vec<u8>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        while span.start < span.end {
            let len = usize::try_from(span.end - span.start).map_or(COPIED, |left| left.min(COPIED));
            if buffer.len() < len {
                buffer.resize(len, 0);
            }
            let part = buffer.get_mut(..len).unwrap_or_default();
            self.fill(part, span.start)?;
            out.write_all(part)?;
            span.start += len as u64;
        }
        Ok(())
    }

    /// Stream of the bytes from `start` to `end`.
    pub(crate) fn stream(&self, start: u64, end: u64) -> Stream<'a> {
        let buffer = vec![0; self.buffer];
        Stream { block: *self, at: start, end, buffer, from: 0, filled: 0, mark: None }
    }
}

/// Part of a file, read block by block.
pub(crate) struct Stream<'a> {
    block: Block<'a>,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    from: usize,
    filled: usize,
    /// Place in the buffer from which on bytes stay.
    mark: Option<usize>,
}

impl Stream<'_> {
    /// Reads the next block: a full buffer except at the end, and empty after it. Skips the rest of
    /// the previous block.
    pub(crate) fn next_block(&mut self) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = left.min(self.block.buffer);
        self.mark = self.mark.filter(|mark| self.filled - mark <= LONGEST_MARKED);
        let kept = self.mark.map_or(0, |mark| self.filled - mark);
        if self.mark.is_some_and(|mark| mark > 0) {
            self.buffer.copy_within(self.filled - kept..self.filled, 0);
            self.mark = Some(0);
        }
        (self.from, self.filled) = (kept, kept);
        if self.buffer.len() < kept + wanted {
            self.buffer.resize(kept + wanted, 0);
        }
        self.block.fill(self.buffer.get_mut(kept..kept + wanted).unwrap_or_default(), self.at)?;
        self.filled += wanted;
        self.at += wanted as u64;
        Ok(self.ready())
    }

    /// Keeps the bytes from the next one on, up to the next mark.
    pub(crate) const fn mark(&mut self) {
        self.mark = Some(self.from);
    }

    /// Bytes that were passed since the mark. None if there are too many.
    pub(crate) fn marked(&self) -> Option<&[u8]> {
        self.buffer.get(self.mark?..self.from)
    }

    /// Rest of the last block.
    pub(crate) fn ready(&self) -> &[u8] {
        self.buffer.get(self.from..self.filled).unwrap_or_default()
    }

    /// Skips this many bytes of [`Stream::ready`].
    pub(crate) fn pass(&mut self, count: usize) {
        self.from = self.filled.min(self.from + count);
    }

    /// Position of the next byte in the file.
    pub(crate) fn position(&self) -> u64 {
        self.at - (self.filled - self.from) as u64
    }
}
