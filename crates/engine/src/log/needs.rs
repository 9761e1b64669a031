//! Finds the chunks of contents.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::walk::check_length;
use super::{ChunkReader, LogError};
use crate::content::{ChunkIndex, ContentError, Expansion, Next, RecipeError, check_recipe, read_leaf};
use crate::model::{Content, Digest, Part, Recipe, limits};

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
pub(super) const LISTS_KEPT: usize = 2048;

/// Parts of one level of a recipe, each with the number of times that it occurs there.
pub(super) type Level = BTreeMap<Part, u64>;

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
        let recipe = self.needed_recipe(index, content, recipe).await?;
        let found = self.find(index, known, content, first_level(content, recipe)?).await?;
        found.check(index, content)?;
        Ok(found.listed)
    }

    /// Goes down from the first level of a recipe, whether it is that of the content or not.
    pub(super) async fn find(
        &self,
        index: &ChunkIndex,
        known: &Leaves,
        content: Content,
        (mut depth, mut level): (u8, Level),
    ) -> Result<Found, LogError> {
        let (mut listed, mut fault) = (Listing::default(), None);
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
                        fault.get_or_insert(error);
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
        listed.chunks = level.keys().map(|part| part.id).filter(|id| index.contains(id)).collect();
        Ok(Found { listed, level, fault })
    }
}

/// A recipe, as far as packs have it.
pub(super) struct Found {
    pub(super) listed: Listing,
    /// The chunks by their lengths in the recipe.
    level: Level,
    /// Fault of a list.
    fault: Option<ContentError>,
}

impl Found {
    /// Checks that this can be the content, as far as it is there.
    pub(super) fn check(&self, index: &ChunkIndex, content: Content) -> Result<(), ContentError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.listed.lacks().is_none() {
            check_sum(content, &self.level)?;
        }
        self.level.keys().try_for_each(|part| check_length(index, content.digest, part))
    }
}

/// The level that a recipe begins with, and its depth. A content without one is a chunk, or empty.
pub(super) fn first_level(content: Content, recipe: Option<&Recipe>) -> Result<(u8, Level), ContentError> {
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
