//! What a disk can do, tried with two small files of ours.
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
            let settle = self.settle().as_secs();
            weaker.push(format!(
                "its times have steps of {} s: a file counts as settled after {settle} s at the earliest",
                self.tick.as_secs()
            ));
        }
        weaker
    }

    /// The shortest time for which a file must have stood still: within one step a write shows in no time.
    #[must_use]
    pub const fn settle(&self) -> Duration {
        self.tick.saturating_mul(2)
    }
}

/// Tries what the vault's own disk can do, and those that are mounted inside it: each with the folder that it
/// is mounted at, empty for the vault's own.
///
/// # Errors
/// As the system reports them, for a disk that cannot be written, too.
pub fn abilities(fs: &dyn Fs, layout: &Layout) -> Result<Vec<(String, Abilities)>, IoAt> {
    let mounts = Mounts::load(fs, layout)?;
    let mut all = vec![(String::new(), probe(fs, &layout.sync())?)];
    for (folder, home) in mounts.folders().zip(mounts.homes(layout)) {
        // Without its disk there is nothing to try.
        if fs.lstat(&home).is_ok() {
            all.push((folder.to_owned(), probe(fs, &home)?));
        }
    }
    Ok(all)
}

fn probe(fs: &dyn Fs, ours: &Path) -> Result<Abilities, IoAt> {
    in_folder(fs, &ours.join("probe"), try_out)
}

/// Tries which names a disk holds, in a folder that is nobody else's and is removed again; none where nothing
/// could be told.
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
    fs.create_dir_all(folder).at("create", folder)?;
    let told = tried(fs, folder).at("try out the disk in", folder);
    remove_tree(fs, folder)?;
    told
}

fn try_out(fs: &dyn Fs, folder: &Path) -> io::Result<Abilities> {
    let [one, other, third] = ["one", "other", "third"].map(|name| folder.join(name));
    for path in [&one, &other] {
        let mut file = fs.create(path)?;
        file.write_all(b"probe")?;
        file.finish(MODE, Some(ODD_MS))?;
    }
    let stat = fs.lstat(&one)?;
    let can = |done: io::Result<()>| match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
        Err(error) => Err(error),
    };
    Ok(Abilities {
        exchange: can(fs.exchange(&one, &other))?,
        links: can(fs.hard_link(&one, &third))?,
        modes: stat.mode == MODE,
        tick: tick(ODD_MS * 1_000_000, stat.mtime_ns),
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
mod tests {
    use super::*;
    use crate::vault::apply::tests::disk::{Disk, LINUX, NETWORK, STICK};

    #[test]
    fn a_disk_is_known_by_what_it_does_and_nothing_is_left_on_it() {
        for kind in [LINUX, NETWORK, STICK] {
            let dir = tempfile::tempdir().unwrap();
            let layout = Layout::new(dir.path());
            std::fs::create_dir(layout.sync()).unwrap();
            let all = abilities(&Disk::sound(kind, dir.path()), &layout).unwrap();
            let [(_, abilities)] = all.as_slice() else { panic!("{all:?}") };
            assert_eq!((abilities.exchange, abilities.links), (kind.exchange, kind.links));
            let names = if kind.names { Holds::All } else { Holds::Escaped };
            assert_eq!(abilities.names, Some(names));
            assert_eq!(abilities.weaker().iter().any(|text| text.contains("swapped")), !kind.exchange);
            assert_eq!(std::fs::read_dir(layout.sync()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_coarse_clock_makes_the_settle_window_longer() {
        let given = ODD_MS * 1_000_000;
        for (step, tick_of) in [(1, 1), (1_000_000_000, 1_000), (2_000_000_000, 2_000)] {
            assert_eq!(tick(given, given - given.rem_euclid(step)), Duration::from_millis(tick_of));
        }
        let stick = Abilities {
            exchange: false,
            links: false,
            modes: false,
            tick: Duration::from_secs(2),
            names: None,
        };
        assert_eq!((stick.settle(), stick.weaker().len()), (Duration::from_secs(4), 3));
    }
}
