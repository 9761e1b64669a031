//! Contents that others have given up and that stand here.
//!
//! Decided here: a device that still holds what the bucket has lost sends it again. Nothing is
//! written; a crash leaves nothing.

use std::collections::BTreeSet;

use crate::model::{Digest, Entry, Groups, Item, Tree, VaultPath};

/// Forgets the agreement on items of which this device holds a content that was given up: what is
/// here counts as its own edit, and so it comes back, or loses as a conflict. `gone` are contents
/// that were given up. Returns the paths whose agreement was forgotten.
pub(super) fn forget_given_up(
    base: &mut Tree,
    [local, remote]: [&Tree; 2],
    groups: &Groups,
    gone: &BTreeSet<Digest>,
) -> Vec<VaultPath> {
    if gone.is_empty() {
        return Vec::new();
    }
    let is_here = |path: &VaultPath, entry: &Entry| local.get(path) == Some(entry);
    let comes_back = |(path, entry): &(&VaultPath, &Entry)| {
        gone.contains(&entry.digest) && is_here(path, entry) && remote.get(*path) != Some(*entry)
    };
    let items: BTreeSet<Item> = base.iter().filter(comes_back).map(|(path, _)| groups.item(path)).collect();
    let mut forgotten = Vec::new();
    if !items.is_empty() {
        base.retain(|path, entry| {
            let goes = items.contains(&groups.item(path)) && is_here(path, entry);
            forgotten.extend(goes.then(|| path.clone()));
            !goes
        });
    }
    forgotten
}
