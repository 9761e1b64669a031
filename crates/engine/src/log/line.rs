//! Lines of a state, as a checkpoint holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{LogError, Node, Snapshot};
use crate::model::{
    Commit, CommitKey, Conflict, ConflictId, Digest, Entry, Group, Groups, Keep, Need, PackId, PackInfo,
    Recipe, VaultPath, limits,
};
use crate::plan::Ages;
use crate::planted::{Bug, planted};

/// One line of the state. Lines are sorted by kind in this order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    Needs(BTreeSet<Need>),
    Groups(Vec<Group>),
    Ages(String, Ages),
    Commit(CommitKey, Node),
    Conflict(Box<Conflict>),
    Resolved(ConflictId, Keep),
    Horizon(u64),
    Marked(PackId, CommitKey),
    Swept(PackId),
    Void(CommitKey),
    #[serde(rename = "given-up")]
    GivenUp(Digest),
    Pack(Box<PackInfo>),
    Recipe(Digest, Recipe),
    File(VaultPath, Entry),
}

impl Line {
    /// Bytes of the line, without its end.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, LogError> {
        serde_json::to_vec(self).map_err(|error| LogError::corrupt("a new checkpoint", error))
    }
}

/// Commits of a state's past, by key.
pub(super) type Past = BTreeMap<CommitKey, Node>;

impl Snapshot {
    /// All lines of the state, with those of its past, in order.
    pub(super) fn lines<'a>(&'a self, past: &'a Past) -> impl Iterator<Item = Line> + 'a {
        let needs = (!self.needs.is_empty()).then(|| Line::Needs(self.needs.clone()));
        let horizon = (self.horizon > 0).then_some(Line::Horizon(self.horizon));
        needs
            .into_iter()
            .chain([Line::Groups(self.groups.definitions().to_vec())])
            .chain(self.ages.iter().map(|(group, ages)| Line::Ages(group.clone(), *ages)))
            .chain(past.iter().map(|(key, node)| Line::Commit(*key, node.clone())))
            .chain(self.conflicts.values().map(|conflict| Line::Conflict(Box::new(conflict.clone()))))
            .chain(self.resolved.iter().map(|(id, keep)| Line::Resolved(*id, *keep)))
            .chain(horizon)
            .chain(self.marked.iter().map(|(pack, by)| Line::Marked(*pack, *by)))
            .chain(self.swept.iter().map(|pack| Line::Swept(*pack)))
            .chain(self.void.iter().map(|commit| Line::Void(*commit)))
            .chain(self.given_up.iter().map(|content| Line::GivenUp(*content)))
            .chain(self.packs.values().map(|pack| Line::Pack(Box::new(pack.as_ref().clone()))))
            .chain(self.recipes.iter().map(|(digest, recipe)| Line::Recipe(*digest, recipe.clone())))
            .chain(self.tree.iter().map(|(path, entry)| Line::File(path.clone(), *entry)))
    }

    /// Takes in a line, or puts it into `past`. Each thing has one line: the sum of a state does not
    /// see a line that occurs 65,536 times.
    pub(super) fn take_in(&mut self, line: Line, past: &mut Past) -> Result<(), String> {
        let is_new = match line {
            Line::Needs(needs) => std::mem::replace(&mut self.needs, needs).is_empty(),
            Line::Groups(groups) => {
                let groups = Groups::new(groups).map_err(|error| error.to_string())?;
                std::mem::replace(&mut self.groups, groups).definitions().is_empty()
            }
            Line::Ages(group, ages) => self.ages.insert(group, ages).is_none(),
            Line::Commit(commit, node) => past.insert(commit, node).is_none(),
            Line::Conflict(conflict) => self.conflicts.insert(conflict.id, *conflict).is_none(),
            Line::Resolved(id, keep) => self.resolved.insert(id, keep).is_none(),
            Line::Horizon(horizon) => std::mem::replace(&mut self.horizon, horizon) == 0,
            Line::Marked(pack, by) => self.marked.insert(pack, by).is_none(),
            Line::Swept(pack) => Arc::make_mut(&mut self.swept).insert(pack),
            Line::Void(commit) => self.void.insert(commit),
            Line::GivenUp(content) => self.given_up.insert(content),
            Line::Pack(pack) => self.packs.insert(pack.id, Arc::new(*pack)).is_none(),
            Line::Recipe(digest, recipe) => self.recipes.insert(digest, recipe).is_none(),
            Line::File(path, entry) => self.tree.insert(path, entry).is_none(),
        };
        if is_new || planted(Bug::TakeRepeatedLines) {
            return Ok(());
        }
        Err("one of its lines says again what another has said".to_owned())
    }
}

/// Lines of a state that a commit may change, by their keys.
#[derive(Debug)]
pub(super) struct Touched<'a> {
    commit: &'a Commit,
    conflicts: BTreeSet<ConflictId>,
    packs: BTreeSet<PackId>,
    contents: BTreeSet<Digest>,
}

impl<'a> Touched<'a> {
    pub(super) fn by(key: CommitKey, commit: &'a Commit, state: &Snapshot) -> Self {
        let prune = &commit.prune;
        let kept = commit.kept.iter().map(|conflict| conflict.id);
        let resolved = commit.resolved.iter().map(|resolution| resolution.id);
        let conflicts: BTreeSet<ConflictId> =
            kept.chain(resolved).chain(prune.unkept.iter().copied()).collect();
        let enclosed = commit.enclosed.as_ref().map(|_| PackId::within(key.id));
        let packs = commit.packs.iter().map(|pack| pack.id).chain(enclosed);
        let packs =
            packs.chain([&prune.marked, &prune.unmarked, &prune.swept].into_iter().flatten().copied());
        let leaving = conflicts.iter().filter_map(|id| state.conflicts.get(id));
        let files = commit.kept.iter().chain(leaving).flat_map(|conflict| &conflict.files);
        let before = commit.changes.iter().filter_map(|change| state.tree.get(&change.path).copied());
        let after = commit.changes.iter().filter_map(|change| change.entry);
        let entries = files.filter_map(|file| file.entry).chain(before).chain(after);
        let recipes = commit.recipes.iter().map(|of| of.digest);
        let given_up = prune.given_up.iter().copied();
        let contents = entries.map(|entry| entry.digest).chain(recipes).chain(given_up).collect();
        Self { commit, packs: packs.collect(), contents, conflicts }
    }

    /// Contents whose recipes may come or go, and contents that are given up or brought again.
    pub(super) const fn contents(&self) -> &BTreeSet<Digest> {
        &self.contents
    }

    /// Lines of a state.
    pub(super) fn lines<'s>(&'s self, state: &'s Snapshot) -> impl Iterator<Item = Line> + 's {
        let needs = (!state.needs.is_empty()).then(|| Line::Needs(state.needs.clone()));
        let horizon = (state.horizon > 0).then_some(Line::Horizon(state.horizon));
        let Self { commit, conflicts, packs, contents } = self;
        let found = conflicts.iter().filter_map(|id| state.conflicts.get(id));
        needs
            .into_iter()
            .chain([Line::Groups(state.groups.definitions().to_vec())])
            .chain(state.ages.iter().map(|(group, ages)| Line::Ages(group.clone(), *ages)))
            .chain(found.map(|conflict| Line::Conflict(Box::new(conflict.clone()))))
            .chain(conflicts.iter().filter_map(|id| Some(Line::Resolved(*id, *state.resolved.get(id)?))))
            .chain(horizon)
            .chain(packs.iter().filter_map(|pack| Some(Line::Marked(*pack, *state.marked.get(pack)?))))
            .chain(packs.iter().filter(|pack| state.swept.contains(pack)).map(|pack| Line::Swept(*pack)))
            .chain(
                commit.prune.void.iter().filter(|key| state.void.contains(key)).map(|key| Line::Void(*key)),
            )
            .chain(contents.intersection(&state.given_up).map(|content| Line::GivenUp(*content)))
            .chain(
                packs
                    .iter()
                    .filter_map(|id| Some(Line::Pack(Box::new(state.packs.get(id)?.as_ref().clone())))),
            )
            .chain(contents.iter().filter_map(|id| Some(Line::Recipe(*id, state.recipes.get(id)?.clone()))))
            .chain(
                commit.changes.iter().filter_map(|change| {
                    Some(Line::File(change.path.clone(), *state.tree.get(&change.path)?))
                }),
            )
    }
}

/// Checks that a past is one: without gaps, without circles, and with generations that follow each
/// other, up to `head`.
pub(super) fn check_past(past: &Past, head: CommitKey) -> Result<(), String> {
    let highest = past.last_key_value().map(|(key, _)| *key);
    if highest != Some(head) {
        return Err("it does not end with its own commit".into());
    }
    for (key, Node { parents, .. }) in past {
        let above = parents.iter().map(|parent| parent.seq).max().unwrap_or(0);
        if above + 1 != key.seq || key.seq > limits::GENERATION || parents.len() > 2 {
            return Err(format!("the generation of {key} does not follow its parents'"));
        }
        if let Some(missing) = parents.iter().find(|parent| !past.contains_key(parent)) {
            return Err(format!("it does not know {missing}, a parent of {key}"));
        }
    }
    Ok(())
}
