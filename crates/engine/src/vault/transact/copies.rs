//! The new contents of a transaction, copied or made beside the vault's files.

use std::io::{self, BufWriter, Write};

use super::places::Places;
use super::{MODE, Making, TransactError};
use crate::fs::{At, Fs, found};
use crate::model::{FileKind, VaultPath};
use crate::vault::names::spelling;
use crate::vault::read::{hash_stable, open_stable};
use crate::vault::{Layout, StageWriter, Staged};

/// Bytes that are written at once.
const BUFFER: usize = 256 << 10;

/// A new content beside the vault's files.
pub(super) struct Prepared {
    pub path: VaultPath,
    pub staged: Staged,
}

/// Copies and makes all new contents.
pub(super) fn prepare(
    fs: &dyn Fs,
    layout: &Layout,
    making: &Making<'_>,
    places: &Places,
    now_ms: i64,
) -> Result<Vec<Prepared>, TransactError> {
    places.check(making)?;
    for place in places.all.iter().take(1) {
        fs.create_dir_all(&place.aside).at("create", &place.aside)?;
    }
    let mut prepared = Vec::new();
    for (path, staged) in &making.transaction.writes {
        prepared.push(put(fs, layout, places, (path, prepared.len(), now_ms), |out| {
            copy(fs, layout, staged, out)
        })?);
    }
    for (path, make) in &making.made {
        prepared.push(put(fs, layout, places, (path, prepared.len(), now_ms), |out| {
            let mut out = BufWriter::with_capacity(BUFFER, out);
            Ok(make(&mut out).and_then(|()| out.flush()).at("make", &path.below(layout.root()))?)
        })?);
    }
    Ok(prepared)
}

/// Writes the new content of a path, which becomes the one of this number.
fn put(
    fs: &dyn Fs,
    layout: &Layout,
    places: &Places,
    (path, slot, now_ms): (&VaultPath, usize, i64),
    fill: impl FnOnce(&mut StageWriter) -> Result<(), TransactError>,
) -> Result<Prepared, TransactError> {
    let slot = u32::try_from(slot).unwrap_or(u32::MAX);
    let aside = places.aside_of(layout, path);
    let old = layout.root().join(spelling(fs, layout.root(), path)?.unwrap_or_else(|| path.to_string()));
    let mut writer = StageWriter::create_like(fs, &Layout::slot_in(&aside, slot), Some(&old))?;
    fill(&mut writer)?;
    writer.flush().at("write", &aside)?;
    let content = writer.written();
    let mode = match fs.lstat(&old) {
        Ok(stat) if stat.kind == FileKind::File => stat.mode,
        _ => MODE,
    };
    writer.finish(content, mode, now_ms)?;
    Ok(Prepared { path: path.clone(), staged: Staged { slot, content } })
}

/// Copies a file that the caller has put below `sync/incoming/`.
fn copy(
    fs: &dyn Fs,
    layout: &Layout,
    staged: &VaultPath,
    out: &mut StageWriter,
) -> Result<(), TransactError> {
    let incoming = layout.incoming();
    let source = staged.below(&incoming);
    let refused = |why: String| TransactError::Refused { what: format!("staged {staged}"), why };
    let stat = found(fs.lstat(&source)).at("look at", &source)?;
    let stat = stat.filter(|stat| stat.kind == FileKind::File);
    let stat = stat.ok_or_else(|| refused(format!("there is no such file below {}", incoming.display())))?;
    let moved = || refused("it changed while it was read: close it first".to_owned());
    let content =
        hash_stable(fs, &incoming, staged.as_str(), &stat).at("read", &source)?.ok_or_else(moved)?;
    let mut reader = open_stable(fs, &incoming, staged.as_str(), &stat).at("open", &source)?;
    io::copy(&mut reader, out).at("copy", &source)?;
    if out.written() == content { Ok(()) } else { Err(moved()) }
}
