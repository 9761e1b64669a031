//! Merges two heads into one commit. Pure and deterministic: devices that merge the same two heads
//! write the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::Snapshot;
use super::old::{OldData, was_given_up};
use crate::model::{
    Change, Commit, CommitKey, CommitKind, Conflict, ConflictId, Digest, Entry, FIRST_FORMAT, Feature,
    Groups, Origin, RecipeOf, Resolution, VaultId, VaultPath, set_entry,
};
use crate::plan::{self, Action, Input, Mode};

/// One side of a merge.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Head of the side.
    pub key: CommitKey,
    /// Vault that the head names.
    pub vault: VaultId,
    /// Author of the head, if known.
    pub origin: Option<&'a Origin>,
    /// State at the head.
    pub snapshot: &'a Snapshot,
}

/// Creates the commit that merges `loser` into `winner`, the higher-ranking of the two. `base` is
/// their nearest common ancestor.
///
/// The result is the winner's state plus the changes of the loser that do not clash with it. A
/// clash becomes a conflict. The commit is a difference to the winner, so it repeats the loser's
/// packs, recipes and conflicts.
///
/// `old` tells what happened to old data on either side. Where a side has lost a content, the
/// version of the other side counts.
#[must_use]
pub fn merge(base: &Snapshot, loser: Side<'_>, winner: Side<'_>, old: &OldData) -> Commit {
    let as_it_was = winner.snapshot;
    let (ours, theirs) =
        (old.left(loser.snapshot, winner.snapshot), old.left(winner.snapshot, loser.snapshot));
    let (ours, theirs) = (ours.as_ref(), theirs.as_ref());
    let groups = groups(base, ours, theirs);
    let mut merged = merge_trees(base, ours, theirs, groups);
    old.add_reverts(&mut merged.changes, as_it_was, theirs);
    let known = |id: &ConflictId| theirs.conflicts.contains_key(id) || theirs.resolved.contains_key(id);
    let mut kept: BTreeMap<ConflictId, Conflict> = BTreeMap::new();
    for mut conflict in merged.conflicts {
        conflict.origin = loser.origin.cloned();
        kept.insert(conflict.id, conflict);
    }
    kept.extend(ours.conflicts.iter().map(|(id, conflict)| (*id, conflict.clone())));
    kept.retain(|id, conflict| {
        !known(id) && !ours.resolved.contains_key(id) && !was_given_up(conflict, base, theirs)
    });
    // The loser of one merge may win another. Once its version is in place, there is nothing to
    // bring back.
    let changed: BTreeMap<&VaultPath, Option<Entry>> =
        merged.changes.iter().map(|change| (&change.path, change.entry)).collect();
    let result =
        |path: &VaultPath| changed.get(path).copied().unwrap_or_else(|| theirs.tree.get(path).copied());
    kept.retain(|_, conflict| conflict.files.iter().any(|file| result(&file.path) != file.entry));

    let needed: BTreeSet<Digest> = (merged.changes.iter().filter_map(|change| change.entry))
        .chain(kept.values().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry))
        .map(|entry| entry.digest)
        .collect();
    let recipes = ours
        .recipes
        .iter()
        .filter(|(digest, _)| needed.contains(digest) && !theirs.recipes.contains_key(digest));
    let packs = ours.packs.iter();
    let packs = packs.filter(|(id, _)| !theirs.packs.contains_key(id) && !theirs.swept.contains(id));
    let resolved = ours.resolved.iter().filter(|(id, _)| !theirs.resolved.contains_key(id));
    let definitions = groups.definitions();
    // The winner's children know what its own past needs, but not what the loser's does.
    let needs = [Feature::Enclosed, Feature::GivenUp, Feature::Sqlite].map(Feature::need).into_iter();
    let needs = needs.filter(|need| ours.needs.contains(need) && !theirs.needs.contains(need));
    Commit {
        format: FIRST_FORMAT,
        vault: loser.vault.min(winner.vault),
        seq: winner.key.seq.max(loser.key.seq) + 1,
        parents: vec![winner.key, loser.key],
        txn: None,
        device: None,
        changes: merged.changes,
        recipes: recipes
            .map(|(digest, recipe)| RecipeOf { digest: *digest, recipe: recipe.clone() })
            .collect(),
        packs: packs.map(|(_, pack)| pack.as_ref().clone()).collect(),
        enclosed: None,
        groups: (definitions != theirs.groups.definitions()).then(|| definitions.to_vec()),
        kept: kept.into_values().collect(),
        resolved: resolved.map(|(id, keep)| Resolution { id: *id, keep: *keep }).collect(),
        kind: CommitKind::Sync,
        prune: old.prune(base, loser.snapshot, winner.snapshot),
        needs: needs.collect(),
        base: winner.snapshot.names_base.then(|| winner.snapshot.base()),
        ext: None,
    }
}

/// Base for heads whose merges crossed: their nearest common ancestors, merged into a tree that no
/// commit stands for.
#[must_use]
pub fn virtual_base(older: &Snapshot, loser: &Snapshot, winner: &Snapshot) -> Snapshot {
    let groups = groups(older, loser, winner);
    let mut merged = winner.clone();
    for change in merge_trees(older, loser, winner, groups).changes {
        set_entry(&mut merged.tree, change.path, change.entry);
    }
    merged.groups = groups.clone();
    // Both heads know what either of these has decided.
    merged.resolved.extend(loser.resolved.iter().map(|(id, keep)| (*id, *keep)));
    merged.key = None;
    merged
}

/// The winner's groups, or the loser's if only the loser changed them.
fn groups<'a>(base: &Snapshot, loser: &'a Snapshot, winner: &'a Snapshot) -> &'a Groups {
    let unchanged = base.groups.definitions() == winner.groups.definitions();
    if unchanged { &loser.groups } else { &winner.groups }
}

struct MergedTrees {
    changes: Vec<Change>,
    conflicts: Vec<Conflict>,
}

fn merge_trees(base: &Snapshot, loser: &Snapshot, winner: &Snapshot, groups: &Groups) -> MergedTrees {
    let trees = [&base.tree, &loser.tree, &winner.tree];
    let plan = plan::plan(&Input {
        mode: Mode::Merge,
        closed: &base.resolved,
        ..Input::of(trees, groups, &winner.ages)
    });
    let mut changes = BTreeMap::new();
    let mut conflicts = Vec::new();
    for step in plan.steps {
        match step.action {
            Action::Push => changes.extend(step.files.into_iter().map(|file| (file.path, file.to))),
            Action::Conflict(conflict) => conflicts.push(*conflict),
            Action::Pull | Action::Adopt | Action::KeepLocal => {}
        }
    }
    MergedTrees {
        changes: changes.into_iter().map(|(path, entry)| Change { path, entry }).collect(),
        conflicts,
    }
}
