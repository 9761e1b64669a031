//! Parts of files that are mostly read from the beginning to the end.

use std::io;
use std::ops::Range;

use super::LONGEST;
use crate::merge::{Unmerged, Version};
use crate::vault::validate::Block;

/// Bytes read at once.
const AHEAD: u64 = 512 << 10;
/// Bytes compared at once.
const PIECE: usize = 1 << 20;
/// Bytes between two parts of which the second one follows the first.
const NEAR: u64 = 4 << 10;

/// Bytes of a file that were read last.
#[derive(Default)]
pub(in crate::merge) struct Ahead {
    bytes: Vec<u8>,
    from: u64,
}

impl Ahead {
    /// Bytes of a part of the file.
    pub(in crate::merge) fn bytes(&mut self, block: Block<'_>, span: &Range<u64>) -> io::Result<&[u8]> {
        let len = span.end - span.start;
        let there = self.from..self.from + self.bytes.len() as u64;
        if len == 0 {
            return Ok(&[]);
        }
        if span.start < there.start || span.end > there.end {
            // A part is read by itself until one follows another: then more will be wanted.
            let follows = !there.is_empty() && (there.start..=there.end + NEAR).contains(&span.start);
            let more = if follows { len.max(AHEAD) } else { len };
            let wanted = more.min(block.len() - span.start);
            self.bytes.resize(usize::try_from(wanted).map_err(io::Error::other)?, 0);
            self.from = span.start;
            if let Err(error) = block.fill(&mut self.bytes, span.start) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let start = usize::try_from(span.start - self.from).map_err(io::Error::other)?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        Ok(self.bytes.get(start..start + len).unwrap_or_default())
    }

    /// Text of a part of a document.
    pub(super) fn text(
        &mut self,
        block: Block<'_>,
        span: &Range<u64>,
        version: Version,
    ) -> Result<&str, Unmerged> {
        if span.end - span.start > LONGEST {
            return Err(Unmerged::TooLong { version, at: span.start });
        }
        let bytes = self.bytes(block, span)?;
        std::str::from_utf8(bytes).map_err(|error| Unmerged::Damaged { version, why: error.to_string() })
    }
}

/// True if two parts of files have the same bytes.
pub(in crate::merge) fn same(files: [Block<'_>; 2], parts: [Range<u64>; 2]) -> io::Result<bool> {
    Pair::of(files).same(parts)
}

/// For each pair of parts of two files whether both have the same bytes.
pub(in crate::merge) fn alike(
    files: [Block<'_>; 2],
    pairs: impl Iterator<Item = Option<[Range<u64>; 2]>>,
) -> io::Result<Vec<bool>> {
    let mut files = Pair::of(files);
    pairs.map(|pair| pair.map_or(Ok(false), |parts| files.same(parts))).collect()
}

/// Two files that are read side by side.
struct Pair<'a> {
    files: [Block<'a>; 2],
    ahead: [Ahead; 2],
}

impl<'a> Pair<'a> {
    fn of(files: [Block<'a>; 2]) -> Self {
        Self { files, ahead: Default::default() }
    }

    fn same(&mut self, [here, there]: [Range<u64>; 2]) -> io::Result<bool> {
        let (len, [one, other], [ours, theirs]) = (here.end - here.start, self.files, &mut self.ahead);
        if len != there.end - there.start {
            return Ok(false);
        }
        // In pieces: a file of somebody else may have rows of any length.
        for at in (0..len).step_by(PIECE) {
            let part = |span: &Range<u64>| span.start + at..span.end.min(span.start + at + PIECE as u64);
            if ours.bytes(one, &part(&here))? != theirs.bytes(other, &part(&there))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
