//! Generations made of earlier ones: a restore, an undo, the decision of a conflict.
//!
//! Nothing is uploaded for them, since the bucket holds the contents already, and nothing is
//! written to the vault. The commit is made first, by the protocol of every commit. Then it comes
//! here as to every other device: by the ordinary pull, with its journal and its conflict copies.
//!
//! A crash before `sync/pending` is written leaves everything as it was. After it, the next cycle
//! sends the commit and pulls it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::content::ChunkIndex;
use crate::log::{ChunkReader, Depth, Log, Prepared, Snapshot};
use crate::merge::Clash;
use crate::model::{
    Change, Commit, CommitKind, Conflict, Digest, Direction, Entry, Group, Item, PackId, PackInfo, Prune,
    Recipe, RecipeOf, Resolution, Tree, VaultPath, set_entry,
};
use crate::plan::{self, Hold, Input};
use crate::sync::cycle::list_chunks;
use crate::sync::report::{Trouble, Weight};
use crate::sync::session::{Context, Session};
use crate::sync::{About, Engine, Refusal, Report, Request, SyncError, Watcher, blocking};

/// A wanted generation, as the difference to the newest one.
#[derive(Debug, Default)]
pub(crate) struct Rewrite {
    pub(crate) kind: CommitKind,
    /// Wanted entry of each path. Paths that hold it already are left out.
    pub(crate) wanted: BTreeMap<VaultPath, Option<Entry>>,
    /// A state that names the contents which the newest one may not have.
    pub(crate) from: Option<Arc<Snapshot>>,
    pub(crate) kept: Vec<Conflict>,
    pub(crate) resolved: Vec<Resolution>,
    /// Items that shall stand on this disk as in the new state, whatever is there now.
    pub(crate) put_back: BTreeSet<Item>,
    /// Marks and sweeps of old data.
    pub(crate) prune: Prune,
    /// Packs that were put for this commit.
    pub(crate) packs: Vec<PackInfo>,
    /// Recipes to claim in place of those that the newest state has.
    pub(crate) recipes: BTreeMap<Digest, Recipe>,
    /// The groups, where they change.
    pub(crate) groups: Option<Vec<Group>>,
}

/// Result of a restore, an undo or a decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rewritten {
    /// Generation that was made. None if everything already stood as wanted.
    pub generation: Option<u64>,
    /// Generation that was gone back to or taken back.
    pub of: Option<u64>,
    /// Files set by it.
    pub changed: usize,
    /// Files deleted by it.
    pub deleted: usize,
    /// Files of this disk that were replaced although the backup already held the wanted version:
    /// they were broken or half written. The old files are in the trash.
    pub put_back: usize,
    /// Second copies made by it.
    pub beside: Vec<VaultPath>,
    /// Clashes of a merge, in which the version that stands won.
    pub clashes: Vec<Clash>,
    /// Report of the cycle that brought it here.
    pub report: Report,
}

/// A generation that was made, if one was needed.
pub(super) struct Made {
    rewritten: Rewritten,
    /// Items changed by it.
    items: BTreeSet<Item>,
    /// Items that shall stand on this disk as in it.
    put_back: BTreeSet<Item>,
}

/// Sources of contents that a rewrite needs, beyond those of the newest state.
#[derive(Default)]
struct Sources {
    recipes: BTreeMap<Digest, Recipe>,
    packs: BTreeMap<PackId, Arc<PackInfo>>,
    /// Packs that were to go.
    unmarked: BTreeSet<PackId>,
}

/// The newest state of the remote, to build on.
pub(crate) type Stand = Arc<Snapshot>;

impl Engine {
    /// Sends the local changes, lets `make` decide the new state from the newest one, commits it,
    /// and brings it here. `yes`: also if it looks like an accident.
    pub(crate) async fn rewritten(
        &mut self,
        make: impl AsyncFnOnce(&mut Log, &Snapshot) -> Result<(Rewrite, Vec<VaultPath>), SyncError>,
        yes: bool,
        watcher: &dyn Watcher,
    ) -> Result<Rewritten, SyncError> {
        let before = self.settled_cycle(Request::FULL, watcher).await?;
        let made = self.session(watcher).await?.make(make, yes).await?;
        self.bring(made, before, yes, watcher).await
    }

    /// Brings a generation here that was made after the cycle that reported `before`. Once it is
    /// made it stays, and a second request would make another: a cause for which it does not come
    /// here now is a trouble of the report, and no error.
    pub(super) async fn bring(
        &mut self,
        made: Made,
        before: Report,
        yes: bool,
        watcher: &dyn Watcher,
    ) -> Result<Rewritten, SyncError> {
        let rewritten = made.rewritten.clone();
        // Boxed: several cycles are in it, and a stack has little room.
        let brought = Box::pin(self.bring_made(made, before.clone(), yes, watcher)).await;
        let (error, generation) = match (brought, rewritten.generation) {
            (Err(error), Some(generation)) => (error, generation),
            (brought, _) => return brought,
        };
        tracing::warn!(%error, generation, "a generation was made, and is not here yet");
        let message = format!(
            "generation {generation} was made, and the next sync brings it here: do not ask for it again. It did not come now: {error}"
        );
        let mut report = before;
        let path = self.context.layout.root().display().to_string();
        report.once(Trouble { path, about: About::Other, message, weight: Weight::Lasting });
        Ok(Rewritten { report, ..rewritten })
    }

    async fn bring_made(
        &mut self,
        made: Made,
        before: Report,
        yes: bool,
        watcher: &dyn Watcher,
    ) -> Result<Rewritten, SyncError> {
        let Made { mut rewritten, items, put_back } = made;
        let mut report = before;
        if rewritten.generation.is_some() {
            // Versions that waited here were not sent before, and must not be sent after: as newer
            // ones they would undo this generation.
            let held = report.holds.iter().flat_map(|hold| &hold.items);
            let waited = held.filter(|item| put_back.contains(*item)).cloned().collect();
            self.session(watcher).await?.put_back(&waited).await?;
            report = self.settled_cycle(Request::FULL, watcher).await?.after(&report);
        }
        let comes = |hold: &&Hold| hold.direction == Direction::Incoming && hold.items.is_subset(&items);
        let asked: Vec<_> = report.holds.iter().filter(comes).map(|hold| hold.id).collect();
        if yes && !asked.is_empty() {
            // The user approved of the generation, so its arrival here is approved as well.
            self.decide(&asked, &[])?;
            report = self.settled_cycle(Request::FULL, watcher).await?.after(&report);
        }
        let mut back = self.session(watcher).await?.put_back(&put_back).await?;
        if rewritten.generation.is_none() {
            back = back.or_refused()?;
        }
        rewritten.put_back = back.files;
        if rewritten.put_back > 0 {
            // The troubles of the first report no longer hold.
            report = self.settled_cycle(Request::FULL, watcher).await?.after(&report);
        }
        for trouble in back.left {
            if report.problems.iter().all(|known| known.about != trouble.about) {
                report.once(trouble);
            }
        }
        rewritten.report = report;
        Ok(rewritten)
    }
}

impl Session<'_> {
    /// The newest state of the remote, with all forks merged.
    pub(crate) async fn stand(&mut self) -> Result<Stand, SyncError> {
        self.log.refresh(Depth::Near).await?;
        if let Some(agreed) = self.context.agreed()? {
            self.log.check_agreed(agreed).await?;
        }
        let head = self.log.settle().await?;
        let state = self.log.snapshot(head).await?;
        Ok(self.log.at_hand(state))
    }

    async fn make(
        &mut self,
        make: impl AsyncFnOnce(&mut Log, &Snapshot) -> Result<(Rewrite, Vec<VaultPath>), SyncError>,
        yes: bool,
    ) -> Result<Made, SyncError> {
        let head = self.stand_by_known_groups().await?;
        let (rewrite, beside) = make(self.log, &head).await?;
        self.commit_rewrite(&head, rewrite, beside, yes).await
    }

    /// Commits a rewrite of `head`, if there is anything to commit. `beside` are second copies in
    /// it.
    pub(super) async fn commit_rewrite(
        &mut self,
        head: &Stand,
        mut rewrite: Rewrite,
        beside: Vec<VaultPath>,
        yes: bool,
    ) -> Result<Made, SyncError> {
        let of = rewrite.kind.of();
        let put_back = std::mem::take(&mut rewrite.put_back);
        let Some(commit) = self.rewrite(head, rewrite, yes).await? else {
            let rewritten = Rewritten { of, ..Rewritten::default() };
            return Ok(Made { rewritten, items: BTreeSet::new(), put_back });
        };
        let items = commit.changes.iter().map(|change| head.groups.item(&change.path)).collect();
        let deleted = commit.changes.iter().filter(|change| change.entry.is_none()).count();
        let changed = commit.changes.len() - deleted;
        let generation = Some(commit.seq);
        let rewritten = Rewritten { generation, of, changed, deleted, beside, ..Rewritten::default() };
        Ok(Made { rewritten, items, put_back })
    }

    /// Commits a rewrite of `head`. None if there is nothing to commit.
    pub(crate) async fn rewrite(
        &mut self,
        head: &Stand,
        rewrite: Rewrite,
        yes: bool,
    ) -> Result<Option<Arc<Commit>>, SyncError> {
        let Rewrite {
            kind,
            mut wanted,
            from,
            mut kept,
            mut resolved,
            put_back: _,
            mut prune,
            packs: put,
            recipes: claimed,
            groups,
        } = rewrite;
        wanted.retain(|path, entry| head.tree.get(path) != entry.as_ref());
        if wanted.is_empty()
            && kept.is_empty()
            && resolved.is_empty()
            && prune.is_empty()
            && put.is_empty()
            && claimed.is_empty()
            && groups.is_none()
        {
            return Ok(None);
        }
        let after = after(head, &wanted)?;
        if !yes {
            self.context.brake(head, &after)?;
        }
        let set = wanted.iter().map(|(path, entry)| (path, entry.as_ref()));
        let files = kept.iter().flat_map(|conflict| &conflict.files);
        let all = set.chain(files.map(|file| (&file.path, file.entry.as_ref())));
        let needed: Vec<(&VaultPath, &Entry)> =
            all.filter_map(|(path, entry)| entry.map(|entry| (path, entry))).collect();
        let Sources { mut recipes, mut packs, unmarked } =
            self.context.sources(head, from.as_deref(), &needed).await?;
        prune.unmarked.extend(unmarked);
        prune.unmarked.sort();
        prune.unmarked.dedup();
        if !wanted.is_empty() && kind != CommitKind::GiveUp {
            let mut state = head.as_ref().clone();
            state.recipes.extend(recipes.iter().map(|(digest, recipe)| (*digest, recipe.clone())));
            state.packs.extend(packs.iter().map(|(id, pack)| (*id, Arc::clone(pack))));
            self.must_fit(&state, &after, &wanted).await?;
        }
        recipes.extend(claimed);
        packs.extend(put.into_iter().map(|pack| (pack.id, Arc::new(pack))));
        let mut record = self.context.record_or_first(self.marker.vault)?;
        let txn = self.next_txn(record.txn).await?;
        record.txn = Some(txn);
        kept.sort_by_key(|conflict| conflict.id);
        resolved.sort_by_key(|resolution| resolution.id);
        let commit = Commit {
            changes: wanted.into_iter().map(|(path, entry)| Change { path, entry }).collect(),
            recipes: recipes.into_iter().map(|(digest, recipe)| RecipeOf { digest, recipe }).collect(),
            packs: packs.into_values().map(|pack| pack.as_ref().clone()).collect(),
            kept,
            resolved,
            prune,
            groups,
            ..self.draft(head, txn, kind).await?
        };
        let moved =
            commit.changes.iter().map(|Change { path, entry }| (path, head.tree.get(path), entry.as_ref()));
        self.context.note_left_out(&head.groups, moved, true);
        // The record keeps naming the present local state: the commit is pulled like that of
        // another device. Packs that wait for a commit of their own go on waiting.
        let prepared = Prepared::new(commit)?;
        self.publish(&prepared, record).await?;
        Ok(Some(prepared.commit))
    }
}

/// The tree that `wanted` makes of `head`. Refused if a file would stand in the way of another.
fn after(head: &Snapshot, wanted: &BTreeMap<VaultPath, Option<Entry>>) -> Result<Tree, Refusal> {
    let mut after = head.tree.clone();
    wanted.iter().for_each(|(path, entry)| set_entry(&mut after, path.clone(), *entry));
    for path in wanted.iter().filter(|(_, entry)| entry.is_some()).map(|(path, _)| path) {
        if let Some(other) = plan::in_the_way(&after, path) {
            return Err(Refusal::InTheWay { path: path.clone(), other: other.clone() });
        }
    }
    Ok(after)
}

impl Context {
    /// Refuses a change that the brakes would hold if it were made on this device.
    fn brake(&self, head: &Snapshot, after: &Tree) -> Result<(), SyncError> {
        let plan = plan::plan(&Input {
            push_derived: true,
            brakes: Some(self.settings.brakes),
            ..Input::of([&head.tree, after, &head.tree], &head.groups, &head.ages)
        });
        if plan.holds.is_empty() {
            return Ok(());
        }
        Err(Refusal::Braked(plan.holds.iter().map(ToString::to_string).collect()).into())
    }

    /// Recipes and packs that these contents need beyond those of `head`. Every chunk is
    /// looked for: a commit never names a missing object.
    async fn sources(
        &self,
        head: &Snapshot,
        from: Option<&Snapshot>,
        needed: &[(&VaultPath, &Entry)],
    ) -> Result<Sources, SyncError> {
        let old = from.map(|from| &from.packs).into_iter().flatten();
        let more: BTreeMap<PackId, Arc<PackInfo>> = old
            .filter(|(id, _)| !head.packs.contains_key(id) && !head.swept.contains(id))
            .map(|(id, pack)| (*id, Arc::clone(pack)))
            .collect();
        // A pack that is about to go must not be relied on again, unless the same commit takes it
        // up: until it is swept its object is there.
        let is_marked = |pack: &PackId| head.marked.contains_key(pack);
        let index: ChunkIndex = head.packs.values().chain(more.values()).cloned().collect();
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let right = blocking(|| self.right_recipes())?;
        let mut sources = Sources::default();
        for &(path, entry) in needed {
            let known = head.recipes.get(&entry.digest);
            let said = known.or_else(|| from.and_then(|from| from.recipes.get(&entry.digest)));
            let recipe = said.and(right.get(&entry.digest)).or(said);
            let gone = || SyncError::from(Refusal::gone(path, from, head));
            let listed = list_chunks(&reader, &index, path.as_str(), entry.content(), recipe).await;
            let listed = listed.map_err(|error| if error.is_damage() { gone() } else { error })?;
            for id in listed.chunks.iter().chain(&listed.lists) {
                // All of its places: one of them may say so and not have it.
                let places: Vec<PackId> = index.places(id).map(|(pack, _)| pack).collect();
                let brought = places.iter().filter_map(|pack| more.get_key_value(pack));
                sources.packs.extend(brought.map(|(pack, info)| (*pack, Arc::clone(info))));
                if places.iter().all(is_marked) {
                    // Named again: a sweep of this moment spares what a commit beside it names.
                    let named = places.iter().filter_map(|pack| head.packs.get_key_value(pack));
                    sources.packs.extend(named.map(|(pack, info)| (*pack, Arc::clone(info))));
                    sources.unmarked.extend(places);
                }
            }
            if let Some(recipe) = recipe.filter(|recipe| known != Some(*recipe)) {
                sources.recipes.insert(entry.digest, recipe.clone());
            }
        }
        Ok(sources)
    }
}
