//! Finds the chunks of contents, and the packs that hold them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::walk::check_length;
use super::{ChunkReader, LogError, Snapshot};
use crate::content::{ChunkIndex, ContentError, Expansion, Next, RecipeError, check_recipe, read_leaf};
use crate::model::{Content, Digest, Entry, PackId, PackInfo, Part, Recipe, SharedMap, limits};

/// Lists of chunks of long files, by chunk id.
pub type Leaves = HashMap<Digest, Vec<u8>>;

/// Chunks of a content, each once.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Chunks of the file itself.
    pub chunks: BTreeSet<Digest>,
    /// Chunks that hold lists of these, if the content is that long.
    pub lists: BTreeSet<Digest>,
    /// Lists that were read, without the known ones.
    pub read: Leaves,
    /// List or chunk of the content that no pack has. The sets above are without such.
    pub missing: Option<Digest>,
    /// Lists that packs have by their tables, and that none of these gives. Nobody knows the chunks
    /// that only these name.
    pub unread: BTreeSet<Digest>,
}

impl Listing {
    /// List or chunk without which the content cannot be put together.
    #[must_use]
    pub fn lacks(&self) -> Option<Digest> {
        self.missing.or_else(|| self.unread.first().copied())
    }
}

/// Lists that are read and held at once.
const LISTS_AT_ONCE: usize = 512;
/// Lists that are kept for other contents, at most: versions of a long file share most of them.
const LISTS_KEPT: usize = 2048;

/// Parts of one level of a recipe, each with the number of times that it occurs there.
type Level = BTreeMap<Part, u64>;

impl ChunkReader {
    /// Lists the chunks of a content, level by level; `known` lists are not read. Each list is read
    /// once, however often a recipe names it, so a few of them cannot stand for billions of chunks;
    /// and what no pack of `index` has is left out, so no list can make this grow beyond the packs.
    /// A list that is lost or damaged is left out, too: what the others name is listed.
    ///
    /// # Errors
    /// Errors of the remote; a recipe that does not belong to the content.
    pub async fn list_chunks(
        &self,
        index: &ChunkIndex,
        known: &Leaves,
        content: Content,
        recipe: Option<&Recipe>,
    ) -> Result<Listing, LogError> {
        let (listed, belongs) = self.list_what_is_there(index, known, content, recipe).await?;
        belongs?;
        Ok(listed)
    }

    /// Lists as [`ChunkReader::list_chunks`] does, also of a recipe that does not belong to the
    /// content: the inner error.
    pub(super) async fn list_what_is_there(
        &self,
        index: &ChunkIndex,
        known: &Leaves,
        content: Content,
        recipe: Option<&Recipe>,
    ) -> Result<(Listing, Result<(), ContentError>), LogError> {
        let mut listed = Listing::default();
        let (mut depth, mut level) = match first_level(content, recipe) {
            Ok(first) => first,
            Err(error) => return Ok((listed, Err(error))),
        };
        let mut belongs = Ok(());
        while depth > 0 {
            let has = |id: &Digest| index.contains(id) || known.contains_key(id);
            let (lists, absent): (Vec<(Part, u64)>, Vec<_>) =
                level.into_iter().partition(|(list, _)| has(&list.id));
            listed.missing = listed.missing.or_else(|| absent.first().map(|(list, _)| list.id));
            level = Level::new();
            for lists in lists.chunks(LISTS_AT_ONCE) {
                let unknown = lists.iter().map(|(list, _)| list.id).filter(|id| !known.contains_key(id));
                let read = self.gather_readable(index, unknown).await?;
                for (list, times) in lists {
                    let Some(bytes) = known.get(&list.id).or_else(|| read.get(&list.id)) else {
                        listed.unread.insert(list.id);
                        continue;
                    };
                    let parts = read_leaf(content, list, bytes).unwrap_or_else(|error| {
                        belongs = Err(error);
                        Vec::new()
                    });
                    for part in parts {
                        if !has(&part.id) {
                            listed.missing.get_or_insert(part.id);
                            continue;
                        }
                        let count = level.entry(part).or_default();
                        *count = count.saturating_add(*times);
                    }
                }
                listed.lists.extend(lists.iter().map(|(list, _)| list.id));
                let room = LISTS_KEPT.saturating_sub(listed.read.len());
                listed.read.extend(read.into_iter().take(room));
            }
            depth -= 1;
        }
        let absent = level.keys().find(|part| !index.contains(&part.id)).map(|part| part.id);
        listed.missing = listed.missing.or(absent);
        if listed.lacks().is_none() {
            belongs = belongs.and_then(|()| check_sum(content, &level));
        }
        belongs = belongs
            .and_then(|()| level.keys().try_for_each(|part| check_length(index, content.digest, part)));
        listed.chunks = level.into_keys().map(|part| part.id).filter(|id| index.contains(id)).collect();
        Ok((listed, belongs))
    }
}

/// The level that a recipe begins with, and its depth. A content without one is a chunk, or empty.
fn first_level(content: Content, recipe: Option<&Recipe>) -> Result<(u8, Level), ContentError> {
    let Some(recipe) = recipe else {
        let mut whole = Expansion::new(content, None)?;
        let mut level = Level::new();
        while let Next::Chunk(placed) = whole.step()? {
            level.insert(placed.part, 1);
        }
        return Ok((0, level));
    };
    check_recipe(content.digest, recipe, None)?;
    let mut level = Level::new();
    recipe.parts.iter().for_each(|part| *level.entry(*part).or_default() += 1);
    Ok((recipe.depth, level))
}

/// Checks that the chunks of a content add up to its length.
fn check_sum(content: Content, chunks: &Level) -> Result<(), ContentError> {
    if let Some(part) = chunks.keys().find(|part| part.len == 0 || part.len > limits::CHUNK) {
        let (content, len) = (content.digest, part.len.into());
        return Err(RecipeError::Part { content, part: part.id, len }.into());
    }
    let bytes = |(part, times): (&Part, &u64)| times.saturating_mul(part.len.into());
    let found = chunks.iter().map(bytes).fold(0_u64, u64::saturating_add);
    if found == content.size {
        return Ok(());
    }
    Err(RecipeError::Size { content: content.digest, expected: content.size, found }.into())
}

/// Contents and their recipes.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Contents by digest.
    pub all: BTreeMap<Digest, Content>,
    /// Recipes of the contents that have one.
    pub recipes: SharedMap<Digest, Recipe>,
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
    /// Those of them that lack no more than lists which are in these packs and cannot be read: one
    /// reader finds them lost, and another may have read them before.
    pub unread: BTreeSet<Digest>,
    /// Pack of each chunk that is still there and that a content needs: a lasting one if possible.
    /// What is left of a content that is not complete may be what puts it right.
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
        let lasting: ChunkIndex = lasting.into_iter().cloned().collect();
        let (mut on_leave, mut all) = (ChunkIndex::default(), lasting.clone());
        for pack in leaving {
            on_leave.insert(Arc::clone(pack));
            all.insert(Arc::clone(pack));
        }
        there.iter().for_each(|pack| all.insert(Arc::clone(pack)));
        let (mut places, mut known) = (Places::default(), Leaves::new());
        for (digest, content) in &contents.all {
            let recipe = contents.recipes.get(digest);
            let (listed, belongs) = self.list_what_is_there(&all, &known, *content, recipe).await?;
            if belongs.is_err() || listed.lacks().is_some() {
                places.lost.insert(*digest);
            }
            if belongs.is_ok() && listed.missing.is_none() && !listed.unread.is_empty() {
                places.unread.insert(*digest);
            }
            let room = LISTS_KEPT.saturating_sub(known.len());
            known.extend(listed.read.into_iter().take(room));
            let ids = listed.lists.into_iter().chain(listed.chunks);
            let place = |id: &Digest| lasting.get(id).or_else(|| on_leave.get(id)).or_else(|| all.get(id));
            for id in ids {
                match place(&id) {
                    Some((pack, _)) => drop(places.chunks.insert(id, pack)),
                    None => drop(places.lost.insert(*digest)),
                }
            }
        }
        Ok(places)
    }
}
