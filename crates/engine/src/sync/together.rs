//! Transactions that reach the bucket as one.
//!
//! A transaction binds the items that it wrote until all of them were sent. A file that has been
//! written anew since, or that the remote has overruled, binds no longer once nothing that the
//! transaction wrote waits to be sent. Its notes are the vault's; a crash forgets none too early.

use std::collections::BTreeSet;

use super::SyncError;
use super::session::Context;
use crate::model::{Digest, Groups, Item, Tree, VaultPath};
use crate::vault::{Together, forget_together, together};

/// Items that must be sent together, and the notes that are no longer needed.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) items: Vec<BTreeSet<Item>>,
    pub(crate) over: Vec<String>,
}

impl Bound {
    /// Reads the bound items from `notes`, which were read before the vault was scanned.
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
    /// Transactions that may not have been sent; to be read before the vault is scanned.
    pub(crate) fn noted_together(&self) -> Result<Vec<Together>, SyncError> {
        Ok(together(self.fs(), &self.layout)?)
    }

    /// Forgets transactions of which nothing waits any more.
    pub(crate) fn forget_sent(&self, bound: &Bound) -> Result<(), SyncError> {
        for name in &bound.over {
            forget_together(self.fs(), &self.layout, name)?;
        }
        Ok(())
    }
}
