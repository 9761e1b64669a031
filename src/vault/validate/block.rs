//! A file as bytes at offsets, and as a stream of blocks.

use std::io::{self, Read};

use crate::fs::ReadFile;

/// Large enough that the system calls do not count.
const BUFFER: usize = 256 << 10;

/// An open file of a known length.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    file: &'a dyn ReadFile,
    len: u64,
}

impl<'a> Block<'a> {
    pub(super) fn new(file: &'a dyn ReadFile, len: u64) -> Self {
        Self { file, len }
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// The bytes at `at`, as many as the buffer takes.
    pub(super) fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }

    /// The bytes from `start` to `end`, as a stream.
    pub(super) fn stream(&self, start: u64, end: u64) -> Stream<'a> {
        Stream { block: *self, at: start, end, buffer: vec![0; BUFFER], from: 0, filled: 0 }
    }
}

/// A part of a file, read block by block.
pub(super) struct Stream<'a> {
    block: Block<'a>,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    from: usize,
    filled: usize,
}

impl Stream<'_> {
    /// The next block, as long as the buffer but at the end; empty at the end. Not to be mixed with reading.
    pub(super) fn next_block(&mut self) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = left.min(self.buffer.len());
        let part = self.buffer.get_mut(..wanted).unwrap_or_default();
        self.block.fill(part, self.at)?;
        self.at += wanted as u64;
        Ok(part)
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.from == self.filled {
            let filled = self.next_block()?.len();
            (self.from, self.filled) = (0, filled);
        }
        let ready = self.buffer.get(self.from..self.filled).unwrap_or_default();
        let count = ready.len().min(out.len());
        if let (Some(to), Some(bytes)) = (out.get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(bytes);
        }
        self.from += count;
        Ok(count)
    }
}
