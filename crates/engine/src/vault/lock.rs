//! Locks between programs on this machine.
//!
//! The syncing program holds `sync/lock`. `sync/apply.lock` is held while visible files are
//! renamed, and other programs take it shared while they open their files. Programs that keep
//! reading leave no instant without a reader, so each passes `sync/apply.wait` first, which who
//! waits for the apply lock holds ([`ApplyTurn`]). The `hold` command takes `sync/hold.lock` shared
//! while its command runs. Whoever looks again at displaced files holds `sync/trash.lock`.
//!
//! All are `flock`s. The system releases them when the holder dies, so a crash leaves only a file
//! behind. A simulated disk has no other programs ([`Fs::is_shared`]).

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::Layout;
use crate::fs::{At, Fs, IoAt, found, takes_no_file};

/// Longest wait for a generation that is being put in place.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(1);
/// The same for a command that writes groups: it may as well begin a little later.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
const COMMAND_PAUSE: Duration = Duration::from_millis(20);

/// Longest time for which new readers are kept away for one that waits. One reader that holds the
/// lock for longer may itself be waiting for another reading.
const CLOSED: Duration = Duration::from_secs(5);
/// Time after which a reader passes by a closed gate: who closed it may be stopped, and each reader
/// would wait in vain.
const PASSES_BY: Duration = Duration::from_secs(10);
/// Time for which they are let in then.
const OPEN: Duration = Duration::from_millis(200);

/// Longest text that is read from a lock, in bytes.
const LONGEST: u64 = 8192;

/// A lock on a file, held until it is dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock, creating the file if it is missing. Returns `None` while another program
    /// holds it.
    ///
    /// # Errors
    /// If the file cannot be opened or the file system has no locks.
    pub fn try_take(fs: &dyn Fs, path: &Path) -> Result<Option<Self>, IoAt> {
        Self::take_with(fs, path, File::try_lock)
    }

    /// Takes the lock shared with others. Returns `None` while another program holds it alone.
    ///
    /// # Errors
    /// See [`FileLock::try_take`].
    pub fn try_take_shared(fs: &dyn Fs, path: &Path) -> Result<Option<Self>, IoAt> {
        Self::take_with(fs, path, File::try_lock_shared)
    }

    /// Takes the apply lock shared, under which all files are those of one generation. Returns
    /// `None` if one is being put in place for half a minute, or was cut short. Blocks.
    ///
    /// # Errors
    /// See [`FileLock::try_take`].
    pub fn of_one_generation(fs: &dyn Fs, layout: &Layout) -> Result<Option<Self>, IoAt> {
        let mut waited = Duration::ZERO;
        wait_for(PATIENCE, PAUSE, || {
            waited += PAUSE;
            Self::try_of_one_generation(fs, layout, waited > PASSES_BY)
        })
    }

    fn try_of_one_generation(fs: &dyn Fs, layout: &Layout, passes_by: bool) -> Result<Option<Self>, IoAt> {
        // Held until the lock is tried: what waits for that finds no new reader.
        let _passed = match Self::try_take_shared(fs, &layout.apply_wait()) {
            Ok(None) if !passes_by => return Ok(None),
            // It is only a courtesy. Where the file cannot be made, no program has made it.
            Err(error) if takes_no_file(&error.source) => None,
            passed => passed?,
        };
        let lock = Self::try_take_shared(fs, &layout.apply_lock())?;
        let applying = layout.applying();
        // A journal without a lock is about to be dropped, or was left by a crash.
        let is_whole = found(fs.lstat(&applying)).at("look at", &applying)?.is_none();
        Ok(lock.filter(|_| is_whole))
    }

    /// Takes the hold lock shared, for a command that writes groups. Returns `None` if a generation
    /// is being put in place for a minute. Blocks.
    ///
    /// # Errors
    /// See [`FileLock::try_take`].
    pub fn for_a_command(fs: &dyn Fs, layout: &Layout) -> Result<Option<Self>, IoAt> {
        let take = || Self::try_take_shared(fs, &layout.hold_lock());
        wait_for(COMMAND_PATIENCE, COMMAND_PAUSE, take)
    }

    /// Records in the file that work under this lock ends now: it updates the file's time and makes
    /// it non-empty.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn note_end(&self) -> io::Result<()> {
        rustix::io::pwrite(&self.file, b"held", 0)?;
        Ok(())
    }

    /// Lets the programs that this process starts from now on hold the lock, too: it lasts until
    /// the last of them has ended, even where this process is killed before.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn pass_on(&self) -> io::Result<()> {
        Ok(rustix::io::fcntl_setfd(&self.file, rustix::io::FdFlags::empty())?)
    }

    /// Writes `text`, a line, into the file in the place of what it held: how to reach the holder.
    /// It is said of this file alone: a copy of the vault has another lock, and its holder is not
    /// the one of the original.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn tell(&self, text: &str) -> io::Result<()> {
        let text = format!("{text}\n{}\n", identity(&self.file)?);
        self.file.set_len(0)?;
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let at = (text.len() - rest.len()) as u64;
            let written = rustix::io::pwrite(&self.file, rest, at)?;
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Text that the last holder of the lock at `path` has told, if that is of this very file.
    #[must_use]
    pub fn told(path: &Path) -> Option<String> {
        let (mut file, mut text) = (File::open(path).ok()?, String::new());
        Read::by_ref(&mut file).take(LONGEST).read_to_string(&mut text).ok()?;
        let (told, of) = text.trim_end().rsplit_once('\n')?;
        (of == identity(&file).ok()?).then(|| told.to_owned())
    }

    /// True while the locked file is the one at `path`: a program that locks another file there is
    /// not locked out.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn is_at(&self, fs: &dyn Fs, path: &Path) -> Result<bool, IoAt> {
        let ours = self.file.metadata().at("look at", path)?;
        let there = found(fs.lstat(path)).at("look at", path)?;
        Ok(there.is_some_and(|there| (there.dev, there.ino) == (ours.dev(), ours.ino())))
    }

    fn take_with(
        fs: &dyn Fs,
        path: &Path,
        lock: fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Option<Self>, IoAt> {
        let file = fs.open_lock(path).at("open", path)?;
        match lock(&file) {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).at("lock", path),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a program that this process is starting briefly has a
        // copy of it.
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "a lock goes only with its file");
        }
    }
}

/// The tries of one that waits for the apply lock. After a first one in vain new readers wait, too,
/// until it has the lock or gives up.
///
/// A program from before there was that gate does not give way.
#[derive(Debug)]
pub struct ApplyTurn {
    gate: Option<FileLock>,
    /// Time since the gate was closed, or opened again.
    since: Duration,
    pause: Duration,
}

impl ApplyTurn {
    /// A turn of one that tries again after `pause`.
    #[must_use]
    pub const fn new(pause: Duration) -> Self {
        Self { gate: None, since: OPEN, pause }
    }

    /// Takes the apply lock. Returns `None` while other programs hold it.
    ///
    /// # Errors
    /// See [`FileLock::try_take`].
    pub fn try_take(&mut self, fs: &dyn Fs, layout: &Layout) -> Result<Option<FileLock>, IoAt> {
        let lock = FileLock::try_take(fs, &layout.apply_lock())?;
        self.since += self.pause;
        if lock.is_some() || self.gate.is_some() && self.since >= CLOSED {
            self.open();
        } else if self.gate.is_none() && self.since >= OPEN {
            self.gate = match FileLock::try_take(fs, &layout.apply_wait()) {
                Err(error) if takes_no_file(&error.source) => None,
                taken => taken?,
            };
            if self.gate.is_some() {
                self.since = Duration::ZERO;
            }
        }
        Ok(lock)
    }

    fn open(&mut self) {
        (self.gate, self.since) = (None, Duration::ZERO);
    }
}

/// Calls `take` until it returns a value, and gives up after `patience`. Blocks.
///
/// A `flock` has no wait with a timeout, and no event tells its release. So this tries again after
/// each `pause`.
///
/// # Errors
/// First error of `take`.
pub(super) fn wait_for<T, E>(
    patience: Duration,
    pause: Duration,
    mut take: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let mut waited = Duration::ZERO;
    loop {
        let taken = take()?;
        if taken.is_some() || waited >= patience {
            return Ok(taken);
        }
        std::thread::sleep(pause);
        waited += pause;
    }
}

/// Name of a file that no other one has, wherever it stands.
fn identity(file: &File) -> io::Result<String> {
    let stat = file.metadata()?;
    Ok(format!("{} {}", stat.dev(), stat.ino()))
}

#[cfg(test)]
mod tests;
