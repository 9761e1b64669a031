//! Files that are about to become visible, complete and checked, on the vault's own file system.
//!
//! A stage is a folder `sync/staging/<apply id>/` with one file for each slot. A file counts only
//! after [`StageWriter::finish`] has found its length and digest to be the expected ones and made
//! it durable. A crash leaves the folder behind; [`super::recover`] removes every stage that no
//! journal names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{ApplyId, Layout};
use crate::fs::{At, Flush, Fs, IoAt, WriteFile, found, remove_tree};
use crate::model::{Content, Digest};

/// A file that could not be staged.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The written bytes are not the announced ones.
    #[error("{}: it should hold {} bytes of digest {:?}, but {} bytes of {:?} were written", .path.display(), .expected.size, .expected.digest, .written.size, .written.digest)]
    Mismatch {
        /// Path of the staged file.
        path: PathBuf,
        /// Content that was announced.
        expected: Content,
        /// Content that was written.
        written: Content,
    },
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoAt),
}

/// The staging folder of one apply. Clones are the same.
#[derive(Debug, Clone)]
pub struct Stage {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    /// Folders on other disks, for the slots that are to stand there.
    elsewhere: Arc<BTreeMap<u32, PathBuf>>,
}

impl Stage {
    /// Makes the folder.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn create(fs: Arc<dyn Fs>, layout: &Layout, id: &ApplyId) -> Result<Self, StageError> {
        let folder = layout.staging_of(id);
        fs.create_dir_all(&folder).at("create", &folder)?;
        Ok(Self { fs, folder, elsewhere: Arc::default() })
    }

    /// Makes a stage in a folder outside the vault, for files that are to stand there.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn outside(fs: Arc<dyn Fs>, folder: PathBuf) -> Result<Self, StageError> {
        fs.create_dir_all(&folder).at("create", &folder)?;
        Ok(Self { fs, folder, elsewhere: Arc::default() })
    }

    /// Has the files of these slots staged on the disks that they will stand on: each with our own
    /// folder there, relative to the root ([`Mounts::home`](super::Mounts::home)).
    pub fn spread(&mut self, layout: &Layout, id: &ApplyId, homes: BTreeMap<u32, String>) {
        let folder = |home: String| layout.stage_on(&layout.root().join(home), id);
        self.elsewhere = Arc::new(homes.into_iter().map(|(slot, home)| (slot, folder(home))).collect());
    }

    /// Starts the file of a slot. Each slot is written once.
    ///
    /// # Errors
    /// Errors of the system; also one if the slot is taken.
    pub fn writer(&self, slot: u32) -> Result<StageWriter, StageError> {
        self.writer_like(slot, None)
    }

    /// The same, for a file of which most bytes will be those of another one at the same places
    /// ([`Fs::create_like`]).
    ///
    /// # Errors
    /// See [`Stage::writer`].
    pub fn writer_like(&self, slot: u32, like: Option<&Path>) -> Result<StageWriter, StageError> {
        if let Some(folder) = self.elsewhere.get(&slot) {
            // Our folder there was made when the disk was marked. Without it the disk is away, and
            // none is made where it was.
            let home = folder.ancestors().nth(2).unwrap_or(folder);
            let _pinned = self.fs.pin(home).at("look for the disk of", home)?;
            return StageWriter::create_like(&*self.fs, &self.path(slot), like);
        }
        StageWriter::create_in_folder(&*self.fs, &self.path(slot), like)
    }

    /// Removes the file of a slot, so that it can be written again.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn clear(&self, slot: u32) -> Result<(), StageError> {
        let path = self.path(slot);
        found(self.fs.remove_file(&path)).at("remove", &path)?;
        Ok(())
    }

    /// Begins a flush for that many files of the vault's own disk; see [`Fs::begin_flush`].
    ///
    /// # Errors
    /// Errors of the system.
    pub fn begin_flush(&self, files: usize) -> Result<Option<Box<dyn Flush>>, StageError> {
        Ok(self.fs.begin_flush(&self.folder, files).at("open", &self.folder)?)
    }

    /// The folder on the vault's own disk.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// True if the file of a slot is to stand on another disk than the vault's own.
    #[must_use]
    pub fn is_elsewhere(&self, slot: u32) -> bool {
        self.elsewhere.contains_key(&slot)
    }

    /// Place of a slot's file while it is staged.
    #[must_use]
    pub fn path(&self, slot: u32) -> PathBuf {
        Layout::slot_in(self.elsewhere.get(&slot).unwrap_or(&self.folder), slot)
    }

    /// Removes the folders and everything in them.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn discard(self) -> Result<(), StageError> {
        for folder in self.elsewhere.values().collect::<BTreeSet<_>>() {
            remove_tree(&*self.fs, folder)?;
        }
        Ok(remove_tree(&*self.fs, &self.folder)?)
    }
}

/// A new file that is checked before it counts: a slot of a stage, or a conflict copy.
pub struct StageWriter {
    path: PathBuf,
    file: Box<dyn WriteFile>,
    hasher: blake3::Hasher,
    size: u64,
}

impl StageWriter {
    /// Starts a file that does not exist yet, and makes the folders above it.
    ///
    /// # Errors
    /// Errors of the system; also one if the name is taken.
    pub fn create(fs: &dyn Fs, path: &Path) -> Result<Self, StageError> {
        Self::create_like(fs, path, None)
    }

    /// The same, for a file of which most bytes will be those of another one at the same places
    /// ([`Fs::create_like`]).
    ///
    /// # Errors
    /// See [`StageWriter::create`].
    pub fn create_like(fs: &dyn Fs, path: &Path, like: Option<&Path>) -> Result<Self, StageError> {
        if let Some(folder) = path.parent() {
            fs.create_dir_all(folder).at("create", folder)?;
        }
        Self::create_in_folder(fs, path, like)
    }

    fn create_in_folder(fs: &dyn Fs, path: &Path, like: Option<&Path>) -> Result<Self, StageError> {
        let file = like.map_or_else(|| fs.create(path), |like| fs.create_like(path, like));
        let file = file.at("create", path)?;
        Ok(Self { path: path.to_owned(), file, hasher: blake3::Hasher::new(), size: 0 })
    }

    /// Content of what was written so far.
    #[must_use]
    pub fn written(&self) -> Content {
        Content { digest: Digest::from(self.hasher.finalize()), size: self.size }
    }

    /// Checks that the written bytes are `expected`, sets mode and modification time, and makes the
    /// file durable (its name becomes durable when the folder is synced). The owner may always read
    /// and write it.
    ///
    /// # Errors
    /// An error if the content is another one; errors of the system. The file then counts for
    /// nothing.
    pub fn finish(mut self, expected: Content, mode: u32, mtime_ms: i64) -> Result<(), StageError> {
        self.check(expected)?;
        Ok(self.file.finish(kept(mode), Some(mtime_ms)).at("write", &self.path)?)
    }

    /// As [`StageWriter::finish`], but the file is durable only after a flush that was begun before
    /// it.
    ///
    /// # Errors
    /// See [`StageWriter::finish`].
    pub fn finish_unflushed(mut self, expected: Content, mode: u32, mtime_ms: i64) -> Result<(), StageError> {
        self.check(expected)?;
        Ok(self.file.finish_unflushed(kept(mode), Some(mtime_ms)).at("write", &self.path)?)
    }

    fn check(&self, expected: Content) -> Result<(), StageError> {
        let written = self.written();
        if written == expected {
            return Ok(());
        }
        Err(StageError::Mismatch { path: self.path.clone(), expected, written })
    }
}

/// Mode of a staged file.
const fn kept(mode: u32) -> u32 {
    (mode & 0o777) | 0o600
}

impl Write for StageWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buf)?;
        self.hasher.update(buf.get(..written).unwrap_or(buf));
        self.size = self.size.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
