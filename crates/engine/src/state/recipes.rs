//! `sync/recipes.json`: recipes that give contents of which the vault has wrong ones.
//!
//! This device has put each of these contents together by its recipe, or has cut it from its own
//! file; so it is true in any vault. What a recipe here names is needed: no prune takes it.
//!
//! Losing this file costs another look at the commits, as long as these are among the newest, and
//! `cogzy-vault verify --repair` begins it anew from the files here. So a file that is damaged or
//! newer counts as lost.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::fs::{self, Fs};
use crate::model::{Digest, Recipe};

const FORMAT: u32 = 1;
/// No record is longer.
const MAX_BYTES: u64 = 1 << 24;
/// Contents that are noted, at most: a recipe has up to 9 kB.
const MOST: usize = 1000;

/// Recipes by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RightRecipes {
    format: u32,
    recipes: BTreeMap<Digest, Recipe>,
}

impl RightRecipes {
    /// Reads the record; an empty one if there is none that can be used.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn load(fs: &dyn Fs, path: &Path) -> Result<Self, RecordError> {
        let none = Self { format: FORMAT, recipes: BTreeMap::new() };
        let bytes = match fs::read(fs, path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(none),
            Err(error) => return Err(RecordError::io(path, error)),
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(record) if record.format == FORMAT => Ok(record),
            Ok(_) => Ok(none),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a record of ours is damaged and begun anew; files that the vault has wrong recipes of are looked for again");
                Ok(none)
            }
        }
    }

    /// Notes a recipe. False if it was noted before, or there are too many.
    pub fn note(&mut self, content: Digest, recipe: &Recipe) -> bool {
        if self.recipes.get(&content) == Some(recipe) || self.recipes.len() >= MOST {
            return false;
        }
        self.recipes.insert(content, recipe.clone());
        true
    }

    /// The recipe of a content.
    #[must_use]
    pub fn get(&self, content: &Digest) -> Option<&Recipe> {
        self.recipes.get(content)
    }

    /// Contents and their recipes.
    pub fn iter(&self) -> impl Iterator<Item = (&Digest, &Recipe)> {
        self.recipes.iter()
    }

    /// Replaces the record, durably.
    ///
    /// # Errors
    /// If the disk fails. The old record then still stands.
    pub fn save(&self, fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
        let bytes = serde_json::to_vec(self).map_err(|error| RecordError::damaged(path, error))?;
        fs::replace(fs, path, &bytes, 0o600).map_err(|error| RecordError::io(path, error))
    }
}

#[cfg(test)]
mod tests;
