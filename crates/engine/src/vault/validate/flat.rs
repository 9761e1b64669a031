//! Flat FAISS indexes, alone or in an IDMap: one vector after the other, so that they can be
//! written anew row for row.
//!
//! Source: <https://github.com/facebookresearch/faiss/blob/main/faiss/impl/index_write.cpp>.

use std::io;

use super::block::Block;
use super::{ExamineError, faiss};
use crate::model::Facts;

/// Length of code, dimension, number of vectors, two unused numbers, flag and metric.
const HEAD: usize = 4 + 4 + 8 + 16 + 1 + 4;
/// Position of the number of vectors.
const COUNT: usize = 8;

/// Heads of a flat index and of the map around it.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    map: Option<Vec<u8>>,
    flat: Vec<u8>,
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
        let counted = |head: &Vec<u8>| {
            let mut bytes = head.clone();
            if let Some(count) = bytes.get_mut(COUNT..COUNT + 8) {
                count.copy_from_slice(&rows.to_le_bytes());
            }
            bytes
        };
        let heads = self.map.iter().chain([&self.flat]).flat_map(counted);
        heads.chain(rows.saturating_mul(self.dim).to_le_bytes()).collect()
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
    /// Ids of the vectors, in a map.
    pub(crate) ids: Option<Vec<i64>>,
}

/// Reads an index without its vectors. None if it is one of another type.
pub(crate) fn read(block: Block<'_>) -> Result<Option<Flat>, ExamineError> {
    let Facts::Index { family: Some(family), dim, rows } = faiss::index(block)? else { return Ok(None) };
    let map = match family.as_str() {
        "Flat" => None,
        "IDMap,Flat" | "IDMap2,Flat" => Some(head(block, 0)?),
        _ => return Ok(None),
    };
    let flat = head(block, map.as_ref().map_or(0, |map| map.len() as u64))?;
    let start = (map.as_ref().map_or(0, Vec::len) + flat.len()) as u64 + 8;
    let Ok(width) = usize::try_from(dim.saturating_mul(4)) else { return Ok(None) };
    let mut ids = None;
    if map.is_some() {
        let at = start + rows.saturating_mul(width as u64) + 8;
        let mut bytes = vec![0; usize::try_from(block.len().saturating_sub(at)).map_err(io::Error::other)?];
        block.fill(&mut bytes, at)?;
        ids = Some(bytes.as_chunks::<8>().0.iter().map(|id| i64::from_le_bytes(*id)).collect());
    }
    Ok(Some(Flat { head: Head { map, flat, dim }, rows, start, width, ids }))
}

fn head(block: Block<'_>, at: u64) -> Result<Vec<u8>, ExamineError> {
    let mut bytes = vec![0; HEAD];
    block.fill(&mut bytes, at)?;
    let metric = bytes.last_chunk::<4>().map_or(0, |metric| i32::from_le_bytes(*metric));
    if metric > 1 {
        // The argument of the metric.
        bytes.resize(HEAD + 4, 0);
        block.fill(&mut bytes, at)?;
    }
    Ok(bytes)
}
