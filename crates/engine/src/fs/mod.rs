//! The file-system port: every effect of the engine on a disk goes through this trait.
//!
//! With it, a simulation can run the real engine on a disk that loses data without fsync, runs full
//! and crashes between any two calls. The trait is as small as that allows: names and bytes, no
//! policy. Paths are absolute, and the callers decide where to write. No call follows a symbolic
//! link in the last name of its path. A disk that holds a vault's root open ([`RootedFs`], a
//! simulated one) follows none below that root ([`Linked`]), and finds below it what is in that
//! very folder, wherever its path leads by now ([`Replaced`]).
//!
//! SQLite has its own file access and does not use this port. Our own database is a cache that may
//! be lost at any time; those of other programs are reached through [`Databases`].

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::model::{FileKind, FileStat};

mod at;
mod at_once;
mod block;
mod cloned;
mod cross;
mod databases;
mod dress;
mod durable;
mod escape;
mod escaping;
mod flush;
mod holds;
mod io_at;
mod network;
mod pinned;
mod real;
mod resolve;
mod rooted;
mod sqlite;
mod tree;

pub use at_once::{at_once, each};
pub use block::{in_blocks, is_full, takes_no_file};
pub use cross::move_new;
pub use databases::{DatabaseFault, Databases};
pub use durable::{create_dir_durable, read, replace, replace_with};
pub use escape::{escape, has_signs, unescape};
pub use escaping::{Escaping, Spelling};
pub use flush::Flush;
pub use holds::Holds;
pub use io_at::{At, IoAt, found};
pub use network::is_network;
pub use pinned::Pinned;
pub use real::{RealFs, own_new};
pub use rooted::RootedFs;
pub use tree::{files_below, readable_files_below, remove_below, remove_tree};

/// A folder above a path that is a symbolic link: its target is neither absent nor ours. It is the
/// inner error of an [`io::Error`] of the kind `NotADirectory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a symbolic link stands where a folder was: nothing is read or written through it")]
pub struct Linked;

impl Linked {
    /// True if an error says so.
    #[must_use]
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// A root whose path leads to another folder than the one that was opened. It is the inner error of
/// an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another folder stands there than the one that was opened")]
pub struct Replaced;

impl Replaced {
    /// True if an error says so.
    #[must_use]
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// A mount, as a folder that stands on it tells. Nothing is renamed from one mount to another, even
/// where both show the same file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountId {
    /// Number of the file system's device.
    pub dev: u64,
    /// Number of the mount; 0 where the system tells none.
    pub id: u64,
}

/// Our folder on a mount inside a vault. It is for its owner only, as all that is ours.
pub const MOUNT_FOLDER: &str = ".cogzy-vault";

/// Names in a folder, each with its kind.
pub type Names = Vec<(OsString, FileKind)>;

/// File open for reading.
pub trait ReadFile: Read + Send + Sync {
    /// Metadata of the open file (`fstat`).
    ///
    /// # Errors
    /// Errors of the system.
    fn stat(&self) -> io::Result<FileStat>;

    /// Fills `buffer` with the bytes from `offset` on. Sequential reads are not affected.
    ///
    /// # Errors
    /// Errors of the system; `UnexpectedEof` if the file ends too early.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// New file open for writing.
pub trait WriteFile: Write + Send {
    /// Sets permission bits and modification time, and makes contents and metadata durable
    /// (`fsync`).
    ///
    /// # Errors
    /// Errors of the system. After an error, the file's contents are undefined.
    fn finish(&mut self, mode: u32, mtime_ms: Option<i64>) -> io::Result<()>;

    /// As [`WriteFile::finish`], but nothing is durable before a [`Flush`] that was begun before
    /// the file.
    ///
    /// # Errors
    /// See [`WriteFile::finish`].
    fn finish_unflushed(&mut self, mode: u32, mtime_ms: Option<i64>) -> io::Result<()> {
        self.finish(mode, mtime_ms)
    }
}

/// Source of a new file's owner, group, rights and attributes.
#[derive(Debug, Clone, Copy)]
pub enum Like<'a> {
    /// The file in whose place it comes.
    File(&'a Path),
    /// The folder that it comes into, where no file stood.
    Folder(&'a Path),
}

/// A disk.
pub trait Fs: Send + Sync + Debug {
    /// Metadata of a name, without following a link (`lstat`).
    ///
    /// # Errors
    /// Errors of the system; `NotFound` also if a folder above is missing or is a file; [`Linked`]
    /// if one is a link; [`Replaced`] for a root that is not the one that was opened.
    fn lstat(&self, path: &Path) -> io::Result<FileStat>;

    /// `lstat` of several names in one folder, which may be opened once for all of them.
    ///
    /// # Errors
    /// See [`Fs::lstat`], for the folder; within, for each name.
    fn lstat_each(&self, folder: &Path, names: &[&OsStr]) -> io::Result<Vec<io::Result<FileStat>>> {
        Ok(names.iter().map(|name| self.lstat(&folder.join(name))).collect())
    }

    /// Lists the names in a folder, in any order, each with its type.
    ///
    /// # Errors
    /// Errors of the system. An interrupted listing is an error, never a shorter list.
    fn read_dir(&self, path: &Path) -> io::Result<Names>;

    /// The mount that a folder stands on.
    ///
    /// # Errors
    /// As for [`Fs::read_dir`].
    fn mount(&self, path: &Path) -> io::Result<MountId> {
        Ok(MountId { dev: self.lstat(path)?.dev, id: 0 })
    }

    /// Lists the names in a folder, and tells the mount of the very folder that was listed.
    ///
    /// # Errors
    /// As for [`Fs::read_dir`].
    fn read_dir_on(&self, path: &Path) -> io::Result<(MountId, Names)> {
        Ok((self.mount(path)?, self.read_dir(path)?))
    }

    /// Keeps the disk that a folder stands on from being unmounted for as long as the result lives.
    /// One that is pulled out goes all the same.
    ///
    /// # Errors
    /// See [`Fs::read_dir`].
    fn pin(&self, folder: &Path) -> io::Result<Pinned> {
        self.lstat(folder).map(|_nobody_unmounts_it| Pinned::new(()))
    }

    /// Opens a regular file for reading. Fails on a symbolic link or a special file without waiting
    /// for it.
    ///
    /// # Errors
    /// Errors of the system.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Opens a file to be locked; creates it for its owner only if it is missing.
    ///
    /// # Errors
    /// Errors of the system; `Unsupported` on a disk that is not shared ([`Fs::is_shared`]).
    fn open_lock(&self, path: &Path) -> io::Result<File> {
        let _nobody_to_lock_out = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Creates a new file for writing, readable by its owner only.
    ///
    /// # Errors
    /// Errors of the system; `AlreadyExists` if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Creates a new file like [`Fs::create`], of which most bytes will be those at the same places
    /// of `like`: where the file system can share blocks, those are not written again. `like` stays
    /// as it is, and need not exist.
    ///
    /// # Errors
    /// See [`Fs::create`].
    fn create_like(&self, path: &Path, like: &Path) -> io::Result<Box<dyn WriteFile>> {
        let _all_is_written = like;
        self.create(path)
    }

    /// Creates a folder and the missing ones above it. Succeeds if it exists.
    ///
    /// # Errors
    /// Errors of the system.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Renames, replacing any file at `to`.
    ///
    /// # Errors
    /// Errors of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames atomically if `to` is free.
    ///
    /// # Errors
    /// Errors of the system; `AlreadyExists` if the name is taken.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Swaps two names atomically (`RENAME_EXCHANGE`, `renamex_np(RENAME_SWAP)`).
    ///
    /// # Errors
    /// Errors of the system; `Unsupported` if the file system lacks it.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// Errors of the system.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name that is not a folder.
    ///
    /// # Errors
    /// Errors of the system.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// Errors of the system; `DirectoryNotEmpty` if it is not empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable (`fsync` of the folder).
    ///
    /// # Errors
    /// Errors of the system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Begins a flush of the disk of `folder`, to which that many files are about to be written.
    /// None where the disk does not promise to tell of every loss, or where each file had better be
    /// made durable on its own.
    ///
    /// # Errors
    /// Errors of the system.
    fn begin_flush(&self, folder: &Path, files: usize) -> io::Result<Option<Box<dyn Flush>>> {
        let _each_on_its_own = (folder, files);
        Ok(None)
    }

    /// Mode that [`Fs::dress`] leaves a new file of this mode: less the umask.
    fn mode_of_new(&self, mode: u32) -> u32 {
        mode
    }

    /// Gives a file that is not visible yet what belongs to its place: owner, group, mode, extended
    /// attributes and access lists of the file that it replaces; for a new one its folder's owner
    /// and group, as far as the system would give them, and its own mode less the umask. What our
    /// rights do not allow is left as it is; gives the names of that. Durable on return.
    ///
    /// # Errors
    /// Errors of the system.
    fn dress(&self, file: &Path, like: Like) -> io::Result<Vec<&'static str>> {
        let _nothing_to_pass_on = (file, like);
        Ok(Vec::new())
    }

    /// Looks, without changing anything, whether a file could be put at `path`, or taken from
    /// there: the folder may be read-only, the file protected. What it does not find an attempt
    /// still may.
    ///
    /// # Errors
    /// The reason why not.
    fn may_place(&self, path: &Path) -> io::Result<()> {
        let _nobody_knows_before = path;
        Ok(())
    }

    /// Looks, without changing anything, whether the disk can hold the names of a path. What it
    /// does not find an attempt still may.
    ///
    /// # Errors
    /// The reason why not.
    fn may_name(&self, path: &Path) -> io::Result<()> {
        let _nobody_knows_before = path;
        Ok(())
    }

    /// Tries in an empty folder of ours which names the disk holds, and leaves files there.
    ///
    /// # Errors
    /// Errors of the system, if they tell nothing about names.
    fn holds(&self, folder: &Path) -> io::Result<Holds> {
        holds::try_names(self, folder)
    }

    /// Has names in and below `folder`, relative to the vault's root, written in this way from now
    /// on. Without effect on a disk that knows one way only ([`Escaping`] knows them).
    fn spell(&self, folder: &str, how: Spelling) {
        let _known = (folder, how);
    }

    /// The path of what stands at `place` as the disk spells it.
    fn meant(&self, place: &Path) -> PathBuf {
        place.to_owned()
    }

    /// Free bytes for this user on the file system of `path`.
    ///
    /// # Errors
    /// Errors of the system.
    fn free_space(&self, path: &Path) -> io::Result<u64>;

    /// Bytes of the whole file system of `path`.
    ///
    /// # Errors
    /// Errors of the system; `Unsupported` where nobody knows.
    fn total_space(&self, path: &Path) -> io::Result<u64> {
        let _nobody_knows = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Bytes of a block of the file system of `path`: a file takes whole ones.
    fn block_size(&self, path: &Path) -> u64 {
        let _nobody_knows = path;
        block::USUAL
    }

    /// The databases of other programs. None on a disk that has none, where every file is only a
    /// file.
    fn databases(&self) -> Option<&dyn Databases> {
        None
    }

    /// True if other programs can reach this disk, so that locks are needed. A simulated disk
    /// belongs to its engine alone.
    fn is_shared(&self) -> bool {
        true
    }
}
