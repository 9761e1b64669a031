//! State of the vault at one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::LogError;
use super::bare::Bare;
use super::enclosed::packs_of;
use super::line::{Line, Touched};
use super::sum::StateSum;
use crate::model::{
    Commit, CommitKey, Conflict, ConflictId, Digest, Entry, Group, Groups, Keep, Need, PackId, PackInfo,
    Recipe, Role, SharedMap, Tree, set_entry,
};
use crate::plan::Ages;
use crate::planted::{Bug, planted};

/// State that follows from a commit and its past.
///
/// It is replayed along first parents only: every commit is a difference to its first parent, so no
/// other is needed. Two devices that replay the same commits have equal snapshots.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Commit of the state. `None` before the first.
    pub key: Option<CommitKey>,
    /// Manifest.
    pub tree: Tree,
    /// Recipes of contents with several chunks that the manifest or an open conflict names.
    pub recipes: SharedMap<Digest, Recipe>,
    /// Packs of the state.
    pub packs: SharedMap<PackId, Arc<PackInfo>>,
    /// Groups in force.
    pub groups: Groups,
    /// Generations of the last change of each group's members.
    pub ages: BTreeMap<String, Ages>,
    /// Open conflicts.
    pub conflicts: BTreeMap<ConflictId, Conflict>,
    /// Decided conflicts. They stay decided, even if a fork lists them as open.
    pub resolved: BTreeMap<ConflictId, Keep>,
    /// Features that the commits up to here needed of their readers.
    pub needs: BTreeSet<Need>,
    /// Packs that are no longer needed, each with the commit that marked it. New commits must not
    /// rely on them.
    pub marked: BTreeMap<PackId, CommitKey>,
    /// Swept packs. Nothing may rely on them any more. They are many after some years, and states
    /// share them.
    pub swept: Arc<BTreeSet<PackId>>,
    /// Oldest generation whose contents are kept; 0 if all are.
    pub horizon: u64,
    /// Commits that relied on swept packs. Only the changes that a merge took over from them count.
    pub void: BTreeSet<CommitKey>,
    /// Contents that the bucket has lost and that nobody could give back.
    pub given_up: BTreeSet<Digest>,
    /// Packs of the state that the bucket does not have, removed from `packs`. Empty in states that
    /// commits say; see [`super::Log::at_hand`].
    pub lost: BTreeSet<PackId>,
    /// Sum of the state's lines. Copies that were changed by hand keep the old one.
    pub(crate) sum: StateSum,
    /// True if the state's commit names the sum of its first parent's state, as its children will.
    pub(crate) names_base: bool,
    /// Number of files and open conflicts that use each recipe. It follows from the state alone, so
    /// that those who replay the commits and those who read a stored state drop the same recipes.
    pub(crate) uses: SharedMap<Digest, usize>,
    /// Contents in use that have no recipe. Somebody may bring the recipe of one later, and then
    /// its uses are counted.
    pub(crate) bare: Bare,
    /// Changes that were applied since the state was read, or since the first commit.
    pub(crate) applied: usize,
}

impl Snapshot {
    /// Creates the snapshot before the first commit of a vault with these groups.
    ///
    /// # Errors
    /// If a group definition is not valid.
    pub fn empty(groups: Vec<Group>) -> Result<Self, crate::model::GroupError> {
        let mut sum = StateSum::default();
        if let Ok(line) = Line::Groups(groups.clone()).bytes() {
            sum.add(&line);
        }
        Ok(Self { groups: Groups::new(groups)?, sum, ..Self::default() })
    }

    /// Generation of the state; 0 before the first commit.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.key.map_or(0, |key| key.seq)
    }

    /// Digest of the state's sum, for the commits that are differences to it.
    #[must_use]
    pub fn base(&self) -> Digest {
        self.sum.digest()
    }

    /// Advances to `commit`, a child of this snapshot's commit. The line of the commit itself, and
    /// those of a second parent's past, are the caller's to add. `marked` are packs that others of
    /// its past have marked.
    ///
    /// # Errors
    /// If the commit cannot follow this one.
    pub(super) fn apply(
        &mut self,
        key: CommitKey,
        commit: &Commit,
        marked: &BTreeSet<PackId>,
    ) -> Result<(), LogError> {
        if commit.parents.first().copied() != self.key {
            return Err(LogError::corrupt(key, "it is applied to another commit than its parent"));
        }
        if commit.base.is_some_and(|base| base != self.base()) {
            return Err(LogError::corrupt(key, "it names another state than its first parent has"));
        }
        let touched = Touched::by(key, commit, self);
        let mut sum = std::mem::take(&mut self.sum);
        for line in touched.lines(self) {
            sum.take(&line.bytes()?);
        }
        self.change(key, commit, marked)?;
        for digest in touched.contents().iter().filter(|digest| !self.uses.contains_key(digest)) {
            self.recipes.remove(digest);
        }
        for line in touched.lines(self) {
            sum.add(&line.bytes()?);
        }
        self.sum = sum;
        // Contents that are long gone are forgotten now and then.
        if self.bare.is_full() {
            self.count_uses();
        }
        self.applied += commit.changes.len();
        self.names_base = commit.base.is_some();
        self.key = Some(key);
        Ok(())
    }

    fn change(&mut self, key: CommitKey, commit: &Commit, marked: &BTreeSet<PackId>) -> Result<(), LogError> {
        // The first commit of a vault repeats the header's groups. Do not compile them again.
        if let Some(groups) = commit.groups.as_ref().filter(|groups| *groups != self.groups.definitions()) {
            self.groups = Groups::new(groups.clone()).map_err(|error| LogError::groups(key, &error))?;
        }
        self.add_recipes(commit);
        for change in &commit.changes {
            if let Some((group, role)) = self.groups.find(&change.path) {
                let ages = self.ages.entry(group.name.clone()).or_default();
                match role {
                    Role::Primary => ages.primary = key.seq,
                    // Removing an index does not count as building one.
                    Role::Derived if change.entry.is_some() => ages.derived = key.seq,
                    Role::Derived => {}
                }
            }
            self.begin_use(change.entry);
            let before = self.tree.get(&change.path).copied();
            self.end_use(before);
            set_entry(&mut self.tree, change.path.clone(), change.entry);
        }
        self.change_packs(key, commit, marked);
        self.void.extend(&commit.prune.void);
        self.give_up(commit);
        self.needs.extend(commit.needs.iter().cloned());
        for conflict in &commit.prune.unkept {
            self.close(conflict);
        }
        for resolution in &commit.resolved {
            self.close(&resolution.id);
            self.resolved.insert(resolution.id, resolution.keep);
        }
        for conflict in &commit.kept {
            if !self.resolved.contains_key(&conflict.id) && !self.conflicts.contains_key(&conflict.id) {
                conflict.files.iter().for_each(|file| self.begin_use(file.entry));
                self.conflicts.insert(conflict.id, conflict.clone());
            }
        }
        Ok(())
    }

    fn change_packs(&mut self, key: CommitKey, commit: &Commit, marked: &BTreeSet<PackId>) {
        for pack in &commit.prune.swept {
            // Whoever can write to the bucket could end the history with one commit otherwise.
            if !(self.marked.contains_key(pack) || marked.contains(pack)) {
                tracing::warn!(commit = %key, %pack, "a commit sweeps a pack that nobody has marked: the pack stays");
                continue;
            }
            self.packs.remove(pack);
            self.marked.remove(pack);
            Arc::make_mut(&mut self.swept).insert(*pack);
        }
        for pack in packs_of(key, commit) {
            // The table of a pack is that of the commit that has brought it. Nobody may claim other
            // chunks in its place: those that lie there would be found no more.
            match self.packs.get(&pack.id) {
                None => drop(self.packs.insert(pack.id, Arc::new(pack))),
                Some(known) if **known == pack => {}
                Some(_) => tracing::warn!(
                    commit = %key,
                    pack = %pack.id,
                    "a commit names a pack that is there already, with another table: that table is ignored"
                ),
            }
        }
        self.marked.extend(commit.prune.marked.iter().map(|pack| (*pack, key)));
        for pack in &commit.prune.unmarked {
            self.marked.remove(pack);
        }
        self.horizon = self.horizon.max(commit.prune.horizon.unwrap_or(0));
    }

    /// Takes in what the commit gives up. What it names is there again.
    fn give_up(&mut self, commit: &Commit) {
        self.given_up.extend(&commit.prune.given_up);
        let kept = commit.kept.iter().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry);
        for entry in commit.changes.iter().filter_map(|change| change.entry).chain(kept) {
            self.given_up.remove(&entry.digest);
        }
    }

    /// Removes a conflict.
    fn close(&mut self, id: &ConflictId) {
        for file in self.conflicts.remove(id).into_iter().flat_map(|conflict| conflict.files) {
            self.end_use(file.entry);
        }
    }

    /// Adds the recipes that the state does not have. A content may have been in use without one,
    /// although no device commits such a thing.
    fn add_recipes(&mut self, commit: &Commit) {
        let mut late = BTreeMap::new();
        for of in commit.recipes.iter().filter(|of| !self.recipes.contains_key(&of.digest)) {
            if self.bare.may_have(&of.digest) {
                late.insert(of.digest, 0);
            }
        }
        if !late.is_empty() {
            for entry in self.contents() {
                late.entry(entry.digest).and_modify(|uses| *uses += 1);
            }
        }
        self.uses.extend(late.into_iter().filter(|(_, uses)| *uses > 0));
        for of in &commit.recipes {
            if !self.recipes.contains_key(&of.digest) {
                self.recipes.insert(of.digest, of.recipe.clone());
            }
        }
    }

    fn begin_use(&mut self, entry: Option<Entry>) {
        let Some(entry) = entry else { return };
        if self.recipes.contains_key(&entry.digest) {
            let uses = self.uses.get(&entry.digest).copied().unwrap_or_default();
            self.uses.insert(entry.digest, uses + 1);
        } else {
            self.bare.note(&entry.digest);
        }
    }

    fn end_use(&mut self, entry: Option<Entry>) {
        let Some(entry) = entry else { return };
        match self.uses.get(&entry.digest).copied() {
            Some(1) => drop(self.uses.remove(&entry.digest)),
            Some(uses) => drop(self.uses.insert(entry.digest, uses - 1)),
            None => {}
        }
    }

    /// Counts the uses of recipes, for a state that was not made by commits.
    pub(super) fn count_uses(&mut self) {
        let mut uses: BTreeMap<Digest, usize> = BTreeMap::new();
        let has_recipe = |entry: &&Entry| self.recipes.contains_key(&entry.digest);
        for entry in self.contents().filter(has_recipe) {
            *uses.entry(entry.digest).or_default() += 1;
        }
        let others = self.contents().filter(|entry| !has_recipe(entry));
        self.bare = Bare::of(others.map(|entry| &entry.digest));
        self.uses = uses.into_iter().collect();
    }

    /// Packs that are not marked for deletion.
    #[must_use]
    pub fn lasting(&self) -> SharedMap<PackId, Arc<PackInfo>> {
        let mut lasting = self.packs.clone();
        for id in self.marked.keys().filter(|_| !planted(Bug::ReuseMarked)) {
            lasting.remove(id);
        }
        lasting
    }

    /// True if the pack is swept and no longer part of the state, so that its object may be
    /// deleted.
    #[must_use]
    pub fn has_swept(&self, pack: &PackId) -> bool {
        self.swept.contains(pack) && !self.packs.contains_key(pack)
    }

    /// Contents that were given up and that neither the manifest nor an open conflict names.
    #[must_use]
    pub fn gone_for_good(&self) -> BTreeSet<Digest> {
        let mut gone = self.given_up.clone();
        if !gone.is_empty() {
            for entry in self.contents() {
                gone.remove(&entry.digest);
            }
        }
        gone
    }

    /// Entries that the manifest and the open conflicts name.
    pub fn contents(&self) -> impl Iterator<Item = &Entry> {
        let kept = self
            .conflicts
            .values()
            .flat_map(|conflict| &conflict.files)
            .filter_map(|file| file.entry.as_ref());
        self.tree.values().chain(kept)
    }
}
