//! Abilities of a disk, tried with two small files of ours.
//!
//! A crash leaves them; the next probe takes them away.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::{Layout, Mounts};
use crate::fs::{At, Fs, Holds, IoAt, remove_tree};

/// A time that no coarse clock can hold: an odd second and some.
const ODD_MS: i64 = 1_000_000_001_987;
const MODE: u32 = 0o640;
/// Clocks that are closer than this, and a step of the disk's times, tell the same time.
const CLOSE: Duration = Duration::from_secs(1);
/// What is farther away than a day is no clock: a disk that knows no times must not stop syncing.
const FARTHEST: Duration = Duration::from_secs(24 * 3600);

/// A clock: nanoseconds since the Unix epoch.
type Now<'a> = &'a dyn Fn() -> i64;

/// Abilities of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Swaps two names at once.
    pub exchange: bool,
    /// Gives a file a second name.
    pub links: bool,
    /// Keeps the mode that a file was given.
    pub modes: bool,
    /// The steps in which it keeps times.
    pub tick: Duration,
    /// The names that it holds; none where that could not be tried.
    pub names: Option<Holds>,
    /// The clock by which it gives times: that of a server, where it is one.
    pub clock: Skew,
}

/// Distance of a disk's clock from this machine's, where it is more than its steps explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    None,
    Behind(Duration),
    Ahead(Duration),
}

impl Skew {
    /// The skew of a disk that gave the time `given` to what was written between two moments, all
    /// in nanoseconds; `tick` is the step of its times.
    fn of(given: i64, [before, after]: [i64; 2], tick: Duration) -> Self {
        let apart = |early: i64, late: i64| {
            let apart = Duration::from_nanos(u64::try_from(late.saturating_sub(early)).unwrap_or(0));
            (apart >= tick.saturating_add(CLOSE)).then_some(apart.min(FARTHEST))
        };
        // At most: how long before the end of the writing the time was taken, nobody knows.
        match (apart(given, before).and(apart(given, after)), apart(after, given)) {
            (Some(behind), _) => Self::Behind(behind),
            (None, Some(ahead)) => Self::Ahead(ahead),
            (None, None) => Self::None,
        }
    }
}

impl Abilities {
    /// The promises that are weaker on such a disk, for people; none on a common one.
    #[must_use]
    pub fn weaker(&self) -> Vec<String> {
        let mut weaker = Vec::new();
        match (self.exchange, self.links) {
            (true, _) => {}
            (false, true) => weaker.push(
                "names cannot be swapped: a file that a program replaces in the moment of a pull is kept in the trash, not put back".to_owned(),
            ),
            (false, false) => weaker.push(
                "names can neither be swapped nor doubled: a file is missing for a moment while it is replaced, and a name that a program takes in that moment is lost to it".to_owned(),
            ),
        }
        if !self.modes {
            weaker.push("it keeps no modes: those of the remote are ignored".to_owned());
        }
        if self.tick >= Duration::from_secs(1) {
            let settle = self.tick.saturating_mul(2).as_secs();
            weaker.push(format!(
                "its times have steps of {} s: a file counts as settled after {settle} s at the earliest",
                self.tick.as_secs()
            ));
        }
        match self.clock {
            Skew::None => {}
            Skew::Behind(by) => weaker.push(format!(
                "its clock is {} s behind this machine's: that is taken into account when a file counts as settled",
                by.as_secs()
            )),
            Skew::Ahead(by) => weaker.push(format!(
                "its clock is {} s ahead of this machine's: what is saved is sent later for it",
                by.as_secs()
            )),
        }
        weaker
    }

    /// The time for which a file must have stood still by this machine's clock, to be sure of
    /// `wanted` by the disk's: within two steps a write shows in no time, and by a clock that is
    /// behind, what is written now looks old.
    #[must_use]
    pub fn settle(&self, wanted: Duration) -> Duration {
        let coarse = self.tick >= Duration::from_secs(1);
        let still = if coarse { wanted.max(self.tick.saturating_mul(2)) } else { wanted };
        match self.clock {
            Skew::Behind(by) => still.saturating_add(by),
            Skew::None | Skew::Ahead(_) => still,
        }
    }
}

/// Tries what the vault's own disk can do, and those that are mounted inside it: each with the
/// folder that it is mounted at, empty for the vault's own. `now_ns` is this machine's clock.
///
/// # Errors
/// As the system reports them, for a disk that cannot be written, too.
pub fn abilities(fs: &dyn Fs, layout: &Layout, now_ns: Now<'_>) -> Result<Vec<(String, Abilities)>, IoAt> {
    let mounts = Mounts::load(fs, layout)?;
    let mut all = vec![(String::new(), probe(fs, &layout.sync(), now_ns)?)];
    for (folder, home) in mounts.folders().zip(mounts.homes(layout)) {
        // Without its disk there is nothing to try.
        if fs.lstat(&home).is_ok() {
            all.push((folder.to_owned(), probe(fs, &home, now_ns)?));
        }
    }
    Ok(all)
}

fn probe(fs: &dyn Fs, ours: &Path, now_ns: Now<'_>) -> Result<Abilities, IoAt> {
    in_folder(fs, &ours.join("probe"), |fs, folder| try_out(fs, folder, now_ns))
}

/// Tries which names a disk holds, in a folder that is nobody else's and is removed again; none
/// where nothing could be told.
///
/// # Errors
/// As the system reports them, for the folder.
pub fn names_held(fs: &dyn Fs, folder: &Path) -> Result<Option<Holds>, IoAt> {
    in_folder(fs, folder, |fs, folder| Ok(fs.holds(folder).ok()))
}

/// Tries something in an empty folder, which is removed again.
fn in_folder<T>(
    fs: &dyn Fs,
    folder: &Path,
    tried: impl Fn(&dyn Fs, &Path) -> io::Result<T>,
) -> Result<T, IoAt> {
    remove_tree(fs, folder)?;
    // A disk that goes right now must not leave a folder below the place where it was mounted.
    let above = folder.parent().unwrap_or(folder);
    let _pinned = fs.pin(above).at("look at", above)?;
    fs.create_dir_all(folder).at("create", folder)?;
    let told = tried(fs, folder).at("try out the disk in", folder);
    remove_tree(fs, folder)?;
    told
}

fn try_out(fs: &dyn Fs, folder: &Path, now_ns: Now<'_>) -> io::Result<Abilities> {
    let [one, other, third] = ["one", "other", "third"].map(|name| folder.join(name));
    let write = |path: &Path, time: Option<i64>| {
        let mut file = fs.create(path)?;
        file.write_all(b"probe")?;
        file.finish(MODE, time)
    };
    write(&one, Some(ODD_MS))?;
    // No time is set here: FAT shows one that was set as that of the change, too.
    let before = now_ns();
    write(&other, None)?;
    let fresh = fs.lstat(&other)?;
    let after = now_ns();
    let stat = fs.lstat(&one)?;
    let can = |done: io::Result<()>| match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
        Err(error) => Err(error),
    };
    let tick = tick(ODD_MS * 1_000_000, stat.mtime_ns);
    Ok(Abilities {
        exchange: can(fs.exchange(&one, &other))?,
        links: can(fs.hard_link(&one, &third))?,
        modes: stat.mode == MODE,
        tick,
        clock: Skew::of(fresh.mtime_ns.max(fresh.ctime_ns), [before, after], tick),
        names: fs.holds(folder).ok(),
    })
}

/// The step of the clock that made `kept` of `given`, both in nanoseconds.
const fn tick(given: i64, kept: i64) -> Duration {
    match given.abs_diff(kept) {
        0..1_000_000 => Duration::from_millis(1),
        1_000_000..1_000_000_000 => Duration::from_secs(1),
        _ => Duration::from_secs(2),
    }
}

#[cfg(test)]
mod tests;
