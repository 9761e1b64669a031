//! Puts files together from chunks: from old local files if they hold them, else from packs.
//!
//! Decided here: the source of each chunk, and the order of the reads. Files are written one after
//! the other, chunk by chunk, a bounded number of chunks at a time. Reads of packs run ahead by a
//! few, with neighbouring ranges joined. Every chunk is compared with its name, wherever it comes
//! from, and every file with its digest. A pack that is damaged or lost in the bucket costs only
//! the files that need it. The reads under way bound the memory for this, whatever the length of a
//! file. A crash leaves a stage, which the next start removes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{Stream, StreamExt, stream};

use super::finishing::Finishing;
use super::on_disk::OnDisk;
use crate::content::{ChunkIndex, Placed, READ_GAP, READ_MAX, READ_WINDOW, bring_together, join_ranges};
use crate::fs::{At, Fs};
use crate::log::{ChunkReader, Leaves, Listing, LogError, Snapshot, Walk, parse_pack_key};
use crate::model::{ChunkParams, ChunkSlot, Content, Digest, Entry, PackId, Recipe};
use crate::remote::RemoteErrorKind;
use crate::sync::session::Context;
use crate::sync::{Progress, SyncError, Watcher, blocking};
use crate::vault::{Stage, StageWriter};

/// Reads of packs that run ahead of the writing.
const READS_AHEAD: usize = 3;
/// Chunks whose reads are planned together.
const CHUNKS_AT_ONCE: usize = 16 << 10;

/// A file to be put together.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Name in messages.
    pub(crate) name: String,
    /// Slot of the stage that it is written to.
    pub(crate) slot: u32,
    /// Content and attributes.
    pub(crate) entry: Entry,
}

/// Files to be put together, and their sources.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// Parameters by which the vault cuts files.
    pub(crate) params: ChunkParams,
    /// State that names the packs and recipes.
    pub(crate) remote: &'a Snapshot,
    /// The files, in the order in which they are written.
    pub(crate) wanted: &'a [Wanted],
    /// Local files that may hold parts of them.
    pub(crate) old: Vec<PathBuf>,
}

impl Context {
    /// Writes the files of `order` to `stage`. Returns those that cannot be put together, by slot,
    /// each with the reason.
    pub(crate) async fn fetch(
        &self,
        order: Order<'_>,
        stage: &Stage,
        progress: Progress,
        watcher: &dyn Watcher,
    ) -> Result<BTreeMap<u32, SyncError>, SyncError> {
        let Order { params, remote, wanted, old } = order;
        let index = self.indexed.take(&remote.packs);
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let mut on_disk = OnDisk::default();
        blocking(|| on_disk.add_files(self.fs(), &old, params, self.settings.threads));
        let leaves = std::mem::take(&mut on_disk.leaves);
        let mut pieces = Pieces { remote, leaves: &leaves, ahead: wanted.iter(), open: None };
        let source = Source { fs: self.fs(), reader: &reader, index: &index, on_disk };
        let mut output = Output {
            source,
            stage,
            writer: None,
            finishing: blocking(|| Finishing::begin(stage, wanted.len()))?,
            bytes_before: progress.bytes_done,
            progress,
            watcher,
            lost: BTreeMap::new(),
        };
        loop {
            let batch = pieces.next(&reader, &index).await?;
            if batch.is_empty() {
                let Output { lost, finishing, .. } = output;
                finishing.end().await?;
                self.note_read(&reader);
                self.indexed.keep(remote.packs.clone(), index);
                return Ok(lost);
            }
            let mut arriving = Arriving { reads: output.source.begin(&batch), ready: HashMap::new() };
            for piece in batch {
                output.take_in(piece, &mut arriving).await?;
            }
        }
    }
}

/// Chunks of a file that are written together.
struct Piece<'a> {
    file: &'a Wanted,
    chunks: Vec<Placed>,
    is_last: bool,
    /// Cause, if the rest of the file cannot be read.
    fault: Option<SyncError>,
}

/// The rest of the files, a bounded number of chunks at a time.
struct Pieces<'a> {
    remote: &'a Snapshot,
    leaves: &'a Leaves,
    ahead: std::slice::Iter<'a, Wanted>,
    open: Option<(&'a Wanted, Walk<'a>)>,
}

impl<'a> Pieces<'a> {
    /// The next pieces. None at the end.
    async fn next(
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
                    Some(file) => (file, self.walk(file, reader, index)),
                },
            };
            let piece = match advance(file, walk, room).await {
                Ok((chunks, walk)) => {
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

    fn walk(
        &self,
        file: &Wanted,
        reader: &'a ChunkReader,
        index: &'a ChunkIndex,
    ) -> Result<Walk<'a>, SyncError> {
        let recipe = self.remote.recipes.get(&file.entry.digest);
        Ok(reader.walk(index, self.leaves, file.entry.content(), recipe)?)
    }
}

/// The next chunks of a file, with the rest of its pieces. No rest at the end of the file.
async fn advance<'a>(
    file: &Wanted,
    walk: Result<Walk<'a>, SyncError>,
    most: usize,
) -> Result<(Vec<Placed>, Option<Walk<'a>>), SyncError> {
    let mut walk = walk?;
    let missing = |chunk| SyncError::NoChunk { chunk, path: file.name.clone() };
    let chunks = walk.next(most).await?.map_err(missing)?;
    let is_last = chunks.len() < most;
    Ok((chunks, Some(walk).filter(|_| !is_last)))
}

/// The files as they are written.
struct Output<'a> {
    source: Source<'a>,
    stage: &'a Stage,
    /// File that is open. None for a file that is lost.
    writer: Option<StageWriter>,
    finishing: Finishing<'a>,
    /// Progress at the beginning of this file.
    bytes_before: u64,
    progress: Progress,
    watcher: &'a dyn Watcher,
    lost: BTreeMap<u32, SyncError>,
}

impl Output<'_> {
    async fn take_in(
        &mut self,
        piece: Piece<'_>,
        arriving: &mut Arriving<impl Stream<Item = Arrived> + Unpin>,
    ) -> Result<(), SyncError> {
        let Piece { file, chunks, is_last, fault } = piece;
        if !self.lost.contains_key(&file.slot) {
            let written = match fault {
                Some(fault) => Err(fault),
                None => self.write(file, chunks, arriving).await,
            };
            match written {
                Ok(()) => {}
                Err(error) if is_lost(&error) => {
                    self.writer = None;
                    self.lost.insert(file.slot, error);
                }
                Err(error) => return Err(error),
            }
        }
        if !is_last {
            return Ok(());
        }
        if let Some(writer) = self.writer.take() {
            self.finishing.add(writer, file.slot, file.entry).await?;
        }
        self.bytes_before += file.entry.size;
        self.progress.bytes_done = self.bytes_before;
        self.progress.files_done += 1;
        self.watcher.progress(self.progress);
        Ok(())
    }

    async fn write(
        &mut self,
        file: &Wanted,
        chunks: Vec<Placed>,
        arriving: &mut Arriving<impl Stream<Item = Arrived> + Unpin>,
    ) -> Result<(), SyncError> {
        let target = Arc::new(self.stage.path(file.slot));
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => blocking(|| self.stage.writer(file.slot))?,
        };
        for placed in chunks {
            let bytes = self.source.chunk(arriving, &file.name, placed.part.id).await?;
            blocking(|| writer.write_all(&bytes)).at("write", &target)?;
            self.source.on_disk.note(placed.part.id, &target, placed.offset, placed.part.len);
            self.progress.bytes_done += bytes.len() as u64;
            self.watcher.progress(self.progress);
        }
        self.writer = Some(writer);
        Ok(())
    }
}

/// True for an error that costs only the file at hand: the bucket has lost or damaged a part of it.
fn is_lost(error: &SyncError) -> bool {
    error.is_damage() || lost_pack(error).is_some()
}

/// The pack that an error says is not in the bucket.
pub(crate) fn lost_pack(error: &SyncError) -> Option<PackId> {
    match error {
        SyncError::Log(LogError::Remote(error)) if error.kind == RemoteErrorKind::NotFound => {
            parse_pack_key(&error.key)
        }
        _ => None,
    }
}

/// Sources of chunks: this disk, and the packs of the remote.
struct Source<'a> {
    fs: &'a dyn Fs,
    reader: &'a ChunkReader,
    index: &'a ChunkIndex,
    on_disk: OnDisk,
}

impl Source<'_> {
    /// Begins the reads of packs that a batch needs. Each is a task of its own, so that it goes on
    /// while another one is written.
    fn begin(&self, batch: &[Piece<'_>]) -> impl Stream<Item = Arrived> + Unpin + use<> {
        let mut needed = self.needed(batch);
        bring_together(&mut needed, READ_WINDOW);
        let reads = join_ranges(&needed, READ_GAP, READ_MAX);
        let reader = self.reader.clone();
        let spawned = stream::iter(reads).map(move |read| {
            let reader = reader.clone();
            tokio::spawn(async move { reader.read(read).await })
        });
        spawned.buffered(READS_AHEAD)
    }

    /// Chunks that must come from the remote, in the order of their first use. A chunk that is in
    /// no pack is left out: [`Self::chunk`] reports it.
    fn needed(&self, batch: &[Piece<'_>]) -> Vec<(PackId, ChunkSlot)> {
        let mut seen = HashSet::new();
        let ids = batch.iter().flat_map(|piece| &piece.chunks).map(|placed| placed.part.id);
        let wanted = ids.filter(|id| seen.insert(*id) && !self.on_disk.has(id));
        wanted.filter_map(|id| self.index.get(&id)).collect()
    }

    /// The bytes of a chunk, from the nearest source.
    async fn chunk(
        &mut self,
        arriving: &mut Arriving<impl Stream<Item = Arrived> + Unpin>,
        name: &str,
        id: Digest,
    ) -> Result<Vec<u8>, SyncError> {
        if let Some(bytes) = arriving.ready.remove(&id) {
            return Ok(bytes);
        }
        if let Some(bytes) = blocking(|| self.on_disk.read(self.fs, &id)) {
            return Ok(bytes);
        }
        match arriving.until(&id).await? {
            Some(bytes) => Ok(bytes),
            // The local file that held it has changed, or a read failed because of another chunk.
            None => self.single(name, id).await,
        }
    }

    async fn single(&self, name: &str, id: Digest) -> Result<Vec<u8>, SyncError> {
        let missing = || SyncError::NoChunk { chunk: id, path: name.to_owned() };
        self.reader.from_any(self.index, id).await?.ok_or_else(missing)
    }
}

type Arrived = Result<Result<Vec<(Digest, Vec<u8>)>, LogError>, tokio::task::JoinError>;

/// Reads of packs under way, and the chunks of those that have arrived.
struct Arriving<S> {
    reads: S,
    ready: HashMap<Digest, Vec<u8>>,
}

impl<S: Stream<Item = Arrived> + Unpin> Arriving<S> {
    /// Takes in reads until the chunk `id` is there or none is left. A read of a damaged or lost
    /// pack brings nothing: its other chunks are asked for one by one.
    async fn until(&mut self, id: &Digest) -> Result<Option<Vec<u8>>, SyncError> {
        while !self.ready.contains_key(id) {
            let Some(arrived) = self.reads.next().await else { return Ok(None) };
            match arrived.map_err(|error| SyncError::Upload(error.to_string()))?.map_err(SyncError::from) {
                Ok(chunks) => self.ready.extend(chunks),
                Err(error) if is_lost(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.ready.remove(id))
    }
}

/// Chunks of a file, each once. A chunk that no pack has is an error.
pub(crate) async fn list_chunks(
    reader: &ChunkReader,
    index: &ChunkIndex,
    name: &str,
    content: Content,
    recipe: Option<&Recipe>,
) -> Result<Listing, SyncError> {
    let listed = reader.list_chunks(index, &Leaves::new(), content, recipe).await?;
    match listed.missing {
        Some(chunk) => Err(SyncError::NoChunk { chunk, path: name.to_owned() }),
        None => Ok(listed),
    }
}
