//! Files of this disk that the vault would put together from other bytes.
//!
//! Decided here: of each file that has a recipe, whether the bytes at the places of its chunks are
//! those chunks. A recipe in a commit is somebody's word (`log/claimed.rs`), and a device that has
//! had the file from elsewhere has never tried it. Only reads; a crash leaves nothing.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::content::ChunkIndex;
use crate::log::{ChunkReader, ClaimedRecipes, Leaves, LogError, Retained, Snapshot};
use crate::model::{Content, Digest, Recipe, RecipeOf, VaultPath};
use crate::sync::session::{Context, Session};
use crate::sync::{SyncError, blocking};

/// Chunks that are looked at together.
const TOGETHER: usize = 4096;

/// A file of this disk whose content has a recipe in the vault.
pub(super) struct OfRecipe {
    pub(super) path: VaultPath,
    pub(super) file: PathBuf,
    pub(super) content: Content,
}

impl Session<'_> {
    /// Contents of all generations from `horizon` to `head`, with the recipes that this device knows
    /// to be right, and those that were claimed before the horizon for what it still had: nobody can
    /// tell which of them is right but who has put the content together.
    ///
    /// # Errors
    /// Errors of the disk; the inner one is that of the log.
    pub(super) async fn retained(
        &mut self,
        head: &Snapshot,
        horizon: u64,
    ) -> Result<Result<Retained, LogError>, SyncError> {
        let mut retained = match self.log.retained(head, horizon).await {
            Ok(retained) => retained,
            Err(error) => return Ok(Err(error)),
        };
        let right = blocking(|| self.context.right_recipes())?;
        for contents in [&mut retained.sure, &mut retained.void] {
            let another =
                |of: &RecipeOf| contents.recipes.get(&of.digest).is_some_and(|one| *one != of.recipe);
            let claimed = match head.key {
                Some(key) => self.log.claimed(key, None, another).await?,
                None => ClaimedRecipes::new(),
            };
            for (content, claims) in claimed {
                claims.into_iter().for_each(|(_, recipe)| contents.add_recipe(content, recipe));
            }
            for (content, recipe) in right.iter() {
                if contents.all.contains_key(content) {
                    contents.add_recipe(*content, recipe.clone());
                }
            }
        }
        Ok(Ok(retained))
    }
}

impl Context {
    /// The ones of these files that the recipes of `state` make of other bytes. What cannot be read,
    /// here or in the bucket, is not among them: it is told of elsewhere.
    pub(super) async fn made_of_others(
        &self,
        state: &Snapshot,
        files: Vec<OfRecipe>,
    ) -> Result<Vec<OfRecipe>, SyncError> {
        if files.is_empty() {
            return Ok(files);
        }
        let index: ChunkIndex = state.packs.values().cloned().collect();
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let right = blocking(|| self.right_recipes())?;
        let mut others = Vec::new();
        for of in files {
            let known = right.get(&of.content.digest).or_else(|| state.recipes.get(&of.content.digest));
            let Some(recipe) = known else { continue };
            if self.is_made_of(&reader, &index, &of, recipe).await? == Some(false) {
                others.push(of);
            }
        }
        Ok(others)
    }

    /// True if the bytes of a file are the chunks that a recipe names. None if nobody can tell.
    async fn is_made_of(
        &self,
        reader: &ChunkReader,
        index: &ChunkIndex,
        of: &OfRecipe,
        recipe: &Recipe,
    ) -> Result<Option<bool>, SyncError> {
        let known = Leaves::new();
        let mut walk = match reader.walk(index, &known, of.content, Some(recipe)).await {
            Ok(walk) => walk,
            Err(error) if error.is_of_a_place() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok(mut file) = blocking(|| self.fs().open(&of.file)) else { return Ok(None) };
        loop {
            let chunks = match walk.next(TOGETHER).await {
                Ok(Ok(chunks)) => chunks,
                Ok(Err(_)) => return Ok(None),
                Err(error) if error.is_of_a_place() => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            if chunks.is_empty() {
                return Ok(Some(true));
            }
            let parts = chunks.iter().map(|placed| (placed.part.id, placed.part.len));
            if !blocking(|| has_next(&mut file, parts)) {
                // It may have changed since it was hashed.
                return Ok(blocking(|| self.holds(&of.file, of.content)).then_some(false));
            }
        }
    }

    /// True if a file can be read and has this content.
    pub(super) fn holds(&self, path: &Path, content: Content) -> bool {
        let read = || crate::vault::hash_file(self.fs(), path, &self.fs().lstat(path)?);
        read().is_ok_and(|found| found == Some(content))
    }
}

/// True if the next bytes are these chunks.
fn has_next(file: &mut dyn Read, chunks: impl Iterator<Item = (Digest, u32)>) -> bool {
    let mut buffer = Vec::new();
    for (id, len) in chunks {
        buffer.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        if file.read_exact(&mut buffer).is_err() || Digest::of(&buffer) != id {
            return false;
        }
    }
    true
}
