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
use crate::log::{ChunkReader, LogError, Snapshot};
use crate::model::{ChunkParams, ChunkSlot, Content, Digest, Entry, PackId, Part, Recipe};
use crate::sync::session::Context;
use crate::sync::{Progress, SyncError, Watcher, blocking};
use crate::vault::Stage;

/// Reads of packs that run ahead of the writing.
const READS_AHEAD: usize = 3;

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
        let mut files = Vec::with_capacity(wanted.len());
        for file in wanted {
            let content = file.entry.content();
            let recipe = remote.recipes.get(&content.digest);
            files.push((file, flatten(&reader, &index, &on_disk.leaves, &file.name, content, recipe).await?));
        }
        let needed = needed(&index, &on_disk, &files)?;
        let reads = join_ranges(&needed, READ_GAP, READ_MAX);
        // Each read is a task of its own, so that it goes on while this one writes.
        let spawned = stream::iter(reads).map(|read| {
            let reader = reader.clone();
            tokio::spawn(async move { reader.read(read).await })
        });
        let mut arriving = spawned.buffered(READS_AHEAD);
        let mut ready: HashMap<Digest, Vec<u8>> = HashMap::new();
        for (file, parts) in files {
            let target = Arc::new(stage.path(file.slot));
            let mut writer = blocking(|| stage.writer(file.slot))?;
            for placed in parts {
                let id = placed.part.id;
                let bytes = match ready.remove(&id) {
                    Some(bytes) => bytes,
                    None => match blocking(|| on_disk.read(self.fs(), &id)) {
                        Some(bytes) => bytes,
                        None => {
                            next_until(&mut arriving, &mut ready, &id).await?;
                            match ready.remove(&id) {
                                Some(bytes) => bytes,
                                // A local file that held it has changed meanwhile.
                                None => single(&reader, &index, &file.name, id).await?,
                            }
                        }
                    },
                };
                blocking(|| writer.write_all(&bytes)).at("write", &target)?;
                on_disk.note(id, &target, placed.offset, placed.part.len);
                progress.bytes_done += bytes.len() as u64;
                watcher.progress(progress);
            }
            let Entry { mode, mtime_ms, .. } = file.entry;
            blocking(|| writer.finish(file.entry.content(), mode, mtime_ms))?;
            progress.files_done += 1;
            watcher.progress(progress);
        }
        Ok(())
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

/// A file's chunks. Lists of lists are read level by level.
pub(crate) async fn flatten(
    reader: &ChunkReader,
    index: &ChunkIndex,
    known: &Leaves,
    name: &str,
    content: Content,
    recipe: Option<&Recipe>,
) -> Result<Vec<Placed>, SyncError> {
    let listed = reader.list_chunks(index, known, content, recipe).await?;
    listed.map(|listed| listed.parts).map_err(|chunk| SyncError::NoChunk { chunk, path: name.to_owned() })
}

/// The chunks that must come from the remote, in the order in which they are needed first.
fn needed(
    index: &ChunkIndex,
    on_disk: &OnDisk,
    files: &[(&Wanted, Vec<Placed>)],
) -> Result<Vec<(PackId, ChunkSlot)>, SyncError> {
    let mut seen = HashSet::new();
    let mut slots = Vec::new();
    for (file, parts) in files {
        for id in parts.iter().map(|placed| placed.part.id) {
            if seen.insert(id) && !on_disk.places.contains_key(&id) {
                let place = index.get(&id);
                slots.push(place.ok_or_else(|| SyncError::NoChunk { chunk: id, path: file.name.clone() })?);
            }
        }
    }
    Ok(slots)
}
