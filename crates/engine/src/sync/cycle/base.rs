//! The base of a survey: what this device agreed on, or what the history tells of its files.
//!
//! Nothing is written; a crash leaves nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{CommitKey, Tree, VaultPath};
use crate::state::LastSync;
use crate::sync::SyncError;
use crate::sync::session::Session;

impl Session<'_> {
    /// The base, and what of it filters hide now. A device that joins finds its base in the
    /// history.
    pub(super) async fn base_of(
        &self,
        record: Option<&LastSync>,
        agreed: &Tree,
        local: &Tree,
        remote: &Tree,
        head: Option<CommitKey>,
    ) -> Result<(Tree, Tree), SyncError> {
        let (mut base, hidden) = match record {
            Some(record) => self.context.agreed_base(record, agreed)?,
            None => (Tree::new(), Tree::new()),
        };
        if record.is_none_or(|record| record.joining) {
            let found = self.base_from_history(&base, local, remote, head).await?;
            base.extend(found);
        }
        for path in hidden.keys() {
            base.remove(path);
        }
        Ok((base, hidden))
    }

    /// Files that the `base` lacks of a device whose record is lost, or that joins with files of its
    /// own: each local file that the path's history knows is unchanged since then. A path that the
    /// remote no longer has is not in this base: joining deletes nothing.
    async fn base_from_history(
        &self,
        base: &Tree,
        local: &Tree,
        remote: &Tree,
        head: Option<CommitKey>,
    ) -> Result<Tree, SyncError> {
        let differing: BTreeSet<VaultPath> = local
            .iter()
            .filter(|(path, entry)| remote.get(*path).is_some_and(|there| there != *entry))
            .filter(|(path, _)| !base.contains_key(*path))
            .map(|(path, _)| path.clone())
            .collect();
        let (Some(head), false) = (head, differing.is_empty()) else { return Ok(Tree::new()) };
        let history: BTreeMap<VaultPath, _> = self.log.versions(head, &differing).await?;
        let known = local.iter().filter(|(path, entry)| {
            history.get(*path).is_some_and(|versions: &BTreeSet<_>| versions.contains(&entry.digest))
        });
        Ok(known.map(|(path, entry)| (path.clone(), *entry)).collect())
    }
}
