//! Reads FAISS index files: the dimensions, the number of vectors, and the completeness of the
//! file.
//!
//! Flat, IVF, HNSW, PQ and scalar-quantised indexes are understood, also inside an IDMap. The
//! reader walks over their parts by length, so it notices any truncation without reading the
//! vectors. It says nothing about other types. Source:
//! <https://github.com/facebookresearch/faiss/blob/main/faiss/impl/index_write.cpp>; all numbers
//! are little-endian.

use super::ExamineError;
use super::block::Block;
use crate::model::Facts;

/// Maximum nesting of indexes. Real ones are shallower.
const MAX_DEPTH: usize = 6;
/// Number of list lengths that are read at once.
const SIZES: u64 = 4096;

pub(super) fn index(block: Block<'_>) -> Result<Facts, ExamineError> {
    let mut walk = Walk { block, at: 0 };
    let found = walk.index(0)?;
    let Some(Summary { family, whole, dim, rows }) = found else {
        return Ok(Facts::Index { family: None, dim: 0, rows: 0 });
    };
    if whole && walk.at != block.len() {
        return Err(ExamineError::broken(format!(
            "the index ends at byte {}, but the file has {} bytes",
            walk.at,
            block.len()
        )));
    }
    Ok(Facts::Index { family: Some(family), dim, rows })
}

struct Summary {
    family: String,
    dim: u64,
    rows: u64,
    /// True if the walk covered all of it. Only then is its end known.
    whole: bool,
}

struct Head {
    dim: u64,
    rows: u64,
}

struct Walk<'a> {
    block: Block<'a>,
    at: u64,
}

impl Walk<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ExamineError> {
        let start = self.at;
        self.skip(N as u64)?;
        let mut bytes = [0; N];
        self.block.fill(&mut bytes, start)?;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64) -> Result<(), ExamineError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.block.len());
        self.at = end.ok_or_else(|| {
            ExamineError::broken(format!(
                "it ends at byte {}, inside of the index: {count} bytes should follow byte {}",
                self.block.len(),
                self.at
            ))
        })?;
        Ok(())
    }

    fn number(&mut self) -> Result<u64, ExamineError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn int(&mut self) -> Result<i32, ExamineError> {
        Ok(i32::from_le_bytes(self.bytes()?))
    }

    /// Skips a vector of elements of `size` bytes, and returns their number.
    fn vector(&mut self, size: u64) -> Result<u64, ExamineError> {
        let count = self.number()?;
        self.skip(count.saturating_mul(size))?;
        Ok(count)
    }

    fn expect(&self, what: &str, found: u64, rows: u64) -> Result<(), ExamineError> {
        if found == rows {
            return Ok(());
        }
        Err(ExamineError::broken(format!(
            "it says that it has {rows} vectors, but {found} {what} (before byte {})",
            self.at
        )))
    }

    fn head(&mut self) -> Result<Head, ExamineError> {
        let at = self.at;
        let (dim, rows) = (self.int()?, i64::from_le_bytes(self.bytes()?));
        // Two unused numbers and the flag `is_trained`.
        self.skip(17)?;
        let metric = self.int()?;
        if metric > 1 {
            self.skip(4)?;
        }
        match (u64::try_from(dim), u64::try_from(rows)) {
            (Ok(dim @ 1..), Ok(rows)) => Ok(Head { dim, rows }),
            _ => {
                Err(ExamineError::broken(format!("it claims {rows} vectors of {dim} dimensions (byte {at})")))
            }
        }
    }

    /// Reads one index and those inside it. Returns `None` if its type is unknown.
    fn index(&mut self, depth: usize) -> Result<Option<Summary>, ExamineError> {
        if depth > MAX_DEPTH {
            return Err(ExamineError::broken(format!("indexes are nested too deeply at byte {}", self.at)));
        }
        let code = self.bytes::<4>()?;
        let found = match &code {
            b"IxFI" | b"IxF2" | b"IxFl" => self.flat()?,
            b"IxPq" => self.quantised("PQ")?,
            b"IxSQ" => self.quantised("SQ")?,
            b"IwFl" => self.ivf("IVF,Flat", depth)?,
            b"IwSq" => self.ivf("IVF,SQ", depth)?,
            b"IwPQ" => self.ivf("IVF,PQ", depth)?,
            b"IHNf" | b"IHNp" | b"IHNs" => self.hnsw(depth)?,
            b"IxMp" => self.id_map("IDMap", depth)?,
            b"IxM2" => self.id_map("IDMap2", depth)?,
            _ if depth == 0 && !code.iter().all(u8::is_ascii_alphanumeric) => {
                return Err(ExamineError::broken(
                    "it is no FAISS index: it does not begin with the code of one (byte 0)",
                ));
            }
            _ => return Ok(None),
        };
        Ok(Some(found))
    }

    fn flat(&mut self) -> Result<Summary, ExamineError> {
        let Head { dim, rows } = self.head()?;
        let floats = self.vector(4)?;
        if rows.checked_mul(dim) != Some(floats) {
            return Err(ExamineError::broken(format!(
                "it says that it has {rows} vectors of {dim} dimensions, but it holds {floats} numbers"
            )));
        }
        Ok(Summary { family: "Flat".to_owned(), dim, rows, whole: true })
    }

    fn quantised(&mut self, family: &str) -> Result<Summary, ExamineError> {
        let Head { dim, rows } = self.head()?;
        let code = if family == "PQ" { self.product_quantiser()? } else { self.scalar_quantiser()? };
        let bytes = self.vector(1)?;
        if rows.checked_mul(code) != Some(bytes) {
            return Err(ExamineError::broken(format!(
                "it says that it has {rows} vectors in codes of {code} bytes, but it holds {bytes} bytes"
            )));
        }
        if family == "PQ" {
            // The search type, the flag for encoded signs, and a threshold.
            self.skip(4 + 1 + 4)?;
        }
        Ok(Summary { family: family.to_owned(), dim, rows, whole: true })
    }

    /// Reads a product quantiser, and returns the length of a code in bytes.
    fn product_quantiser(&mut self) -> Result<u64, ExamineError> {
        let (_dim, parts, bits) = (self.number()?, self.number()?, self.number()?);
        self.vector(4)?;
        Ok(parts.saturating_mul(bits).div_ceil(8))
    }

    fn scalar_quantiser(&mut self) -> Result<u64, ExamineError> {
        // The type, and the method that finds the range.
        self.skip(12)?;
        let (_dim, code) = (self.number()?, self.number()?);
        self.vector(4)?;
        Ok(code)
    }

    fn ivf(&mut self, family: &str, depth: usize) -> Result<Summary, ExamineError> {
        let Head { dim, rows } = self.head()?;
        let (lists, _probes) = (self.number()?, self.number()?);
        let mut found = Summary { family: family.to_owned(), dim, rows, whole: false };
        if !self.index(depth + 1)?.is_some_and(|inner| inner.whole) {
            return Ok(found);
        }
        match self.bytes::<1>()? {
            [0] => drop(self.vector(8)?),
            [1] => {
                let map = self.vector(8)?;
                self.expect("entries in its map", map, rows)?;
            }
            [2] => {
                self.vector(8)?;
                self.vector(16)?;
            }
            [other] => {
                let at = self.at - 1;
                return Err(ExamineError::broken(format!("its direct map is of kind {other} (byte {at})")));
            }
        }
        match family {
            "IVF,SQ" => {
                self.scalar_quantiser()?;
                self.skip(8 + 1)?;
            }
            "IVF,PQ" => {
                self.skip(1 + 8)?;
                self.product_quantiser()?;
            }
            _ => {}
        }
        found.whole = self.lists(lists, rows)?;
        Ok(found)
    }

    /// Reads the inverted lists. True if their type is known.
    fn lists(&mut self, lists: u64, rows: u64) -> Result<bool, ExamineError> {
        if self.bytes::<4>()? != *b"ilar" {
            return Ok(false);
        }
        let (count, code) = (self.number()?, self.number()?);
        if count != lists {
            return Err(ExamineError::broken(format!(
                "it has {lists} lists, but {count} follow (byte {})",
                self.at
            )));
        }
        let sparse = match &self.bytes::<4>()? {
            b"full" => false,
            b"sprs" => true,
            _ => return Ok(false),
        };
        let numbers = self.number()?;
        let start = self.at;
        self.skip(numbers.saturating_mul(8))?;
        let mut vectors = 0_u64;
        let mut done = 0;
        while done < numbers {
            let part = SIZES.min(numbers - done);
            let mut bytes = vec![0; usize::try_from(part * 8).unwrap_or_default()];
            self.block.fill(&mut bytes, start + done * 8)?;
            let (sizes, _) = bytes.as_chunks::<8>();
            // Sparse lists are pairs of number and length.
            let lengths = sizes.iter().enumerate().filter(|(at, _)| !sparse || at % 2 == 1);
            vectors = lengths.fold(vectors, |sum, (_, size)| sum.saturating_add(u64::from_le_bytes(*size)));
            done += part;
        }
        self.expect("in its lists", vectors, rows)?;
        self.skip(vectors.saturating_mul(code.saturating_add(8)))?;
        Ok(true)
    }

    fn hnsw(&mut self, depth: usize) -> Result<Summary, ExamineError> {
        let Head { dim, rows } = self.head()?;
        self.vector(8)?;
        self.vector(4)?;
        let levels = self.vector(4)?;
        self.expect("in its graph", levels, rows)?;
        self.vector(8)?;
        self.vector(4)?;
        // The entry point, the highest level, and parameters of building and searching.
        self.skip(5 * 4)?;
        self.around("HNSW", dim, rows, depth)
    }

    fn id_map(&mut self, family: &str, depth: usize) -> Result<Summary, ExamineError> {
        let Head { dim, rows } = self.head()?;
        let mut found = self.around(family, dim, rows, depth)?;
        if found.whole {
            let ids = self.vector(8)?;
            self.expect("ids", ids, rows)?;
        }
        found.dim = dim;
        Ok(found)
    }

    /// Reads an index that wraps another one with the same vectors.
    fn around(&mut self, family: &str, dim: u64, rows: u64, depth: usize) -> Result<Summary, ExamineError> {
        let Some(inner) = self.index(depth + 1)? else {
            return Ok(Summary { family: family.to_owned(), dim, rows, whole: false });
        };
        self.expect("inside", inner.rows, rows)?;
        Ok(Summary { family: format!("{family},{}", inner.family), dim, rows, whole: inner.whole })
    }
}
