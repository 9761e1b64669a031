//! Databases: what stands beside one is no file of the vault, whatever older versions sent.
//!
//! Older versions send a database's WAL as a file of its own. Here such a file is left out of what
//! is compared, in the base and in the remote as on the disk, and the next commit that has the
//! database removes it. So it is neither a loss, nor written beside a database.
//!
//! Commits that have a database need the feature `sqlite`, once every device reads it
//! ([`super::readers`]). Until then only a database that stands in one file, here and in the
//! remote, is synced; any other waits, and the status names it. Only reads; a crash leaves nothing.

use std::collections::BTreeSet;

use super::Local;
use crate::log::Snapshot;
use crate::model::sqlite::{COMPANIONS, main_of};
use crate::model::{Change, Feature, Tree, VaultPath};
use crate::sync::SyncError;
use crate::sync::session::{Context, Memory, Session};
use crate::vault::is_database;

impl Session<'_> {
    /// Leaves out what stands beside databases, and blocks those that older devices would tear
    /// apart.
    pub(crate) async fn meet_databases(
        &mut self,
        local: &mut Local,
        trees: [&mut Tree; 2],
        there: &Snapshot,
    ) -> Result<(), SyncError> {
        for tree in trees {
            let Memory { here, there, .. } = &mut *self.memory;
            let parts = self.context.parts_in(local, there.take(tree, here).parts());
            for (part, _) in &parts {
                tree.remove(part);
            }
            local.parted.extend(parts);
        }
        let parted = local.parted.iter().filter(|(part, _)| there.tree.contains_key(*part));
        let mut torn: Vec<VaultPath> = parted.map(|(_, main)| main.clone()).collect();
        torn.extend(local.in_parts.iter().cloned());
        torn.sort();
        torn.dedup();
        if torn.is_empty() {
            return Ok(());
        }
        let behind = self.behind(Feature::Sqlite, there).await?;
        let why = "it is a database, and older versions sync what stands beside it as files of their own, which tears it apart: it is synced";
        local.wait_for_readers(torn, Feature::Sqlite, &behind, why);
        Ok(())
    }
}

impl Context {
    /// Parts, among `paths`, of databases that stand here, each with its database.
    fn parts_in(&self, local: &Local, paths: &BTreeSet<VaultPath>) -> Vec<(VaultPath, VaultPath)> {
        let of_name = |path: &VaultPath| {
            let main = VaultPath::new(main_of(path.as_str())?).ok()?;
            let is_one = || is_database(self.fs(), &local.names.locate(self.layout.root(), &main));
            // A file that cannot be read is told of by the scan.
            (local.tree.contains_key(&main) && is_one().unwrap_or_default()).then(|| (path.clone(), main))
        };
        paths.iter().filter_map(of_name).collect()
    }
}

impl Local {
    /// Adds to the changes of a commit that the parts of the databases in it are no files any more.
    pub(super) fn fold_parted(&self, changes: &mut Vec<Change>, head: &Tree) {
        let mut gone = Vec::new();
        for change in changes.iter().filter(|change| change.entry.is_some()) {
            let parts = COMPANIONS.iter().filter_map(|ending| {
                let part = VaultPath::new(&format!("{}{ending}", change.path)).ok()?;
                (self.parted.get(&part) == Some(&change.path) && head.contains_key(&part)).then_some(part)
            });
            gone.extend(parts.map(|path| Change { path, entry: None }));
        }
        changes.extend(gone);
        changes.sort_by(|a, b| a.path.cmp(&b.path));
    }
}
