//! A disk on parts of which names are written in the escape.
//!
//! Below it names are as the disk spells them, above it as they are meant: the callers know nothing
//! of it. Each folder on which a disk is mounted, the vault's root among them, has its own
//! [`Spelling`]. A vault on ordinary disks has none, and its paths are passed on as they are.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use serde::{Deserialize, Serialize};

use super::escape::{escape, has_signs, unescape};
use super::{
    DatabaseFault, Databases, Flush, Fs, Holds, Like, MountId, Names, Pinned, ReadFile, WriteFile, block,
    found,
};
use crate::model::FileStat;

/// The way in which names are written on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// The names themselves.
    Plain,
    /// In the escape.
    Escaped,
    /// The names themselves, on a disk that holds every name. Names in the escape came from a disk
    /// that does not, and are read as what they stand for.
    Mixed,
    /// The names themselves, on a disk that does not hold every name: those that it does not hold
    /// are refused.
    Refused,
}

/// A name that a disk does not hold. It is the inner error of an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this disk cannot hold such a name (\\ : * ? \" < > |, or a dot or space at its end): rename it, or see `cogzy-vault doctor`"
)]
struct Unheld;

/// A disk, and the folders in which its names are written otherwise than they are meant.
#[derive(Debug)]
pub struct Escaping<D: ?Sized> {
    root: PathBuf,
    /// By the folder that a disk is mounted at, relative to the root.
    spellings: RwLock<BTreeMap<PathBuf, Spelling>>,
    disk: Arc<D>,
}

type Spellings<'a> = RwLockReadGuard<'a, BTreeMap<PathBuf, Spelling>>;

impl<D: Fs + ?Sized> Escaping<D> {
    /// The disk with the vault at `root`. Names are as they are until [`Fs::spell`] says otherwise.
    #[must_use]
    pub fn new(disk: Arc<D>, root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), spellings: RwLock::default(), disk }
    }

    /// The disk below.
    #[must_use]
    pub const fn disk(&self) -> &Arc<D> {
        &self.disk
    }

    /// Path at which the disk holds what stands at `path`.
    ///
    /// # Errors
    /// If the disk does not hold such names; or errors of the system.
    pub fn place<'p>(&self, path: &'p Path) -> io::Result<Cow<'p, Path>> {
        let spellings = self.spellings();
        let relative = match path.strip_prefix(&self.root) {
            Ok(relative) if !spellings.is_empty() => relative,
            _ => return Ok(Cow::Borrowed(path)),
        };
        let (mut above, mut place) = (PathBuf::new(), self.root.clone());
        for name in relative {
            let spelled = self.spelled(spelling_in(&spellings, &above), &place, name)?;
            place.push(&*spelled);
            above.push(name);
        }
        Ok(Cow::Owned(place))
    }

    fn spellings(&self) -> Spellings<'_> {
        self.spellings.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name as the disk spells it, in the folder that it has at `folder`.
    fn spelled<'n>(&self, how: Spelling, folder: &Path, name: &'n OsStr) -> io::Result<Cow<'n, OsStr>> {
        // A name that is no UTF-8 was never ours.
        let Some(text) = name.to_str() else { return Ok(Cow::Borrowed(name)) };
        match how {
            Spelling::Plain => Ok(Cow::Borrowed(name)),
            Spelling::Refused if has_signs(text) => {
                Err(io::Error::new(io::ErrorKind::InvalidFilename, Unheld))
            }
            Spelling::Refused => Ok(Cow::Borrowed(name)),
            Spelling::Escaped | Spelling::Mixed => {
                let escaped = escape(text);
                let plain = escaped == text || self.is_plain(how, folder, text, &escaped)?;
                Ok(if plain { Cow::Borrowed(name) } else { os(escaped) })
            }
        }
    }

    /// True if a name with signs stands in a folder as it is, or is to stand there so.
    fn is_plain(&self, how: Spelling, folder: &Path, name: &str, escaped: &str) -> io::Result<bool> {
        let stands = |name: &str| Ok::<_, io::Error>(found(self.disk.lstat(&folder.join(name)))?.is_some());
        if unescape(name) != name {
            return Ok(false);
        }
        if how == Spelling::Mixed {
            return Ok(stands(name)? || !stands(escaped)?);
        }
        // Some disks hold a dot or a space at the end, and others find the file without it.
        if has_signs(name.trim_end_matches(['.', ' '])) || stands(escaped)? {
            return Ok(false);
        }
        match self.disk.read_dir(folder) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            listed => Ok(listed?.iter().any(|(listed, _)| listed == name)),
        }
    }

    /// Names of a listing as they are meant.
    fn listed(&self, folder: &Path, names: Names) -> Names {
        let spellings = self.spellings();
        match folder.strip_prefix(&self.root).map(|folder| spelling_in(&spellings, folder)) {
            Ok(how) if is_read(how) => {
                names.into_iter().map(|(name, kind)| (meant(&name).into_owned(), kind)).collect()
            }
            _ => names,
        }
    }

    fn databases_below(&self) -> Result<&dyn Databases, DatabaseFault> {
        self.disk.databases().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported).into())
    }
}

fn os(name: Cow<'_, str>) -> Cow<'_, OsStr> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(OsStr::new(name)),
        Cow::Owned(name) => Cow::Owned(name.into()),
    }
}

/// True where names may be in the escape.
const fn is_read(how: Spelling) -> bool {
    matches!(how, Spelling::Escaped | Spelling::Mixed)
}

/// The name that a spelling stands for.
fn meant(name: &OsStr) -> Cow<'_, OsStr> {
    name.to_str().map_or(Cow::Borrowed(name), |name| os(unescape(name)))
}

/// The spelling of names in a folder.
fn spelling_in(spellings: &BTreeMap<PathBuf, Spelling>, folder: &Path) -> Spelling {
    folder.ancestors().find_map(|at| spellings.get(at)).copied().unwrap_or(Spelling::Plain)
}

impl<D: Fs + ?Sized> Fs for Escaping<D> {
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        self.disk.lstat(&self.place(path)?)
    }

    fn lstat_each(&self, folder: &Path, names: &[&OsStr]) -> io::Result<Vec<io::Result<FileStat>>> {
        if self.spellings().is_empty() {
            return self.disk.lstat_each(folder, names);
        }
        let place = self.place(folder)?;
        let spelled: Vec<Cow<'_, OsStr>> = {
            let spellings = self.spellings();
            let how = folder.strip_prefix(&self.root).map(|folder| spelling_in(&spellings, folder));
            let how = how.unwrap_or(Spelling::Plain);
            names.iter().map(|name| self.spelled(how, &place, name)).collect::<io::Result<_>>()?
        };
        let spelled: Vec<&OsStr> = spelled.iter().map(AsRef::as_ref).collect();
        self.disk.lstat_each(&place, &spelled)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Names> {
        Ok(self.listed(path, self.disk.read_dir(&self.place(path)?)?))
    }

    fn mount(&self, path: &Path) -> io::Result<MountId> {
        self.disk.mount(&self.place(path)?)
    }

    fn read_dir_on(&self, path: &Path) -> io::Result<(MountId, Names)> {
        let (mount, names) = self.disk.read_dir_on(&self.place(path)?)?;
        Ok((mount, self.listed(path, names)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.disk.open(&self.place(path)?)
    }

    fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.disk.open_lock(&self.place(path)?)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.disk.create(&self.place(path)?)
    }

    fn create_like(&self, path: &Path, like: &Path) -> io::Result<Box<dyn WriteFile>> {
        let new = self.place(path)?;
        self.place(like).map_or_else(|_| self.disk.create(&new), |like| self.disk.create_like(&new, &like))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(&self.place(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(&self.place(from)?, &self.place(to)?)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename_new(&self.place(from)?, &self.place(to)?)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.disk.exchange(&self.place(one)?, &self.place(other)?)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.hard_link(&self.place(from)?, &self.place(to)?)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(&self.place(path)?)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(&self.place(path)?)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(&self.place(path)?)
    }

    fn begin_flush(&self, folder: &Path, files: usize) -> io::Result<Option<Box<dyn Flush>>> {
        self.disk.begin_flush(&self.place(folder)?, files)
    }

    fn mode_of_new(&self, mode: u32) -> u32 {
        self.disk.mode_of_new(mode)
    }

    fn dress(&self, file: &Path, like: Like) -> io::Result<Vec<&'static str>> {
        let file = self.place(file)?;
        match like {
            Like::File(old) => self.disk.dress(&file, Like::File(&self.place(old)?)),
            Like::Folder(folder) => self.disk.dress(&file, Like::Folder(&self.place(folder)?)),
        }
    }

    fn may_place(&self, path: &Path) -> io::Result<()> {
        self.disk.may_place(&self.place(path)?)
    }

    fn may_name(&self, path: &Path) -> io::Result<()> {
        let place = self.place(path)?;
        if place == path {
            return Ok(());
        }
        match self.disk.lstat(&place) {
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => {
                let name = place.file_name().unwrap_or_default();
                let why =
                    format!("its name is too long for this disk, which has to hold it as {}", name.display());
                Err(io::Error::new(io::ErrorKind::InvalidFilename, why))
            }
            _ => Ok(()),
        }
    }

    fn holds(&self, folder: &Path) -> io::Result<Holds> {
        self.disk.holds(&self.place(folder)?)
    }

    fn meant(&self, place: &Path) -> PathBuf {
        let spellings = self.spellings();
        let Ok(relative) = place.strip_prefix(&self.root) else { return place.to_owned() };
        let mut path = PathBuf::new();
        for name in relative {
            let read = is_read(spelling_in(&spellings, &path));
            path.push(if read { meant(name) } else { Cow::Borrowed(name) });
        }
        self.root.join(path)
    }

    fn spell(&self, folder: &str, how: Spelling) {
        let mut spellings = self.spellings.write().unwrap_or_else(PoisonError::into_inner);
        spellings.insert(folder.into(), how);
        if spellings.values().all(|how| *how == Spelling::Plain) {
            spellings.clear();
        }
    }

    fn pin(&self, folder: &Path) -> io::Result<Pinned> {
        self.disk.pin(&self.place(folder)?)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_space(&self.place(path)?)
    }

    fn total_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.total_space(&self.place(path)?)
    }

    fn block_size(&self, path: &Path) -> u64 {
        self.place(path).map_or(block::USUAL, |place| self.disk.block_size(&place))
    }

    fn databases(&self) -> Option<&dyn Databases> {
        self.disk.databases().map(|_| self as &dyn Databases)
    }

    fn is_shared(&self) -> bool {
        self.disk.is_shared()
    }
}

impl<D: Fs + ?Sized> Databases for Escaping<D> {
    fn snapshot(&self, from: &Path, to: &Path) -> Result<(), DatabaseFault> {
        self.databases_below()?.snapshot(&self.place(from)?, &self.place(to)?)
    }

    fn fold(&self, path: &Path) -> Result<(), DatabaseFault> {
        self.databases_below()?.fold(&self.place(path)?)
    }

    fn replace(
        &self,
        path: &Path,
        with: &Path,
        kept: &Path,
        agrees: &mut dyn FnMut() -> io::Result<bool>,
    ) -> Result<bool, DatabaseFault> {
        let databases = self.databases_below()?;
        databases.replace(&self.place(path)?, &self.place(with)?, &self.place(kept)?, agrees)
    }
}

#[cfg(test)]
mod tests;
