//! Calls on one name in one open folder, on Unix.
//!
//! No call here follows a symbolic link that the name stands for. The system resolves names with
//! folders in them, so a caller who must not leave a folder gives a single name and a folder that
//! was opened with care. No policy lives here.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{
    Access, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, UTIME_OMIT,
};
use rustix::io::Errno;

use super::databases::Turn;
use super::{MountId, ReadFile, WriteFile, dress};
use crate::model::{FileKind, FileStat};

/// A name, and the folder that it stands in.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub folder: BorrowedFd<'a>,
    pub name: &'a Path,
}

/// Flags that open a folder to list it or make its names durable.
pub(super) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Flags that open a file for reading, without waiting for a pipe or a device.
pub(super) const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A file open for reading. It is closed before its turn ends.
#[derive(Debug)]
struct RealRead {
    file: File,
    _turn: Turn,
}

#[derive(Debug)]
pub(super) struct RealWrite(File);

impl At<'_> {
    pub fn lstat(self) -> io::Result<FileStat> {
        let stat = rustix::fs::statat(self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW);
        Ok(stat_of(&absent_if_no_folder(stat)?))
    }

    pub fn open(self) -> io::Result<Box<dyn ReadFile>> {
        reading(absent_if_no_folder(rustix::fs::openat(self.folder, self.name, READ, Mode::empty()))?)
    }

    pub fn open_folder(self) -> io::Result<OwnedFd> {
        Ok(rustix::fs::openat(self.folder, self.name, FOLDER, Mode::empty())?)
    }

    /// Opens a file to be locked, and makes it if it is missing.
    pub fn open_lock(self) -> io::Result<File> {
        self.open_or_make(OFlags::RDWR)
    }

    /// Opens a file to write at its end, and makes it if it is missing.
    pub fn open_append(self) -> io::Result<File> {
        self.open_or_make(OFlags::WRONLY | OFlags::APPEND)
    }

    /// Leaves only the owner's rights on a file or folder that is no link and has `mode`.
    pub fn close_to_others(self, mode: u32) -> io::Result<()> {
        let rights = [(0o400, Mode::RUSR), (0o200, Mode::WUSR), (0o100, Mode::XUSR)];
        let kept = rights.into_iter().filter(|(bit, _)| mode & bit != 0).map(|(_, right)| right).collect();
        Ok(rustix::fs::chmodat(self.folder, self.name, kept, AtFlags::empty())?)
    }

    pub fn create(self) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(RealWrite(self.create_as(OFlags::WRONLY)?)))
    }

    /// Creates a file for writing, which may be read, too.
    pub fn create_to_read(self) -> io::Result<(File, RealWrite)> {
        let file = self.create_as(OFlags::RDWR)?;
        Ok((file.try_clone()?, RealWrite(file)))
    }

    fn create_as(self, access: OFlags) -> io::Result<File> {
        self.make(access | OFlags::NOFOLLOW | OFlags::CLOEXEC)
    }

    fn open_as(self, flags: OFlags) -> io::Result<File> {
        Ok(rustix::fs::openat(self.folder, self.name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Opens a file, and makes it if it is missing.
    fn open_or_make(self, access: OFlags) -> io::Result<File> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        // A file that stands there keeps its owner.
        match self.open_as(flags) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match self.make(flags) {
            // Another program was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.open_as(flags),
            made => made,
        }
    }

    /// Makes a file, which belongs to the owner of its folder.
    fn make(self, flags: OFlags) -> io::Result<File> {
        let made = self.open_as(flags | OFlags::CREATE | OFlags::EXCL)?;
        let above = self.name.parent().filter(|above| !above.as_os_str().is_empty());
        dress::own_new(&made, self.folder, above.unwrap_or(Path::new(".")))?;
        Ok(made)
    }

    /// Fails where the folder does not let its names be changed, or the file does not let itself be
    /// replaced.
    pub fn may_place(self) -> io::Result<()> {
        let rights = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(self.folder, ".", rights, AtFlags::EACCESS)?;
        if protected(self.folder, Path::new(".")) || protected(self.folder, self.name) {
            let why = "it is protected: `chattr -i -a` takes that away";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(())
    }

    pub fn rename(self, to: At) -> io::Result<()> {
        Ok(rustix::fs::renameat(self.folder, self.name, to.folder, to.name)?)
    }

    pub fn rename_new(self, to: At) -> io::Result<()> {
        match rustix::fs::renameat_with(self.folder, self.name, to.folder, to.name, RenameFlags::NOREPLACE) {
            // File systems without the flag (NFS) still refuse to link over a name. A crash in
            // between leaves the file under both names; every caller must be able to tell that from
            // two files.
            Err(error) if lacks(error) => {
                match self.hard_link(to) {
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                        return self.rename_if_free(to);
                    }
                    linked => linked?,
                }
                let (left, linked) = (self.lstat()?, to.lstat()?);
                // If another program has put a file under the old name by now, that file stays.
                if (left.dev, left.ino) == (linked.dev, linked.ino) { self.remove_file() } else { Ok(()) }
            }
            done => Ok(done?),
        }
    }

    /// Renames where nothing stands, on a file system that has neither the flag nor links: who
    /// takes the name between the look and the rename loses it.
    fn rename_if_free(self, to: At) -> io::Result<()> {
        match super::found(to.lstat())? {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => self.rename(to),
        }
    }

    pub fn exchange(self, other: At) -> io::Result<()> {
        let flags = RenameFlags::EXCHANGE;
        match rustix::fs::renameat_with(self.folder, self.name, other.folder, other.name, flags) {
            Err(error) if lacks(error) => Err(io::ErrorKind::Unsupported.into()),
            done => Ok(done?),
        }
    }

    pub fn hard_link(self, to: At) -> io::Result<()> {
        match rustix::fs::linkat(self.folder, self.name, to.folder, to.name, AtFlags::empty()) {
            // Answer of Linux for file systems that have no links.
            Err(error) if lacks(error) || error == Errno::PERM => Err(io::ErrorKind::Unsupported.into()),
            done => Ok(done?),
        }
    }

    pub fn remove_file(self) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self.folder, self.name, AtFlags::empty())?)
    }

    pub fn remove_dir(self) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self.folder, self.name, AtFlags::REMOVEDIR)?)
    }
}

/// Names in an open folder, each with its kind.
pub(super) fn names(folder: OwnedFd) -> io::Result<Vec<(OsString, FileKind)>> {
    let mut names = Vec::new();
    let mut listing = Dir::read_from(&folder)?;
    while let Some(entry) = listing.read() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not tell the kind in a listing.
            FileType::Unknown => match (At { folder: folder.as_fd(), name: Path::new(name) }).lstat() {
                Ok(stat) => stat.kind,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            },
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Special,
        };
        names.push((name.to_owned(), kind));
    }
    Ok(names)
}

/// True for what nobody may rename or remove, not even root, as far as the file system tells.
#[cfg(target_os = "linux")]
fn protected(folder: BorrowedFd, name: &Path) -> bool {
    use rustix::fs::{StatxAttributes, StatxFlags};

    let kinds = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    rustix::fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE)
        .is_ok_and(|stat| stat.stx_attributes.intersects(kinds))
}

/// Elsewhere only an attempt tells.
#[cfg(not(target_os = "linux"))]
const fn protected(_: BorrowedFd, _: &Path) -> bool {
    false
}

/// The mount of an open folder.
pub(super) fn mount_of(folder: BorrowedFd) -> io::Result<MountId> {
    let dev = stat_of(&rustix::fs::fstat(folder)?).dev;
    Ok(MountId { dev, id: mount_number(folder) })
}

/// The number that the kernel gave a mount; 0 where it tells none, as before Linux 5.8.
#[cfg(target_os = "linux")]
fn mount_number(folder: BorrowedFd) -> u64 {
    use rustix::fs::StatxFlags;

    match rustix::fs::statx(folder, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
        Ok(stat) if stat.stx_mask & StatxFlags::MNT_ID.bits() != 0 => stat.stx_mnt_id,
        _ => 0,
    }
}

/// Elsewhere the device alone tells mounts apart.
#[cfg(not(target_os = "linux"))]
const fn mount_number(_: BorrowedFd) -> u64 {
    0
}

/// Makes the names in an open folder durable.
pub(super) fn sync_folder(folder: &OwnedFd) -> io::Result<()> {
    match rustix::fs::fsync(folder) {
        // Some network and FUSE file systems have no fsync for folders; nothing more can be done
        // there.
        Err(Errno::INVAL) => Ok(()),
        done => Ok(done?),
    }
}

/// An opened file for reading, if it is a regular one.
pub(super) fn reading(file: OwnedFd) -> io::Result<Box<dyn ReadFile>> {
    let stat = stat_of(&rustix::fs::fstat(&file)?);
    if stat.kind != FileKind::File {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let turn = Turn::to_read((stat.dev, stat.ino));
    Ok(Box::new(RealRead { file: File::from(file), _turn: turn }))
}

pub(super) fn absent_if_no_folder<T>(result: Result<T, Errno>) -> io::Result<T> {
    result.map_err(|error| if error == Errno::NOTDIR { io::ErrorKind::NotFound.into() } else { error.into() })
}

/// Takes it for done where a file system has no modes, or sets no times: the file is ours, so that
/// nothing else can be forbidden.
fn unless_lacking(done: io::Result<()>) -> io::Result<()> {
    done.or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => Ok(()),
        _ => Err(error),
    })
}

/// True for the errors of kernels and file systems that do not know a call or a flag.
fn lacks(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP].contains(&error)
}

pub(super) fn stat_of(stat: &Stat) -> FileStat {
    FileStat {
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Folder,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Special,
        },
        dev: unsigned(stat.st_dev),
        ino: unsigned(stat.st_ino),
        size: unsigned(stat.st_size),
        mtime_ns: nanos(stat.st_mtime, stat.st_mtime_nsec),
        ctime_ns: nanos(stat.st_ctime, stat.st_ctime_nsec),
        mode: u32::try_from(unsigned(stat.st_mode) & 0o777).unwrap_or_default(),
    }
}

/// A number of the system, whose type differs from platform to platform.
fn unsigned(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

fn nanos(seconds: impl TryInto<i64>, nanos: impl TryInto<i64>) -> i64 {
    let [seconds, nanos] = [seconds.try_into().ok(), nanos.try_into().ok()].map(Option::unwrap_or_default);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

impl Read for RealRead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl ReadFile for RealRead {
    fn stat(&self) -> io::Result<FileStat> {
        Ok(stat_of(&rustix::fs::fstat(&self.file)?))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(&self.file, buffer, offset)
    }
}

impl Write for RealWrite {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl WriteFile for RealWrite {
    fn finish(&mut self, mode: u32, mtime_ms: Option<i64>) -> io::Result<()> {
        self.finish_unflushed(mode, mtime_ms)?;
        self.0.sync_all()
    }

    fn finish_unflushed(&mut self, mode: u32, mtime_ms: Option<i64>) -> io::Result<()> {
        self.0.flush()?;
        unless_lacking(self.0.set_permissions(std::fs::Permissions::from_mode(mode & 0o777)))?;
        if let Some(ms) = mtime_ms {
            let mtime = Timespec { tv_sec: ms.div_euclid(1000), tv_nsec: ms.rem_euclid(1000) * 1_000_000 };
            let as_it_is = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            let times = Timestamps { last_access: as_it_is, last_modification: mtime };
            unless_lacking(rustix::fs::futimens(&self.0, &times).map_err(io::Error::from))?;
        }
        Ok(())
    }
}
