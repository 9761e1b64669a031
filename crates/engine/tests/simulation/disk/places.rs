//! Places that have changed: folders that have become links, and a root whose path leads to another
//! folder.
//!
//! Beside the vault stand a folder outside of it, to which all links lead, and one that may take
//! the root's place. Both have files under the names of those in the vault. The engine must leave
//! both alone: its looks and changes there are noted.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use cogzy_engine::fs::Linked;
use cogzy_engine::model::{Digest, FileKind};

use super::slots::{create_folders, rename};
use super::state::{Ino, State};
use super::user::absolute;
use super::{Disk, Mounted, Site};
use crate::oracle::Check;

/// The folder that links lead to.
const OUTSIDE: &str = "/outside";
/// The folder that may stand at the root's path.
const OTHER: &str = "/other";
/// Files in both of them, under names that the vault has, too.
const NAMES: [&str; 9] =
    ["a.json", "b.json", "x.txt", "y.txt", "c.json", "d.json", "traces/a.json", "notes/x.txt", "deep/c.json"];

/// Target of the root's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// The vault.
    Vault,
    /// Nothing: its disk is away.
    Nothing,
    /// Another folder with files of the same names.
    Other,
}

/// Folders outside the vault, and the engine's visits there.
#[derive(Debug, Clone)]
pub struct Places {
    pub stands: Stands,
    /// Mounts inside the vault; none where the vault is one disk.
    pub mounted: Option<Mounted>,
    /// Folders whose place a link has taken, and where they are.
    pub moved: Vec<(String, PathBuf)>,
    /// Inodes in the other folders, each with its digest and mode.
    others: BTreeMap<Ino, (Digest, u32)>,
    /// First visit of the engine there.
    trespass: std::cell::RefCell<Option<String>>,
}

impl Default for Places {
    fn default() -> Self {
        let (moved, others, trespass) = (Vec::new(), BTreeMap::new(), std::cell::RefCell::default());
        Self { stands: Stands::Vault, mounted: None, moved, others, trespass }
    }
}

impl Places {
    /// Notes that the engine has come to an inode that it must leave alone.
    pub fn came_to(&self, ino: Ino, path: &Path) {
        if self.others.contains_key(&ino) {
            let text = format!("{} is reached outside of the vault that was opened", path.display());
            self.trespass.borrow_mut().get_or_insert(text);
        }
    }
}

impl State {
    /// Inode at `relative` below the folder `from`: no link is followed.
    pub fn below(&self, from: Ino, relative: &Path) -> io::Result<Ino> {
        let mut at = from;
        for name in relative {
            match self.node(at).kind {
                FileKind::Folder => {}
                FileKind::Symlink => return Err(linked()),
                _ => return Err(io::ErrorKind::NotADirectory.into()),
            }
            at = self.at(&(at, self.spelled(at, name))).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    /// The folder at `relative` below the folder `from`.
    pub fn folder_below(&self, from: Ino, relative: &Path) -> io::Result<Ino> {
        let ino = self.below(from, relative)?;
        match self.node(ino).kind {
            FileKind::Folder => Ok(ino),
            FileKind::Symlink => Err(linked()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
}

pub fn linked() -> io::Error {
    io::Error::new(io::ErrorKind::NotADirectory, Linked)
}

impl Site {
    /// Makes the folders and files beside the vault.
    pub fn furnish_outside(&mut self) {
        for folder in [OUTSIDE, OTHER] {
            for name in NAMES {
                self.put(&Path::new(folder).join(name), format!("{folder} {name}: nobody's business"));
            }
        }
        let mut others = BTreeMap::new();
        for folder in [OUTSIDE, OTHER] {
            self.note_below(self.state.find(Path::new(folder)).unwrap(), &mut others);
        }
        self.state.places.others = others;
    }

    fn put(&mut self, path: &Path, text: String) {
        create_folders(&mut self.state, path.parent().unwrap(), true, 0).unwrap();
        let (slot, ino) = (self.state.slot(path).unwrap(), self.state.add(FileKind::File, 0));
        self.state.change(vec![(slot, Some(ino))], true, 0);
        self.write(ino, text.into_bytes(), 0);
    }

    fn note_below(&self, folder: Ino, noted: &mut BTreeMap<Ino, (Digest, u32)>) {
        let names: Vec<(String, Ino)> =
            self.state.list(folder).map(|(name, ino)| (name.to_string_lossy().into_owned(), ino)).collect();
        let listed: String = names.iter().map(|(name, ino)| format!("{name} {ino}\n")).collect();
        noted.insert(folder, (Digest::of(listed.as_bytes()), self.state.node(folder).mode));
        for (_, ino) in names {
            match self.state.node(ino).kind {
                FileKind::Folder => self.note_below(ino, noted),
                _ => drop(noted.insert(ino, (self.digest(ino), self.state.node(ino).mode))),
            }
        }
    }

    /// Checks that nothing beside the vault was looked at or changed.
    pub fn check_outside(&self) -> Check {
        self.check_mount()?;
        if let Some(what) = self.state.places.trespass.borrow().as_ref() {
            return Err(what.clone());
        }
        let mut now = BTreeMap::new();
        for folder in [OUTSIDE, OTHER] {
            let there = self.state.find(Path::new(folder)).map_err(|_| format!("{folder} is gone"))?;
            self.note_below(there, &mut now);
        }
        if now == self.state.places.others {
            Ok(())
        } else {
            Err("something outside of the vault was changed".into())
        }
    }

    /// Moves a folder out of the vault and puts a link to the folder outside in its place.
    pub fn link_folder(&mut self, path: &str, now: i64) {
        let related =
            |(other, _): &(String, PathBuf)| other.starts_with(path) || path.starts_with(other.as_str());
        let is_folder =
            self.state.find(&absolute(path)).is_ok_and(|ino| self.state.node(ino).kind == FileKind::Folder);
        if !is_folder
            || self.is_behind_a_link(path)
            || self.state.places.moved.iter().any(related)
            || !self.links_below(path).is_empty()
        {
            return;
        }
        // A user who moves a folder leaves no volatile state on the disk.
        self.state.sync_all();
        let aside = PathBuf::from(format!("/aside {}", path.replace('/', " ")));
        rename(&mut self.state, &absolute(path), &aside, true, now).unwrap();
        let (slot, ino) = (self.state.slot(&absolute(path)).unwrap(), self.state.add(FileKind::Symlink, now));
        self.state.node_mut(ino).target = PathBuf::from(OUTSIDE);
        self.state.change(vec![(slot, Some(ino))], true, now);
        self.state.places.moved.push((path.to_owned(), aside));
    }

    fn links_below(&self, path: &str) -> Vec<String> {
        self.links().into_iter().filter(|link| link.starts_with(path)).collect()
    }

    /// Puts a folder back whose place a link had taken.
    pub fn put_folder_back(&mut self, path: &str, now: i64) {
        let moved = &mut self.state.places.moved;
        let Some(at) = moved.iter().position(|(was, _)| was == path) else { return };
        let (_, aside) = moved.remove(at);
        create_folders(&mut self.state, absolute(path).parent().unwrap(), true, now).unwrap();
        rename(&mut self.state, &aside, &absolute(path), true, now).unwrap();
    }

    /// The vault's files, those in folders that were moved away under the paths that they had.
    pub fn files_of_user(&self) -> Vec<(String, Ino)> {
        let mut files = self.files_below("");
        for (path, aside) in &self.state.places.moved {
            self.collect(self.state.find(aside).unwrap(), path.clone(), &mut files);
        }
        files
    }

    /// The root's path leads elsewhere from now on.
    pub fn stand(&mut self, stands: Stands, disk: &Disk) {
        self.state.places.stands = stands;
        disk.trace.mark(match stands {
            Stands::Vault => "root: back",
            Stands::Nothing => "root: missing",
            Stands::Other => "root: replaced",
        });
    }
}
