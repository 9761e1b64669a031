//! Flat FAISS indexes: one vector after the other, so that they can be written anew row for row.
//!
//! Source: <https://github.com/facebookresearch/faiss/blob/main/faiss/impl/index_write.cpp>.

use super::block::Block;
use super::{ExamineError, faiss};
use crate::model::Facts;

/// Length of code, dimension, number of vectors, two unused numbers, flag and metric.
const HEAD: usize = 4 + 4 + 8 + 16 + 1 + 4;
/// Position of the number of vectors.
const COUNT: usize = 8;

/// Head of a flat index.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    bytes: Vec<u8>,
    pub(crate) dim: u64,
}

impl PartialEq for Head {
    /// The number of vectors does not count.
    fn eq(&self, other: &Self) -> bool {
        self.of(0) == other.of(0)
    }
}

impl Eq for Head {}

impl Head {
    /// Everything before the first vector in such an index of `rows` vectors.
    pub(crate) fn of(&self, rows: u64) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let Some(count) = bytes.get_mut(COUNT..COUNT + 8) {
            count.copy_from_slice(&rows.to_le_bytes());
        }
        bytes.extend(rows.saturating_mul(self.dim).to_le_bytes());
        bytes
    }
}

/// A flat index.
pub(crate) struct Flat {
    pub(crate) head: Head,
    pub(crate) rows: u64,
    /// Position of the first vector.
    pub(crate) start: u64,
    /// Bytes of a vector.
    pub(crate) width: usize,
}

/// Reads the head of a flat index. None if it is one of another type.
pub(crate) fn read(block: Block<'_>) -> Result<Option<Flat>, ExamineError> {
    let Facts::Index { family: Some(family), dim, rows } = faiss::index(block)? else { return Ok(None) };
    if family != "Flat" {
        return Ok(None);
    }
    let mut bytes = vec![0; HEAD];
    block.fill(&mut bytes, 0)?;
    let metric = bytes.last_chunk::<4>().map_or(0, |metric| i32::from_le_bytes(*metric));
    if metric > 1 {
        // The argument of the metric.
        bytes.resize(HEAD + 4, 0);
        block.fill(&mut bytes, 0)?;
    }
    let start = bytes.len() as u64 + 8;
    let Ok(width) = usize::try_from(dim.saturating_mul(4)) else { return Ok(None) };
    Ok(Some(Flat { head: Head { bytes, dim }, rows, start, width }))
}
