//! Disks that are mounted inside the vault and that it does not know yet.
//!
//! Decided here: a disk on which every file stands that was agreed below its folder is marked and
//! taken in. One that hides such files was mounted over them: they are neither absent, nor is
//! anything written onto it.

use super::Scope;
use super::local::{Local, below};
use crate::clock::random;
use crate::fs::{Spelling, unescape};
use crate::model::{Tree, VaultPath};
use crate::sync::SyncError;
use crate::sync::report::{About, Trouble, Weight};
use crate::sync::session::Context;
use crate::vault::{Mounts, Spellings};

impl Context {
    /// Marks the disks that may be taken in, and blocks what lies below the others.
    pub(super) fn meet_disks(&self, local: &mut Local, base: &Tree, scope: Scope) -> Result<(), SyncError> {
        if local.new_mounts.is_empty() {
            return Ok(());
        }
        let mut mounts = Mounts::load(self.fs(), &self.layout)?;
        for folder in std::mem::take(&mut local.new_mounts) {
            let seen =
                |path: &&VaultPath| local.tree.contains_key(*path) || local.blocked.reason(path).is_some();
            let hidden = below(base, &folder).filter(|path| !seen(path)).count();
            if hidden > 0 {
                let files =
                    if hidden == 1 { "a synced file".to_owned() } else { format!("{hidden} synced files") };
                local.set_apart(folder, format!(
                    "a disk was mounted here that hides {files}: nothing is deleted for them, and nothing below is read or written; unmount it, or copy the files onto it"
                ));
                continue;
            }
            if scope.dry {
                continue;
            }
            let on_disk = local.names.on_disk(&folder).unwrap_or_else(|| folder.to_string());
            let random = random(self.ports.entropy.as_ref());
            match mounts.adopt(self.fs(), &self.layout, &on_disk, random) {
                Ok(()) => {
                    tracing::info!(%folder, "a disk is mounted here; it is marked, so that it is known again");
                    self.meet_names(local, &mounts, folder, &on_disk);
                }
                Err(error) => local.set_apart(folder, format!(
                    "the disk that is mounted here cannot be marked, so that it would not be known again, and nothing below it is synced: {error}"
                )),
            }
        }
        Ok(())
    }

    /// Finds out how the disk spells names. What was scanned in another spelling waits for the next
    /// scan.
    fn meet_names(&self, local: &mut Local, mounts: &Mounts, folder: VaultPath, on_disk: &str) {
        let spelling = match Spellings::meet_disk(self.fs(), &self.layout, mounts, on_disk) {
            Ok(spelling) => spelling,
            Err(error) => {
                tracing::warn!(%folder, %error, "which names the disk holds is not known");
                return;
            }
        };
        let other = |path: &VaultPath| path.names().any(|name| unescape(name) != name);
        if spelling == Spelling::Escaped && below(&local.tree, &folder).any(other) {
            local.set_apart(folder, "the disk that is mounted here spells some names in another way than they were read: the next sync takes them in".to_owned());
        }
    }
}

impl Local {
    /// Leaves out what lies below a folder because of the disk there.
    fn set_apart(&mut self, folder: VaultPath, message: String) {
        self.troubles.push(Trouble {
            path: folder.to_string(),
            about: About::Path(folder.clone()),
            message: message.clone(),
            weight: Weight::Unmounted,
        });
        self.away.insert(folder.clone());
        self.blocked.add(folder, message);
    }
}
