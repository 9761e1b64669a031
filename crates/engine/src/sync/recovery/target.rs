//! A folder outside the vault that contents of the past are written to.
//!
//! Nothing in it is overwritten, and no link in it is followed. Files are staged in a hidden folder
//! of it. A crash leaves that one; the next export into the same folder removes it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::{At, Escaping, Fs, Holds, RootedFs, Spelling, found, remove_tree};
use crate::model::{FileKind, VaultPath};
use crate::sync::session::Context;
use crate::sync::{Refusal, SyncError};
use crate::vault::names_held;

/// How the name of a target's hidden folder begins; eight digits follow.
const STAGE: &str = ".cogzy-vault-";

/// A folder outside the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The folder.
    pub folder: PathBuf,
    /// True if it need not be empty.
    pub force: bool,
}

impl Target {
    /// A folder that must be empty, or is made.
    #[must_use]
    pub fn empty(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), force: false }
    }
}

/// The hidden folder that an export stages in.
pub(super) fn stage_in(target: &Path, number: u32) -> PathBuf {
    target.join(format!("{STAGE}{number:08x}"))
}

impl Context {
    /// Removes what exports that were cut short have staged in the target: folders of exactly our
    /// name that hold nothing but numbered slots.
    fn remove_leftovers(&self, target: &Path) -> Result<(), SyncError> {
        let fs = self.fs();
        let names = |folder: &Path| fs.read_dir(folder).at("list", folder);
        let is_slot = |name: &OsStr| name.to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        for (name, kind) in names(target)? {
            let folder = target.join(&name);
            if kind != FileKind::Folder || !name.to_str().is_some_and(is_ours) {
                continue;
            }
            if names(&folder)?.iter().all(|(name, kind)| *kind == FileKind::File && is_slot(name)) {
                remove_tree(fs, &folder)?;
            }
        }
        Ok(())
    }

    /// Makes the target, and holds it open: whoever swaps a folder in it with a link meanwhile
    /// leads no write out of it. What names its disk holds is tried in `ours`, a folder in it.
    pub(super) fn open_target(
        &self,
        target: &Path,
        force: bool,
        ours: &Path,
    ) -> Result<Arc<Escaping<RootedFs>>, SyncError> {
        self.fs().create_dir_all(target).at("create", target)?;
        if !force {
            self.remove_leftovers(target)?;
        }
        if !force && !self.fs().read_dir(target).at("list", target)?.is_empty() {
            return Err(Refusal::NotEmpty(target.to_owned()).into());
        }
        let out = Escaping::new(Arc::new(RootedFs::open(target, target)), target);
        if names_held(&out, ours)?.is_some_and(|held| held != Holds::All) {
            out.spell("", Spelling::Escaped);
        }
        Ok(Arc::new(out))
    }
}

/// True if this is the name of a folder that an export stages in.
fn is_ours(name: &str) -> bool {
    let digits = name.strip_prefix(STAGE).unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// Checks that nothing stands where `path` is to be, and that no link leads elsewhere.
pub(super) fn check_unused(fs: &dyn Fs, target: &Path, path: &VaultPath) -> Result<(), SyncError> {
    let place = path.below(target);
    let taken = |place: &Path| {
        let stat = found(fs.lstat(place)).at("look at", place)?;
        Ok::<_, SyncError>(stat.map(|stat| stat.kind))
    };
    let folders: Vec<&Path> = place.ancestors().skip(1).take_while(|folder| *folder != target).collect();
    // From above, so that nothing is asked for through a link.
    for folder in folders.into_iter().rev() {
        match taken(folder)? {
            None => return Ok(()),
            Some(FileKind::Folder) => {}
            Some(_) => return Err(Refusal::Exists(folder.to_owned()).into()),
        }
    }
    match taken(&place)? {
        None => Ok(()),
        Some(_) => Err(Refusal::Exists(place.clone()).into()),
    }
}

pub(super) fn put_out(fs: &dyn Fs, staged: &Path, target: &Path, path: &VaultPath) -> Result<(), SyncError> {
    let place: PathBuf = path.below(target);
    if let Some(folder) = place.parent() {
        fs.create_dir_all(folder).at("create", folder)?;
    }
    match fs.rename_new(staged, &place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Refusal::Exists(place.clone()).into())
        }
        done => Ok(done.at("write", &place)?),
    }
}
