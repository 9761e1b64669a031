//! Vectors that a program has put below `sync/incoming/`, as rows of an array.
//!
//! Only the rows that are asked for are read, so an array of any length may stand there. It is read
//! in one state, and no link is followed.

use std::collections::BTreeMap;

use crate::fs::{At, Fs, IoAt, Linked, found};
use crate::merge::{File, Id, Unusable, Vector, rows_of};
use crate::model::{FileKind, VaultPath};
use crate::vault::{Layout, TransactError};

/// Most bytes of vectors in one transaction: all of them are in memory.
const MOST: u64 = 256 << 20;

/// A row of an array below `sync/incoming/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedRow {
    /// Name of the file there.
    pub file: VaultPath,
    /// Number of the row, counted from 0.
    pub row: u64,
}

/// Group and id of a memory.
type Memory = (String, Id);

/// Vectors of memories that stand in such arrays, by group and id.
pub type StagedRows = BTreeMap<Memory, StagedRow>;

/// Reads these vectors.
///
/// # Errors
/// [`TransactError::Refused`] names the file and what is wrong with it.
pub fn read_staged(
    fs: &dyn Fs,
    layout: &Layout,
    rows: &StagedRows,
) -> Result<BTreeMap<Memory, Vector>, TransactError> {
    let mut by_file: BTreeMap<&VaultPath, Vec<(&Memory, u64)>> = BTreeMap::new();
    for (memory, StagedRow { file, row }) in rows {
        by_file.entry(file).or_default().push((memory, *row));
    }
    let (mut vectors, mut left) = (BTreeMap::new(), MOST);
    for (file, wanted) in by_file {
        let numbers: Vec<u64> = wanted.iter().map(|(_, row)| *row).collect();
        let read = read_file(fs, layout, file, &numbers, left)?;
        let bytes = |vector: &Vector| if let Vector::Row(row) = vector { row.bytes.len() as u64 } else { 0 };
        left = left.saturating_sub(read.iter().map(bytes).sum());
        vectors.extend(wanted.into_iter().map(|(memory, _)| memory.clone()).zip(read));
    }
    Ok(vectors)
}

fn read_file(
    fs: &dyn Fs,
    layout: &Layout,
    staged: &VaultPath,
    rows: &[u64],
    most: u64,
) -> Result<Vec<Vector>, TransactError> {
    let incoming = layout.incoming();
    let place = staged.below(&incoming);
    let refused = |why: String| TransactError::Refused { what: format!("staged {staged}"), why };
    let stat = match fs.lstat(&place) {
        Err(error) if Linked::is(&error) => return Err(refused(error.to_string())),
        looked => found(looked).at("look at", &place)?,
    };
    let stat = stat.filter(|stat| stat.kind == FileKind::File);
    let stat = stat.ok_or_else(|| refused(format!("there is no such file below {}", incoming.display())))?;
    let moved = || refused("it changed while it was read: close it first".to_owned());
    let file = found(fs.open(&place)).at("open", &place)?.ok_or_else(moved)?;
    if file.stat().at("look at", &place)? != stat {
        return Err(moved());
    }
    let array = File { file: file.as_ref(), len: stat.size };
    let read = rows_of(staged.as_str(), array, rows, most);
    let still = found(fs.lstat(&place)).at("look at", &place)? == Some(stat);
    if !still || file.stat().at("look at", &place)? != stat {
        return Err(moved());
    }
    read.map_err(|error| match error {
        Unusable::Other(why) => refused(why),
        Unusable::Io(source) => IoAt { operation: "read", path: place, source }.into(),
    })
}
