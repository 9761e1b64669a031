//! Owner, group, mode, extended attributes and access lists of a file that comes into its place.
//!
//! Attributes that a program has no right to pass on are left as they are, and named. Access lists
//! are extended attributes, too (`system.posix_acl_access`). Labels of the system (`security.*`)
//! belong to a file, not to its place: the system gives new ones.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::LazyLock;

use rustix::fs::{AtFlags, Gid, Uid, XattrFlags};
use rustix::io::Errno;

/// No attribute is longer (`XATTR_SIZE_MAX`), and no list of names.
const LONGEST: usize = 64 << 10;
const SETGID: u32 = 0o2000;

/// Names of what cannot be passed on.
type Left = Vec<&'static str>;

/// Gives `file` what the file has whose place it takes.
pub(super) fn like_file(file: &File, old: &File) -> io::Result<Left> {
    let (mut left, mut changed) = (Left::new(), false);
    let (now, wanted) = (file.metadata()?, old.metadata()?);
    changed |= own(file, &now, (wanted.uid(), wanted.gid()), &mut left)?;
    match copy_attributes(file.as_fd(), old.as_fd()) {
        Ok(any) => changed |= any,
        Err(_) => left.push("extended attributes or access lists"),
    }
    // Last: a change of owner takes some bits away, and an access list sets those of the group.
    changed |= set_mode(file, wanted.mode() & 0o7777, &mut left)?;
    if changed {
        file.sync_all()?;
    }
    Ok(left)
}

/// Mode of a new file for which somebody wishes `mode`: its owner may always read and write it.
pub(super) fn mode_of_new(mode: u32) -> u32 {
    (mode & 0o777 & !*UMASK) | 0o600
}

/// Gives `file` what a folder gives its new files.
pub(super) fn like_folder(file: &File, folder: &std::fs::Metadata) -> io::Result<Left> {
    let (mut left, mut changed) = (Left::new(), false);
    let now = file.metadata()?;
    // Only root makes files that are somebody else's: those of the program whose folder it is.
    let is_root = rustix::process::geteuid().is_root();
    let uid = if is_root { folder.uid() } else { now.uid() };
    let gid = if is_root || folder.mode() & SETGID != 0 { folder.gid() } else { now.gid() };
    changed |= own(file, &now, (uid, gid), &mut left)?;
    changed |= set_mode(file, mode_of_new(now.mode()), &mut left)?;
    if changed {
        file.sync_all()?;
    }
    Ok(left)
}

/// Gives a file or folder that was just made to the owner of the folder that it stands in, which is
/// named as `above` in `folder`. Only root makes what is somebody else's, and who runs a command
/// once as root could not use the vault any more.
pub(super) fn own_new(made: impl AsFd, folder: BorrowedFd, above: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let now = rustix::fs::fstat(&made)?;
    let above = rustix::fs::statat(folder, above, AtFlags::empty())?;
    if (now.st_uid, now.st_gid) == (above.st_uid, above.st_gid) {
        return Ok(());
    }
    match rustix::fs::fchown(made, Some(Uid::from_raw(above.st_uid)), Some(Gid::from_raw(above.st_gid))) {
        Err(error) if refuses(error) => Ok(()),
        done => Ok(done?),
    }
}

/// Rights that new files do not get.
static UMASK: LazyLock<u32> = LazyLock::new(umask);

#[cfg(target_os = "linux")]
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok()).unwrap_or(0o022)
}

/// Only setting it tells what it was.
#[cfg(not(target_os = "linux"))]
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    rustix::process::umask(mask);
    u32::from(mask.bits())
}

/// True if anything was changed.
fn own(file: &File, now: &std::fs::Metadata, (uid, gid): (u32, u32), left: &mut Left) -> io::Result<bool> {
    let mut changed = false;
    let wishes = [
        ("owner", (now.uid() != uid).then_some((Some(Uid::from_raw(uid)), None))),
        ("group", (now.gid() != gid).then_some((None, Some(Gid::from_raw(gid))))),
    ];
    for (name, wish) in wishes {
        let Some((uid, gid)) = wish else { continue };
        match rustix::fs::fchown(file, uid, gid) {
            Ok(()) => changed = true,
            Err(error) if refuses(error) => left.push(name),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(changed)
}

/// True if it was changed.
fn set_mode(file: &File, mode: u32, left: &mut Left) -> io::Result<bool> {
    if file.metadata()?.mode() & 0o7777 == mode {
        return Ok(false);
    }
    match file.set_permissions(std::fs::Permissions::from_mode(mode)) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) =>
        {
            left.push("mode");
            Ok(false)
        }
        done => done.map(|()| true),
    }
}

/// True if there were any.
fn copy_attributes(file: BorrowedFd, old: BorrowedFd) -> Result<bool, Errno> {
    let mut names = vec![0; LONGEST];
    let length = match rustix::fs::flistxattr(old, &mut names[..]) {
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(false),
        length => length?,
    };
    names.truncate(length);
    let (mut value, mut any, mut first) = (vec![0; LONGEST], false, Ok(()));
    let all = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    for name in all.filter(|name| !name.starts_with(b"security.")) {
        let name = std::ffi::OsStr::from_bytes(name);
        let copied = rustix::fs::fgetxattr(old, name, &mut value[..]).and_then(|length| {
            rustix::fs::fsetxattr(file, name, value.get(..length).unwrap_or_default(), XattrFlags::empty())
        });
        any |= copied.is_ok();
        first = first.and(copied);
    }
    first.map(|()| any)
}

/// The answers to somebody who may not, and of file systems that have no such thing.
fn refuses(error: Errno) -> bool {
    [Errno::PERM, Errno::ACCESS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOSYS].contains(&error)
}
