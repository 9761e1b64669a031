//! Finds the chunks of contents, and the packs that hold them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{ChunkReader, LogError, Snapshot};
use crate::content::{ChunkIndex, Placed, parts_of, read_leaf};
use crate::model::{ChunkSlot, Content, Digest, Entry, PackId, PackInfo, Recipe};

/// Lists of chunks of long files, by chunk id.
pub type Leaves = HashMap<Digest, Vec<u8>>;

/// Chunks of a content.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// Chunks of the content, in order.
    pub parts: Vec<Placed>,
    /// Chunks that hold lists of these, if the content is that long.
    pub lists: Vec<Digest>,
    /// Lists that were read, without the known ones.
    pub read: Leaves,
}

impl ChunkReader {
    /// Lists the chunks of a content. It reads lists of lists level by level, except those that are
    /// `known`. The inner error is a list that no pack of `index` has.
    ///
    /// # Errors
    /// Errors of [`ChunkReader::read`]; a damaged list.
    pub async fn list_chunks(
        &self,
        index: &ChunkIndex,
        known: &Leaves,
        content: Content,
        recipe: Option<&Recipe>,
    ) -> Result<Result<Listed, Digest>, LogError> {
        let mut recipe = recipe.cloned();
        let mut listed = Listed::default();
        while let Some(list) = recipe.as_ref().filter(|recipe| recipe.depth > 0) {
            let unknown = list.parts.iter().filter(|part| !known.contains_key(&part.id));
            let places: Result<Vec<(PackId, ChunkSlot)>, Digest> =
                unknown.map(|part| index.get(&part.id).ok_or(part.id)).collect();
            let leaves = match places {
                Ok(places) => self.collect(&places).await?,
                Err(missing) => return Ok(Err(missing)),
            };
            let mut parts = Vec::new();
            for part in &list.parts {
                let leaf = known.get(&part.id).or_else(|| leaves.get(&part.id));
                parts.extend(read_leaf(content, part, leaf.map(Vec::as_slice).unwrap_or_default())?);
            }
            listed.lists.extend(list.parts.iter().map(|part| part.id));
            listed.read.extend(leaves);
            recipe = Some(Recipe { depth: list.depth - 1, parts });
        }
        // All lists are in memory by now, so none is fetched.
        let none_left =
            |id: &Digest| Err(LogError::corrupt(content.digest, format!("list {id} is asked for twice")));
        listed.parts = parts_of(content, recipe.as_ref(), none_left)?;
        Ok(Ok(listed))
    }
}

/// Contents and their recipes.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Contents by digest.
    pub all: BTreeMap<Digest, Content>,
    /// Recipes of the contents that have one.
    pub recipes: BTreeMap<Digest, Recipe>,
}

impl Contents {
    /// Contents of a state's manifest and open conflicts.
    #[must_use]
    pub fn of(state: &Snapshot) -> Self {
        let mut contents = Self { recipes: state.recipes.clone(), ..Self::default() };
        state.contents().for_each(|entry| contents.add(entry));
        contents
    }

    /// Adds the contents of another set.
    pub fn extend(&mut self, more: Self) {
        self.all.extend(more.all);
        self.recipes.extend(more.recipes);
    }

    /// Adds the content of an entry.
    pub fn add(&mut self, entry: &Entry) {
        self.all.insert(entry.digest, entry.content());
    }
}

/// Places of the chunks of contents.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Contents that are not complete in the packs at hand.
    pub lost: BTreeSet<Digest>,
    /// Pack of each chunk that the other contents need: a lasting one if possible.
    pub chunks: BTreeMap<Digest, PackId>,
}

impl ChunkReader {
    /// Finds the chunks of `contents`: first in the `lasting` packs, then in those that are
    /// `leaving`, then in those that no state names but that still exist (`there`).
    ///
    /// # Errors
    /// Errors of the remote while reading a long list.
    pub async fn places(
        &self,
        contents: &Contents,
        lasting: impl IntoIterator<Item = &Arc<PackInfo>>,
        leaving: impl IntoIterator<Item = &Arc<PackInfo>>,
        there: &[Arc<PackInfo>],
    ) -> Result<Places, LogError> {
        let lasting: ChunkIndex = lasting.into_iter().map(AsRef::as_ref).collect();
        let (mut on_leave, mut all) = (ChunkIndex::default(), lasting.clone());
        for pack in leaving {
            on_leave.insert(pack);
            all.insert(pack);
        }
        there.iter().for_each(|pack| all.insert(pack));
        let (mut places, mut known) = (Places::default(), Leaves::new());
        for (digest, content) in &contents.all {
            let recipe = contents.recipes.get(digest);
            let Ok(listed) = self.list_chunks(&all, &known, *content, recipe).await? else {
                places.lost.insert(*digest);
                continue;
            };
            known.extend(listed.read);
            let ids = listed.lists.into_iter().chain(listed.parts.iter().map(|placed| placed.part.id));
            let place = |id: &Digest| lasting.get(id).or_else(|| on_leave.get(id)).or_else(|| all.get(id));
            let found: Option<Vec<(Digest, PackId)>> =
                ids.map(|id| place(&id).map(|(pack, _)| (id, pack))).collect();
            match found {
                Some(found) => places.chunks.extend(found),
                None => drop(places.lost.insert(*digest)),
            }
        }
        Ok(places)
    }
}
