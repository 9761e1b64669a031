//! Scan of some places, those that a watcher has named.
//!
//! It finds what is new and what has changed there, and takes nothing for gone: where a known file
//! is missing, or anything is not as plain as it was, only a scan of the whole vault can tell what
//! that means. So a hint that was lost, late or wrong makes something be found later, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::hashing::{self, Claims};
use super::walk::{Claim, Walked, walk_in};
use super::{Layout, Marker, Mounts, Scan, ScanError, ScanOptions};
use crate::fs::{Fs, MountId, found};
use crate::model::sqlite::{COMPANIONS, main_of};
use crate::model::{Alike, FileKind, Tree, VaultPath, beginning_with};
use crate::vault::Verdict;

/// Most new files at once; more of them are as soon found by a scan of all.
const MOST_NEW: usize = 256;

/// Scans `places` and what lies below them, in a vault that a scan found plain and to hold the
/// files `known`. None where only a scan of the whole vault will do.
///
/// # Errors
/// If the vault is missing or another one.
pub fn scan_places(
    fs: &dyn Fs,
    layout: &Layout,
    options: &ScanOptions,
    known: &Tree,
    places: &BTreeSet<VaultPath>,
) -> Result<Option<Scan>, ScanError> {
    Marker::read_of(fs, layout, options.vault)?;
    let mounts = Mounts::load(fs, layout)?;
    let look = Look { fs, layout, options, known, mounts: &mounts };
    // Whatever cannot be looked at, the scan of all tells of.
    let Some(claims) = look.at_all(places).ok().flatten() else { return Ok(None) };
    let mut scan = Scan::default();
    let claims = Claims { claims, databases: BTreeSet::new() };
    hashing::take_in(fs, layout, options, claims, &mut scan);
    Marker::read_of(fs, layout, options.vault)?;
    Ok(scan.problems.is_empty().then_some(scan))
}

/// Files by their paths.
type Files = BTreeMap<VaultPath, Claim>;

struct Look<'a> {
    fs: &'a dyn Fs,
    layout: &'a Layout,
    options: &'a ScanOptions<'a>,
    known: &'a Tree,
    mounts: &'a Mounts,
}

impl Look<'_> {
    /// The files at these places, sorted.
    fn at_all(&self, places: &BTreeSet<VaultPath>) -> io::Result<Option<Vec<Claim>>> {
        if self.mounts.folders().next().is_some() {
            return Ok(None);
        }
        let root = self.fs.mount(self.layout.root())?;
        let (mut files, mut folders) = (Files::new(), BTreeMap::new());
        for place in places.iter().filter(|place| !self.options.filter.prunes(place)) {
            let above = place.folders().next().unwrap_or_default();
            let is_plain = match folders.get(above) {
                Some(known) => *known,
                None => {
                    let is_plain = self.nearest_mount(above)? == root && self.is_spelled_so(above)?;
                    *folders.entry(above).or_insert(is_plain)
                }
            };
            if !is_plain || !self.at(place, root, &mut files)? {
                return Ok(None);
            }
        }
        Ok(self.fit_together(&files).then(|| files.into_values().collect()))
    }

    /// The mount of a folder, or of the nearest one above it that is there. A disk that was mounted
    /// over a folder hides what stood in it.
    fn nearest_mount(&self, folder: &str) -> io::Result<MountId> {
        let mut place = self.layout.root().join(folder);
        loop {
            match found(self.fs.mount(&place))? {
                Some(mount) => return Ok(mount),
                None if place == self.layout.root() || !place.pop() => {
                    return Err(io::ErrorKind::NotFound.into());
                }
                None => {}
            }
        }
    }

    /// True if each name of a path that is there is spelled on the disk as it is here. A disk that
    /// ignores letter case has it under others, too.
    fn is_spelled_so(&self, path: &str) -> io::Result<bool> {
        let mut folder = self.layout.root().to_owned();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let other = if name.to_uppercase() == name { name.to_lowercase() } else { name.to_uppercase() };
            let inode = |name: &str| -> io::Result<_> {
                Ok(found(self.fs.lstat(&folder.join(name)))?.map(|stat| (stat.dev, stat.ino)))
            };
            let there = if other == name { None } else { inode(&other)? };
            if there.is_some()
                && there == inode(name)?
                && !self.fs.read_dir(&folder)?.iter().any(|(spelled, _)| spelled == name)
            {
                return Ok(false);
            }
            folder.push(name);
        }
        Ok(true)
    }

    /// Looks at one place. False where only a scan of all will do.
    fn at(&self, place: &VaultPath, root: MountId, files: &mut Files) -> io::Result<bool> {
        let at = place.below(self.layout.root());
        let stat = found(self.fs.lstat(&at))?;
        if stat.is_some() && !self.is_spelled_so(place.as_str())? {
            return Ok(false);
        }
        let inside = format!("{place}/");
        let was_folder = beginning_with(self.known, &inside).next().is_some();
        let was_file = self.known.contains_key(place);
        match stat.map(|stat| stat.kind) {
            // In another Unicode form it may stand there all the same.
            None => Ok(!was_folder && !was_file && place.as_str().is_ascii()),
            Some(FileKind::File) if was_folder || main_of(place.as_str()).is_some() => Ok(false),
            Some(FileKind::File) => {
                if self.options.filter.verdict(place) != Verdict::Synced {
                    return Ok(true);
                }
                let claim = Claim::new(place.clone(), place.as_str());
                files.insert(place.clone(), claim);
                Ok(!self.has_companion(&at)?)
            }
            Some(FileKind::Folder) if was_file => Ok(false),
            Some(FileKind::Folder) => {
                let walked = walk_in(self.fs, self.layout, self.mounts, place, root, self.options);
                Ok(take_in(walked, files)
                    && beginning_with(self.known, &inside).all(|(path, _)| files.contains_key(path)))
            }
            Some(FileKind::Symlink | FileKind::Special) => Ok(false),
        }
    }

    /// True where something stands beside a file that may be a part of a database.
    fn has_companion(&self, place: &Path) -> io::Result<bool> {
        for ending in COMPANIONS {
            let mut beside = place.as_os_str().to_owned();
            beside.push(ending);
            if found(self.fs.lstat(Path::new(&beside)))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if each new name can stand beside all others on every disk.
    fn fit_together(&self, files: &Files) -> bool {
        let new: Vec<&VaultPath> = files.keys().filter(|path| !self.known.contains_key(*path)).collect();
        if new.len() > MOST_NEW {
            return false;
        }
        let keys: BTreeSet<String> = new.iter().map(|path| path.fold_key()).collect();
        let names = Alike::of(self.known, 0);
        let fits = |path: &VaultPath| {
            let folders = path.folders().filter_map(|folder| VaultPath::new(folder).ok());
            let free = |folder: VaultPath| {
                let taken = self.known.contains_key(&folder) || keys.contains(&folder.fold_key());
                !taken && names.to(&folder).is_empty()
            };
            names.to(path).is_empty() && names.inside(path).is_none() && folders.into_iter().all(free)
        };
        keys.len() == new.len() && new.into_iter().all(fits)
    }
}

/// Adds the files that a walk found. False where it found anything that is not plain.
fn take_in(walked: Walked, files: &mut Files) -> bool {
    let Walked { files: claims, folders, new_mounts, companions, problems } = walked;
    let plain = new_mounts.is_empty()
        && companions.is_empty()
        && problems.is_empty()
        && folders.iter().all(|(path, on_disk)| path.as_str() == on_disk)
        && claims.iter().all(|claim| claim.path.as_str() == claim.on_disk());
    files.extend(claims.into_iter().map(|claim| (claim.path.clone(), claim)));
    plain
}
