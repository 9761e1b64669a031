//! The vault as one commit left it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::LogError;
use crate::model::{
    Commit, CommitKey, Conflict, ConflictId, Digest, Entry, Group, Groups, Keep, Need, PackId, PackInfo,
    Recipe, Role, Tree, set_entry,
};
use crate::plan::Ages;
use crate::planted::{Bug, planted};

/// Everything that follows from a commit and its past.
///
/// Replayed along first parents only: every commit is a difference to its first parent, so no other is needed. Two devices
/// that replay the same commits have equal snapshots.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The commit; none before the first.
    pub key: Option<CommitKey>,
    /// The manifest.
    pub tree: Tree,
    /// Recipes of contents of more than one chunk that the manifest or an open conflict names.
    pub recipes: BTreeMap<Digest, Recipe>,
    /// Packs named so far.
    pub packs: BTreeMap<PackId, Arc<PackInfo>>,
    /// Groups in force.
    pub groups: Groups,
    /// When each group's members last changed.
    pub ages: BTreeMap<String, Ages>,
    /// Open conflicts.
    pub conflicts: BTreeMap<ConflictId, Conflict>,
    /// Conflicts decided: they stay so, also where a fork lists them as open.
    pub resolved: BTreeMap<ConflictId, Keep>,
    /// Features that the commits up to here needed of their readers.
    pub needs: BTreeSet<Need>,
    /// Packs that nothing needs, each with the commit that says so: nothing new may rely on them.
    pub marked: BTreeMap<PackId, CommitKey>,
    /// Packs that once belonged to the state, or to nothing, and that nobody may rely on any more.
    pub swept: BTreeSet<PackId>,
    /// The oldest generation whose contents are kept; 0 where all are.
    pub horizon: u64,
    /// Commits that relied on swept packs: what they brought counts only as far as it was taken over.
    pub void: BTreeSet<CommitKey>,
}

impl Snapshot {
    /// The snapshot before the first commit of a vault with these groups.
    ///
    /// # Errors
    /// Where a group definition is unusable.
    pub fn empty(groups: Vec<Group>) -> Result<Self, crate::model::GroupError> {
        Ok(Self { groups: Groups::new(groups)?, ..Self::default() })
    }

    /// The generation; 0 before the first commit.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.key.map_or(0, |key| key.seq)
    }

    /// Moves on to `commit`, a child of this snapshot's commit.
    ///
    /// # Errors
    /// Where the commit cannot follow this one.
    pub(super) fn apply(&mut self, key: CommitKey, commit: &Commit) -> Result<(), LogError> {
        if commit.parents.first().copied() != self.key {
            return Err(LogError::corrupt(key, "it is applied to another commit than its parent"));
        }
        // The first commit of a vault repeats those of its header: what does not change is not compiled again.
        if let Some(groups) = commit.groups.as_ref().filter(|groups| *groups != self.groups.definitions()) {
            self.groups = Groups::new(groups.clone()).map_err(|error| LogError::groups(key, &error))?;
        }
        for change in &commit.changes {
            if let Some((group, role)) = self.groups.find(&change.path) {
                let ages = self.ages.entry(group.name.clone()).or_default();
                match role {
                    Role::Primary => ages.primary = key.seq,
                    // An index that was taken away is not one that was built.
                    Role::Derived if change.entry.is_some() => ages.derived = key.seq,
                    Role::Derived => {}
                }
            }
            set_entry(&mut self.tree, change.path.clone(), change.entry);
        }
        for of in &commit.recipes {
            self.recipes.insert(of.digest, of.recipe.clone());
        }
        for pack in &commit.prune.swept {
            self.packs.remove(pack);
            self.marked.remove(pack);
            self.swept.insert(*pack);
        }
        for pack in &commit.packs {
            self.packs.insert(pack.id, Arc::new(pack.clone()));
        }
        self.marked.extend(commit.prune.marked.iter().map(|pack| (*pack, key)));
        self.marked.retain(|pack, _| !commit.prune.unmarked.contains(pack));
        self.horizon = self.horizon.max(commit.prune.horizon.unwrap_or(0));
        self.void.extend(&commit.prune.void);
        self.needs.extend(commit.needs.iter().cloned());
        for conflict in &commit.prune.unkept {
            self.conflicts.remove(conflict);
        }
        for resolution in &commit.resolved {
            self.conflicts.remove(&resolution.id);
            self.resolved.insert(resolution.id, resolution.keep);
        }
        for conflict in &commit.kept {
            if !self.resolved.contains_key(&conflict.id) {
                self.conflicts.entry(conflict.id).or_insert_with(|| conflict.clone());
            }
        }
        self.key = Some(key);
        Ok(())
    }

    /// Forgets recipes that neither the manifest nor an open conflict names.
    pub(super) fn drop_unused_recipes(&mut self) {
        let kept = self
            .conflicts
            .values()
            .flat_map(|conflict| &conflict.files)
            .filter_map(|file| file.entry.as_ref());
        let used: BTreeSet<Digest> = self.tree.values().chain(kept).map(|entry| entry.digest).collect();
        self.recipes.retain(|digest, _| used.contains(digest));
    }

    /// Packs that are not about to go.
    pub fn lasting_packs(&self) -> impl Iterator<Item = &Arc<PackInfo>> {
        self.packs
            .iter()
            .filter(|(id, _)| !self.marked.contains_key(id) || planted(Bug::ReuseMarked))
            .map(|(_, pack)| pack)
    }

    /// Whether a pack belongs to this state no more, so that its object may go.
    #[must_use]
    pub fn has_swept(&self, pack: &PackId) -> bool {
        self.swept.contains(pack) && !self.packs.contains_key(pack)
    }

    /// Contents that the manifest and the open conflicts name.
    pub fn contents(&self) -> impl Iterator<Item = &Entry> {
        let kept = self
            .conflicts
            .values()
            .flat_map(|conflict| &conflict.files)
            .filter_map(|file| file.entry.as_ref());
        self.tree.values().chain(kept)
    }
}
