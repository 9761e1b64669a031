//! Reads of a file in a stable state.
//!
//! The file's metadata is checked before, during and after the read. If anything changes, the
//! result is discarded. So the bytes hashed are the bytes uploaded, and a file is never read torn.
//! The head of a SQLite database is read with the fixed values that it has in the vault
//! ([`crate::model::sqlite`]).
//! One gap remains: a write through mmap that has not moved the time yet. A later rehash finds it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fs::{Fs, ReadFile};
use crate::model::sqlite::{HEAD, is_database, settle_head};
use crate::model::{Content, Digest, FileKind, FileStat};
use crate::planted::{Bug, planted};

/// Buffer size in bytes: large enough that system calls cost little beside the hashing.
const BUFFER: usize = 256 << 10;

/// The permission bit without which a file's owner cannot read it.
const OWNER_READS: u32 = 0o400;

/// Lead in nanoseconds over the clock at which a file's time cannot be that of a current write.
pub(super) const FUTURE_NS: i64 = 60_000_000_000;

/// Error of a stable read: the file is no longer in the expected state, because it is being written
/// or was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it changed while it was read")]
pub struct FileChanged;

impl FileChanged {
    /// True if an error of a stable read means that the file changed, not that it is unreadable.
    #[must_use]
    pub fn is(error: &io::Error) -> bool {
        // A folder that has become a link, or a file, was moved away with everything in it.
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            || error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// File that is read in one known state. Use its bytes only after [`StableReader::finish`]
/// succeeds.
pub struct StableReader<'a> {
    fs: &'a dyn Fs,
    path: PathBuf,
    seen: FileStat,
    file: Box<dyn ReadFile>,
    /// The first bytes, once they were read, and how many of them were given.
    head: Vec<u8>,
    given: usize,
    begun: bool,
    left: u64,
    longer: bool,
}

/// Opens the file at `relative` below `root`, which must still be in the state `seen`. A disk that
/// holds the root open goes through no link on the way.
///
/// # Errors
/// Errors of the system; [`FileChanged`] (as the inner error) if the file or a folder above it is
/// another one now.
pub fn open_stable<'a>(
    fs: &'a dyn Fs,
    root: &Path,
    relative: &str,
    seen: &FileStat,
) -> io::Result<StableReader<'a>> {
    let path = root.join(relative);
    let file = fs.open(&path)?;
    if file.stat()? != *seen {
        return Err(io::Error::other(FileChanged));
    }
    let (head, given, begun, left) = (Vec::new(), 0, false, seen.size);
    Ok(StableReader { fs, path, seen: *seen, file, head, given, begun, left, longer: false })
}

impl StableReader<'_> {
    /// True once the beginning of a database was read.
    #[must_use]
    pub fn is_database(&self) -> bool {
        is_database(&self.head)
    }

    /// Reads the head with what follows it. Most files are small: one call brings all of them.
    fn begin(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let whole = usize::try_from(self.seen.size).unwrap_or(usize::MAX).min(HEAD);
        let mut count = 0;
        while count < whole {
            match self.file.read(buf.get_mut(count..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(read) => count += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.begun = true;
        self.head.extend_from_slice(buf.get(..count.min(HEAD)).unwrap_or_default());
        settle_head(&mut self.head, self.seen.size);
        if let Some(head) = buf.get_mut(..self.head.len()) {
            head.copy_from_slice(&self.head);
        }
        self.given = self.head.len();
        Ok(count)
    }

    /// Gives what is left of the head, then the rest of the file.
    fn read_on(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.begun && buf.len() >= HEAD {
            return self.begin(buf);
        }
        if !self.begun {
            let mut head = [0; HEAD];
            self.begin(&mut head)?;
            self.given = 0;
        }
        let mut head = self.head.get(self.given..).unwrap_or_default();
        if head.is_empty() {
            return self.file.read(buf);
        }
        let read = head.read(buf)?;
        self.given += read;
        Ok(read)
    }

    /// Checks that the file was stable and was read to its end.
    ///
    /// # Errors
    /// Errors of the system; [`FileChanged`] (as the inner error) if it was not.
    pub fn finish(mut self) -> io::Result<()> {
        let ended = self.left == 0 && !self.longer && self.file.read(&mut [0])? == 0;
        if ended && self.file.stat()? == self.seen && self.fs.lstat(&self.path)? == self.seen {
            Ok(())
        } else {
            Err(io::Error::other(FileChanged))
        }
    }
}

impl Read for StableReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.begun && self.left == 0 {
            // [`StableReader::finish`] looks whether more follows.
            return Ok(0);
        }
        let read = self.read_on(buf)?;
        // A file that grows could otherwise be read forever.
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                self.longer = true;
                Err(io::Error::other(FileChanged))
            }
        }
    }
}

/// Hashes the file at `relative` below `root` in the state `seen`. Returns `None` if it has changed
/// or is gone.
///
/// # Errors
/// Errors of the system.
pub fn hash_stable(fs: &dyn Fs, root: &Path, relative: &str, seen: &FileStat) -> io::Result<Option<Content>> {
    let hashed = open_stable(fs, root, relative, seen).and_then(|mut reader| {
        let digest = hash(&mut reader, seen.size)?;
        reader.finish().map(|()| digest)
    });
    match hashed {
        Ok(digest) => Ok(Some(Content { digest, size: seen.size })),
        Err(error) if FileChanged::is(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Hashes the file at `path` like [`hash_stable`]. Its folders are known not to be links.
pub(crate) fn hash_file(fs: &dyn Fs, path: &Path, seen: &FileStat) -> io::Result<Option<Content>> {
    match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
        (Some(folder), Some(name)) if seen.kind == FileKind::File => hash_stable(fs, folder, name, seen),
        _ => Ok(None),
    }
}

/// True if a file cannot be read because its user has taken the right to away. A disk that merely
/// fails may say the same of one that has it.
pub(super) fn is_locked(error: &io::Error, stat: &FileStat) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && stat.mode & OWNER_READS == 0
}

fn hash(reader: &mut dyn Read, size: u64) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; usize::try_from(size).unwrap_or(BUFFER).clamp(HEAD, BUFFER)];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
}

/// True if no write still in progress at `now_ns`, and none in the same tick of the clock, can have
/// left this state. Times far in the future do not come from current writes either.
pub(super) fn quiet(stat: &FileStat, now_ns: i64, settle: Duration) -> bool {
    let settle = i64::try_from(settle.as_nanos()).unwrap_or(i64::MAX);
    // Check each time alone: a modification time may come from another machine, and the file may
    // have been written just now all the same.
    [stat.mtime_ns, stat.ctime_ns].into_iter().all(|time| {
        let age = now_ns.saturating_sub(time);
        age >= settle || age < -FUTURE_NS
    })
}

/// State of the folders above a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folders {
    /// All are real folders.
    Real,
    /// This folder is missing, and so are those below it.
    Missing,
    /// The named path (relative to the root) is a file, a link or a special file.
    Blocked(String, FileKind),
}

/// Checks every folder between `root` and the file at `relative`, without following links.
pub(super) fn check_folders(fs: &dyn Fs, root: &Path, relative: &str) -> io::Result<Folders> {
    for (at, _) in relative.match_indices('/') {
        let folder = relative.get(..at).unwrap_or_default();
        match fs.lstat(&root.join(folder)) {
            Ok(stat) if stat.kind == FileKind::Folder || planted(Bug::FollowLinks) => {}
            Ok(stat) => return Ok(Folders::Blocked(folder.to_owned(), stat.kind)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Folders::Missing),
            Err(error) => return Err(error),
        }
    }
    Ok(Folders::Real)
}

#[cfg(test)]
mod tests;
