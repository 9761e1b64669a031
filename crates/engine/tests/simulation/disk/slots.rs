//! Names on a disk as POSIX has them: what stands under one, and their changes.

use std::io;
use std::path::{Path, PathBuf};

use cogzy_engine::model::{FileKind, FileStat};

use super::state::{Ino, Slot, State};

pub(super) fn stat(state: &State, ino: Ino) -> FileStat {
    let node = state.node(ino);
    FileStat {
        kind: node.kind,
        dev: 1,
        ino,
        size: node.bytes.len() as u64,
        mtime_ns: node.mtime_ns,
        ctime_ns: node.ctime_ns,
        mode: node.mode,
    }
}

pub(super) fn create_folders(state: &mut State, whole: &Path, durable: bool, now: i64) -> io::Result<()> {
    let mut above: Vec<PathBuf> = whole.ancestors().map(Path::to_owned).collect();
    above.pop();
    for path in above.into_iter().rev() {
        match state.find(&path) {
            Ok(ino) if state.node(ino).kind == FileKind::Folder => {}
            Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
            Err(_) => {
                let slot = state.slot(&path)?;
                let ino = state.add(FileKind::Folder, now);
                state.change(vec![(slot, Some(ino))], durable, now);
            }
        }
    }
    Ok(())
}

pub(super) fn rename(state: &mut State, from: &Path, to: &Path, durable: bool, now: i64) -> io::Result<()> {
    let slots = (state.slot(from)?, state.slot(to)?);
    rename_slots(state, (from, to), slots, durable, now)
}

pub(super) fn rename_slots(
    state: &mut State,
    (from, to): (&Path, &Path),
    (slot, target): (Slot, Slot),
    durable: bool,
    now: i64,
) -> io::Result<()> {
    let moved = state.at(&slot).ok_or(io::ErrorKind::NotFound)?;
    let replaced = state.at(&target);
    if from != to && to.starts_with(from) && state.node(moved).kind == FileKind::Folder {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if from != to && from.starts_with(to) {
        return Err(io::ErrorKind::DirectoryNotEmpty.into());
    }
    if let Some(there) = replaced.filter(|there| *there != moved) {
        let kind = |ino| state.node(ino).kind;
        match (kind(moved), kind(there)) {
            (FileKind::Folder, FileKind::Folder) if state.list(there).next().is_some() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            (FileKind::Folder, FileKind::Folder) => {}
            (FileKind::Folder, _) => return Err(io::ErrorKind::NotADirectory.into()),
            (_, FileKind::Folder) => return Err(io::ErrorKind::IsADirectory.into()),
            _ => {}
        }
    }
    // Two names of one file: as POSIX has it, nothing happens.
    if replaced == Some(moved) && slot != target {
        return Ok(());
    }
    let spelled = (target.0, state.kept(to.file_name().unwrap_or_default()));
    let target = if state.kind.case || slot != target { target } else { spelled };
    if slot == target {
        return Ok(());
    }
    state.change(vec![(slot, None), (target, Some(moved))], durable, now);
    Ok(())
}

pub(super) fn exchange_slots(
    state: &mut State,
    (one, other): (&Path, &Path),
    (slot, target): (Slot, Slot),
    now: i64,
) -> io::Result<()> {
    match (state.at(&slot), state.at(&target)) {
        (Some(_), Some(_)) if one != other && (one.starts_with(other) || other.starts_with(one)) => {
            // The same answer as that of a file system that knows no exchange.
            Err(io::ErrorKind::Unsupported.into())
        }
        (Some(first), Some(second)) => {
            state.change(vec![(slot, Some(second)), (target, Some(first))], false, now);
            Ok(())
        }
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Refuses a call that a kind of disk does not know.
pub fn known(call: bool) -> io::Result<()> {
    if call { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}
