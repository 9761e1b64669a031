//! Other disks that are mounted inside the vault.
//!
//! Each is marked: `.cogzy-vault/mount.json` on the disk holds a random id, and `sync/mounts.json`
//! says which id belongs to which folder of the vault. So a disk that comes back is recognised, and
//! a folder whose disk is away, or on which another one stands, is not taken for a folder whose
//! files were deleted: what belongs below it is neither absent nor written. Files of such a folder
//! are staged and displaced on their own disk ([`Mounts::home`]), since no rename leads from one
//! mount to another.
//!
//! A crash while a disk is marked leaves a mark that nobody knows; the next scan takes it over.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::own::read_own;
use super::{ApplyId, Layout};
use crate::fs::{self, At, Fs, IoAt, MOUNT_FOLDER, create_dir_durable, found, remove_below, remove_tree};
use crate::planted::{Bug, planted};

const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 1 << 20;
const MARK: &str = "mount.json";

/// Disks that stand inside a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mounts {
    format: u32,
    /// Name of this vault's own folder on each disk: another vault may use the same disk.
    own: String,
    /// Ids of the disks, by the folder that each is mounted at, as the disk above spells it.
    marks: BTreeMap<String, String>,
}

/// The mark on a disk.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    format: u32,
    id: String,
}

/// State of a folder that a disk is mounted at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The disk that was marked.
    Here,
    /// No mount.
    Away,
    /// Another disk.
    Other,
}

impl Mounts {
    /// A vault on one disk.
    #[must_use]
    pub const fn none() -> Self {
        Self { format: FORMAT, own: String::new(), marks: BTreeMap::new() }
    }

    /// Reads the record; an empty one where none was ever made.
    ///
    /// # Errors
    /// As the system reports them; `InvalidData` where it does not parse.
    pub fn load(fs: &dyn Fs, layout: &Layout) -> Result<Self, IoAt> {
        let read = read_own(fs, &layout.mounts(), MAX_BYTES, |read: &Self| (read.format, FORMAT))?;
        Ok(read.unwrap_or_else(Self::none))
    }

    /// The id that the disk at `folder` must have; none where no disk is known there.
    pub(super) fn mark(&self, folder: &str) -> Option<&str> {
        self.marks.get(folder).map(String::as_str).filter(|_| !planted(Bug::ForgetMounts))
    }

    /// Folders that disks are mounted at.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.marks.keys().map(String::as_str)
    }

    /// The innermost of these folders that a path lies below.
    #[must_use]
    pub fn of(&self, relative: &str) -> Option<&str> {
        let below = |folder: &&str| relative.strip_prefix(*folder).is_some_and(|rest| rest.starts_with('/'));
        self.folders().filter(below).max_by_key(|folder| folder.len())
    }

    /// Our own folder on the disk that holds a path, relative to the root; none for the vault's own
    /// disk.
    #[must_use]
    pub fn home(&self, relative: &str) -> Option<String> {
        self.of(relative).map(|folder| self.home_on(folder))
    }

    pub(super) fn home_on(&self, folder: &str) -> String {
        format!("{folder}/{MOUNT_FOLDER}/{}", self.own)
    }

    /// The vault's root, and the folders that disks are mounted at: one place on each disk.
    pub fn disks(&self, layout: &Layout) -> Vec<PathBuf> {
        let mounted = self.folders().map(|folder| layout.root().join(folder));
        std::iter::once(layout.root().to_owned()).chain(mounted).collect()
    }

    /// Our own folder on the disk that is mounted at `folder`; none where no disk of ours is.
    pub(super) fn home_at(&self, layout: &Layout, folder: &Path) -> Option<PathBuf> {
        let relative = folder.strip_prefix(layout.root()).ok()?.to_str()?;
        let is_ours = self.folders().any(|mounted| mounted == relative);
        is_ours.then(|| layout.root().join(self.home_on(relative)))
    }

    /// Our own folders on all disks.
    pub(super) fn homes(&self, layout: &Layout) -> Vec<PathBuf> {
        self.folders().map(|folder| layout.root().join(self.home_on(folder))).collect()
    }

    /// Looks which disk stands at one of the folders.
    ///
    /// # Errors
    /// Where it cannot be told.
    pub fn presence(&self, fs: &dyn Fs, layout: &Layout, folder: &str) -> Result<Presence, IoAt> {
        let place = layout.root().join(folder);
        if !is_mount(fs, &place).at("look at", &place)? {
            return Ok(Presence::Away);
        }
        let id = read_mark(fs, &place).at("read the mark of", &place)?;
        Ok(if id.as_deref() == self.mark(folder) { Presence::Here } else { Presence::Other })
    }

    /// Marks the disk that is mounted at `folder`, or takes over the mark that it has, and notes it
    /// durably. `random` names what is new.
    ///
    /// # Errors
    /// Where the disk cannot be written, or no mount stands there any more.
    pub fn adopt(
        &mut self,
        fs: &dyn Fs,
        layout: &Layout,
        folder: &str,
        random: [u8; 16],
    ) -> Result<(), IoAt> {
        let place = layout.root().join(folder);
        let fresh = format!("{:032x}", u128::from_le_bytes(random));
        let mut next = self.clone();
        if next.own.is_empty() {
            next.own.clone_from(&fresh);
        }
        let _pinned = fs.pin(&place).at("look for the disk at", &place)?;
        let known = read_mark(fs, &place).at("read the mark of", &place)?;
        if !is_mount(fs, &place).at("look at", &place)? {
            return Err(io::Error::from(io::ErrorKind::NotFound)).at("look for the disk at", &place);
        }
        let home = layout.root().join(next.home_on(folder));
        create_dir_durable(fs, &home, &place).at("create", &home)?;
        let id = match known {
            Some(id) => id,
            None => {
                let mark = place.join(MOUNT_FOLDER).join(MARK);
                let bytes = serde_json::to_vec(&Mark { format: FORMAT, id: fresh.clone() });
                let bytes = bytes.map_err(io::Error::from).at("write", &mark)?;
                fs::replace(fs, &mark, &bytes, 0o600).at("write", &mark)?;
                fresh
            }
        };
        next.marks.insert(folder.to_owned(), id);
        let path = layout.mounts();
        let bytes = serde_json::to_vec_pretty(&next).map_err(io::Error::from).at("write", &path)?;
        fs::replace(fs, &path, &bytes, 0o600).at("write", &path)?;
        *self = next;
        Ok(())
    }

    /// Removes every stage on the disks. Those of disks that are away go when they are back.
    pub(super) fn clear_stages(&self, fs: &dyn Fs, layout: &Layout) -> Result<(), IoAt> {
        self.homes(layout).iter().try_for_each(|home| remove_below(fs, &staging(home)))
    }

    /// Removes what an apply has displaced to the disks.
    pub(super) fn remove_trash(&self, fs: &dyn Fs, layout: &Layout, id: &ApplyId) -> Result<(), IoAt> {
        self.homes(layout).iter().try_for_each(|home| remove_tree(fs, &trash(home).join(id.as_str())))
    }

    /// Removes from the disks what was left of applies that began before `older_than_ms` and of
    /// which the vault's own trash has nothing any more: their disk was away when it was removed.
    pub(super) fn sweep(
        &self,
        fs: &dyn Fs,
        layout: &Layout,
        older_than_ms: u64,
        known: &[ApplyId],
    ) -> Result<(), IoAt> {
        for home in self.homes(layout) {
            for (folder, dot) in [(trash(&home), ""), (incoming(&home), ".")] {
                let names = found(fs.read_dir(&folder)).at("list", &folder)?.unwrap_or_default();
                for (name, _) in names {
                    let id = name.to_str().and_then(|name| name.strip_prefix(dot)?.parse::<ApplyId>().ok());
                    if id.is_some_and(|id| id.ms() < older_than_ms && !known.contains(&id)) {
                        remove_tree(fs, &folder.join(&name))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Folder of stages in a folder of ours on a disk.
pub(super) fn staging(home: &Path) -> PathBuf {
    home.join("staging")
}

/// Folder of displaced files in a folder of ours on a disk.
pub(super) fn trash(home: &Path) -> PathBuf {
    home.join("trash")
}

/// Folder of what a transaction writes, in a folder of ours on a disk.
pub(super) fn incoming(home: &Path) -> PathBuf {
    home.join("incoming")
}

/// True where a folder stands on another mount than the one above it.
fn is_mount(fs: &dyn Fs, place: &Path) -> io::Result<bool> {
    let absent =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    match (fs.mount(place), fs.mount(place.parent().unwrap_or(place))) {
        (Err(error), _) | (_, Err(error)) if absent(&error) => Ok(false),
        (here, above) => Ok(here? != above?),
    }
}

/// The id of the disk that is mounted at a folder; none where it has no mark.
pub(super) fn read_mark(fs: &dyn Fs, place: &Path) -> io::Result<Option<String>> {
    let bytes = match fs::read(fs, &place.join(MOUNT_FOLDER).join(MARK), MAX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        read => found(read)?,
    };
    // What does not parse marks nothing that this program knows.
    Ok(bytes.and_then(|bytes| Some(serde_json::from_slice::<Mark>(&bytes).ok()?.id)))
}
