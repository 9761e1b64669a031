//! Where the chunks of a fetch come from: this disk, and the packs of the remote.
//!
//! Reads of packs run ahead by a few, with neighbouring ranges joined. A crash leaves nothing.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::task::JoinError;

use super::fetch::is_lost;
use super::on_disk::{OnDisk, Run};
use super::pieces::Piece;
use crate::content::{ChunkIndex, PackRead, Placed, READ_WINDOW, ReadLimits, bring_together, join_ranges};
use crate::fs::Fs;
use crate::log::{ChunkReader, Leaves, Listing, LogError};
use crate::model::{ChunkSlot, Content, Digest, PackId, Recipe};
use crate::sync::{SyncError, blocking, joined};

/// Reads of packs that run ahead of the writing, each of up to a pack.
const READS_AHEAD: usize = 3;
/// Parts of a read that are unpacked ahead of the writing, on as many threads as there are.
const PARTS_AHEAD: usize = 8;

/// Sources of chunks: this disk, and the packs of the remote.
pub(super) struct Source<'a> {
    pub(super) fs: &'a dyn Fs,
    pub(super) reader: &'a ChunkReader,
    pub(super) index: &'a ChunkIndex,
    pub(super) on_disk: OnDisk,
}

impl Source<'_> {
    /// Begins the reads of packs that a batch needs. Each is a task of its own, so that it goes on
    /// while another one is written; and so is the unpacking of each of its parts. What waits is
    /// packed, but for a few parts.
    pub(super) fn begin(&self, batch: &[Piece<'_>]) -> impl Stream<Item = Arrived> + Unpin + use<> {
        let mut needed = self.needed(batch);
        bring_together(&mut needed, READ_WINDOW);
        let (fetcher, opener) = (self.reader.clone(), self.reader.clone());
        let fetched = stream::iter(join_ranges(&needed, ReadLimits::IN_PARTS)).map(move |read| {
            let reader = fetcher.clone();
            tokio::spawn(async move { reader.fetch(&read).await.map(|body| ChunkReader::parts(read, &body)) })
        });
        let parts = fetched.buffered(READS_AHEAD).flat_map(|parts| stream::iter(each_of(parts)));
        let opened = parts.map(move |part| {
            let reader = opener.clone();
            tokio::spawn(async move {
                let (read, body) = part?;
                Ok(reader.open(&read, &body)?)
            })
        });
        opened.buffered(PARTS_AHEAD)
    }

    /// Chunks that must come from the remote, in the order of their first use. A chunk that is in
    /// no pack is left out: [`Self::chunk`] reports it.
    fn needed(&self, batch: &[Piece<'_>]) -> Vec<(PackId, ChunkSlot)> {
        let mut seen = HashSet::new();
        let ids = batch.iter().flat_map(|piece| &piece.chunks).map(|placed| placed.part.id);
        let wanted = ids.filter(|id| seen.insert(*id) && !self.on_disk.has(id));
        wanted.filter_map(|id| self.index.get(&id)).collect()
    }

    /// The file on this disk that a chunk is to be read from.
    pub(super) fn only_place<S>(&self, id: &Digest, arriving: &Arriving<S>) -> Option<&Path> {
        self.on_disk.place_of(id).filter(|_| !arriving.ready.contains_key(id))
    }

    /// The next chunks, as far as they stand beside each other on this disk. None where the first
    /// one is not there, or each is to be compared with its name.
    pub(super) fn run<S>(&self, next: &[Placed], arriving: &Arriving<S>) -> Option<Run> {
        let has_come = |placed: &Placed| arriving.ready.contains_key(&placed.part.id);
        self.on_disk.run(next).filter(|_| arriving.ready.is_empty() || !next.first().is_some_and(has_come))
    }

    /// The bytes of a chunk, from the nearest source.
    pub(super) async fn chunk(
        &mut self,
        arriving: &mut Arriving<impl Stream<Item = Arrived> + Unpin>,
        name: &str,
        id: Digest,
    ) -> Result<Vec<u8>, SyncError> {
        if let Some(bytes) = arriving.ready.remove(&id) {
            return Ok(bytes);
        }
        if self.on_disk.has(&id) {
            // Where the file that held it has changed, it is not among the reads that were begun.
            return match blocking(|| self.on_disk.read(self.fs, &id)) {
                Some(bytes) => Ok(bytes),
                None => self.single(name, id).await,
            };
        }
        match arriving.until(&id).await? {
            Some(bytes) => Ok(bytes),
            // A read failed because of another chunk.
            None => self.single(name, id).await,
        }
    }

    async fn single(&self, name: &str, id: Digest) -> Result<Vec<u8>, SyncError> {
        let missing = || SyncError::NoChunk { chunk: id, path: name.to_owned() };
        self.reader.from_any(self.index, id).await?.ok_or_else(missing)
    }
}

/// The parts of a read, or the error that it ended with.
fn each_of(
    parts: Result<Result<Vec<(PackRead, Bytes)>, LogError>, JoinError>,
) -> Vec<Result<(PackRead, Bytes), SyncError>> {
    match joined(parts).and_then(|parts| Ok(parts?)) {
        Ok(parts) => parts.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// Chunks of a part of a read.
pub(super) type Arrived = Result<Result<Vec<(Digest, Vec<u8>)>, SyncError>, JoinError>;

/// Reads of packs under way, and the chunks of those that have arrived.
pub(super) struct Arriving<S> {
    pub(super) reads: S,
    pub(super) ready: HashMap<Digest, Vec<u8>>,
}

impl<S: Stream<Item = Arrived> + Unpin> Arriving<S> {
    /// Takes in reads until the chunk `id` is there or none is left. A read of a damaged or lost
    /// pack brings nothing: its other chunks are asked for one by one.
    async fn until(&mut self, id: &Digest) -> Result<Option<Vec<u8>>, SyncError> {
        while !self.ready.contains_key(id) {
            let Some(arrived) = self.reads.next().await else { return Ok(None) };
            match joined(arrived)? {
                Ok(chunks) => self.ready.extend(chunks),
                Err(error) if is_lost(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.ready.remove(id))
    }
}

/// Chunks of a file, each once. A chunk that no pack has is an error, and so is a list that none of
/// its packs gives.
pub(crate) async fn list_chunks(
    reader: &ChunkReader,
    index: &ChunkIndex,
    name: &str,
    content: Content,
    recipe: Option<&Recipe>,
) -> Result<Listing, SyncError> {
    let listed = reader.list_chunks(index, &Leaves::new(), content, recipe).await?;
    match listed.lacks() {
        Some(chunk) => Err(SyncError::NoChunk { chunk, path: name.to_owned() }),
        None => Ok(listed),
    }
}
