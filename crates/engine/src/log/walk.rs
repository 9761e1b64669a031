//! Chunks of a content in their order, a bounded number at a time.

use std::collections::{BTreeMap, HashMap};

use super::{ChunkReader, Leaves, LogError, unless_lost};
use crate::content::{ChunkIndex, ContentError, Expansion, Next, Placed, RecipeError};
use crate::model::{ChunkSlot, Content, Digest, Part, Recipe};

/// A way through a content. Lists are read where it comes to them, the ones beside each other
/// together; it holds as many as one list names, for each level.
#[derive(Debug)]
pub struct Walk<'a> {
    reader: &'a ChunkReader,
    index: &'a ChunkIndex,
    known: &'a Leaves,
    content: Digest,
    expansion: Expansion,
    /// Lists that come next, by level.
    ahead: BTreeMap<usize, HashMap<Digest, Vec<u8>>>,
    /// Lists that were read since they were taken last.
    read: Leaves,
}

impl ChunkReader {
    /// Begins at a content's first chunk. Lists come from `known` or from the packs of `index`.
    ///
    /// # Errors
    /// If the content cannot have this recipe; errors of the remote.
    pub async fn walk<'a>(
        &'a self,
        index: &'a ChunkIndex,
        known: &'a Leaves,
        content: Content,
        recipe: Option<&Recipe>,
    ) -> Result<Walk<'a>, LogError> {
        let recipe = self.needed_recipe(index, content, recipe).await?;
        let expansion = Expansion::new(content, recipe).map_err(ContentError::from)?;
        Ok(Walk {
            reader: self,
            index,
            known,
            content: content.digest,
            expansion,
            ahead: BTreeMap::new(),
            read: Leaves::new(),
        })
    }

    /// The recipe by which a content is put together. Every commit may bring one, and only the
    /// whole content would tell that it is wrong; a chunk that is the whole content tells by
    /// itself. So a content that a pack gives as one chunk needs no recipe.
    pub(super) async fn needed_recipe<'a>(
        &self,
        index: &ChunkIndex,
        content: Content,
        recipe: Option<&'a Recipe>,
    ) -> Result<Option<&'a Recipe>, LogError> {
        let is_whole = |slot: ChunkSlot| u64::from(slot.len) == content.size;
        let claimed = recipe.is_some() && index.places(&content.digest).any(|(_, slot)| is_whole(slot));
        if !claimed {
            return Ok(recipe);
        }
        let chunk = unless_lost(self.from_any(index, content.digest).await)?.flatten();
        Ok(recipe.filter(|_| chunk.is_none()))
    }
}

/// Checks that a recipe gives a chunk the length that a pack gives it: what is read has that one.
pub(super) fn check_length(index: &ChunkIndex, content: Digest, part: &Part) -> Result<(), ContentError> {
    let mut other = None;
    for (_, slot) in index.places(&part.id) {
        if slot.len == part.len {
            return Ok(());
        }
        other = Some(slot.len);
    }
    let Some(len) = other else { return Ok(()) };
    let why = format!("its chunk {} has {len} bytes: expected {}", part.id.short(), part.len);
    Err(RecipeError::Form { content, why }.into())
}

impl Walk<'_> {
    /// The next chunks, at most `most`; none at the end. The inner error is a list that no pack
    /// has.
    ///
    /// # Errors
    /// Errors of [`ChunkReader::read`]; a recipe that does not belong to the content.
    pub async fn next(&mut self, most: usize) -> Result<Result<Vec<Placed>, Digest>, LogError> {
        let mut chunks = Vec::new();
        while chunks.len() < most {
            match self.expansion.step().map_err(ContentError::from)? {
                Next::Chunk(placed) => {
                    check_length(self.index, self.content, &placed.part)?;
                    chunks.push(placed);
                }
                Next::List(list) => {
                    if let Err(missing) = self.open(list).await? {
                        return Ok(Err(missing));
                    }
                }
                Next::End => break,
            }
        }
        Ok(Ok(chunks))
    }

    /// Lists that were read from packs since this was asked last.
    pub fn take_read(&mut self) -> Leaves {
        std::mem::take(&mut self.read)
    }

    async fn open(&mut self, list: Part) -> Result<Result<(), Digest>, LogError> {
        if let Some(bytes) = self.known.get(&list.id) {
            self.expansion.open(&list, bytes)?;
            return Ok(Ok(()));
        }
        let level = self.expansion.level();
        if !self.ahead.get(&level).is_some_and(|lists| lists.contains_key(&list.id)) {
            let beside = self.expansion.lists_ahead().iter().map(|part| part.id);
            let unknown = beside.chain([list.id]).filter(|id| !self.known.contains_key(id));
            let lists = match self.reader.gather(self.index, unknown).await? {
                Ok(lists) => lists,
                Err(missing) => return Ok(Err(missing)),
            };
            self.read.extend(lists.iter().map(|(id, list)| (*id, list.clone())));
            self.ahead.insert(level, lists);
        }
        let lists = self.ahead.get(&level);
        let bytes = lists.and_then(|lists| lists.get(&list.id)).map(Vec::as_slice).unwrap_or_default();
        self.expansion.open(&list, bytes)?;
        Ok(Ok(()))
    }
}
