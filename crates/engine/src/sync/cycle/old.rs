//! Local files that may hold parts of what is fetched, and what a scan has told of them.
//!
//! Nothing is read here; a crash leaves nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::{Incoming, Wanted};
use crate::model::{Content, Digest, Entry, Recipe, VaultPath};
use crate::plan::FileStep;

/// A local file that may hold chunks.
#[derive(Debug, Clone)]
pub(crate) struct Old {
    pub(crate) path: PathBuf,
    /// Slot of the file that replaces it.
    pub(crate) slot: Option<u32>,
    /// Its content, if a scan has told.
    pub(crate) told: Option<Told>,
}

impl From<PathBuf> for Old {
    /// A file of which nothing is known.
    fn from(path: PathBuf) -> Self {
        Self { path, slot: None, told: None }
    }
}

/// Content of a local file, and its chunks as far as they are known.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) content: Content,
    /// None if it is not known, or the content has one chunk.
    pub(crate) recipe: Option<Recipe>,
}

impl Incoming<'_> {
    /// Local files that may hold wanted chunks: the old versions, and files with the same content
    /// under other names.
    pub(super) fn old_files(&self, wanted: &[Wanted], root: &Path) -> Vec<Old> {
        let told = |path: &VaultPath, entry: &Entry| {
            // A part of it stands beside its file.
            if self.local.in_parts.contains(path) {
                return None;
            }
            let known = [&self.remote.recipes, self.recipes];
            let recipe = known.iter().find_map(|recipes| recipes.get(&entry.digest)).cloned();
            Some(Told { content: entry.content(), recipe })
        };
        let slots: HashMap<&str, u32> = wanted.iter().map(|file| (file.name.as_str(), file.slot)).collect();
        let long =
            |file: &&FileStep| file.to.is_some_and(|entry| self.remote.recipes.contains_key(&entry.digest));
        let mut old = BTreeMap::new();
        for file in self.steps.iter().flat_map(|step| &step.files).filter(long) {
            let Some(from) = file.from else { continue };
            let place = self.local.names.locate(root, &file.path);
            let slot = slots.get(file.path.as_str()).copied();
            let told = told(&file.path, &from);
            old.insert(place.clone(), Old { path: place, slot, told });
        }
        let digests: HashSet<Digest> = wanted.iter().map(|file| file.entry.digest).collect();
        let same = self.local.tree.iter();
        for (path, entry) in same.filter(|(_, entry)| entry.size > 0 && digests.contains(&entry.digest)) {
            let place = self.local.names.locate(root, path);
            let told = || told(path, entry);
            old.entry(place.clone()).or_insert_with(|| Old { path: place, slot: None, told: told() });
        }
        old.into_values().collect()
    }
}
