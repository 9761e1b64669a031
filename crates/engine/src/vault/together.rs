//! `sync/together/`: notes of transactions that may not be wholly sent yet.
//!
//! A transaction over several paths is put in place as one and must reach the bucket as one. A
//! cycle learns here which paths that concerns. A note is an empty file with the name of the
//! transaction's record, which names the paths.
//!
//! Invariants: a note is durable before the first rename of its transaction. It goes once the
//! transaction has come to nothing, or by [`forget_together`] when all its files were sent or
//! written anew. Not decided here: which items must be sent together.
//!
//! A crash leaves at worst the note of a transaction that changed nothing. The digests it names
//! stand nowhere, so it binds nothing.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::Layout;
use super::record::{Record, Written};
use crate::fs::{At, Fs, IoAt, found};

/// Paths that one transaction wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Together {
    /// Name of its note.
    pub name: String,
    /// Digest that it put at each path. None for a path that it deleted.
    pub files: Written,
    /// True if all of it is in place.
    pub done: bool,
}

/// All noted transactions. One whose record is gone or damaged binds nothing.
///
/// # Errors
/// Errors of the system.
pub fn together(fs: &dyn Fs, layout: &Layout) -> Result<Vec<Together>, IoAt> {
    let folder = layout.together();
    let Some(names) = found(fs.read_dir(&folder)).at("list", &folder)? else { return Ok(Vec::new()) };
    let names = names.into_iter().filter_map(|(name, _)| name.into_string().ok());
    Ok(names
        .map(|name| match Record::read(fs, layout, &name) {
            Ok(Some(Record { done, answer, .. })) => Together { name, files: answer.files, done },
            _ => Together { name, files: Written::new(), done: true },
        })
        .collect())
}

/// Notes a transaction before it is put in place. Durable when it returns.
pub(super) fn note_together(fs: &dyn Fs, layout: &Layout, name: &str) -> Result<(), IoAt> {
    let folder = layout.together();
    fs.create_dir_all(&folder).at("create", &folder)?;
    let path = place(layout, name);
    // Under no other name before: a cycle that looks meanwhile would forget that as an old note.
    match fs.create(&path) {
        Ok(mut file) => file.finish(0o600, None).at("write", &path)?,
        // The same transaction was cut short before.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).at("write", &path),
    }
    fs.sync_dir(&folder).at("sync", &folder)
}

/// Forgets a note.
///
/// # Errors
/// Errors of the system.
pub fn forget_together(fs: &dyn Fs, layout: &Layout, name: &str) -> Result<(), IoAt> {
    let path = place(layout, name);
    found(fs.remove_file(&path)).at("remove", &path).map(drop)
}

fn place(layout: &Layout, name: &str) -> PathBuf {
    layout.together().join(name)
}

#[cfg(test)]
mod tests;
