//! Whole folders: listed and removed without following a link.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{At, Fs, IoAt, found};
use crate::model::FileKind;

/// Removes a folder with everything in it; succeeds if it is gone.
///
/// # Errors
/// Errors of the system; names removed until then stay removed.
pub fn remove_tree(fs: &dyn Fs, folder: &Path) -> Result<(), IoAt> {
    remove_below(fs, folder)?;
    found(fs.remove_dir(folder)).at("remove", folder).map(drop)
}

/// Removes everything in a folder; succeeds if it is gone.
///
/// # Errors
/// See [`remove_tree`].
pub fn remove_below(fs: &dyn Fs, folder: &Path) -> Result<(), IoAt> {
    let names = found(fs.read_dir(folder)).at("list", folder)?.unwrap_or_default();
    for (name, kind) in names {
        let path = folder.join(name);
        if kind == FileKind::Folder {
            remove_tree(fs, &path)?;
        } else {
            found(fs.remove_file(&path)).at("remove", &path)?;
        }
    }
    Ok(())
}

/// Regular files below a folder, in the order of their names. Empty if the folder is gone.
///
/// # Errors
/// An error if a folder cannot be listed.
pub fn files_below(fs: &dyn Fs, folder: &Path) -> Result<Vec<PathBuf>, IoAt> {
    let mut files = Vec::new();
    let names = found(fs.read_dir(folder)).at("list", folder)?.unwrap_or_default();
    for (path, kind) in sorted(folder, names) {
        match kind {
            FileKind::Folder => files.extend(files_below(fs, &path)?),
            FileKind::File => files.push(path),
            FileKind::Symlink | FileKind::Special => {}
        }
    }
    Ok(files)
}

/// Regular files below a folder, without those that cannot be listed.
#[must_use]
pub fn readable_files_below(fs: &dyn Fs, folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (path, kind) in sorted(folder, fs.read_dir(folder).unwrap_or_default()) {
        match kind {
            FileKind::Folder => files.extend(readable_files_below(fs, &path)),
            FileKind::File => files.push(path),
            FileKind::Symlink | FileKind::Special => {}
        }
    }
    files
}

fn sorted(
    folder: &Path,
    mut names: Vec<(OsString, FileKind)>,
) -> impl Iterator<Item = (PathBuf, FileKind)> + use<> {
    let folder = folder.to_owned();
    names.sort_by(|(a, _), (b, _)| a.cmp(b));
    names.into_iter().map(move |(name, kind)| (folder.join(name), kind))
}
