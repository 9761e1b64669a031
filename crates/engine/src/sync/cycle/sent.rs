//! The uploaded part of a push, as a commit and as the manifest after it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::log::Snapshot;
use crate::model::{
    Change, Commit, Conflict, Digest, Enclosed, Item, PackId, PackInfo, Recipe, RecipeOf, Tree, set_entry,
};
use crate::plan::Step;

/// Changes of a commit from which its manifest shares the memory of what stands here.
const MANY: usize = 1024;

/// Uploaded items that can be committed.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub items: BTreeSet<Item>,
    pub recipes: BTreeMap<Digest, Recipe>,
    pub packs: BTreeMap<PackId, PackInfo>,
    /// A small pack, which the commit holds itself.
    pub enclosed: Option<Enclosed>,
    pub kept: Vec<Conflict>,
    /// True if a database was read for them.
    pub databases: bool,
}

/// Fills a commit with the uploaded part of a batch.
pub(super) fn fill(mut commit: Commit, head: &Snapshot, batch: &[&Step], sent: &Sent) -> Commit {
    let pushed = batch.iter().filter(|step| sent.items.contains(&step.item));
    commit.changes = pushed
        .flat_map(|step| &step.files)
        .map(|file| Change { path: file.path.clone(), entry: file.to })
        .collect();
    commit.changes.sort_by(|a, b| a.path.cmp(&b.path));
    let kept = sent.kept.iter().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry);
    let named: BTreeSet<Digest> = commit
        .changes
        .iter()
        .filter_map(|change| change.entry)
        .chain(kept)
        .map(|entry| entry.digest)
        .collect();
    // Where the state has another one, that may be wrong.
    let recipes = sent
        .recipes
        .iter()
        .filter(|(digest, recipe)| named.contains(digest) && head.recipes.get(digest) != Some(recipe));
    commit.recipes =
        recipes.map(|(digest, recipe)| RecipeOf { digest: *digest, recipe: recipe.clone() }).collect();
    commit.packs = sent.packs.values().cloned().collect();
    commit.enclosed.clone_from(&sent.enclosed);
    commit.kept.clone_from(&sent.kept);
    commit.kept.sort_by_key(|conflict| conflict.id);
    commit
}

/// The manifest that `commit` makes of that of `head`. Where it brings much, the manifest shares
/// the memory of `here`, the files that stand here.
pub(super) fn manifest_after(head: &Snapshot, commit: &Commit, here: &Tree) -> Tree {
    let mut after = head.tree.clone();
    for change in &commit.changes {
        set_entry(&mut after, change.path.clone(), change.entry);
    }
    if commit.changes.len() >= MANY {
        after.share_with(here);
    }
    after
}
