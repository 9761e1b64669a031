//! The disk with one vault on it, whose root is held open.
//!
//! Everything below the root is reached from that open folder. The folder of a path is opened
//! without following a link ([`super::resolve`]), and each call is made on a single name in it. So
//! no program that swaps a folder with a link, at whatever moment, leads a read or a write out of
//! the vault; and a root that is moved away, with another folder in its place, is not confused with
//! that one.
//!
//! No folder is kept open from one call to the next: one that was moved away since would still be
//! written to. The window in which a folder can move is that of a single call, as for the system's
//! own calls. The one exception is [`Fs::lstat_each`], which opens a folder once to look at many
//! names in it: every look is a moment old anyway.
//!
//! A disk cannot be unmounted while its root is held open, so the root can be let go for a while.
//! Each call then opens it for itself, and works only if it still is the same folder.
//!
//! Paths outside the root are resolved by the system, as by [`RealFs`].

mod place;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, Mode};
use rustix::io::Errno;

use super::at::{self, At, FOLDER, READ};
use super::cloned::create_like;
use super::resolve::{STEP, absent, check, open_below, open_root};
use super::{
    Databases, Flush, Fs, Like, MOUNT_FOLDER, MountId, Names, Pinned, ReadFile, RealFs, Replaced, WriteFile,
    block, dress, flush, found,
};
use crate::model::{FileKind, FileStat};
use place::{Folder, Place, Way};

/// The machine's file systems, with the vault at one root.
#[derive(Debug)]
pub struct RootedFs {
    root: PathBuf,
    /// Folder below which folders are for their owner only.
    private: PathBuf,
    /// Device and inode of the root, or the error of opening it.
    id: Result<(u64, u64), Errno>,
    /// The root. None while it is let go.
    held: Mutex<Option<Arc<OwnedFd>>>,
}

impl RootedFs {
    /// Opens the root, an absolute path whose last name is no link. If there is no folder, or it
    /// may not be opened, nothing is found below it for as long as this value lives. Folders made
    /// at or below `private` are for their owner only, whatever the umask.
    #[must_use]
    pub fn open(root: impl Into<PathBuf>, private: impl Into<PathBuf>) -> Self {
        let (root, private) = (root.into(), private.into());
        let (id, held) = match open_root(&root) {
            Ok((folder, id)) => (Ok(id), Some(Arc::new(folder))),
            Err(error) => (Err(error), None),
        };
        Self { root, private, id, held: Mutex::new(held) }
    }

    /// Lets go of the root: from now on it is open only during a call.
    pub fn let_go(&self) {
        *self.lock() = None;
    }

    /// Holds the root open again.
    ///
    /// # Errors
    /// An error if it cannot be opened; [`Replaced`] if it is another folder by now.
    pub fn hold(&self) -> io::Result<()> {
        let folder = self.held()?;
        *self.lock() = Some(folder);
        Ok(())
    }

    /// The vault's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Opens a regular file for reading, for a caller that needs more than [`Fs::open`] gives.
    ///
    /// # Errors
    /// See [`Fs::open`].
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        let file = match self.way(path)? {
            Way::Below(relative) => open_below(self.held()?.as_fd(), relative, READ).map_err(absent)?,
            Way::Outside | Way::Root => rustix::fs::open(path, READ, Mode::empty())?,
        };
        Ok(File::from(file))
    }

    /// Opens a file to write at its end, and makes it, for its owner only, if it is missing.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn open_append(&self, path: &Path) -> io::Result<File> {
        self.place(path)?.at().open_append()
    }

    /// Takes all rights of others on a file or folder of ours; succeeds if there is none.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn close_to_others(&self, path: &Path) -> io::Result<()> {
        let place = self.place(path)?;
        let Some(stat) = found(place.at().lstat())? else { return Ok(()) };
        let ours = matches!(stat.kind, FileKind::File | FileKind::Folder);
        if ours && stat.mode & 0o077 != 0 { place.at().close_to_others(stat.mode) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<OwnedFd>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn way<'a>(&self, path: &'a Path) -> io::Result<Way<'a>> {
        match path.strip_prefix(&self.root) {
            Err(_) => Ok(Way::Outside),
            Ok(below) if below.as_os_str().is_empty() => Ok(Way::Root),
            Ok(below) => check(below).map(|()| Way::Below(below)),
        }
    }

    fn held(&self) -> io::Result<Arc<OwnedFd>> {
        let known = match self.id {
            Ok(known) => known,
            // Something that is no folder has nothing in it; [`Fs::lstat`] tells its kind.
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(io::ErrorKind::NotFound.into()),
            Err(error) => return Err(error.into()),
        };
        if let Some(folder) = self.lock().as_ref() {
            return Ok(Arc::clone(folder));
        }
        match open_root(&self.root)? {
            (folder, id) if id == known => Ok(Arc::new(folder)),
            _ => Err(io::Error::other(Replaced)),
        }
    }

    /// The folder of a path, open, and the name in it.
    fn place<'a>(&self, path: &'a Path) -> io::Result<Place<'a>> {
        match self.way(path)? {
            Way::Outside => Ok(Place { folder: Folder::Here, name: path }),
            Way::Root => Err(io::Error::new(io::ErrorKind::InvalidInput, "that is the vault itself")),
            Way::Below(relative) => {
                let root = self.held()?;
                let name = relative.file_name().map_or(relative, Path::new);
                let folder = match relative.parent().filter(|above| !above.as_os_str().is_empty()) {
                    None => Folder::Root(root),
                    Some(above) => Folder::Open(open_below(root.as_fd(), above, STEP)?),
                };
                Ok(Place { folder, name })
            }
        }
    }

    /// Opens a folder to list it or to make its names durable.
    fn open_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.way(path)? {
            Way::Outside => At { folder: CWD, name: path }.open_folder(),
            Way::Root => At { folder: self.held()?.as_fd(), name: Path::new(".") }.open_folder(),
            Way::Below(relative) => open_below(self.held()?.as_fd(), relative, FOLDER),
        }
    }

    /// Opens a folder only to name a file in it.
    fn step(&self, path: &Path) -> io::Result<Folder> {
        match self.way(path)? {
            Way::Outside => Ok(Folder::Open(rustix::fs::openat(CWD, path, STEP, Mode::empty())?)),
            Way::Root => Ok(Folder::Root(self.held()?)),
            Way::Below(relative) => Ok(Folder::Open(open_below(self.held()?.as_fd(), relative, STEP)?)),
        }
    }

    /// The root as its path shows it now, if that is the one that was opened.
    fn root_stat(&self) -> io::Result<FileStat> {
        let stat = At { folder: CWD, name: &self.root }.lstat()?;
        match self.id {
            Ok(known) if known == (stat.dev, stat.ino) => Ok(stat),
            Err(_) if stat.kind != FileKind::Folder => Ok(stat),
            _ => Err(io::Error::other(Replaced)),
        }
    }

    fn make_folder(&self, path: &Path, above: BorrowedFd, name: &Path) -> io::Result<OwnedFd> {
        let anybody = Mode::RWXU | Mode::RWXG | Mode::RWXO;
        let ours = path.starts_with(&self.private) || path.iter().any(|name| name == MOUNT_FOLDER);
        let mode = if ours { Mode::RWXU } else { anybody };
        match rustix::fs::mkdirat(above, name, mode) {
            Err(Errno::EXIST) => open_below(above, name, STEP),
            Err(error) => Err(error.into()),
            Ok(()) => {
                // To change what it is, it must be open for more than naming what is in it.
                let made = open_below(above, name, FOLDER)?;
                dress::own_new(&made, above, Path::new("."))?;
                Ok(made)
            }
        }
    }
}

impl Fs for RootedFs {
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        if matches!(self.way(path)?, Way::Root) {
            return self.root_stat();
        }
        self.place(path).map_err(absent)?.at().lstat()
    }

    fn lstat_each(&self, folder: &Path, names: &[&OsStr]) -> io::Result<Vec<io::Result<FileStat>>> {
        let folder = self.step(folder).map_err(absent)?;
        let stat = |name: &&OsStr| At { folder: folder.as_fd(), name: Path::new(name) }.lstat();
        Ok(names.iter().map(stat).collect())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Names> {
        at::names(self.open_folder(path)?)
    }

    fn mount(&self, path: &Path) -> io::Result<MountId> {
        at::mount_of(self.step(path)?.as_fd())
    }

    fn pin(&self, folder: &Path) -> io::Result<Pinned> {
        self.step(folder).map(Pinned::new)
    }

    fn read_dir_on(&self, path: &Path) -> io::Result<(MountId, Names)> {
        let folder = self.open_folder(path)?;
        Ok((at::mount_of(folder.as_fd())?, at::names(folder)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        match self.way(path)? {
            Way::Outside | Way::Root => RealFs.open(path),
            Way::Below(relative) => {
                at::reading(open_below(self.held()?.as_fd(), relative, READ).map_err(absent)?)
            }
        }
    }

    fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.place(path)?.at().open_lock()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.place(path)?.at().create()
    }

    fn create_like(&self, path: &Path, like: &Path) -> io::Result<Box<dyn WriteFile>> {
        let (new, like) = (self.place(path)?, self.place(like));
        like.map_or_else(|_| new.at().create(), |like| create_like(new.at(), like.at()))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let relative = match self.way(path)? {
            Way::Outside => return RealFs.create_dir_all(path),
            // The root itself is never made: if it is missing, a disk is to be mounted.
            Way::Root => return self.held().map(drop),
            Way::Below(relative) => relative,
        };
        let root = self.held()?;
        match open_below(root.as_fd(), relative, STEP) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return done.map(drop),
        }
        let (mut folder, mut path) = (Folder::Root(root), self.root.clone());
        for name in relative {
            path.push(name);
            let next = match open_below(folder.as_fd(), Path::new(name), STEP) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.make_folder(&path, folder.as_fd(), Path::new(name))
                }
                done => done,
            };
            folder = Folder::Open(next?);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.place(from)?.at().rename(self.place(to)?.at())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.place(from)?.at().rename_new(self.place(to)?.at())
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.place(one)?.at().exchange(self.place(other)?.at())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.place(from)?.at().hard_link(self.place(to)?.at())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.place(path)?.at().remove_file()
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.place(path)?.at().remove_dir()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        at::sync_folder(&self.open_folder(path)?)
    }

    fn begin_flush(&self, folder: &Path, files: usize) -> io::Result<Option<Box<dyn Flush>>> {
        flush::begin(self.open_folder(folder)?, files)
    }

    fn mode_of_new(&self, mode: u32) -> u32 {
        dress::mode_of_new(mode)
    }

    fn dress(&self, file: &Path, like: Like) -> io::Result<Vec<&'static str>> {
        let fresh = self.open_file(file)?;
        match like {
            Like::File(old) => dress::like_file(&fresh, &self.open_file(old)?),
            Like::Folder(folder) => {
                dress::like_folder(&fresh, &File::from(self.open_folder(folder)?).metadata()?)
            }
        }
    }

    fn may_place(&self, path: &Path) -> io::Result<()> {
        let Way::Below(relative) = self.way(path)? else { return Ok(()) };
        let root = self.held()?;
        let mut name = relative;
        loop {
            let above = name.parent().filter(|above| !above.as_os_str().is_empty());
            let folder = match above.map(|above| open_below(root.as_fd(), above, STEP).map_err(absent)) {
                None => Folder::Root(Arc::clone(&root)),
                Some(Ok(folder)) => Folder::Open(folder),
                // It would be made first, after a file in its place has gone.
                Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                    name = above.unwrap_or(name);
                    continue;
                }
                Some(Err(error)) => return Err(error),
            };
            let name = name.file_name().map_or(name, Path::new);
            return At { folder: folder.as_fd(), name }.may_place();
        }
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(self.step(path)?)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn total_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(self.step(path)?)?;
        Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
    }

    fn block_size(&self, path: &Path) -> u64 {
        let stat = self.step(path).and_then(|step| Ok(rustix::fs::fstatvfs(step)?));
        stat.map_or(block::USUAL, |stat| block::believed(stat.f_frsize))
    }

    fn databases(&self) -> Option<&dyn Databases> {
        Some(self)
    }
}

#[cfg(test)]
mod tests;
