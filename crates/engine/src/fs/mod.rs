//! The file-system port: every effect that the engine has on a disk goes through this trait.
//!
//! It exists so that a simulation can put a disk under the real engine that loses what was not fsynced, runs full and
//! crashes between any two calls. It is as small as that allows: names and bytes, no policy. Paths are absolute; what may
//! be written where is decided by the callers. No call follows a symbolic link in the last name of its path; a disk
//! that holds a vault's root open ([`RootedFs`], a simulated one) follows none below that root ([`Linked`]), and finds
//! below it what is in that very folder, wherever its path leads by now ([`Replaced`]).
//!
//! SQLite has its own file access and does not come through here; its database is a cache that may be lost at any time.

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::model::{FileKind, FileStat};

mod at;
mod io_at;
mod real;
mod resolve;
mod rooted;
mod tree;

pub use io_at::{At, IoAt, found};
pub use real::RealFs;
pub use rooted::RootedFs;
pub use tree::{files_below, readable_files_below, remove_below, remove_tree};

/// A folder above a path that is a symbolic link: what it leads to is neither absent nor ours. As the inner error of
/// an [`io::Error`] of the kind `NotADirectory`.
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

/// A root whose path leads to another folder than the one that was opened. As the inner error of an [`io::Error`].
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

/// A file open for reading.
pub trait ReadFile: Read + Send {
    /// `fstat` of the open file.
    ///
    /// # Errors
    /// As the system reports them.
    fn stat(&self) -> io::Result<FileStat>;

    /// Fills `buffer` with the bytes from `offset` on, wherever sequential reading is.
    ///
    /// # Errors
    /// As the system reports them; `UnexpectedEof` where the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A new file open for writing.
pub trait WriteFile: Write + Send {
    /// Sets permission bits and modification time, and makes contents and metadata durable (`fsync`).
    ///
    /// # Errors
    /// As the system reports them; after one, nothing may be assumed of the file's contents.
    fn finish(&mut self, mode: u32, mtime_ms: Option<i64>) -> io::Result<()>;
}

/// A disk.
pub trait Fs: Send + Sync + Debug {
    /// `lstat`.
    ///
    /// # Errors
    /// As the system reports them; `NotFound` also where a folder above is missing or is a file; [`Linked`] where one
    /// is a link; [`Replaced`] for a root that is not the one that was opened.
    fn lstat(&self, path: &Path) -> io::Result<FileStat>;

    /// `lstat` of several names in one folder, which may be opened once for all of them.
    ///
    /// # Errors
    /// As for [`Fs::lstat`], for the folder; within, for each name.
    fn lstat_each(&self, folder: &Path, names: &[&OsStr]) -> io::Result<Vec<io::Result<FileStat>>> {
        Ok(names.iter().map(|name| self.lstat(&folder.join(name))).collect())
    }

    /// The names in a folder, in any order, each with its kind.
    ///
    /// # Errors
    /// As the system reports them. A listing that broke off is an error, never a shorter list.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>>;

    /// Opens a regular file for reading; a symbolic link or a special file is an error and is not waited for.
    ///
    /// # Errors
    /// As the system reports them.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Opens a file to be locked, making it, for its owner only, where it is missing.
    ///
    /// # Errors
    /// As the system reports them; `Unsupported` on a disk that is not shared ([`Fs::is_shared`]).
    fn open_lock(&self, path: &Path) -> io::Result<File> {
        let _nobody_to_lock_out = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Creates a file that does not exist yet, readable by its owner only, for writing.
    ///
    /// # Errors
    /// As the system reports them; `AlreadyExists` where the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Creates a folder and those above it that are missing; fine where it exists already.
    ///
    /// # Errors
    /// As the system reports them.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Renames, replacing what stands at `to`.
    ///
    /// # Errors
    /// As the system reports them.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames if nothing stands at `to`, in one step.
    ///
    /// # Errors
    /// As the system reports them; `AlreadyExists` where the name is taken.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Swaps two names, in one step (`RENAME_EXCHANGE`, `renamex_np(RENAME_SWAP)`).
    ///
    /// # Errors
    /// As the system reports them; `Unsupported` where the file system cannot.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// As the system reports them.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name that is not a folder's.
    ///
    /// # Errors
    /// As the system reports them.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// As the system reports them; `DirectoryNotEmpty` where it is not empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable (`fsync` of the folder).
    ///
    /// # Errors
    /// As the system reports them.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Free bytes for this user on the file system that holds `path`.
    ///
    /// # Errors
    /// As the system reports them.
    fn free_space(&self, path: &Path) -> io::Result<u64>;

    /// Whether other programs can reach this disk, so that they have to be locked out. A simulated one is its engine's alone.
    fn is_shared(&self) -> bool {
        true
    }
}

/// Creates `folder` and what is missing above it, and makes its name durable up to `root`, which exists: a disk may remember what
/// is moved there and forget the folder.
///
/// # Errors
/// As the system reports them.
pub fn create_dir_durable(fs: &dyn Fs, folder: &Path, root: &Path) -> io::Result<()> {
    fs.create_dir_all(folder)?;
    folder
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(root))
        .try_for_each(|above| fs.sync_dir(above))
}

/// Reads a whole small file, at most `limit` bytes.
///
/// # Errors
/// As the system reports them; `InvalidData` where the file is longer than `limit`.
pub fn read(fs: &dyn Fs, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs.open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// Replaces a small file so that a reader, and a crash, find either the old bytes or the new ones. Durable when it returns.
///
/// The temporary file is `<path>.new`; whoever calls this is the only writer of `path` (the vault's lock sees to that), so
/// one left behind by a crash is simply removed.
///
/// # Errors
/// As the system reports them; the old file then still stands.
pub fn replace(fs: &dyn Fs, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = Path::new(&name);
    match fs.remove_file(fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs.create(fresh)?;
    file.write_all(bytes)?;
    file.finish(mode, None)?;
    drop(file);
    fs.rename(fresh, path)?;
    path.parent().map_or(Ok(()), |folder| fs.sync_dir(folder))
}
