//! Opens files below an open folder, without following a symbolic link.
//!
//! On Linux one call does it (`openat2`). If the kernel lacks it, or a sandbox forbids it, and on
//! other systems, one folder is opened after the other, each by a single name that must be no link.
//! An opened folder can no longer be replaced.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Linked;
use super::at::stat_of;

/// Flags that open a folder to name a file in it, which needs no right to list it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const STEP: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Flags that open a folder to name a file in it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const STEP: OFlags = super::at::FOLDER;

/// Opens the file or folder at `relative` below `folder`. A link on the way is [`Linked`], a file
/// in the place of a folder `NotADirectory`.
pub(super) fn open_below(folder: BorrowedFd, relative: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    check(relative)?;
    let opened = match at_once(folder, relative, flags) {
        Some(opened) => opened,
        None => by_name(folder, relative, flags),
    };
    opened.map_err(|error| match error {
        Errno::LOOP => io::Error::new(io::ErrorKind::NotADirectory, Linked),
        error => error.into(),
    })
}

/// Refuses a path that is no plain way down.
pub(super) fn check(relative: &Path) -> io::Result<()> {
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && relative.file_name().is_some() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "that path leads out of its folder"))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn at_once(folder: BorrowedFd, relative: &Path, flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::ResolveFlags;

    /// True until the kernel turns out to lack the call. Only ever goes from true to false.
    static HAS_IT: AtomicBool = AtomicBool::new(true);
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    // With this flag, a link as the last name would be refused like a file.
    let flags = flags - OFlags::NOFOLLOW;
    while HAS_IT.load(Ordering::Relaxed) {
        match rustix::fs::openat2(folder, relative, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS | Errno::PERM) => HAS_IT.store(false, Ordering::Relaxed),
            opened => return Some(opened),
        }
    }
    None
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn at_once(_: BorrowedFd, _: &Path, _: OFlags) -> Option<Result<OwnedFd, Errno>> {
    None
}

/// Opens one name after the other.
fn by_name(folder: BorrowedFd, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut names: Vec<&Path> = relative.iter().map(Path::new).collect();
    let last = names.pop().unwrap_or(relative);
    let mut above: Option<OwnedFd> = None;
    for name in names {
        above = Some(step(above.as_ref().map_or(folder, AsFd::as_fd), name, STEP)?);
    }
    step(above.as_ref().map_or(folder, AsFd::as_fd), last, flags)
}

fn step(folder: BorrowedFd, name: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(|error| {
        let stat = || rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let is_link = || stat().is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        // A link in the place of a folder is no folder; systems differ in the error for a link
        // elsewhere.
        if [Errno::NOTDIR, Errno::MLINK].contains(&error) && is_link() { Errno::LOOP } else { error }
    })
}

/// A path below a file is absent; a path below a link is not ours to judge.
pub(super) fn absent(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotADirectory && !Linked::is(&error) {
        return io::ErrorKind::NotFound.into();
    }
    error
}

/// Opens a root, and returns its device and inode.
pub(super) fn open_root(root: &Path) -> Result<(OwnedFd, (u64, u64)), Errno> {
    let folder = rustix::fs::openat(CWD, root, STEP, Mode::empty())?;
    let stat = stat_of(&rustix::fs::fstat(&folder)?);
    Ok((folder, (stat.dev, stat.ino)))
}

#[cfg(test)]
mod tests;
