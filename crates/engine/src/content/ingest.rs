//! Ingest of files: cut, hash, skip known chunks, encode, pack.
//!
//! Files share packs, so that a thousand small ones make one upload. A file is complete only after
//! the pack that was open at its end is handed over too, by [`Ingest::finish`] at the latest.
//!
//! Invariants:
//! - A chunk that [`Ingested`] names is known to the vault or is in a pack of this run.
//! - Each chunk goes into at most one pack of a run.
//! - Memory is bounded by one pack, four batches of chunks for each thread that encodes, and a
//!   megabyte of lists, plus 32 bytes per new chunk of the run.
//! - A file that fails midway, or a crash, leaves unused chunks, which are harmless.

mod helpers;

use std::collections::HashSet;
use std::io::{self, Read};

use self::helpers::{Batch, Helpers};
use super::chunk::{BadChunkParams, Cutter};
use super::codec::{CodecError, Encoder};
use super::pack::{FinishedPack, PACK_TARGET, PackBuilder, PackError};
use super::recipe::{RecipeBuilder, RecipeError};
use crate::clock::{Entropy, random};
use crate::model::{ChunkParams, Content, Digest, PackId, Part, Recipe};

/// Bytes of lists that wait for each other. Whoever puts a file together reads them first: beside
/// each other, one read brings them.
const LISTS: usize = 1 << 20;

/// Result for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingested {
    /// Digest and length of the file.
    pub content: Content,
    /// Recipe of the file. `None` if the file is empty or has one chunk.
    pub recipe: Option<Recipe>,
    /// Chunks of the file and of its recipe, for a file that has several; empty if they are more
    /// than 65,536.
    pub chunks: Vec<Digest>,
    /// Lists of its recipe, up to some megabytes.
    pub lists: Vec<Vec<u8>>,
}

/// Maximum number of chunks that are named of one file: those of 4 GB.
const MOST_NAMED: usize = 1 << 16;

/// Bytes of a file's lists that are given back at most: those of 8 GB.
const MOST_LISTED: usize = 4 << 20;

/// Error that prevents the start of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// The vault's parameters cannot be used.
    #[error(transparent)]
    Params(#[from] BadChunkParams),
    /// The encoder could not be set up.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Error of one file or of the run. `E` is the error of the sink.
#[derive(Debug, thiserror::Error)]
pub enum IngestError<E> {
    /// The source failed. The run can go on with other files.
    #[error("reading failed: {0}")]
    Read(#[source] io::Error),
    /// A pack could not be handed over. The run has ended.
    #[error("a pack could not be handed over: {0}")]
    Sink(E),
    /// An earlier pack could not be handed over. Chunks of files that were reported as complete
    /// were lost with it.
    #[error("an earlier pack could not be handed over: nothing of this run can be committed")]
    Over,
    /// A chunk could not be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A pack could not take a chunk.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The list of chunks could not be stored.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

/// One run of ingesting files. `known` is true for chunks that the vault has; `sink` receives the
/// packs as they fill.
pub struct Ingest<'a, K, S> {
    cutter: Cutter,
    packer: Packer<'a, K, S>,
}

impl<K, S> std::fmt::Debug for Ingest<'_, K, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest").field("cutter", &self.cutter).finish_non_exhaustive()
    }
}

impl<'a, E, K, S> Ingest<'a, K, S>
where
    K: FnMut(&Digest) -> bool,
    S: FnMut(FinishedPack) -> Result<(), E>,
{
    /// Creates a run for a vault with these parameters.
    ///
    /// # Errors
    /// If the parameters cannot be used, or zstd cannot allocate memory.
    pub fn new(params: ChunkParams, entropy: &'a dyn Entropy, known: K, sink: S) -> Result<Self, BeginError> {
        let packer = Packer {
            encoder: Encoder::new()?,
            entropy,
            known,
            sink,
            target: Box::new(|| PACK_TARGET),
            helpers: Helpers::new(0),
            batch: Batch::default(),
            open: None,
            packed: HashSet::new(),
            over: false,
        };
        Ok(Self { cutter: Cutter::new(params)?, packer })
    }

    /// Sets the size in bytes at which packs are handed over; it is asked for again and again.
    #[must_use]
    pub fn with_pack_target(mut self, bytes: impl Fn() -> usize + 'a) -> Self {
        self.packer.target = Box::new(bytes);
        self
    }

    /// Lets up to so many other threads encode chunks, if there are many. The packs are the same.
    #[must_use]
    pub fn with_helpers(mut self, most: usize) -> Self {
        self.packer.helpers = Helpers::new(most);
        self
    }

    /// Ingests all bytes of `source`.
    ///
    /// # Errors
    /// If the source fails, or a full pack cannot be handed over.
    pub fn add(&mut self, source: impl Read) -> Result<Ingested, IngestError<E>> {
        let Self { cutter, packer } = self;
        let mut chunks = cutter.cut(source);
        let (mut whole, mut size) = (blake3::Hasher::new(), 0_u64);
        let (mut recipe, mut count) = (RecipeBuilder::default(), 0_u64);
        let mut named = Vec::new();
        // One more tells that there are too many.
        let name = |named: &mut Vec<Digest>, id| {
            if named.len() <= MOST_NAMED {
                named.push(id);
            }
        };
        let mut lists = Lists::default();
        while let Some(chunk) = chunks.next_chunk().map_err(IngestError::Read)? {
            whole.update(chunk);
            size += chunk.len() as u64;
            count += 1;
            // The cutter refuses vaults with chunks longer than a u32 can express.
            let len = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let part = Part { id: packer.put(chunk)?, len };
            name(&mut named, part.id);
            recipe.push::<RecipeError>(part, |list| Ok(lists.add(list)))?;
            if lists.bytes >= LISTS {
                lists.store(packer, |id| name(&mut named, id))?;
            }
        }
        let recipe = match count {
            0 | 1 => None,
            _ => Some(recipe.finish::<RecipeError>(|list| Ok(lists.add(list)))?),
        };
        lists.store(packer, |id| name(&mut named, id))?;
        let content = Content { digest: whole.finalize().into(), size };
        if named.len() > MOST_NAMED || count < 2 {
            named.clear();
        }
        Ok(Ingested { content, recipe, chunks: named, lists: lists.stored })
    }

    /// True if a chunk need not be stored any more.
    pub fn knows(&mut self, chunk: &Digest) -> bool {
        self.packer.packed.contains(chunk) || (self.packer.known)(chunk)
    }

    /// Hands over the last pack.
    ///
    /// # Errors
    /// If it cannot be handed over.
    pub fn finish(mut self) -> Result<(), IngestError<E>> {
        if self.packer.over {
            return Err(IngestError::Over);
        }
        self.packer.pack_rest()?;
        self.packer.flush()
    }
}

/// Lists of a file, and those of them that are not in a pack yet.
#[derive(Default)]
struct Lists {
    waiting: Vec<Vec<u8>>,
    bytes: usize,
    /// The first ones that are in a pack.
    stored: Vec<Vec<u8>>,
    stored_bytes: usize,
}

impl Lists {
    fn add(&mut self, list: &[u8]) -> Digest {
        self.waiting.push(list.to_vec());
        self.bytes += list.len();
        Digest::of(list)
    }

    /// Stores them one after the other.
    fn store<E, K, S>(
        &mut self,
        packer: &mut Packer<'_, K, S>,
        mut name: impl FnMut(Digest),
    ) -> Result<(), IngestError<E>>
    where
        K: FnMut(&Digest) -> bool,
        S: FnMut(FinishedPack) -> Result<(), E>,
    {
        self.bytes = 0;
        for list in self.waiting.drain(..) {
            name(packer.put(&list)?);
            if self.stored_bytes + list.len() <= MOST_LISTED {
                self.stored_bytes += list.len();
                self.stored.push(list);
            }
        }
        Ok(())
    }
}

/// Puts chunks into packs.
struct Packer<'a, K, S> {
    encoder: Encoder,
    entropy: &'a dyn Entropy,
    known: K,
    sink: S,
    target: Box<dyn Fn() -> usize + 'a>,
    helpers: Helpers,
    /// Chunks for the next helper.
    batch: Batch,
    open: Option<PackBuilder>,
    /// Chunks in this run's packs.
    packed: HashSet<Digest>,
    over: bool,
}

impl<E, K, S> Packer<'_, K, S>
where
    K: FnMut(&Digest) -> bool,
    S: FnMut(FinishedPack) -> Result<(), E>,
{
    /// Stores a chunk unless it is already stored, and returns its id.
    fn put(&mut self, chunk: &[u8]) -> Result<Digest, IngestError<E>> {
        let id = Digest::of(chunk);
        if self.over {
            return Err(IngestError::Over);
        }
        if self.packed.contains(&id) || (self.known)(&id) {
            return Ok(id);
        }
        self.packed.insert(id);
        self.batch.push(id, chunk);
        let done = self.hand_on();
        self.over = done.is_err();
        done.map(|()| id)
    }

    /// Packs the batch, or gives it to a helper once it is full.
    fn hand_on(&mut self) -> Result<(), IngestError<E>> {
        if !self.helpers.any() || self.batch.is_full() && !self.helpers.is_next_there() {
            return self.pack_rest();
        }
        if self.batch.is_full() {
            if self.helpers.all_busy() {
                self.take_from_helper()?;
            }
            let next = self.helpers.batch();
            self.helpers.give(std::mem::replace(&mut self.batch, next))?;
        }
        Ok(())
    }

    /// Packs all chunks that were put.
    fn pack_rest(&mut self) -> Result<(), IngestError<E>> {
        while self.helpers.at_work() {
            self.take_from_helper()?;
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.encode(&mut self.encoder)?;
        self.batch = self.pack(batch)?;
        Ok(())
    }

    fn take_from_helper(&mut self) -> Result<(), IngestError<E>> {
        if let Some(batch) = self.helpers.take()? {
            let packed = self.pack(batch)?;
            self.helpers.give_back(packed);
        }
        Ok(())
    }

    /// Packs a batch that is encoded. Returns it empty.
    fn pack(&mut self, mut batch: Batch) -> Result<Batch, IngestError<E>> {
        for (id, len, codec, stored) in batch.encoded() {
            let new = || PackBuilder::new(PackId::from_bytes(random(self.entropy)));
            let pack = self.open.get_or_insert_with(new);
            pack.push(id, len, codec, stored)?;
            if pack.size() >= (self.target)() {
                self.flush()?;
            }
        }
        batch.clear();
        Ok(batch)
    }

    fn flush(&mut self) -> Result<(), IngestError<E>> {
        match self.open.take().and_then(PackBuilder::finish) {
            Some(pack) => (self.sink)(pack).map_err(IngestError::Sink),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
