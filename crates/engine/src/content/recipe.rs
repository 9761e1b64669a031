//! Recipes: the lists of chunks that make up files.
//!
//! A list of up to 128 parts is stored in the commit as it is. A longer one is cut into leaves.
//! Each leaf is stored as a chunk with 36 bytes per part (its id, then its length as little-endian
//! u32). The list of the leaves, again as parts, replaces the list, one level deeper. This repeats
//! until the list is short.
//!
//! A leaf ends after a part whose id has the lower seven bits of its last byte clear, but not
//! before 32 parts, and always at 512. So leaves, too, follow the content: a changed row makes one
//! new leaf per level. Like the cuts of files, the rule is part of the format: other leaves would
//! be readable, but stored again.

use super::ContentError;
use super::codec::MAX_CHUNK;
use crate::model::{Content, Digest, Part, Recipe, limits};

/// Longest list that is not cut, in parts.
const INLINE: usize = limits::RECIPE_PARTS;
const LEAF_MIN: usize = 32;
const LEAF_MAX: usize = 512;
/// Bits that must be clear in the last byte of the id that ends a leaf: one id in 128 on average.
const LEAF_MASK: u8 = 0x7f;
/// Maximum number of leaf levels. Four suffice for petabytes.
const MAX_DEPTH: u8 = limits::RECIPE_DEPTH;
/// Maximum number of list levels.
const LEVELS: usize = MAX_DEPTH as usize + 1;
/// Length of one part in a leaf, in bytes.
const ROW: usize = 32 + 4;

/// Recipe that cannot be written or followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// A list needs more levels than readers follow.
    #[error("a list of chunks is more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// A leaf is not a list of parts.
    #[error("the recipe of {} is damaged: its leaf {}: {why}", .content.short(), .leaf.short())]
    Leaf {
        /// Digest of the content.
        content: Digest,
        /// Chunk of the leaf.
        leaf: Digest,
        /// Cause.
        why: String,
    },
    /// A recipe has a form that no writer gives it.
    #[error("the recipe of {} is damaged: {why}", .content.short())]
    Form {
        /// Digest of the content.
        content: Digest,
        /// Cause.
        why: String,
    },
    /// A part has a length that no chunk may have.
    #[error(
        "the recipe of {} is damaged: its chunk {} has {len} bytes: expected 1 to {MAX_CHUNK}",
        .content.short(), .part.short()
    )]
    Part {
        /// Digest of the content.
        content: Digest,
        /// Chunk of the part.
        part: Digest,
        /// Length of the part.
        len: u64,
    },
    /// The parts do not add up to the content.
    #[error(
        "the recipe of {} is damaged: its chunks add up to {found} bytes{}: expected {expected}",
        .content.short(), if .found > .expected { " or more" } else { "" }
    )]
    Size {
        /// Digest of the content.
        content: Digest,
        /// Length of the content.
        expected: u64,
        /// Sum of the parts, as far as they were read.
        found: u64,
    },
}

/// Chunk of a file, with its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The chunk.
    pub part: Part,
    /// Offset of its first byte in the file.
    pub offset: u64,
}

/// One level of lists: the whole list up to [`INLINE`] parts, and after that the parts that no leaf
/// holds yet.
#[derive(Debug, Default)]
struct Level {
    parts: Vec<Part>,
    cut: bool,
}

/// Builds a recipe from the parts of a file, pushed in order. It holds a few hundred parts per
/// level at most.
#[derive(Debug, Default)]
pub struct RecipeBuilder {
    levels: [Level; LEVELS],
}

impl RecipeBuilder {
    /// Adds the next part. `store` stores a leaf as a chunk and returns its id.
    ///
    /// # Errors
    /// Errors of `store`, and [`RecipeError::TooDeep`].
    pub fn push<E: From<RecipeError>>(
        &mut self,
        part: Part,
        mut store: impl FnMut(&[u8]) -> Result<Digest, E>,
    ) -> Result<(), E> {
        add(&mut self.levels, part, &mut store)
    }

    /// Builds the recipe of the pushed parts.
    ///
    /// # Errors
    /// Errors of `store`, and [`RecipeError::TooDeep`].
    pub fn finish<E: From<RecipeError>>(
        mut self,
        mut store: impl FnMut(&[u8]) -> Result<Digest, E>,
    ) -> Result<Recipe, E> {
        let mut levels = self.levels.as_mut_slice();
        for depth in 0..=MAX_DEPTH {
            let Some((level, above)) = levels.split_first_mut() else { break };
            let parts = std::mem::take(&mut level.parts);
            if !level.cut {
                return Ok(Recipe { depth, parts });
            }
            if !parts.is_empty() {
                add(above, store_leaf(&parts, &mut store)?, &mut store)?;
            }
            levels = above;
        }
        Err(RecipeError::TooDeep.into())
    }
}

/// Adds a part to the lowest of `levels`, and the leaves that this completes to the levels above.
fn add<E: From<RecipeError>>(
    levels: &mut [Level],
    part: Part,
    store: &mut impl FnMut(&[u8]) -> Result<Digest, E>,
) -> Result<(), E> {
    let (level, above) = levels.split_first_mut().ok_or(RecipeError::TooDeep)?;
    level.parts.push(part);
    level.cut |= level.parts.len() > INLINE;
    while let Some(end) = leaf_end(&level.parts).filter(|_| level.cut) {
        let leaf: Vec<Part> = level.parts.drain(..end).collect();
        add(above, store_leaf(&leaf, store)?, store)?;
    }
    Ok(())
}

/// Number of parts in the first leaf. `None` while the leaf may go on.
fn leaf_end(parts: &[Part]) -> Option<usize> {
    (1..).zip(parts).skip(LEAF_MIN - 1).find_map(|(count, part)| {
        let [.., last] = part.id.as_bytes();
        (last & LEAF_MASK == 0 || count == LEAF_MAX).then_some(count)
    })
}

fn store_leaf<E>(parts: &[Part], store: &mut impl FnMut(&[u8]) -> Result<Digest, E>) -> Result<Part, E> {
    let mut bytes = Vec::with_capacity(parts.len() * ROW);
    for part in parts {
        bytes.extend_from_slice(part.id.as_bytes());
        bytes.extend_from_slice(&part.len.to_le_bytes());
    }
    // A leaf has at most 512 parts.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    Ok(Part { id: store(&bytes)?, len })
}

/// Reads the parts of a leaf.
///
/// # Errors
/// If `bytes` are not a leaf.
pub fn read_leaf(content: Content, part: &Part, bytes: &[u8]) -> Result<Vec<Part>, ContentError> {
    let fits = u32::try_from(bytes.len()) == Ok(part.len);
    leaf_parts(bytes).filter(|_| fits).ok_or_else(|| {
        let (found, expected) = (bytes.len(), part.len);
        let why =
            format!("it has {found} bytes: expected {expected}, which is 1 to {LEAF_MAX} parts of {ROW}");
        ContentError::from(RecipeError::Leaf { content: content.digest, leaf: part.id, why })
    })
}

fn leaf_parts(bytes: &[u8]) -> Option<Vec<Part>> {
    let (rows, rest) = bytes.as_chunks::<ROW>();
    let part = |row: &[u8; ROW]| {
        let (id, len) = row.split_first_chunk::<32>()?;
        Some(Part { id: Digest::from_bytes(*id), len: u32::from_le_bytes(*len.first_chunk()?) })
    };
    ((1..=LEAF_MAX).contains(&rows.len()) && rest.is_empty()).then(|| rows.iter().map(part).collect())?
}

/// Checks a recipe as far as one can without its lists; `size` is the content's length, if known.
///
/// # Errors
/// If no writer gives a content such a recipe.
pub fn check_recipe(content: Digest, recipe: &Recipe, size: Option<u64>) -> Result<(), RecipeError> {
    let Recipe { depth, parts } = recipe;
    let form = |why: String| Err(RecipeError::Form { content, why });
    let above = u32::from(match depth {
        0..=MAX_DEPTH => *depth,
        _ => return Err(RecipeError::TooDeep),
    });
    if parts.is_empty() || parts.len() > INLINE {
        return form(format!("it has {} parts: expected 1 to {INLINE}", parts.len()));
    }
    let bytes: u64 = parts.iter().map(|part| u64::from(part.len)).sum();
    let (unit, longest) = if above == 0 { (1, MAX_CHUNK as usize) } else { (ROW, LEAF_MAX * ROW) };
    for &Part { id, len } in parts {
        let length = len as usize;
        if length == 0 || length > longest || !length.is_multiple_of(unit) {
            return Err(RecipeError::Part { content, part: id, len: len.into() });
        }
    }
    let Some(size) = size else { return Ok(()) };
    let (least, most) = match above {
        0 => (bytes, bytes),
        // Each row stands for a chunk at least, and only the last chunk of a file may be short.
        _ => {
            let rows = bytes / ROW as u64;
            let leaves = (LEAF_MAX as u64).pow(above - 1);
            let least = (rows - 1).saturating_mul(limits::SHORTEST_CHUNK.into()) + 1;
            (least, rows.saturating_mul(leaves).saturating_mul(MAX_CHUNK.into()))
        }
    };
    if (least..=most).contains(&size) {
        return Ok(());
    }
    let found = if size < least { least } else { most };
    Err(RecipeError::Size { content, expected: size, found })
}

/// Next part of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A chunk of the file.
    Chunk(Placed),
    /// A list of chunks or of lists: [`Expansion::open`] takes its bytes.
    List(Part),
    /// Nothing: this was all of it.
    End,
}

/// Follows a recipe, one chunk after the other. It holds no more than one list for each level,
/// however many chunks the content has.
#[derive(Debug)]
pub struct Expansion {
    content: Content,
    /// Position of the next chunk in the file.
    offset: u64,
    /// One list per level, from the recipe's own down to the current one.
    lists: Vec<(u8, std::vec::IntoIter<Part>)>,
}

impl Expansion {
    /// Begins at a content's first chunk. A content of one chunk, or an empty one, has no recipe.
    ///
    /// # Errors
    /// If the content cannot have this recipe.
    pub fn new(content: Content, recipe: Option<&Recipe>) -> Result<Self, RecipeError> {
        let (depth, parts) = match recipe {
            Some(recipe) if recipe.depth > MAX_DEPTH => return Err(RecipeError::TooDeep),
            Some(recipe) => (recipe.depth, recipe.parts.clone()),
            None if content.size == 0 => (0, Vec::new()),
            None => {
                let error =
                    RecipeError::Part { content: content.digest, part: content.digest, len: content.size };
                let len = u32::try_from(content.size).map_err(|_| error)?;
                (0, vec![Part { id: content.digest, len }])
            }
        };
        Ok(Self { content, offset: 0, lists: vec![(depth, parts.into_iter())] })
    }

    /// Goes one step on.
    ///
    /// # Errors
    /// If the recipe does not belong to the content. Chunks given before an error are useless.
    pub fn step(&mut self) -> Result<Next, RecipeError> {
        let Content { digest, size } = self.content;
        while let Some((depth, list)) = self.lists.last_mut() {
            let depth = *depth;
            let Some(part) = list.next() else {
                self.lists.pop();
                continue;
            };
            if part.len == 0 || part.len > MAX_CHUNK {
                return Err(RecipeError::Part { content: digest, part: part.id, len: part.len.into() });
            }
            if depth > 0 {
                return Ok(Next::List(part));
            }
            let end = self.offset.saturating_add(part.len.into());
            if end > size {
                return Err(RecipeError::Size { content: digest, expected: size, found: end });
            }
            let placed = Placed { part, offset: self.offset };
            self.offset = end;
            return Ok(Next::Chunk(placed));
        }
        if self.offset == size {
            Ok(Next::End)
        } else {
            Err(RecipeError::Size { content: digest, expected: size, found: self.offset })
        }
    }

    /// Number of lists that are open, one in the other.
    #[must_use]
    pub fn level(&self) -> usize {
        self.lists.len()
    }

    /// Lists beside the one that [`Expansion::step`] gave last, which will be asked for after it.
    #[must_use]
    pub fn lists_ahead(&self) -> &[Part] {
        match self.lists.last() {
            Some((depth, list)) if *depth > 0 => list.as_slice(),
            _ => &[],
        }
    }

    /// Goes down into a list that [`Expansion::step`] gave. `bytes` are its chunk.
    ///
    /// # Errors
    /// If they are no list.
    pub fn open(&mut self, list: &Part, bytes: &[u8]) -> Result<(), ContentError> {
        let parts = read_leaf(self.content, list, bytes)?;
        let below = self.lists.last().map_or(0, |(depth, _)| depth.saturating_sub(1));
        self.lists.push((below, parts.into_iter()));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
