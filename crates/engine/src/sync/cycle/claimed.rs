//! Files that come out as other bytes by the recipe of the state: other commits are asked for one.
//!
//! Decided here: which recipe a file is put together by, and which ones are tried. Each is tried
//! once in the life of a process, the newest first, so nothing is fetched again and again. What is
//! found to be wrong is told of ([`note_wrong_recipe`]), and what is right is noted. A crash leaves
//! a stage, which the next start removes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fetch::{Assembly, Wanted};
use super::on_disk::OnDisk;
use crate::content::ContentError;
use crate::log::{ClaimedRecipes, Log, Snapshot, note_wrong_recipe};
use crate::model::{Commit, CommitKey, Digest, Recipe, RecipeOf, SharedMap};
use crate::state::RightRecipes;
use crate::sync::session::Context;
use crate::sync::{Progress, SyncError, blocking, object_cache};

/// Recipes of one content that are tried, at most.
const MOST: usize = 16;
/// Contents that are known, at most.
const MOST_KNOWN: usize = 10_000;

/// Recipes that this process has found out about.
#[derive(Debug, Default)]
pub(crate) struct Judged(Mutex<BTreeMap<Digest, Known>>);

/// Claims for one content.
#[derive(Debug, Default)]
struct Known {
    /// Head of the past that was looked through.
    searched: Option<CommitKey>,
    /// Recipes that commits of it claim, the newest first.
    claims: Vec<(CommitKey, Recipe)>,
    /// Recipes by which it could not be put together.
    tried: Vec<Recipe>,
}

impl Judged {
    fn known(&self) -> MutexGuard<'_, BTreeMap<Digest, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if these chunks were put together once, and were another content.
    fn is_wrong(&self, content: &Digest, recipe: Option<&Recipe>) -> bool {
        let known = self.known();
        let tried = |known: &Known| recipe.is_some_and(|recipe| known.tried.contains(recipe));
        known.get(content).is_some_and(tried)
    }

    fn note_tried(&self, content: Digest, recipe: &Recipe) {
        let mut known = self.known();
        make_room(&mut known, 1);
        let tried = &mut known.entry(content).or_default().tried;
        if !tried.contains(recipe) {
            tried.push(recipe.clone());
        }
    }

    /// Takes in what was found in the past of `head`.
    fn take_in(&self, head: CommitKey, contents: &BTreeSet<Digest>, mut found: ClaimedRecipes) {
        let mut known = self.known();
        make_room(&mut known, contents.len());
        for content in contents {
            let known = known.entry(*content).or_default();
            let mut claims = found.remove(content).unwrap_or_default();
            claims.append(&mut known.claims);
            claims.truncate(MOST);
            (known.claims, known.searched) = (claims, Some(head));
        }
    }

    /// Recipes that are claimed for a content and were not tried, the newest first: not that one,
    /// by which it was not to be had a moment ago.
    fn untried(&self, content: &Digest, now: Option<&Recipe>) -> Vec<Recipe> {
        let known = self.known();
        let Some(Known { claims, tried, .. }) = known.get(content) else { return Vec::new() };
        let mut untried = Vec::new();
        for (_, recipe) in claims.iter().filter(|(_, recipe)| Some(recipe) != now) {
            if !tried.contains(recipe) && !untried.contains(recipe) {
                untried.push(recipe.clone());
            }
        }
        untried
    }

    /// Commits that claim what was tried in vain.
    fn liars(&self, content: &Digest) -> Vec<CommitKey> {
        let known = self.known();
        let Some(Known { claims, tried, .. }) = known.get(content) else { return Vec::new() };
        claims.iter().filter(|(_, recipe)| tried.contains(recipe)).map(|(key, _)| *key).collect()
    }
}

/// Begins anew where there would be too many.
fn make_room(known: &mut BTreeMap<Digest, Known>, more: usize) {
    if known.len().saturating_add(more) > MOST_KNOWN {
        known.clear();
    }
}

impl Context {
    /// Recipes of a state, with those that are known to be right in place of others.
    ///
    /// # Errors
    /// Errors of the disk.
    pub(crate) fn recipes_of(
        &self,
        state: &SharedMap<Digest, Recipe>,
    ) -> Result<SharedMap<Digest, Recipe>, SyncError> {
        let mut recipes = state.clone();
        for (content, recipe) in self.right_recipes()?.iter() {
            if recipes.contains_key(content) {
                recipes.insert(*content, recipe.clone());
            }
        }
        Ok(recipes)
    }

    /// Recipes of contents of which the vault has wrong ones.
    ///
    /// # Errors
    /// Errors of the disk.
    pub(crate) fn right_recipes(&self) -> Result<RightRecipes, SyncError> {
        Ok(RightRecipes::load(self.fs(), &self.layout.recipes())?)
    }

    /// Notes recipes that this device has tried.
    ///
    /// # Errors
    /// Errors of the disk.
    pub(crate) fn note_right_recipes<'r>(
        &self,
        recipes: impl IntoIterator<Item = (&'r Digest, &'r Recipe)>,
    ) -> Result<(), SyncError> {
        let mut recipes = recipes.into_iter().peekable();
        if recipes.peek().is_none() {
            return Ok(());
        }
        let mut record = self.right_recipes()?;
        let noted = recipes.filter(|(content, recipe)| record.note(**content, recipe)).count();
        if noted > 0 {
            record.save(self.fs(), &self.layout.recipes())?;
        }
        Ok(())
    }

    /// Notes the recipes of files here that `commit` brings beside those that `head` has.
    ///
    /// # Errors
    /// Errors of the disk.
    pub(super) fn note_own_recipes(&self, commit: &Commit, head: &Snapshot) -> Result<(), SyncError> {
        let beside = commit.recipes.iter().filter(|of| head.recipes.contains_key(&of.digest));
        self.note_right_recipes(beside.map(|RecipeOf { digest, recipe }| (digest, recipe)))
    }

    /// Parts files that may be put together by `recipes` from those of which it is known that they
    /// come out as something else. Those are among the lost, by slot.
    pub(super) fn part_doubted<'w>(
        &self,
        wanted: &'w [Wanted],
        recipes: &SharedMap<Digest, Recipe>,
    ) -> (Cow<'w, [Wanted]>, BTreeMap<u32, SyncError>) {
        let is_wrong = |file: &&Wanted| {
            let content = &file.entry.digest;
            self.judged.is_wrong(content, recipes.get(content))
        };
        let doubted = wanted.iter().filter(is_wrong);
        let lost: BTreeMap<u32, SyncError> = doubted.map(|file| (file.slot, other_bytes(file))).collect();
        if lost.is_empty() {
            return (Cow::Borrowed(wanted), lost);
        }
        let sure = wanted.iter().filter(|file| !lost.contains_key(&file.slot));
        (sure.cloned().collect(), lost)
    }

    /// Looks through the commits that were not looked through, for recipes of these contents.
    async fn look_for_claims(
        &self,
        log: &Log,
        head: CommitKey,
        contents: &BTreeSet<Digest>,
    ) -> Result<(), SyncError> {
        let mut by_searched: BTreeMap<Option<CommitKey>, BTreeSet<Digest>> = BTreeMap::new();
        for content in contents {
            let searched = self.judged.known().get(content).and_then(|known| known.searched);
            by_searched.entry(searched).or_default().insert(*content);
        }
        by_searched.remove(&Some(head));
        for (searched, contents) in by_searched {
            let found = log.claimed(head, searched, |of| contents.contains(&of.digest)).await?;
            self.judged.take_in(head, &contents, found);
        }
        Ok(())
    }
}

/// The error that a file's recipe makes another content.
pub(super) fn other_bytes(file: &Wanted) -> SyncError {
    SyncError::Content(ContentError::Other(file.entry.digest))
}

fn is_other(error: &SyncError) -> bool {
    matches!(error, SyncError::Content(ContentError::Other(_)))
}

impl Assembly<'_> {
    /// Puts the lost files together by other recipes. Takes those out of `lost` that come out right.
    pub(super) async fn by_other_claims(
        &self,
        lost: &mut BTreeMap<u32, SyncError>,
        recipes: &SharedMap<Digest, Recipe>,
        mut progress: Progress,
    ) -> Result<(), SyncError> {
        let Self { context, order, .. } = *self;
        let judged = &context.judged;
        // What lies in one chunk needs no recipe.
        let is_lost =
            |file: &&Wanted| lost.contains_key(&file.slot) && recipes.contains_key(&file.entry.digest);
        let files: Vec<&Wanted> = order.wanted.iter().filter(is_lost).take(MOST_KNOWN).collect();
        let contents: BTreeSet<Digest> = files.iter().map(|file| file.entry.digest).collect();
        let (Some(head), false) = (order.remote.key, files.is_empty()) else { return Ok(()) };
        let tried = |file: &Wanted, recipes: &SharedMap<Digest, Recipe>, error: &SyncError| {
            let content = file.entry.digest;
            if let Some(recipe) = recipes.get(&content).filter(|_| is_other(error)) {
                judged.note_tried(content, recipe);
            }
        };
        for file in &files {
            lost.get(&file.slot).into_iter().for_each(|error| tried(file, recipes, error));
        }
        context.look_for_claims(order.log, head, &contents).await?;
        let untried = |content: &Digest| (*content, judged.untried(content, recipes.get(content)));
        let claims: BTreeMap<Digest, Vec<Recipe>> = contents.iter().map(untried).collect();
        let mut right = BTreeMap::new();
        for turn in 0..MOST {
            let (mut next, mut again) = (recipes.clone(), Vec::new());
            for file in files.iter().filter(|file| lost.contains_key(&file.slot)) {
                let content = file.entry.digest;
                let Some(recipe) = claims.get(&content).and_then(|claims| claims.get(turn)) else { continue };
                next.insert(content, recipe.clone());
                again.push((*file).clone());
                blocking(|| self.stage.clear(file.slot))?;
            }
            if again.is_empty() {
                break;
            }
            // They counted as done.
            progress.files_done = progress.files_done.saturating_sub(again.len());
            let bytes: u64 = again.iter().map(|file| file.entry.size).sum();
            progress.bytes_done = progress.bytes_done.saturating_sub(bytes);
            let done = self.write(&again, &next, OnDisk::default(), progress).await?;
            progress = done.progress;
            for file in &again {
                match (done.lost.get(&file.slot), next.get(&file.entry.digest)) {
                    (Some(error), _) => tried(file, &next, error),
                    (None, recipe) => {
                        tracing::info!(file = file.name, "it is put together by another commit's recipe");
                        right.extend(recipe.map(|recipe| (file.entry.digest, recipe.clone())));
                        lost.remove(&file.slot);
                    }
                }
            }
        }
        blocking(|| context.note_right_recipes(&right))?;
        let cache = object_cache(&context.ports);
        for content in &contents {
            for commit in judged.liars(content) {
                note_wrong_recipe(cache.as_ref(), commit, content);
            }
        }
        Ok(())
    }
}
