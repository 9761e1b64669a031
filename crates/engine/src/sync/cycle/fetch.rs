//! Putting files together from chunks: those of the old local files from disk, the others from the remote's packs.
//!
//! Files are written one after the other, chunk by chunk; reads of packs run ahead by a few, neighbouring ranges joined. Every
//! chunk is held against its name, wherever it comes from, and every file against its digest. What memory holds is bounded by
//! the reads under way, whatever the length of a file.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::content::{
    ChunkIndex, Cutter, Placed, READ_GAP, READ_MAX, RecipeBuilder, RecipeError, join_ranges,
};
use crate::fs::{At, Fs, ReadFile};
use crate::log::{ChunkReader, Listing, LogError, Snapshot, Walk};
use crate::model::{ChunkParams, ChunkSlot, Content, Digest, Entry, PackId, Part, Recipe};
use crate::sync::session::Context;
use crate::sync::{Progress, SyncError, Watcher, blocking};
use crate::vault::Stage;

/// Reads of packs that run ahead of the writing.
const READS_AHEAD: usize = 3;
/// Chunks whose reads are planned together.
const CHUNKS_AT_ONCE: usize = 16 << 10;

/// A file to be put together.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// What it is called in messages.
    pub(crate) name: String,
    /// The slot of the stage that it is written to.
    pub(crate) slot: u32,
    /// What it must hold.
    pub(crate) entry: Entry,
}

/// What is to be put together, and from what.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// How the vault cuts files.
    pub(crate) params: ChunkParams,
    /// Names the packs and recipes.
    pub(crate) remote: &'a Snapshot,
    /// The files, in the order in which they are written.
    pub(crate) wanted: &'a [Wanted],
    /// Local files that may hold parts of them.
    pub(crate) old: Vec<PathBuf>,
}

/// A chunk's place in a file on this disk.
#[derive(Debug, Clone)]
struct Place {
    file: Arc<PathBuf>,
    offset: u64,
    len: u32,
}

pub(crate) use crate::log::Leaves;

/// Chunks that this disk holds already.
#[derive(Debug, Default)]
pub(crate) struct OnDisk {
    places: HashMap<Digest, Place>,
    /// The lists that the recipes of these files would have: those of a new version are mostly the same.
    leaves: Leaves,
    /// The file that was read last stays open: chunks that follow each other mostly lie in one file.
    open: Option<(Arc<PathBuf>, OpenFile)>,
}

struct OpenFile(Box<dyn ReadFile>);

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenFile")
    }
}

impl OnDisk {
    /// Notes all chunks of a local file. What cannot be read helps nobody and is left out.
    pub(crate) fn add_file(&mut self, fs: &dyn Fs, path: PathBuf, params: ChunkParams) {
        let (Ok(mut cutter), Ok(file)) = (Cutter::new(params), fs.open(&path)) else { return };
        let (mut chunks, mut offset, path) = (cutter.cut(file), 0, Arc::new(path));
        let mut recipe = RecipeBuilder::default();
        let mut leaves = Leaves::new();
        let mut keep = |leaf: &[u8]| {
            let id = Digest::of(leaf);
            leaves.insert(id, leaf.to_vec());
            Ok::<_, RecipeError>(id)
        };
        while let Ok(Some(chunk)) = chunks.next_chunk() {
            let len = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let id = Digest::of(chunk);
            self.note(id, &path, offset, len);
            offset += u64::from(len);
            if recipe.push(Part { id, len }, &mut keep).is_err() {
                return;
            }
        }
        // Whether the list could be ended or not, the leaves that were cut until then are good.
        let _recipe = recipe.finish(&mut keep);
        self.leaves.extend(leaves);
    }

    fn note(&mut self, chunk: Digest, file: &Arc<PathBuf>, offset: u64, len: u32) {
        self.places.entry(chunk).or_insert_with(|| Place { file: Arc::clone(file), offset, len });
    }

    /// A chunk's bytes; none where the disk does not hold it, or not any more.
    fn read(&mut self, fs: &dyn Fs, chunk: &Digest) -> Option<Vec<u8>> {
        let place = self.places.get(chunk)?.clone();
        let bytes = self.read_place(fs, &place).ok().filter(|bytes| Digest::of(bytes) == *chunk);
        if bytes.is_none() {
            self.places.remove(chunk);
        }
        bytes
    }

    /// A chunk's bytes, or a list's; none where the disk does not hold it.
    pub(crate) fn chunk(&mut self, fs: &dyn Fs, id: &Digest) -> Option<Vec<u8>> {
        self.read(fs, id).or_else(|| self.leaves.get(id).cloned())
    }

    fn read_place(&mut self, fs: &dyn Fs, place: &Place) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(place.len).unwrap_or(usize::MAX)];
        match &self.open {
            Some((path, file)) if *path == place.file => file.0.read_exact_at(&mut bytes, place.offset)?,
            _ => {
                let file = fs.open(&place.file)?;
                file.read_exact_at(&mut bytes, place.offset)?;
                self.open = Some((Arc::clone(&place.file), OpenFile(file)));
            }
        }
        Ok(bytes)
    }
}

impl Context {
    /// Writes the files of `order` to `stage`.
    pub(crate) async fn fetch(
        &self,
        order: Order<'_>,
        stage: &Stage,
        mut progress: Progress,
        watcher: &dyn Watcher,
    ) -> Result<(), SyncError> {
        let Order { params, remote, wanted, old } = order;
        let index: ChunkIndex = remote.packs.values().map(AsRef::as_ref).collect();
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let mut on_disk = OnDisk::default();
        blocking(|| old.into_iter().for_each(|path| on_disk.add_file(self.fs(), path, params)));
        let leaves = std::mem::take(&mut on_disk.leaves);
        let mut source = Source { reader: &reader, index: &index, on_disk };
        let mut pieces = Pieces { remote, leaves: &leaves, ahead: wanted.iter(), open: None };
        let mut writer = None;
        loop {
            let batch = pieces.next(&reader, &index).await?;
            if batch.is_empty() {
                return Ok(());
            }
            let mut arriving = source.begin(&batch)?;
            let mut ready = HashMap::new();
            for Piece { file, chunks, is_last } in batch {
                let target = Arc::new(stage.path(file.slot));
                let mut open = match writer.take() {
                    Some(open) => open,
                    None => blocking(|| stage.writer(file.slot))?,
                };
                for placed in chunks {
                    let bytes = source
                        .chunk(self.fs(), &mut arriving, &mut ready, &file.name, placed.part.id)
                        .await?;
                    blocking(|| open.write_all(&bytes)).at("write", &target)?;
                    source.on_disk.note(placed.part.id, &target, placed.offset, placed.part.len);
                    progress.bytes_done += bytes.len() as u64;
                    watcher.progress(progress);
                }
                if !is_last {
                    writer = Some(open);
                    continue;
                }
                let Entry { mode, mtime_ms, .. } = file.entry;
                blocking(|| open.finish(file.entry.content(), mode, mtime_ms))?;
                progress.files_done += 1;
                watcher.progress(progress);
            }
        }
    }
}

/// Chunks of a file that are written together.
struct Piece<'a> {
    file: &'a Wanted,
    chunks: Vec<Placed>,
    is_last: bool,
}

/// What is still to be written of the files, a bounded number of chunks at a time.
struct Pieces<'a> {
    remote: &'a Snapshot,
    leaves: &'a Leaves,
    ahead: std::slice::Iter<'a, Wanted>,
    open: Option<(&'a Wanted, Walk<'a>)>,
}

impl<'a> Pieces<'a> {
    /// The next pieces; none at the end.
    async fn next(
        &mut self,
        reader: &'a ChunkReader,
        index: &'a ChunkIndex,
    ) -> Result<Vec<Piece<'a>>, SyncError> {
        let mut batch = Vec::new();
        let mut room = CHUNKS_AT_ONCE;
        while room > 0 {
            let (file, mut walk) = match (self.open.take(), self.ahead.as_slice().first()) {
                (Some(open), _) => open,
                (None, None) => break,
                (None, Some(file)) => {
                    self.ahead.next();
                    let recipe = self.remote.recipes.get(&file.entry.digest);
                    (file, reader.walk(index, self.leaves, file.entry.content(), recipe)?)
                }
            };
            let missing = |chunk| SyncError::NoChunk { chunk, path: file.name.clone() };
            let chunks = walk.next(room).await?.map_err(missing)?;
            let is_last = chunks.len() < room;
            room = room.saturating_sub(chunks.len() + 1);
            if !is_last {
                self.open = Some((file, walk));
            }
            batch.push(Piece { file, chunks, is_last });
        }
        Ok(batch)
    }
}

/// Where chunks come from: this disk, or the packs of the remote.
struct Source<'a> {
    reader: &'a ChunkReader,
    index: &'a ChunkIndex,
    on_disk: OnDisk,
}

impl<'a> Source<'a> {
    /// Begins the reads of packs that a batch needs. Each is a task of its own, so that it goes on while
    /// another one is written.
    fn begin(
        &self,
        batch: &[Piece<'_>],
    ) -> Result<impl futures_util::Stream<Item = Arrived> + Unpin + use<>, SyncError> {
        let needed = needed(self.index, &self.on_disk, batch)?;
        let reads = join_ranges(&needed, READ_GAP, READ_MAX);
        let reader = self.reader.clone();
        let spawned = stream::iter(reads).map(move |read| {
            let reader = reader.clone();
            tokio::spawn(async move { reader.read(read).await })
        });
        Ok(spawned.buffered(READS_AHEAD))
    }

    /// A chunk's bytes, from where they are at hand.
    async fn chunk(
        &mut self,
        fs: &dyn Fs,
        arriving: &mut (impl futures_util::Stream<Item = Arrived> + Unpin),
        ready: &mut HashMap<Digest, Vec<u8>>,
        name: &str,
        id: Digest,
    ) -> Result<Vec<u8>, SyncError> {
        if let Some(bytes) = ready.remove(&id) {
            return Ok(bytes);
        }
        if let Some(bytes) = blocking(|| self.on_disk.read(fs, &id)) {
            return Ok(bytes);
        }
        next_until(arriving, ready, &id).await?;
        match ready.remove(&id) {
            Some(bytes) => Ok(bytes),
            // A local file that held it has changed meanwhile.
            None => single(self.reader, self.index, name, id).await,
        }
    }
}

type Arrived = Result<Result<Vec<(Digest, Vec<u8>)>, LogError>, tokio::task::JoinError>;

/// Takes in reads until the chunk `id` is there or none is left.
async fn next_until(
    arriving: &mut (impl futures_util::Stream<Item = Arrived> + Unpin),
    ready: &mut HashMap<Digest, Vec<u8>>,
    id: &Digest,
) -> Result<(), SyncError> {
    while !ready.contains_key(id) {
        let Some(arrived) = arriving.next().await else { return Ok(()) };
        ready.extend(arrived.map_err(|error| SyncError::Upload(error.to_string()))??);
    }
    Ok(())
}

async fn single(
    reader: &ChunkReader,
    index: &ChunkIndex,
    name: &str,
    id: Digest,
) -> Result<Vec<u8>, SyncError> {
    let missing = || SyncError::NoChunk { chunk: id, path: name.to_owned() };
    let place = index.get(&id).ok_or_else(missing)?;
    reader.collect(&[place]).await?.remove(&id).ok_or_else(missing)
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
    listed.map_err(|chunk| SyncError::NoChunk { chunk, path: name.to_owned() })
}

/// The chunks that must come from the remote, in the order in which they are needed first.
fn needed(
    index: &ChunkIndex,
    on_disk: &OnDisk,
    batch: &[Piece<'_>],
) -> Result<Vec<(PackId, ChunkSlot)>, SyncError> {
    let mut seen = HashSet::new();
    let mut slots = Vec::new();
    for Piece { file, chunks, .. } in batch {
        for id in chunks.iter().map(|placed| placed.part.id) {
            if seen.insert(id) && !on_disk.places.contains_key(&id) {
                let place = index.get(&id);
                slots.push(place.ok_or_else(|| SyncError::NoChunk { chunk: id, path: file.name.clone() })?);
            }
        }
    }
    Ok(slots)
}
