//! A state in the cache, in parts: it is added up as it comes, and parsed as it is read.

use std::io::{self, Read};

use super::sum::{HashedLine, StateSum};
use super::{Log, ObjectCache};
use crate::model::{CommitKey, Digest};

/// Bytes of a state in one object of the cache.
pub(super) const PART: usize = 4 << 20;
/// Prefix in the cache of a state's parts, followed by the commit and the number of the part.
pub(super) const PARTS: &str = "proved-part/";

impl Log {
    /// Removes the parts of a state from the cache.
    pub(super) fn forget_parts(&self, commit: CommitKey) {
        for key in self.cache.keys(&format!("{PARTS}{commit}/")) {
            self.cache.remove(&key);
        }
    }
}

pub(super) fn part_key(commit: CommitKey, number: u32) -> String {
    format!("{PARTS}{commit}/{number:06}")
}

/// Bytes on their way into the cache, in parts.
pub(super) struct PartWriter<'a> {
    /// None to hash them only.
    target: Option<(&'a dyn ObjectCache, CommitKey)>,
    hasher: blake3::Hasher,
    part: Vec<u8>,
    count: u32,
}

impl<'a> PartWriter<'a> {
    pub(super) fn new(target: Option<(&'a dyn ObjectCache, CommitKey)>) -> Self {
        Self { target, hasher: blake3::Hasher::new(), part: Vec::new(), count: 0 }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        if self.target.is_some() {
            self.part.extend_from_slice(bytes);
            while self.part.len() >= PART {
                let rest = self.part.split_off(PART);
                self.put();
                self.part = rest;
            }
        }
    }

    fn put(&mut self) {
        if let Some((cache, commit)) = self.target {
            cache.put(&part_key(commit, self.count), &self.part);
            self.count += 1;
        }
    }

    /// Number of the parts, and the digest of all bytes.
    pub(super) fn end(mut self) -> (u32, Digest) {
        if !self.part.is_empty() {
            self.put();
        }
        (self.count, self.hasher.finalize().into())
    }
}

/// A state that arrives: its lines are added up, and its bytes go to the cache.
pub(super) struct Parts<'a> {
    sum: StateSum,
    line: Option<HashedLine>,
    bytes: PartWriter<'a>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(target: Option<(&'a dyn ObjectCache, CommitKey)>) -> Self {
        Self { sum: StateSum::default(), line: None, bytes: PartWriter::new(target) }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = self.line.get_or_insert_default();
            line.update(piece.strip_suffix(b"\n").unwrap_or(piece));
            if piece.ends_with(b"\n") {
                self.sum.add_hashed(line);
                self.line = None;
            }
        }
        self.bytes.take(bytes);
    }

    pub(super) fn end(mut self) -> (StateSum, u32, Digest) {
        if let Some(unfinished) = &self.line {
            self.sum.add_hashed(unfinished);
        }
        let (parts, digest) = self.bytes.end();
        (self.sum, parts, digest)
    }
}

/// A state in the cache, as a stream of bytes.
pub(super) struct Cached<'a> {
    cache: &'a dyn ObjectCache,
    commit: CommitKey,
    next: u32,
    parts: u32,
    part: io::Cursor<Vec<u8>>,
    hasher: blake3::Hasher,
}

impl<'a> Cached<'a> {
    pub(super) fn new(cache: &'a dyn ObjectCache, commit: CommitKey, parts: u32) -> Self {
        Self { cache, commit, next: 0, parts, part: io::Cursor::default(), hasher: blake3::Hasher::new() }
    }

    /// Digest of what was read.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.finalize().into()
    }
}

impl Read for Cached<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.part.read(buffer)?;
            if read > 0 || self.next == self.parts {
                self.hasher.update(&buffer[..read]);
                return Ok(read);
            }
            let part = self.cache.get(&part_key(self.commit, self.next));
            self.part = io::Cursor::new(part.ok_or(io::ErrorKind::UnexpectedEof)?);
            self.next += 1;
        }
    }
}
