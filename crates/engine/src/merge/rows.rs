//! Rows of vectors: the arrays and indexes that follow a corpus row by row.
//!
//! A row is only bytes here, compared and copied as they are. Two kinds of file are understood
//! well enough to be written anew with other rows: numpy arrays of two dimensions in C order, and
//! flat FAISS indexes.

use std::io::{self, Write};
use std::ops::Range;

use super::document::{alike, same};
use super::{Unmerged, Version};
use crate::model::Digest;
use crate::vault::validate::npy::{self, Dtype};
use crate::vault::validate::{Block, ExamineError, Kind, flat};

/// Type of the elements of a FAISS index, in the words of numpy.
pub(super) const FLOATS: &str = "<f4";
/// Bytes hashed at once.
const AT_ONCE: usize = 1 << 20;
/// numpy pads its headers to a multiple of this.
const ALIGNED: usize = 64;

/// File of rows.
pub(super) struct Rows<'a> {
    block: Block<'a>,
    /// Position of the first row.
    start: u64,
    /// Bytes of a row.
    width: usize,
    pub(super) count: u64,
    form: Form,
    /// Ids of the rows, where the file has them.
    ids: Option<Vec<i64>>,
}

/// Everything about a file but its rows and their number.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Matrix { dtype: String, columns: u64 },
    Flat(flat::Head),
}

impl<'a> Rows<'a> {
    /// Reads the head of a file. `name` is for messages.
    pub(super) fn read(
        block: Block<'a>,
        kind: &Kind,
        version: Version,
        name: &str,
    ) -> Result<Self, Unmerged> {
        let found = match kind {
            Kind::Matrix => Self::matrix(block, version, name),
            Kind::Index => Self::flat(block, name),
            Kind::Corpus(_) | Kind::Clusters => Err(Unmerged::ToBuildAnew { name: name.to_owned() }),
        };
        let rows = found?;
        let bytes = rows.count.checked_mul(rows.width as u64);
        // Of an index the reader has seen to that.
        let is_whole = matches!(rows.form, Form::Flat(_)) || bytes == Some(block.len() - rows.start);
        if is_whole && rows.width > 0 {
            return Ok(rows);
        }
        let why = format!("{name} has no whole rows of vectors");
        Err(Unmerged::Damaged { version, why })
    }

    /// Reads the head of a file that must have a row for each entry of its corpus.
    pub(super) fn of_entries(
        block: Block<'a>,
        kind: &Kind,
        (version, name): (Version, &str),
        entries: usize,
    ) -> Result<Self, Unmerged> {
        let rows = Self::read(block, kind, version, name)?;
        if rows.count == entries as u64 {
            return Ok(rows);
        }
        Err(Unmerged::OtherCount { version, name: name.to_owned(), rows: rows.count, entries })
    }

    fn matrix(block: Block<'a>, version: Version, name: &str) -> Result<Self, Unmerged> {
        let header = npy::header(block).map_err(|error| broken(error, version, name))?;
        let dtype = Dtype::of(&header.dtype).map_err(|error| broken(error, version, name))?;
        let &[count, columns] = header.shape.as_slice() else {
            return Err(Unmerged::OtherVectors {
                name: name.to_owned(),
                why: format!("{version} has an array of {} dimensions", header.shape.len()),
            });
        };
        if header.fortran {
            return Err(Unmerged::Fortran { version, name: name.to_owned() });
        }
        let width = columns.checked_mul(dtype.size).and_then(|width| usize::try_from(width).ok());
        let form = Form::Matrix { dtype: header.dtype, columns };
        Ok(Self { block, start: header.data, width: width.unwrap_or_default(), count, form, ids: None })
    }

    fn flat(block: Block<'a>, name: &str) -> Result<Self, Unmerged> {
        match flat::read(block) {
            Ok(Some(flat::Flat { head, rows, start, width, ids })) => {
                Ok(Self { block, start, width, count: rows, form: Form::Flat(head), ids })
            }
            Err(ExamineError::Io(error)) => Err(error.into()),
            Ok(None) | Err(ExamineError::Broken(_)) => Err(Unmerged::ToBuildAnew { name: name.to_owned() }),
        }
    }

    /// Refuses files whose rows cannot stand in one file.
    pub(super) fn must_be_alike(&self, other: &Self, name: &str) -> Result<(), Unmerged> {
        if self.form == other.form && self.width == other.width {
            return Ok(());
        }
        let why = format!("{} in one version, {} in another", self.form, other.form);
        Err(Unmerged::OtherVectors { name: name.to_owned(), why })
    }

    /// Bytes of a row and type of its elements. None of a file that is no array.
    pub(super) fn of_matrix(&self) -> Option<(usize, String)> {
        match &self.form {
            Form::Matrix { dtype, .. } => Some((self.width, dtype.clone())),
            Form::Flat(_) => None,
        }
    }

    /// True if the rows of this index are those of an array, byte for byte.
    pub(super) fn has_rows_of(&self, array: &Self) -> io::Result<bool> {
        let is_alike = (self.count, self.width) == (array.count, array.width);
        if !is_alike || !matches!(&array.form, Form::Matrix { dtype, .. } if dtype == FLOATS) {
            return Ok(false);
        }
        let all = |rows: &Self| rows.start..rows.start + rows.count * rows.width as u64;
        same([self.block, array.block], [all(self), all(array)])
    }

    /// True if it has ids, and they are not the numbers of its rows.
    pub(super) fn has_ids_of_its_own(&self) -> bool {
        self.ids.as_ref().is_some_and(|ids| !are_row_numbers(ids))
    }

    /// Ids of the rows that are left from these places, and of new ones. None if nobody knows those
    /// of the new ones; else none within if the file has no ids.
    #[expect(clippy::option_option, reason = "an index without ids is not one whose ids are unknown")]
    pub(super) fn ids_after(&self, places: impl Iterator<Item = Option<usize>>) -> Option<Option<Vec<i64>>> {
        let Some(ids) = &self.ids else { return Some(None) };
        if are_row_numbers(ids) {
            return Some(Some(places.zip(0_i64..).map(|(_, row)| row).collect()));
        }
        places.map(|at| ids.get(at?).copied()).collect::<Option<Vec<i64>>>().map(Some)
    }

    /// For each pair of rows, here and there, whether they are the same.
    pub(super) fn alike(
        [here, there]: [&Self; 2],
        pairs: impl Iterator<Item = Option<[usize; 2]>>,
    ) -> io::Result<Vec<bool>> {
        let spans = pairs.map(|pair| pair.map(|[ours, theirs]| [here.span(ours, 1), there.span(theirs, 1)]));
        alike([here.block, there.block], spans)
    }

    /// Bytes of a row.
    pub(super) fn row(&self, row: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.width];
        self.block.fill(&mut bytes, self.start + (row * self.width) as u64)?;
        Ok(bytes)
    }

    /// The element at each place of a row, if it is a float of 32 or 64 bits.
    pub(super) fn numbers(&self, row: usize) -> io::Result<Option<Vec<f64>>> {
        let bytes = self.row(row)?;
        Ok(match &self.form {
            Form::Matrix { dtype, .. } if dtype == "<f8" => {
                let read = |part: &[u8]| part.try_into().map(f64::from_le_bytes).unwrap_or_default();
                Some(bytes.chunks(8).map(read).collect())
            }
            Form::Matrix { dtype, .. } if dtype == FLOATS => {
                let read = |part: &[u8]| part.try_into().map(f32::from_le_bytes).unwrap_or_default();
                Some(bytes.chunks(4).map(|part| f64::from(read(part))).collect())
            }
            _ => None,
        })
    }

    /// Adds the bytes of each row to a digest of it.
    fn add_to(&self, digests: &mut [Digest]) -> io::Result<()> {
        let each = (AT_ONCE / self.width).max(1);
        let mut buffer = vec![0; each.min(digests.len()) * self.width];
        let mut whole = Vec::new();
        for (at, part) in digests.chunks_mut(each).enumerate() {
            let bytes = buffer.get_mut(..part.len() * self.width).unwrap_or_default();
            self.block.fill(bytes, self.start + (at * each * self.width) as u64)?;
            for (digest, row) in part.iter_mut().zip(bytes.chunks(self.width)) {
                // In one piece: what is hashed part by part is hashed several times as slowly.
                whole.clear();
                whole.extend_from_slice(digest.as_bytes());
                whole.extend_from_slice(row);
                *digest = Digest::of(&whole);
            }
        }
        Ok(())
    }

    /// Place of `count` rows from the row `first` on.
    const fn span(&self, first: usize, count: usize) -> Range<u64> {
        let start = self.start + first as u64 * self.width as u64;
        start..start + count as u64 * self.width as u64
    }

    /// Head of a file like this one with `count` rows. Its own bytes, if that is its number.
    fn head(&self, count: u64) -> io::Result<Vec<u8>> {
        if count == self.count {
            let mut head = vec![0; usize::try_from(self.start).map_err(io::Error::other)?];
            self.block.fill(&mut head, 0)?;
            return Ok(head);
        }
        Ok(match &self.form {
            Form::Flat(head) => head.of(count),
            Form::Matrix { dtype, columns } => matrix_head(dtype, count, *columns),
        })
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Matrix { dtype, columns } => write!(f, "{columns} columns of {dtype}"),
            Self::Flat(head) => write!(f, "a flat index of {} dimensions", head.dim),
        }
    }
}

fn are_row_numbers(ids: &[i64]) -> bool {
    ids.iter().zip(0_i64..).all(|(id, row)| *id == row)
}

/// Ids of the rows of a result that takes its rows from these places: none within if the files have
/// none, and none at all if two rows would have one id. Ids that are the number of their row stay
/// that; others follow their row.
#[expect(clippy::option_option, reason = "an index without ids is not one whose ids are unknown")]
pub(super) fn ids(
    [here, there]: [&Rows<'_>; 2],
    places: impl Iterator<Item = (Version, usize)>,
) -> Option<Option<Vec<i64>>> {
    let (Some(ours), Some(theirs)) = (&here.ids, &there.ids) else { return Some(None) };
    if are_row_numbers(ours) && are_row_numbers(theirs) {
        return Some(Some(places.zip(0_i64..).map(|(_, row)| row).collect()));
    }
    let of = |(version, at): (Version, usize)| {
        (if version == Version::Here { ours } else { theirs }).get(at).copied().unwrap_or_default()
    };
    let ids: Vec<i64> = places.map(of).collect();
    let different: std::collections::HashSet<&i64> = ids.iter().collect();
    (different.len() == ids.len()).then_some(Some(ids))
}

/// Rows that are written one after the other.
pub(super) enum Run<'r, 'a> {
    /// So many rows of a file from this one on.
    Of(&'r Rows<'a>, usize, usize),
    /// The bytes of one row.
    New(&'r [u8]),
}

/// Writes a file of rows.
pub(super) fn write<'r, 'a: 'r>(
    like: &Rows<'a>,
    count: u64,
    runs: impl Iterator<Item = Run<'r, 'a>>,
    ids: Option<&Vec<i64>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    out.write_all(&like.head(count)?)?;
    let mut buffer = Vec::new();
    for run in runs {
        match run {
            Run::Of(from, first, count) => from.block.copy(from.span(first, count), &mut buffer, out)?,
            Run::New(row) => out.write_all(row)?,
        }
    }
    if let Some(ids) = ids {
        out.write_all(&count.to_le_bytes())?;
        ids.iter().try_for_each(|id| out.write_all(&id.to_le_bytes()))?;
    }
    Ok(())
}

/// Header of an array as numpy writes it.
pub(super) fn matrix_head(dtype: &str, rows: u64, columns: u64) -> Vec<u8> {
    let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let before = b"\x93NUMPY\x01\x00".len() + 2;
    let whole = (before + text.len() + 1).next_multiple_of(ALIGNED);
    let len = u16::try_from(whole - before).unwrap_or_default();
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend(len.to_le_bytes());
    head.extend(text.bytes());
    head.resize(whole - 1, b' ');
    head.push(b'\n');
    head
}

fn broken(error: ExamineError, version: Version, name: &str) -> Unmerged {
    match error {
        ExamineError::Io(error) => error.into(),
        ExamineError::Broken(why) => Unmerged::Damaged { version, why: format!("{name}: {why}") },
    }
}

/// Digest of each row, over all arrays of a corpus.
pub(super) fn digests<'r, 'a: 'r>(
    arrays: impl Iterator<Item = &'r Rows<'a>>,
    count: usize,
) -> io::Result<Vec<Digest>> {
    let mut digests = vec![Digest::of(b""); count];
    for array in arrays {
        array.add_to(&mut digests)?;
    }
    Ok(digests)
}
