//! The chunks of files that are put together, a bounded number at a time, in the order of the files.
//!
//! Only reads: lists of chunks come from packs where this device does not have them. A crash leaves
//! nothing.

use std::collections::BTreeSet;

use super::fetch::{Wanted, is_lost};
use crate::content::{ChunkIndex, Placed};
use crate::log::{ChunkReader, Leaves, Walk};
use crate::model::{Digest, Recipe, SharedMap};
use crate::sync::SyncError;

/// Chunks whose reads are planned together.
const CHUNKS_AT_ONCE: usize = 16 << 10;
/// Lists of chunks that are read ahead for all files together, at most: some 9 MB.
const LISTS_TOGETHER: usize = 512;

/// Chunks of a file that are written together.
pub(super) struct Piece<'a> {
    pub(super) file: &'a Wanted,
    pub(super) chunks: Vec<Placed>,
    pub(super) is_last: bool,
    /// Cause, if the rest of the file cannot be read.
    pub(super) fault: Option<SyncError>,
}

/// The rest of the files, a bounded number of chunks at a time.
pub(super) struct Pieces<'a> {
    recipes: &'a SharedMap<Digest, Recipe>,
    leaves: &'a Leaves,
    ahead: std::slice::Iter<'a, Wanted>,
    open: Option<(&'a Wanted, Walk<'a>)>,
    /// Lists that came from packs, since they were taken last.
    pub(super) read: Leaves,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(
        recipes: &'a SharedMap<Digest, Recipe>,
        leaves: &'a Leaves,
        wanted: &'a [Wanted],
    ) -> Self {
        Self { recipes, leaves, ahead: wanted.iter(), open: None, read: Leaves::new() }
    }

    /// The next pieces. None at the end.
    pub(super) async fn next(
        &mut self,
        reader: &'a ChunkReader,
        index: &'a ChunkIndex,
    ) -> Result<Vec<Piece<'a>>, SyncError> {
        let mut batch = Vec::new();
        let mut room = CHUNKS_AT_ONCE;
        while room > 0 {
            let (file, walk) = match self.open.take() {
                Some((file, walk)) => (file, Ok(walk)),
                None => match self.ahead.next() {
                    None => break,
                    Some(file) => (file, self.walk(file, reader, index).await),
                },
            };
            let piece = match advance(file, walk, room).await {
                Ok((chunks, read, walk)) => {
                    self.read.extend(read);
                    let is_last = walk.is_none();
                    self.open = walk.map(|walk| (file, walk));
                    Piece { file, chunks, is_last, fault: None }
                }
                Err(error) if is_lost(&error) => {
                    Piece { file, chunks: Vec::new(), is_last: true, fault: Some(error) }
                }
                Err(error) => return Err(error),
            };
            room = room.saturating_sub(piece.chunks.len() + 1);
            batch.push(piece);
        }
        Ok(batch)
    }

    async fn walk(
        &self,
        file: &Wanted,
        reader: &'a ChunkReader,
        index: &'a ChunkIndex,
    ) -> Result<Walk<'a>, SyncError> {
        let recipe = self.recipes.get(&file.entry.digest);
        Ok(reader.walk(index, self.leaves, file.entry.content(), recipe).await?)
    }
}

/// The next chunks of a file, the lists that were read for them, and the rest of its pieces. No rest
/// at the end of the file.
async fn advance<'a>(
    file: &Wanted,
    walk: Result<Walk<'a>, SyncError>,
    most: usize,
) -> Result<(Vec<Placed>, Leaves, Option<Walk<'a>>), SyncError> {
    let mut walk = walk?;
    let missing = |chunk| SyncError::NoChunk { chunk, path: file.name.clone() };
    let chunks = walk.next(most).await?.map_err(missing)?;
    let is_last = chunks.len() < most;
    Ok((chunks, walk.take_read(), Some(walk).filter(|_| !is_last)))
}

/// The first lists of chunks of these files, as far as they are not at hand: read together, they
/// cost one way to the store and back. What cannot be had is asked for once more, by the file
/// that needs it.
pub(super) async fn lists_of(
    recipes: &SharedMap<Digest, Recipe>,
    wanted: &[Wanted],
    at_hand: &Leaves,
    index: &ChunkIndex,
    reader: &ChunkReader,
) -> Result<Leaves, SyncError> {
    let recipes = wanted.iter().filter_map(|file| recipes.get(&file.entry.digest));
    let lists = recipes.filter(|recipe| recipe.depth > 0).flat_map(|recipe| &recipe.parts);
    let lists = lists.map(|part| part.id).filter(|id| !at_hand.contains_key(id) && index.contains(id));
    let lists: BTreeSet<Digest> = lists.take(LISTS_TOGETHER).collect();
    match reader.gather(index, lists).await.map_err(SyncError::from) {
        Ok(read) => Ok(read.unwrap_or_default()),
        Err(error) if is_lost(&error) => Ok(Leaves::new()),
        Err(error) => Err(error),
    }
}
