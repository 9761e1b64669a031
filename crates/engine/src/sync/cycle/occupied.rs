//! Folders that cannot make room for a file of their name, since something in them is not synced:
//! an editor's backup, or a file that the filters exclude. No tree has it and nothing moves it.
//!
//! Decided here: which folders are looked into. Those in whose place a file is to come, and no
//! others: each such file costs a look at its name. Only that file then waits; what else changes in
//! the folder goes on. Only reads; a crash leaves nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use super::local::Local;
use crate::fs::MOUNT_FOLDER;
use crate::model::sqlite::main_of;
use crate::model::{FileKind, Tree, VaultPath, in_folder};
use crate::sync::session::Context;

impl Context {
    /// Notes the folders that stay where the remote has a file.
    pub(super) fn look_into_folders(&self, local: &mut Local, remote: &Tree) {
        let come = local.tree.diff(remote).filter(|(_, here, there)| here.is_none() && there.is_some());
        let mut folders: BTreeMap<PathBuf, Vec<(PathBuf, &VaultPath)>> = BTreeMap::new();
        for (path, ..) in come.filter(|(path, ..)| local.blocked.reason(path).is_none()) {
            let place = local.names.locate(self.layout.root(), path);
            let Some(folder) = place.parent().map(ToOwned::to_owned) else { continue };
            folders.entry(folder).or_default().push((place, path));
        }
        let mut found = Vec::new();
        for (folder, places) in &folders {
            let names: Vec<&OsStr> = places.iter().filter_map(|(place, _)| place.file_name()).collect();
            // Where nothing can be seen, the attempt tells.
            let Ok(stats) = self.fs().lstat_each(folder, &names) else { continue };
            let both = places.iter().zip(stats);
            for ((place, path), _) in
                both.filter(|(_, stat)| stat.as_ref().is_ok_and(|stat| stat.kind == FileKind::Folder))
            {
                let Ok(relative) = place.strip_prefix(self.layout.root()) else { continue };
                let on_disk = relative.to_string_lossy();
                found
                    .extend(self.unsynced_in(local, &on_disk).ok().flatten().map(|at| ((*path).clone(), at)));
            }
        }
        for (path, at) in found {
            local.blocked.occupy(path, at);
        }
    }

    /// The first file below a folder that nothing would take away.
    fn unsynced_in(&self, local: &Local, folder: &str) -> io::Result<Option<String>> {
        let mut names = self.fs().read_dir(&self.layout.root().join(folder))?;
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, kind) in names.into_iter().filter(|(name, _)| name != MOUNT_FOLDER) {
            let on_disk = in_folder(folder, &name.to_string_lossy());
            let at = match kind {
                FileKind::Folder => self.unsynced_in(local, &on_disk)?,
                _ if is_known(local, &on_disk) => None,
                _ => Some(on_disk),
            };
            if at.is_some() {
                return Ok(at);
            }
        }
        Ok(None)
    }
}

/// True for a file of the vault, for one that blocks its name by itself, and for a companion that
/// goes with its database.
fn is_known(local: &Local, on_disk: &str) -> bool {
    let known = |name: &str| {
        let path = VaultPath::new(name);
        path.is_ok_and(|path| local.tree.contains_key(&path) || local.blocked.reason(&path).is_some())
    };
    known(on_disk) || main_of(on_disk).is_some_and(known)
}
