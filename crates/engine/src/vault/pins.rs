//! Disks inside the vault that stay mounted while files on them are moved.
//!
//! A disk that went between two renames of one unit would leave that unit half old and half new,
//! and what was displaced where nobody looks for it. So an apply holds its disks, and begins with
//! what stands on those that it got hold of. Pulling a disk out cannot be prevented: then the
//! journal waits for it ([`super::recover`]).

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::mounts::Presence;
use super::{Layout, Mounts};
use crate::fs::{Fs, Pinned};

/// Disks of some of our folders on them, each held for as long as this lives.
#[derive(Debug, Default)]
pub(super) struct Pins {
    held: Vec<Pinned>,
    /// Our folders whose disks are not there.
    away: BTreeSet<String>,
}

impl Mounts {
    /// Holds the disks of `homes` ([`Mounts::home`]), and then looks which of them are there.
    pub(super) fn pin<'a>(
        &self,
        fs: &dyn Fs,
        layout: &Layout,
        homes: impl IntoIterator<Item = &'a str>,
    ) -> Pins {
        let mut pins = Pins::default();
        for home in homes {
            let Some(folder) = self.of(home) else { continue };
            let pinned = fs.pin(&layout.root().join(folder));
            // A disk that does not even tell its mark is as good as away.
            match (pinned, self.presence(fs, layout, folder)) {
                (Ok(pinned), Ok(Presence::Here)) => pins.held.push(pinned),
                _ => drop(pins.away.insert(home.to_owned())),
            }
        }
        pins
    }

    /// The folder at which the first disk that is away is mounted otherwise.
    pub(super) fn first_away(&self, layout: &Layout, pins: &Pins) -> Option<PathBuf> {
        let home = pins.away.first()?;
        Some(layout.root().join(self.of(home).unwrap_or(home)))
    }
}

impl Pins {
    /// True where the disk of one of our folders is not there.
    pub(super) fn lack(&self, home: &str) -> bool {
        self.away.contains(home)
    }
}
