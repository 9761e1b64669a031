//! Versions that the bucket cannot put together any more, by file and generation.
//!
//! Found by a walk over the whole history, so it is asked for only where a pack is missing or
//! damaged, or where contents were given up. Nothing is written; a crash leaves nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Fault;
use super::repair::stored_part;
use crate::content::ChunkIndex;
use crate::log::{BranchVersion, ChunkReader, Depth, Name, Snapshot, pack_key, unless_lost};
use crate::model::{CommitKey, ConflictId, Digest, Entry, Item, PackId, PackInfo, Recipe, VaultPath};
use crate::state::RightRecipes;
use crate::sync::cycle::list_chunks;
use crate::sync::session::Session;
use crate::sync::{SyncError, blocking};

/// A version of a file that cannot be put together any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, ToSchema)]
pub struct Lost {
    /// The file. For a conflict, its id comes first.
    pub path: String,
    /// Generation that made it.
    pub from: u64,
    /// Last generation that has it.
    pub to: u64,
    /// For a file that is lost in the newest generation: the last one whose version of it can be
    /// read. To give the lost one up means to go back to that; without one, the file goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readable: Option<u64>,
}

/// A lost version as the history names it.
#[derive(Debug)]
pub(super) struct LostVersion {
    pub lost: Lost,
    pub content: Digest,
    pub path: VaultPath,
    /// The conflict that keeps it; none for a file.
    pub conflict: Option<ConflictId>,
}

/// Lost versions.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// The head of the history that was walked.
    pub head: Option<CommitKey>,
    /// Versions that retention keeps.
    pub versions: Vec<LostVersion>,
    /// All contents that cannot be put together, of whichever age.
    unreadable: BTreeSet<Digest>,
}

impl Losses {
    /// Takes out the versions of these contents.
    pub fn take(&mut self, contents: &BTreeSet<Digest>) -> Vec<LostVersion> {
        let all = std::mem::take(&mut self.versions);
        let (taken, left) = all.into_iter().partition(|version| contents.contains(&version.content));
        self.versions = left;
        taken
    }

    /// The versions as people are told of them.
    pub fn told(&self) -> Vec<Lost> {
        self.versions.iter().map(|version| version.lost.clone()).collect()
    }
}

/// State of a walk over the history, from its beginning.
struct LostWalk<'a> {
    reader: ChunkReader,
    /// Keys of packs that are missing or damaged.
    bad: BTreeSet<&'a str>,
    /// Chunks that can be read, of the packs that were looked at.
    index: ChunkIndex,
    packs: BTreeSet<PackId>,
    readable: HashMap<Digest, bool>,
    /// Those that cannot be read, and a file that has them.
    unread: BTreeMap<Digest, (VaultPath, Entry)>,
    /// Recipes that count in place of those of the states.
    right: RightRecipes,
    /// Version of each file that stands, and the generation that made it.
    open: BTreeMap<Name, (u64, Digest)>,
    /// Void generations. A version that only these have counts as carried by nobody.
    void: BTreeSet<u64>,
    losses: Losses,
}

impl Session<'_> {
    /// True if something that retention keeps is neither in the packs of the newest state nor in
    /// swept ones that are still there, and was not given up.
    pub(super) async fn lacks(&mut self, head: &Snapshot) -> Result<bool, SyncError> {
        let Some(retained) = unless_lost(self.retained(head, head.horizon).await?)? else {
            return Ok(true);
        };
        let kept = retained.sure;
        let there = self.swept_and_there(head).await?;
        let reader = ChunkReader::new(Arc::clone(&self.context.ports.remote));
        let lost = reader.places(&kept, head.packs.values(), &[], &there).await?.lost;
        let gone = head.gone_for_good();
        Ok(lost.iter().any(|content| !gone.contains(content)))
    }

    /// Versions that need a chunk of a pack that is still damaged, or that is gone although
    /// retention keeps them.
    pub(super) async fn lost(&mut self, faults: &[Fault]) -> Result<Losses, SyncError> {
        self.log.refresh(Depth::Near).await?;
        let Some(head) = self.log.graph().heads().first().copied() else { return Ok(Losses::default()) };
        let newest = self.log.snapshot(Some(head)).await?;
        let mut walk = LostWalk {
            reader: ChunkReader::new(Arc::clone(&self.context.ports.remote)),
            bad: faults.iter().map(|fault| fault.path.as_str()).collect(),
            index: ChunkIndex::default(),
            packs: BTreeSet::new(),
            readable: HashMap::new(),
            unread: BTreeMap::new(),
            right: blocking(|| self.context.right_recipes())?,
            open: BTreeMap::new(),
            void: BTreeSet::new(),
            losses: Losses { head: Some(head), ..Losses::default() },
        };
        // A chunk that a later pack holds too is not lost, and neither is what moves from a swept
        // pack with the next prune.
        walk.add_readable(&newest).await?;
        self.swept_and_there(&newest).await?.into_iter().for_each(|pack| walk.index.insert(pack));
        let line: Vec<CommitKey> = self.log.line(head).into_iter().rev().collect();
        let mut is_known = true;
        for key in line {
            // After a commit that is lost itself, the next checkpoint tells what stands; not, what
            // made it.
            let was_known = is_known;
            let changed = unless_lost(self.log.changed_by(key).await)?;
            let state = unless_lost(self.log.readable(key, Some(head)).await)?;
            is_known = changed.is_some() && state.is_some();
            let Some((changed, state)) = changed.zip(state) else { continue };
            let changed = if was_known { changed } else { walk.all_of(&state) };
            walk.void.extend(newest.void.contains(&key).then_some(key.seq));
            walk.step(key, &changed, &state).await?;
        }
        let held = self.held_by_branches(&newest).await?;
        walk.ends(head, newest.horizon, &held);
        self.add_branches(&mut walk, head, &newest).await?;
        self.read_by_others(&mut walk, head).await?;
        Ok(walk.ended())
    }

    /// Looks at what seems lost by the recipes of other commits: that of the state may be wrong.
    async fn read_by_others(&mut self, walk: &mut LostWalk<'_>, head: CommitKey) -> Result<(), SyncError> {
        let unread = std::mem::take(&mut walk.unread);
        if unread.is_empty() {
            return Ok(());
        }
        let claimed = self.log.claimed(head, None, |of| unread.contains_key(&of.digest)).await?;
        for (content, claims) in claimed {
            let Some((path, entry)) = unread.get(&content) else { continue };
            for (_, recipe) in claims {
                if walk.can_read(path, *entry, Some(&recipe)).await? {
                    walk.readable.insert(content, true);
                    break;
                }
            }
        }
        let LostWalk { readable, losses, .. } = walk;
        losses.versions.retain(|version| readable.get(&version.content) != Some(&true));
        Ok(())
    }

    /// Versions in the states of branches that are as old as the horizon, which retention keeps
    /// whole. There are such branches if one from before it came late.
    async fn held_by_branches(&mut self, newest: &Snapshot) -> Result<BTreeSet<(Name, Digest)>, SyncError> {
        let mut held = BTreeSet::new();
        let Some(head) = newest.key.filter(|_| newest.horizon > 0) else { return Ok(held) };
        let mut oldest = self.log.beside_line(head);
        oldest.retain(|key| key.seq == newest.horizon && !newest.void.contains(key));
        for key in oldest {
            let Some(state) = unless_lost(self.log.snapshot(Some(key)).await)? else { continue };
            held.extend(state.tree.iter().map(|(path, entry)| ((None, path.clone()), entry.digest)));
            held.extend(kept_by(&state).filter_map(|(name, entry)| Some((name, entry?.digest))));
        }
        Ok(held)
    }

    /// Looks at the versions that only branches had: a merge has brought their commits, and maybe
    /// none of their files.
    async fn add_branches(
        &mut self,
        walk: &mut LostWalk<'_>,
        head: CommitKey,
        newest: &Snapshot,
    ) -> Result<(), SyncError> {
        let mut versions = self.log.branch_versions(head, &newest.void).await?;
        versions.retain(|version| version.to >= newest.horizon);
        if versions.is_empty() {
            return Ok(());
        }
        let retained = unless_lost(self.retained(newest, newest.horizon).await?)?;
        let Some(retained) = retained else { return Ok(()) };
        let mut recipes = retained.sure.recipes;
        recipes.extend(retained.void.recipes);
        let told: BTreeSet<(VaultPath, Digest)> =
            walk.losses.versions.iter().map(|version| (version.path.clone(), version.content)).collect();
        for BranchVersion { name, entry, from, to } in versions {
            walk.look_at(&name.1, entry, recipes.get(&entry.digest)).await?;
            let is_told = told.contains(&(name.1.clone(), entry.digest));
            if !is_told && walk.readable.get(&entry.digest) == Some(&false) {
                walk.losses.versions.push(lost_version(name, entry.digest, from, to));
            }
        }
        Ok(())
    }

    /// Notes for each file that is lost in the newest generation the last one in which it, with its
    /// group, can be read. Returns the states of those items.
    pub(super) async fn last_readable(
        &mut self,
        losses: &mut Losses,
    ) -> Result<BTreeMap<Item, (u64, Arc<Snapshot>)>, SyncError> {
        let mut found = BTreeMap::new();
        let Some(head) = losses.head else { return Ok(found) };
        let groups = self.log.snapshot(Some(head)).await?.groups.clone();
        let item = |version: &LostVersion| {
            let stands = version.conflict.is_none() && version.lost.to == head.seq;
            stands.then(|| groups.item(&version.path))
        };
        let items: BTreeSet<Item> = losses.versions.iter().filter_map(item).collect();
        if items.is_empty() {
            return Ok(found);
        }
        for key in self.log.line(head).into_iter().rev() {
            let changed = unless_lost(self.log.changed_by(key).await)?.unwrap_or_default();
            let touched: BTreeSet<Item> =
                changed.iter().map(|path| groups.item(path)).filter(|item| items.contains(item)).collect();
            if touched.is_empty() {
                continue;
            }
            let Some(state) = unless_lost(self.log.readable(key, Some(head)).await)? else { continue };
            for item in touched {
                let mut members = state.tree.iter().filter(|(path, _)| groups.item(path) == item).peekable();
                if members.peek().is_some()
                    && members.all(|(_, entry)| !losses.unreadable.contains(&entry.digest))
                {
                    found.insert(item, (key.seq, Arc::clone(&state)));
                }
            }
        }
        for version in &mut losses.versions {
            let last = item(version).and_then(|item| found.get(&item));
            version.lost.readable = last.map(|(seq, _)| *seq);
        }
        Ok(found)
    }
}

impl LostWalk<'_> {
    /// Files of a state, and those that stood before and are not in it.
    fn all_of(&self, state: &Snapshot) -> Vec<VaultPath> {
        let before = self.open.keys().filter(|(conflict, _)| conflict.is_none()).map(|(_, path)| path);
        let all: BTreeSet<&VaultPath> = before.chain(state.tree.iter().map(|(path, _)| path)).collect();
        all.into_iter().cloned().collect()
    }

    /// Looks at the versions that one commit brought.
    async fn step(
        &mut self,
        key: CommitKey,
        changed: &[VaultPath],
        state: &Snapshot,
    ) -> Result<(), SyncError> {
        self.add_readable(state).await?;
        let files = changed.iter().map(|path| ((None, path.clone()), state.tree.get(path).copied()));
        let kept = kept_by(state).filter(|(name, _)| !self.open.contains_key(name));
        let new: Vec<(Name, Option<Entry>)> = files.chain(kept).collect();
        for (name, entry) in new {
            self.close(&name, key.seq - 1);
            let Some(entry) = entry else { continue };
            self.look_at(&name.1, entry, state.recipes.get(&entry.digest)).await?;
            self.open.insert(name, (key.seq, entry.digest));
        }
        // Conflicts come after all files.
        let of_conflicts = self.open.keys().rev().take_while(|(conflict, _)| conflict.is_some());
        let is_decided = |id: &ConflictId| !state.conflicts.contains_key(id);
        let decided: Vec<Name> =
            of_conflicts.filter(|(id, _)| id.as_ref().is_some_and(is_decided)).cloned().collect();
        decided.iter().for_each(|name| self.close(name, key.seq - 1));
        Ok(())
    }

    /// Ends the time of a version.
    fn close(&mut self, name: &Name, to: u64) {
        let Some((from, content)) = self.open.remove(name) else { return };
        let is_void = (from..=to).all(|seq| self.void.contains(&seq));
        if self.readable.get(&content) == Some(&false) && !is_void {
            self.losses.versions.push(lost_version(name.clone(), content, from, to));
        }
    }

    /// Ends the line. Versions from before the horizon may be gone, except those that a branch has
    /// `held` since.
    fn ends(&mut self, head: CommitKey, horizon: u64, held: &BTreeSet<(Name, Digest)>) {
        let standing: Vec<Name> = self.open.keys().cloned().collect();
        standing.iter().for_each(|name| self.close(name, head.seq));
        let is_held = |version: &LostVersion| {
            held.contains(&((version.conflict, version.path.clone()), version.content))
        };
        self.losses.versions.retain(|version| version.lost.to >= horizon || is_held(version));
    }

    /// What was lost on the way.
    fn ended(self) -> Losses {
        let mut losses = self.losses;
        losses.versions.sort_by(|a, b| a.lost.cmp(&b.lost));
        let unreadable = self.readable.into_iter().filter(|(_, is_readable)| !is_readable);
        losses.unreadable = unreadable.map(|(digest, _)| digest).collect();
        losses
    }

    /// Adds the chunks that can be read of a state's packs, except those that were looked at
    /// before.
    async fn add_readable(&mut self, state: &Snapshot) -> Result<(), SyncError> {
        for pack in state.packs.values() {
            if self.packs.insert(pack.id)
                && let Some(sound) = sound_part(&self.reader, pack, &self.bad).await?
            {
                self.index.insert(sound);
            }
        }
        Ok(())
    }

    /// Finds out if a content can be read, unless that is known.
    async fn look_at(
        &mut self,
        path: &VaultPath,
        entry: Entry,
        recipe: Option<&Recipe>,
    ) -> Result<(), SyncError> {
        if self.readable.contains_key(&entry.digest) {
            return Ok(());
        }
        let recipe = self.right.get(&entry.digest).cloned().or_else(|| recipe.cloned());
        let is_readable = self.can_read(path, entry, recipe.as_ref()).await?;
        if !is_readable {
            self.unread.insert(entry.digest, (path.clone(), entry));
        }
        self.readable.insert(entry.digest, is_readable);
        Ok(())
    }

    async fn can_read(
        &self,
        path: &VaultPath,
        entry: Entry,
        recipe: Option<&Recipe>,
    ) -> Result<bool, SyncError> {
        match list_chunks(&self.reader, &self.index, path.as_str(), entry.content(), recipe).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_damage() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Files that the open conflicts of a state keep.
fn kept_by(state: &Snapshot) -> impl Iterator<Item = (Name, Option<Entry>)> + '_ {
    state.conflicts.values().flat_map(|conflict| {
        conflict.files.iter().map(|file| ((Some(conflict.id), file.path.clone()), file.entry))
    })
}

/// A lost version, with the name that people are told.
fn lost_version((conflict, path): Name, content: Digest, from: u64, to: u64) -> LostVersion {
    let told = match conflict {
        Some(id) => format!("conflict {}: {path}", id.short()),
        None => path.to_string(),
    };
    let lost = Lost { path: told, from, to, readable: None };
    LostVersion { lost, content, path, conflict }
}

/// The pack with those of its chunks that can be read. One that is not among the `bad` is taken for
/// whole. None if there is nothing of it.
pub(super) async fn sound_part(
    reader: &ChunkReader,
    pack: &Arc<PackInfo>,
    bad: &BTreeSet<&str>,
) -> Result<Option<Arc<PackInfo>>, SyncError> {
    if !bad.contains(pack_key(pack.id).as_str()) {
        return Ok(Some(Arc::clone(pack)));
    }
    let Some(bytes) = reader.whole(pack.id).await? else { return Ok(None) };
    Ok(Some(Arc::new(pack.only(|slot| stored_part(pack.id, slot, &bytes).is_some()))))
}
