//! Rows of an array that a program has made beside the vault's own, to be vectors of memories.

use std::io;

use super::{Row, Vector};
use crate::merge::File;
use crate::model::Facts;
use crate::vault::validate::{Block, ExamineError, Kind, Search, npy, read_facts};

/// Cause why the rows of an array cannot be vectors.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The array is not what it should be.
    #[error("{0}")]
    Other(String),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The vectors in these rows of an array, counted from 0. `name` is that of its file, for messages.
/// Nothing else of the array is read, and no more than `most` bytes.
///
/// # Errors
/// If it is no array of rows of numbers, or has too few.
pub fn rows_of(name: &str, file: File<'_>, rows: &[u64], most: u64) -> Result<Vec<Vector>, Unusable> {
    let other = |why: String| Err(Unusable::Other(why));
    let block = Block::new(file.file, file.len);
    let (shape, dtype) = match read_facts(block, &Kind::Matrix, Search::None)? {
        Facts::Matrix { shape, dtype, .. } => (shape, dtype),
        Facts::Broken { why } => return other(why),
        _ => return other("it is no array".to_owned()),
    };
    let &[count, columns] = shape.as_slice() else {
        let shape = npy::shape_text(&shape);
        return other(format!("its shape is {shape}: expected rows and columns, as in (2, 1536)"));
    };
    let header = npy::header(block).map_err(|error| match error {
        ExamineError::Io(error) => Unusable::Io(error),
        ExamineError::Broken(why) => Unusable::Other(why),
    })?;
    if header.fortran {
        return other(
            "it is stored by columns (Fortran order): save `numpy.ascontiguousarray` of it".to_owned(),
        );
    }
    // The reader has found all rows in the file.
    let width = (file.len - header.data).checked_div(count).unwrap_or_default();
    let bytes = width.saturating_mul(rows.len() as u64);
    if bytes > most {
        return other(format!(
            "its rows have {bytes} bytes, and {most} are left for the vectors of one transaction: write them in several"
        ));
    }
    let row = |number: &u64| {
        if *number >= count {
            let why = format!("there is no row {number}: it has {count}, counted from 0");
            return Err(Unusable::Other(why));
        }
        let mut bytes = vec![0; usize::try_from(width).map_err(io::Error::other)?];
        block.fill(&mut bytes, header.data + number * width)?;
        let (dtype, of) = (dtype.clone(), format!("row {number} of {name}"));
        Ok(Vector::Row(Row { bytes, dtype, columns, of }))
    };
    rows.iter().map(row).collect()
}
