//! Transactions that reach the bucket as one.
//!
//! A transaction binds the items that it wrote until all of it was sent. What has been written anew since, or was overruled by the remote,
//! binds no longer once nothing of what it wrote waits to be sent. Its notes are the vault's; a crash forgets none too early.

use std::collections::BTreeSet;

use super::SyncError;
use super::session::Context;
use crate::model::{Digest, Groups, Item, Tree, VaultPath};
use crate::vault::{Together, forget_together, together};

/// What must be sent together, and the notes that have had their time.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) items: Vec<BTreeSet<Item>>,
    pub(crate) over: Vec<String>,
}

impl Bound {
    /// What `notes`, which were read before the vault was scanned, say of it.
    pub(crate) fn of(notes: Vec<Together>, groups: &Groups, local: &Tree, base: &Tree) -> Self {
        let mut bound = Self::default();
        for note in notes {
            let there = |tree: &Tree, path: &VaultPath| tree.get(path).map(|entry| entry.digest);
            let unsent = |(path, wrote): &(&VaultPath, &Option<Digest>)| there(base, path) != **wrote;
            let stands = |(path, wrote): (&VaultPath, &Option<Digest>)| there(local, path) == *wrote;
            if note.files.iter().filter(unsent).any(stands) {
                bound
                    .items
                    .push(note.files.iter().filter(unsent).map(|(path, _)| groups.item(path)).collect());
            } else if note.done {
                bound.over.push(note.name);
            }
        }
        bound
    }
}

impl Context {
    /// Transactions that may not have been sent; to be asked before the vault is scanned.
    pub(crate) fn noted_together(&self) -> Result<Vec<Together>, SyncError> {
        Ok(together(self.fs(), &self.layout)?)
    }

    /// Forgets those of which nothing waits any more.
    pub(crate) fn forget_sent(&self, bound: &Bound) -> Result<(), SyncError> {
        for name in &bound.over {
            forget_together(self.fs(), &self.layout, name)?;
        }
        Ok(())
    }
}
