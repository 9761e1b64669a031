//! `sync/names.json`: the way in which each disk of the vault spells names that not every disk
//! holds.
//!
//! What a disk holds is tried by whoever keeps the vault ([`super::abilities`]); the record tells
//! it to everybody else, and stays when the vault moves to another disk. So names that were written
//! in the escape are never taken for others. A disk that holds every name from the start has no
//! record.
//!
//! A disk on which characters of the escape stand in names already keeps its spelling: in the
//! escape they would be other names. Such a disk refuses what it does not hold. Where nothing was
//! agreed yet, each name is what it stands for.
//!
//! The record is durable before a name is written in the escape; a crash leaves the old one or the
//! new.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::own::read_own;
use super::{Abilities, Layout, Mounts, names_held};
use crate::fs::{self, At, Fs, Holds, IoAt, MOUNT_FOLDER, Spelling, found, unescape};
use crate::model::FileKind;

const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 1 << 20;

/// The signs, for people.
const SIGNS: &str = "\\ : * ? \" < > | and a dot or space at the end";

/// Spellings of the vault's disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spellings {
    format: u32,
    /// By the folder that a disk is mounted at; empty for the vault's own.
    folders: BTreeMap<String, Spelling>,
}

impl Spellings {
    /// Reads the record; an empty one where none was ever made.
    ///
    /// # Errors
    /// As the system reports them; `InvalidData` where it does not parse.
    pub fn load(fs: &dyn Fs, layout: &Layout) -> Result<Self, IoAt> {
        let read = read_own(fs, &layout.names(), MAX_BYTES, |read: &Self| (read.format, FORMAT))?;
        Ok(read.unwrap_or_else(|| Self { format: FORMAT, folders: BTreeMap::new() }))
    }

    /// Takes in what the disks were found to hold, and notes it durably. `fs` shows names as they
    /// are spelled.
    ///
    /// # Errors
    /// As the system reports them.
    pub fn learn(&mut self, fs: &dyn Fs, layout: &Layout, disks: &[(String, Abilities)]) -> Result<(), IoAt> {
        let last_sync = layout.last_sync();
        let fresh = found(fs.lstat(&last_sync)).at("look at", &last_sync)?.is_none();
        let mut next = self.clone();
        for (folder, _) in disks {
            next.folders.entry(folder.clone()).or_insert(Spelling::Plain);
        }
        for (folder, can) in disks {
            if let Some(holds) = can.names {
                next.meet(fs, layout, (folder, holds), fresh)?;
            }
        }
        next.settle_former(&Mounts::load(fs, layout)?);
        next.replace(self, fs, layout)
    }

    /// Goes by the disk above, where a disk was mounted once.
    fn settle_former(&mut self, mounts: &Mounts) {
        let former = |folder: &String| !folder.is_empty() && mounts.folders().all(|mount| mount != folder);
        for folder in self.folders.keys().filter(|folder| former(folder)).cloned().collect::<Vec<_>>() {
            let above = self.of(mounts.of(&folder).unwrap_or_default());
            if let (Some(how), Spelling::Plain | Spelling::Mixed) = (self.folders.get_mut(&folder), above)
                && *how == Spelling::Escaped
            {
                *how = Spelling::Mixed;
            }
        }
    }

    /// Takes in what one disk was found to hold that was never met before.
    fn learn_new(&mut self, fs: &dyn Fs, layout: &Layout, folder: &str, holds: Holds) -> Result<(), IoAt> {
        let mut next = self.clone();
        next.folders.remove(folder);
        next.meet(fs, layout, (folder, holds), true)?;
        next.replace(self, fs, layout)
    }

    /// Tries a disk that was just taken in, notes its spelling, and has names written so from now
    /// on.
    ///
    /// # Errors
    /// As the system reports them. Names are as they are until the next start then.
    pub fn meet_disk(fs: &dyn Fs, layout: &Layout, mounts: &Mounts, folder: &str) -> Result<Spelling, IoAt> {
        let mut spellings = Self::load(fs, layout)?;
        let home = layout.root().join(mounts.home_on(folder));
        let Some(holds) = names_held(fs, &home.join("probe"))? else { return Ok(Spelling::Plain) };
        spellings.learn_new(fs, layout, folder, holds)?;
        spellings.apply(fs);
        Ok(spellings.of(folder))
    }

    fn meet(
        &mut self,
        fs: &dyn Fs,
        layout: &Layout,
        (folder, holds): (&str, Holds),
        fresh: bool,
    ) -> Result<(), IoAt> {
        let before = self.folders.get(folder).copied();
        let was_escaped = matches!(before, Some(Spelling::Escaped | Spelling::Mixed));
        let now = match holds {
            Holds::All if was_escaped => Spelling::Mixed,
            Holds::All => Spelling::Plain,
            _ if was_escaped => Spelling::Escaped,
            Holds::Escaped if fresh || !self.has_stand_ins(fs, layout, folder)? => Spelling::Escaped,
            Holds::Escaped | Holds::Some => Spelling::Refused,
        };
        self.folders.insert(folder.to_owned(), now);
        Ok(())
    }

    /// Makes the record durable, if it is another one than `before` and says anything.
    fn replace(self, before: &mut Self, fs: &dyn Fs, layout: &Layout) -> Result<(), IoAt> {
        let plain = |all: &Self| all.folders.values().all(|how| *how == Spelling::Plain);
        if self == *before || (plain(&self) && plain(before)) {
            return Ok(());
        }
        let path = layout.names();
        let bytes = serde_json::to_vec_pretty(&self).map_err(io::Error::from).at("write", &path)?;
        fs::replace(fs, &path, &bytes, 0o600).at("write", &path)?;
        *before = self;
        Ok(())
    }

    /// True if a name on a disk would be another one in the escape.
    fn has_stand_ins(&self, fs: &dyn Fs, layout: &Layout, folder: &str) -> Result<bool, IoAt> {
        let top = layout.root().join(folder);
        let mut open = vec![top.clone()];
        while let Some(folder) = open.pop() {
            for (name, kind) in fs.read_dir(&folder).at("list", &folder)? {
                if name.to_str().is_some_and(|name| unescape(name) != name) {
                    return Ok(true);
                }
                let path = folder.join(&name);
                let relative = path.strip_prefix(layout.root()).ok().and_then(|path| path.to_str());
                let other = relative.is_some_and(|path| self.folders.contains_key(path));
                let ours = path == layout.sync() || name == MOUNT_FOLDER;
                if kind == FileKind::Folder && !other && !ours {
                    open.push(path);
                }
            }
        }
        Ok(false)
    }

    /// Has a disk write names so.
    pub fn apply(&self, fs: &dyn Fs) {
        self.folders.iter().for_each(|(folder, how)| fs.spell(folder, *how));
    }

    /// The spelling of a disk.
    #[must_use]
    pub fn of(&self, folder: &str) -> Spelling {
        self.folders.get(folder).copied().unwrap_or(Spelling::Plain)
    }

    /// The promises that are weaker on a disk, for people; none on a common one.
    #[must_use]
    pub fn promises(&self, folder: &str, can: &Abilities) -> Vec<String> {
        can.weaker().into_iter().chain(self.promise(folder, can.names)).collect()
    }

    /// The promise about the names of a disk, for people; none where they are as they are.
    #[must_use]
    pub fn promise(&self, folder: &str, holds: Option<Holds>) -> Option<String> {
        match (self.of(folder), holds) {
            (Spelling::Refused, Some(Holds::Some)) => Some(format!(
                "names: it can hold neither {SIGNS} nor the characters that stand for them: such files are left out, by name"
            )),
            (Spelling::Refused, _) => Some(format!(
                "names: it cannot hold {SIGNS}, and such files are left out, by name: the full-width characters that stand for these signs on other such disks are used in names here already; rename those files to change that"
            )),
            (Spelling::Mixed, _) => Some(
                "names: some were written with full-width characters (`16：51` for `16:51`) on a disk that could hold no others; they are read as what they stand for".to_owned(),
            ),
            (Spelling::Escaped, _) | (Spelling::Plain, Some(Holds::Escaped)) => Some(format!(
                "names: it cannot hold {SIGNS}: such names are written with full-width characters here (`16：51` for `16:51`), and only here"
            )),
            (Spelling::Plain, _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
