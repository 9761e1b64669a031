//! The real disk, on Unix.
//!
//! Every open refuses a symbolic link in the last name, does not wait for pipes and devices, and
//! sets close-on-exec. A file opened for reading is checked again through its descriptor: it must
//! be a regular file. This module has no policy.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::{Fs, ReadFile, WriteFile};
use crate::model::{FileKind, FileStat};

/// File systems of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFs;

#[derive(Debug)]
struct RealRead(File);

#[derive(Debug)]
struct RealWrite(File);

impl Fs for RealFs {
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        Ok(stat_of(&absent_if_no_folder(std::fs::symlink_metadata(path))?))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        let mut names = Vec::new();
        for entry in Dir::new(open_folder(path)?)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not give the type in a listing.
                FileType::Unknown => match self.lstat(&path.join(name)) {
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

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(absent_if_no_folder(rustix::fs::open(path, flags, Mode::empty()))?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(Box::new(RealRead(file)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Box::new(RealWrite(File::from(file))))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)?;
        // The call above accepts a link to a folder.
        match self.lstat(path)?.kind {
            FileKind::Folder => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::NotADirectory, "a symbolic link stands there")),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems without the flag (NFS) still refuse to link over a name. A crash in
            // between leaves the file under both names. Callers must tell that from two files.
            Err(error) if lacks(error) => {
                self.hard_link(from, to)?;
                let (left, linked) = (self.lstat(from)?, self.lstat(to)?);
                // Another program may have put a different file under the old name by now. Keep
                // that one.
                if (left.dev, left.ino) == (linked.dev, linked.ino) { self.remove_file(from) } else { Ok(()) }
            }
            done => Ok(done?),
        }
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            Err(error) if lacks(error) => Err(io::ErrorKind::Unsupported.into()),
            done => Ok(done?),
        }
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty()) {
            // Linux answers this on file systems without links.
            Err(error) if lacks(error) || error == Errno::PERM => Err(io::ErrorKind::Unsupported.into()),
            done => Ok(done?),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match rustix::fs::fsync(open_folder(path)?) {
            // Some network and FUSE file systems have no fsync for folders. Nothing more can be
            // done there.
            Err(Errno::INVAL) => Ok(()),
            done => Ok(done?),
        }
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl Read for RealRead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl ReadFile for RealRead {
    fn stat(&self) -> io::Result<FileStat> {
        Ok(stat_of(&self.0.metadata()?))
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(&self.0, buffer, offset)
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
        use std::os::unix::fs::PermissionsExt;
        self.0.flush()?;
        self.0.set_permissions(std::fs::Permissions::from_mode(mode & 0o777))?;
        if let Some(ms) = mtime_ms {
            let mtime = Timespec { tv_sec: ms.div_euclid(1000), tv_nsec: ms.rem_euclid(1000) * 1_000_000 };
            let as_it_is = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
            let times = Timestamps { last_access: as_it_is, last_modification: mtime };
            rustix::fs::futimens(&self.0, &times)?;
        }
        self.0.sync_all()
    }
}

fn stat_of(metadata: &Metadata) -> FileStat {
    let kind = metadata.file_type();
    let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
    FileStat {
        kind: match () {
            () if kind.is_file() => FileKind::File,
            () if kind.is_dir() => FileKind::Folder,
            () if kind.is_symlink() => FileKind::Symlink,
            () => FileKind::Special,
        },
        dev: metadata.dev(),
        ino: metadata.ino(),
        size: metadata.len(),
        mtime_ns: nanos(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns: nanos(metadata.ctime(), metadata.ctime_nsec()),
        mode: metadata.mode() & 0o777,
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// True for the errors of kernels and file systems that lack a call or a flag.
fn lacks(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP].contains(&error)
}

fn absent_if_no_folder<T>(result: Result<T, impl Into<io::Error>>) -> io::Result<T> {
    result.map_err(Into::into).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory => io::ErrorKind::NotFound.into(),
        _ => error,
    })
}

#[cfg(test)]
mod tests;
