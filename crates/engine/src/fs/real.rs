//! The disk itself, on Unix, by paths that the system resolves.
//!
//! For files outside of a vault, and for tests: a folder above a path may be a symbolic link. The
//! files of a vault are reached through [`super::RootedFs`].

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::CWD;

use super::at::{At, mount_of, names, sync_folder};
use super::cloned::create_like;
use super::flush;
use super::{Flush, Fs, MountId, Names, ReadFile, WriteFile, dress};
use crate::model::{FileKind, FileStat};

/// File systems of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFs;

/// Gives what was just made at `path` to the owner of the folder that it stands in, where only root
/// can.
///
/// # Errors
/// Errors of the system.
pub fn own_new(made: impl AsFd, path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    dress::own_new(made, CWD, above.unwrap_or(Path::new(".")))
}

const fn at(path: &Path) -> At<'_> {
    At { folder: CWD, name: path }
}

impl Fs for RealFs {
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        at(path).lstat()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Names> {
        names(at(path).open_folder()?)
    }

    fn mount(&self, path: &Path) -> io::Result<MountId> {
        mount_of(at(path).open_folder()?.as_fd())
    }

    fn read_dir_on(&self, path: &Path) -> io::Result<(MountId, Names)> {
        let folder = at(path).open_folder()?;
        Ok((mount_of(folder.as_fd())?, names(folder)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        at(path).open()
    }

    fn open_lock(&self, path: &Path) -> io::Result<File> {
        at(path).open_lock()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        at(path).create()
    }

    fn create_like(&self, path: &Path, like: &Path) -> io::Result<Box<dyn WriteFile>> {
        create_like(at(path), at(like))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> =
            path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
        std::fs::create_dir_all(path)?;
        for made in missing.into_iter().rev() {
            own_new(at(made).open_folder()?, made)?;
        }
        // The call above accepts a link to a folder.
        match self.lstat(path)?.kind {
            FileKind::Folder => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::NotADirectory, "a symbolic link stands there")),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        at(from).rename(at(to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        at(from).rename_new(at(to))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        at(one).exchange(at(other))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        at(from).hard_link(at(to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        at(path).remove_file()
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        at(path).remove_dir()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        sync_folder(&at(path).open_folder()?)
    }

    fn begin_flush(&self, folder: &Path, files: usize) -> io::Result<Option<Box<dyn Flush>>> {
        flush::begin(at(folder).open_folder()?, files)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[cfg(test)]
mod tests;
