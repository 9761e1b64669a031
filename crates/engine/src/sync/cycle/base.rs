//! The base of a survey: what this device agreed on, or what the history tells of its files.
//!
//! Nothing is written; a crash leaves nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{CommitKey, Tree, VaultPath};
use crate::state::LastSync;
use crate::sync::SyncError;
use crate::sync::session::{Context, Session};
use crate::vault::Verdict;

/// State that a device agreed on.
#[derive(Default)]
pub(super) struct Agreed {
    /// The files, as far as the filters show them.
    pub base: Tree,
    /// Agreed files that filters hide now.
    pub hidden: Tree,
    /// Paths that the base lacks although this device may have agreed on a version of them: what
    /// their files here came from, nobody knows.
    pub unknown_origins: BTreeSet<VaultPath>,
}

impl Session<'_> {
    /// The base, and what is known of the rest. A device that joins finds its base in the
    /// history.
    pub(super) async fn base_of(
        &self,
        record: Option<&LastSync>,
        agreed: &Tree,
        local: &Tree,
        remote: &Tree,
        head: Option<CommitKey>,
    ) -> Result<Agreed, SyncError> {
        let Agreed { mut base, hidden, unknown_origins } = match record {
            Some(record) => self.context.agreed_base(record, agreed)?,
            None => Agreed::default(),
        };
        if record.is_none_or(|record| record.joining) {
            let found = self.base_from_history(&base, local, remote, head).await?;
            base.extend(found);
        }
        for path in hidden.keys() {
            base.remove(path);
        }
        Ok(Agreed { base, hidden, unknown_origins })
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

impl Context {
    /// The base of a device with a record. Nobody knows the origin of a file that a filter has hidden
    /// until now, nor of one that it had and that has not been agreed on since.
    fn agreed_base(&self, record: &LastSync, manifest: &Tree) -> Result<Agreed, SyncError> {
        let earlier = self.earlier_filter(record)?;
        let base = record.base(&self.seen_through(earlier.as_ref(), manifest));
        let mut unknown_origins = record.unknown_origins.clone();
        let mut hidden = Tree::new();
        if let Some(earlier) = earlier {
            hidden = base.clone();
            hidden.retain(|path, _| !self.visible(path));
            let shown = |path: &&VaultPath| self.visible(path) && earlier.verdict(path) != Verdict::Synced;
            unknown_origins.extend(manifest.keys().filter(shown).cloned());
        } else {
            let kept = record.exceptions.iter().filter_map(|kept| Some((&kept.path, kept.entry?)));
            let unseen = kept.filter(|(path, _)| !self.visible(path));
            hidden.extend(unseen.map(|(path, entry)| (path.clone(), entry)));
        }
        Ok(Agreed { base, hidden, unknown_origins })
    }
}
