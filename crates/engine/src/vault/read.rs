//! Reading a file in a state that stands still.
//!
//! The file is looked at before, while and after it is read; if anything about it moves, what was read counts for nothing.
//! So what is hashed is what is uploaded, and a file is never taken torn. What is read through a hole in this (a write
//! through mmap that has not moved the time yet) a later rehash finds.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fs::{Fs, ReadFile};
use crate::model::{Content, Digest, FileKind, FileStat};
use crate::planted::{Bug, planted};

/// Large enough that the system calls do not count beside the hashing.
const BUFFER: usize = 256 << 10;

/// A time so far ahead of the clock cannot be that of a write that is going on.
pub(super) const FUTURE_NS: i64 = 60_000_000_000;

/// The file is not, or no longer, in the state that was asked for: it is being written, or was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it changed while it was read")]
pub struct Moved;

impl Moved {
    /// Whether an error of a stable read says that the file moved, rather than that it cannot be read.
    #[must_use]
    pub fn is(error: &io::Error) -> bool {
        // A folder that has become a link, or a file, was moved away with what was in it.
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            || error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// A file that is read in one known state. What it yields may be used only once [`StableReader::finish`] has agreed.
pub struct StableReader<'a> {
    fs: &'a dyn Fs,
    path: PathBuf,
    seen: FileStat,
    file: Box<dyn ReadFile>,
    left: u64,
    longer: bool,
}

/// Opens the file at `relative` below `root`, which must still be as `seen`. A disk that holds the root open goes through no
/// link on the way.
///
/// # Errors
/// As the system reports them; [`Moved`] (as the inner error) where the file or a folder above it is another one by now.
pub fn open_stable<'a>(
    fs: &'a dyn Fs,
    root: &Path,
    relative: &str,
    seen: &FileStat,
) -> io::Result<StableReader<'a>> {
    let path = root.join(relative);
    let file = fs.open(&path)?;
    if file.stat()? != *seen {
        return Err(io::Error::other(Moved));
    }
    Ok(StableReader { fs, path, seen: *seen, file, left: seen.size, longer: false })
}

impl StableReader<'_> {
    /// Whether the file stood still, and was read to its end.
    ///
    /// # Errors
    /// As the system reports them; [`Moved`] (as the inner error) where it did not.
    pub fn finish(mut self) -> io::Result<()> {
        let ended = self.left == 0 && !self.longer && self.file.read(&mut [0])? == 0;
        if ended && self.file.stat()? == self.seen && self.fs.lstat(&self.path)? == self.seen {
            Ok(())
        } else {
            Err(io::Error::other(Moved))
        }
    }
}

impl Read for StableReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buf)?;
        // A file that outgrows its size could be read forever.
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                self.longer = true;
                Err(io::Error::other(Moved))
            }
        }
    }
}

/// The content of the file at `relative` below `root` in the state `seen`; `None` where it is in another state by now, or
/// gone.
///
/// # Errors
/// As the system reports them.
pub fn hash_stable(fs: &dyn Fs, root: &Path, relative: &str, seen: &FileStat) -> io::Result<Option<Content>> {
    let hashed = open_stable(fs, root, relative, seen).and_then(|mut reader| {
        let digest = hash(&mut reader)?;
        reader.finish().map(|()| digest)
    });
    match hashed {
        Ok(digest) => Ok(Some(Content { digest, size: seen.size })),
        Err(error) if Moved::is(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The same for the file at `path`, whose folders are known to be real.
pub(super) fn hash_file(fs: &dyn Fs, path: &Path, seen: &FileStat) -> io::Result<Option<Content>> {
    match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
        (Some(folder), Some(name)) if seen.kind == FileKind::File => hash_stable(fs, folder, name, seen),
        _ => Ok(None),
    }
}

fn hash(reader: &mut dyn Read) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(read) => hasher.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
}

/// Whether no write that is still going on at `now_ns`, or that falls into the same tick of the clock, can have left this
/// state. Times far in the future are no writes of now either.
pub(super) fn quiet(stat: &FileStat, now_ns: i64, settle: Duration) -> bool {
    let settle = i64::try_from(settle.as_nanos()).unwrap_or(i64::MAX);
    // Each by itself: a file whose time of modification is another machine's may have been written a moment ago all the same.
    [stat.mtime_ns, stat.ctime_ns].into_iter().all(|time| {
        let age = now_ns.saturating_sub(time);
        age >= settle || age < -FUTURE_NS
    })
}

/// What the folders on the way to a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folders {
    /// Real folders, all of them.
    Real,
    /// The one named here is missing, and so are those below it.
    Missing,
    /// The one named here (relative to the root) is a file, a link or something else.
    Blocked(String, FileKind),
}

/// Looks at every folder between `root` and the file at `relative`, without following any link.
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
mod tests {
    use std::fs;

    use super::*;
    use crate::fs::{RealFs, RootedFs};

    fn stat(path: &Path) -> FileStat {
        RealFs.lstat(path).unwrap()
    }

    #[test]
    fn a_time_in_the_future_does_not_hide_a_change_of_this_moment() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "x").unwrap();
        let (settle, hour) = (Duration::from_secs(2), 3_600_000_000_000);
        let of = |mtime_ns, ctime_ns| FileStat { mtime_ns, ctime_ns, ..stat(&dir.path().join("a")) };
        let now = 100 * hour;
        assert!(quiet(&of(now - hour, now - hour), now, settle));
        assert!(quiet(&of(now + hour, now - hour), now, settle), "a time that was set says nothing");
        assert!(!quiet(&of(now + hour, now - 1), now, settle), "its metadata changed a moment ago");
        assert!(!quiet(&of(now - 1, now - hour), now, settle));
    }

    #[test]
    fn a_file_that_stands_still_is_read() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [vec![], vec![7; 3], vec![9; BUFFER * 2 + 1]] {
            let path = dir.path().join("x");
            fs::write(&path, &bytes).unwrap();
            let content = hash_stable(&RealFs, dir.path(), "x", &stat(&path)).unwrap();
            assert_eq!(content, Some(Content { digest: Digest::of(&bytes), size: bytes.len() as u64 }));
        }
    }

    #[test]
    fn a_file_that_moves_under_the_read_is_not_taken() {
        type Edit = fn(&Path);
        let edits: [Edit; 5] = [
            |path| fs::write(path, "longer than before").unwrap(),
            |path| fs::write(path, "tiny").unwrap(),
            |path| fs::remove_file(path).unwrap(),
            |path| {
                // The same bytes and times, but another file.
                let copy = path.with_extension("new");
                fs::copy(path, &copy).unwrap();
                fs::rename(copy, path).unwrap();
            },
            |path| {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("/etc/hostname", path).unwrap();
            },
        ];
        for (case, edit) in edits.iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x");
            fs::write(&path, "before").unwrap();
            let seen = stat(&path);
            let mut reader = open_stable(&RealFs, dir.path(), "x", &seen).unwrap();
            let mut first = [0; 2];
            reader.read_exact(&mut first).unwrap();
            edit(&path);
            let rest = hash(&mut reader);
            assert!(rest.is_err() || reader.finish().is_err(), "edit {case} was not noticed while reading");
            let later = hash_stable(&RealFs, dir.path(), "x", &seen);
            assert!(!matches!(later, Ok(Some(_))), "edit {case} was not noticed at the start");
        }
    }

    #[test]
    fn what_was_not_read_to_its_end_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "content").unwrap();
        let reader = open_stable(&RealFs, dir.path(), "x", &stat(&path)).unwrap();
        assert!(Moved::is(&reader.finish().unwrap_err()));
    }

    #[test]
    fn folders_that_are_links_are_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        fs::write(dir.path().join("real/x"), "content").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        let seen = stat(&dir.path().join("real/x"));
        let fs = RootedFs::open(dir.path(), dir.path().join("sync"));
        assert!(hash_stable(&fs, dir.path(), "real/x", &seen).unwrap().is_some());
        assert_eq!(hash_stable(&fs, dir.path(), "link/x", &seen).unwrap(), None);
        assert_eq!(check_folders(&RealFs, dir.path(), "none/x").unwrap(), Folders::Missing);
        let file = Folders::Blocked("real/x".into(), FileKind::File);
        assert_eq!(check_folders(&RealFs, dir.path(), "real/x/y").unwrap(), file);
    }
}
