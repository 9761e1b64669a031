//! Access to a file as text: its bytes, block by block, up to the first that are not UTF-8.

use std::io::{self, Read};

use super::block::{Block, Stream};

pub(crate) struct Text<'a> {
    stream: Stream<'a>,
    utf8: Utf8,
}

impl<'a> Text<'a> {
    pub(crate) fn new(block: Block<'a>) -> Self {
        Self { stream: block.stream(0, block.len()), utf8: Utf8::default() }
    }

    /// Next bytes: at least one, except at the end. A block that is not UTF-8 ends the text.
    #[inline]
    pub(crate) fn rest(&mut self) -> io::Result<&[u8]> {
        if self.stream.ready().is_empty() && self.utf8.wrong.is_none() {
            self.utf8.check(self.stream.next_block()?);
            if self.utf8.wrong.is_some() {
                self.stream.pass(usize::MAX);
            }
        }
        Ok(self.stream.ready())
    }

    /// Skips this many of the next bytes.
    #[inline]
    pub(crate) fn pass(&mut self, count: usize) {
        self.stream.pass(count);
    }

    /// Keeps the bytes from the next one on, up to the next mark.
    pub(crate) const fn mark(&mut self) {
        self.stream.mark();
    }

    /// Bytes that were passed since the mark. None if there are too many.
    pub(crate) fn marked(&self) -> Option<&[u8]> {
        self.stream.marked()
    }

    /// Position of the next byte in the file.
    pub(crate) fn position(&self) -> u64 {
        self.stream.position()
    }

    /// Position of the first byte read that is not UTF-8.
    pub(crate) const fn wrong(&self) -> Option<u64> {
        self.utf8.wrong
    }
}

impl Read for Text<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.rest()?.read(out)?;
        self.pass(count);
        Ok(count)
    }
}

#[derive(Default)]
struct Utf8 {
    at: u64,
    /// Bytes at the end of the last block that may start a character.
    open: Vec<u8>,
    wrong: Option<u64>,
}

impl Utf8 {
    /// Checks the next block. An empty one is the end.
    fn check(&mut self, block: &[u8]) {
        let start = self.at - self.open.len() as u64;
        let base = self.at;
        self.at += block.len() as u64;
        let mut rest = block;
        if block.is_empty() && !self.open.is_empty() {
            self.wrong = Some(start);
        }
        // Complete the character that began in the previous block, byte by byte.
        while !self.open.is_empty() {
            let Some((&byte, after)) = rest.split_first() else { return };
            self.open.push(byte);
            rest = after;
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    self.wrong = Some(start);
                    return;
                }
            }
        }
        if let Err(error) = std::str::from_utf8(rest) {
            let valid = error.valid_up_to();
            match error.error_len() {
                Some(_) => self.wrong = Some(base + (block.len() - rest.len() + valid) as u64),
                None => self.open = rest.get(valid..).unwrap_or_default().to_vec(),
            }
        }
    }
}
