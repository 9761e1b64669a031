//! Transactions that reach the bucket as one.
//!
//! A transaction binds the items that it wrote until all of it was sent. What has been written anew since, or was overruled by the remote,
//! binds no longer once nothing of what it wrote waits to be sent. Its notes are the vault's; a crash forgets none too early.

use std::collections::BTreeSet;

use super::push::Sent;
use super::report::Report;
use super::{Engine, Survey, SyncError};
use crate::model::{Digest, Groups, Item, Tree, VaultPath};
use crate::vault::{Together, forget_together, together};

/// What must be sent together, and the notes that have had their time.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) items: Vec<BTreeSet<Item>>,
    pub(super) over: Vec<String>,
}

impl Bound {
    /// What `notes`, which were read before the vault was scanned, say of it.
    pub(super) fn of(notes: Vec<Together>, groups: &Groups, local: &Tree, base: &Tree) -> Self {
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

impl Engine {
    /// Transactions that may not have been sent; to be asked before the vault is scanned.
    pub(super) fn noted_together(&self) -> Result<Vec<Together>, SyncError> {
        Ok(together(self.fs(), &self.layout)?)
    }

    /// Forgets those of which nothing waits any more.
    pub(super) fn forget_sent(&self, bound: &Bound) -> Result<(), SyncError> {
        for name in &bound.over {
            forget_together(self.fs(), &self.layout, name)?;
        }
        Ok(())
    }
}

/// Takes items out of what is about to be committed that belong with one that did not get this far.
pub(super) fn leave_out_halves(
    survey: &Survey,
    pulled: &BTreeSet<Item>,
    sent: &mut Sent,
    report: &mut Report,
) {
    loop {
        let missing = |item: &&Item| {
            let mut steps = survey.plan.steps.iter().filter(|step| step.item == **item);
            steps.any(|step| {
                step.outgoing() && !sent.items.contains(*item) || step.incoming() && !pulled.contains(*item)
            })
        };
        let half = |items: &&BTreeSet<Item>| items.iter().any(|item| sent.items.contains(item));
        let broken = survey
            .bound
            .items
            .iter()
            .filter(half)
            .find_map(|items| Some((items, items.iter().find(missing)?)));
        let Some((items, cause)) = broken else { return };
        let why = format!("it was written together with {cause}, which could not be sent");
        for item in items {
            if sent.items.remove(item) {
                report.wait(item, why.clone());
            }
        }
    }
}
