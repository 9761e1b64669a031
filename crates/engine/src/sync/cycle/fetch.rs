//! Puts files together from chunks: from old local files if they hold them, else from packs.
//!
//! Decided here: the source of each chunk, and the order of the reads. Files are written one after
//! the other, chunk by chunk, a bounded number of chunks at a time. Reads of packs run ahead by a
//! few, with neighbouring ranges joined. Every chunk of a pack is compared with its name, and every
//! file with its digest. What old files hold is known from their recipes and taken as it stands: a
//! file that comes out as another one is put together once more, from old files that are cut anew,
//! and from chunks that are compared with their names. If it is another one then, its recipe is
//! wrong, and those of other commits are tried ([`super::claimed`]). A pack that is damaged or lost in the bucket
//! costs only the files that need it. The reads under way bound the memory for this, whatever the
//! length of a file. A crash leaves a stage, which the next start removes.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::Stream;

use super::claimed::other_bytes;
use super::finishing::{Finishing, LARGE};
use super::old::{Old, Told};
use super::on_disk::OnDisk;
use super::pieces::{Piece, Pieces, lists_of};
use super::sources::{Arrived, Arriving, Source};
use crate::content::{ChunkIndex, Placed};
use crate::fs::At;
use crate::log::{ChunkReader, Leaves, Log, LogError, Snapshot, parse_pack_key};
use crate::model::{ChunkParams, Digest, Entry, PackId, Recipe, SharedMap};
use crate::remote::RemoteErrorKind;
use crate::sync::session::Context;
use crate::sync::{Progress, SyncError, Watcher, blocking};
use crate::vault::{Stage, StageError, StageWriter};

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
    /// Log of the vault.
    pub(crate) log: &'a Log,
    /// State that names the packs and recipes.
    pub(crate) remote: &'a Snapshot,
    /// The files, in the order in which they are written.
    pub(crate) wanted: &'a [Wanted],
    /// Local files that may hold parts of them.
    pub(crate) old: Vec<Old>,
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
        let index = self.indexed.take(&order.remote.packs);
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let params = order.log.header()?.chunking;
        let told = blocking(|| self.look_up(&order, params, &index));
        let recipes = blocking(|| self.recipes_of(&order.remote.recipes))?;
        let (wanted, mut lost) = self.part_doubted(order.wanted, &recipes);
        let assembly =
            Assembly { context: self, order: &order, index: &index, reader: &reader, stage, watcher };
        let mut first = assembly.write(&wanted, &recipes, told, progress).await?;
        lost.append(&mut first.lost);
        if !first.doubtful.is_empty() {
            // A local file is not what it was taken for: now each is read to see what it holds.
            for file in &first.doubtful {
                tracing::info!(file = file.name, "a local file has changed; it is put together again");
                blocking(|| stage.clear(file.slot))?;
            }
            let cut = blocking(|| self.cut_old(&order, params));
            let mut second = assembly.write(&first.doubtful, &recipes, cut, first.progress).await?;
            lost.append(&mut second.lost);
            first.progress = second.progress;
        }
        assembly.by_other_claims(&mut lost, &recipes, first.progress).await?;
        self.note_read(&reader);
        self.indexed.keep(order.remote.packs.clone(), index);
        Ok(lost)
    }

    /// Chunks that the old files hold, by what was told of them where that is enough.
    fn look_up(&self, order: &Order<'_>, params: ChunkParams, index: &ChunkIndex) -> OnDisk {
        let database = &self.ports.database;
        let list = |id: &Digest| database.list(id).unwrap_or_default();
        let mut on_disk = OnDisk::unchecked();
        let is_one_chunk = |told: &Told| told.recipe.is_none() && index.contains(&told.content.digest);
        let mut unknown = Vec::new();
        for old in &order.old {
            let told = old.told.as_ref().filter(|told| told.recipe.is_some() || is_one_chunk(told));
            if !told.is_some_and(|told| on_disk.add_told(&old.path, told, &list)) {
                unknown.push(old.path.clone());
            }
        }
        let known = on_disk.leaves.len();
        on_disk.add_files(self.fs(), &unknown, params, self.settings.threads);
        if on_disk.leaves.len() > known {
            self.keep_lists(&on_disk.leaves);
        }
        on_disk
    }

    /// Chunks that the old files hold, by their bytes.
    fn cut_old(&self, order: &Order<'_>, params: ChunkParams) -> OnDisk {
        let mut on_disk = OnDisk::default();
        let old: Vec<PathBuf> = order.old.iter().map(|old| old.path.clone()).collect();
        on_disk.add_files(self.fs(), &old, params, self.settings.threads);
        on_disk
    }

    /// Keeps lists of chunks, so that the files need not be cut when they change.
    fn keep_lists(&self, lists: &Leaves) {
        if lists.is_empty() {
            return;
        }
        if let Err(error) = self.ports.database.put_lists(lists) {
            tracing::debug!(%error, "lists of chunks could not be kept; files are cut again when they change");
        }
    }
}

/// Files that are put together in one go.
pub(super) struct Assembly<'a> {
    pub(super) context: &'a Context,
    pub(super) order: &'a Order<'a>,
    index: &'a ChunkIndex,
    reader: &'a ChunkReader,
    pub(super) stage: &'a Stage,
    watcher: &'a dyn Watcher,
}

/// Result of an assembly.
pub(super) struct Assembled {
    /// Files that cannot be put together, by slot.
    pub(super) lost: BTreeMap<u32, SyncError>,
    /// Files of unchecked bytes that came out as something else.
    doubtful: Vec<Wanted>,
    pub(super) progress: Progress,
}

impl Assembly<'_> {
    pub(super) async fn write(
        &self,
        wanted: &[Wanted],
        recipes: &SharedMap<Digest, Recipe>,
        mut on_disk: OnDisk,
        progress: Progress,
    ) -> Result<Assembled, SyncError> {
        let Self { context, order, index, reader, stage, watcher } = *self;
        let mut leaves = std::mem::take(&mut on_disk.leaves);
        let lists = lists_of(recipes, wanted, &leaves, index, reader).await?;
        blocking(|| context.keep_lists(&lists));
        leaves.extend(lists);
        let mut pieces = Pieces::of(recipes, &leaves, wanted);
        let source = Source { fs: context.fs(), reader, index, on_disk };
        let mut output = Output {
            source,
            stage,
            old: &order.old,
            writer: None,
            finishing: blocking(|| Finishing::begin(stage, wanted.len()))?,
            bytes_before: progress.bytes_done,
            progress,
            watcher,
            lost: BTreeMap::new(),
            doubtful: Vec::new(),
        };
        loop {
            let batch = pieces.next(reader, index).await?;
            let read = std::mem::take(&mut pieces.read);
            blocking(|| context.keep_lists(&read));
            if batch.is_empty() {
                let Output { lost, finishing, doubtful, progress, .. } = output;
                finishing.end().await?;
                return Ok(Assembled { lost, doubtful, progress });
            }
            let mut arriving = Arriving { reads: output.source.begin(&batch), ready: HashMap::new() };
            for piece in batch {
                output.take_in(piece, &mut arriving).await?;
            }
        }
    }
}

/// The files as they are written.
struct Output<'a> {
    source: Source<'a>,
    stage: &'a Stage,
    old: &'a [Old],
    /// File that is open. None for a file that is lost.
    writer: Option<StageWriter>,
    finishing: Finishing<'a>,
    /// Progress at the beginning of this file.
    bytes_before: u64,
    progress: Progress,
    watcher: &'a dyn Watcher,
    lost: BTreeMap<u32, SyncError>,
    doubtful: Vec<Wanted>,
}

impl Output<'_> {
    async fn take_in(
        &mut self,
        piece: Piece<'_>,
        arriving: &mut Arriving<impl Stream<Item = Arrived> + Unpin>,
    ) -> Result<(), SyncError> {
        let Piece { file, chunks, is_last, fault } = piece;
        if !self.lost.contains_key(&file.slot) && !self.is_doubtful(file) {
            let written = match fault {
                Some(fault) => Err(fault),
                None => self.write(file, chunks, is_last, arriving).await,
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
            // Of checked bytes it is the recipe that is wrong.
            if writer.written() == file.entry.content() {
                self.finishing.add(writer, file.slot, file.entry).await?;
            } else if self.source.on_disk.checks() {
                self.lost.insert(file.slot, other_bytes(file));
            } else {
                self.doubtful.push(file.clone());
            }
        }
        if !self.is_doubtful(file) {
            self.bytes_before += file.entry.size;
            self.progress.files_done += 1;
        }
        self.progress.bytes_done = self.bytes_before;
        self.watcher.progress(self.progress);
        Ok(())
    }

    /// True if the file at hand was found to be another one.
    fn is_doubtful(&self, file: &Wanted) -> bool {
        self.doubtful.last().is_some_and(|last| last.slot == file.slot)
    }

    async fn write(
        &mut self,
        file: &Wanted,
        chunks: Vec<Placed>,
        is_last: bool,
        arriving: &mut Arriving<impl Stream<Item = Arrived> + Unpin>,
    ) -> Result<(), SyncError> {
        let is_pending = |placed: &Placed| {
            let place = self.source.only_place(&placed.part.id, arriving);
            place.is_some_and(|place| self.finishing.is_pending(place))
        };
        if chunks.iter().any(is_pending) {
            self.finishing.settle().await?;
        }
        let target = Arc::new(self.stage.path(file.slot));
        // The end of a file may come with the next batch, though it has no more chunks.
        if let [only] = chunks.as_slice()
            && is_last
            && self.is_small(file, only)
        {
            let bytes = self.source.chunk(arriving, &file.name, only.part.id).await?;
            self.source.on_disk.note(only.part.id, &target, 0, only.part.len);
            self.told(bytes.len() as u64);
            return self.finishing.write(file.slot, file.entry, bytes).await;
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => blocking(|| self.begin(file, &chunks))?,
        };
        let mut rest = chunks.as_slice();
        while let Some((placed, later)) = rest.split_first() {
            let Some(run) = self.source.run(rest, arriving) else {
                let bytes = self.source.chunk(arriving, &file.name, placed.part.id).await?;
                blocking(|| writer.write_all(&bytes)).at("write", &target)?;
                self.source.on_disk.note(placed.part.id, &target, placed.offset, placed.part.len);
                self.told(bytes.len() as u64);
                rest = later;
                continue;
            };
            let Source { fs, on_disk, .. } = &mut self.source;
            let copied = blocking(|| on_disk.copy(*fs, &run, placed.offset, &mut writer));
            if let Err(error) = copied.at("write", &target)? {
                tracing::info!(file = file.name, %error, "a local file cannot be read any more");
                self.doubtful.push(file.clone());
                return Ok(());
            }
            self.told(run.len);
            rest = rest.get(run.count..).unwrap_or_default();
        }
        self.writer = Some(writer);
        Ok(())
    }

    /// True for a small file of one chunk, which is compared with its name where it comes from.
    fn is_small(&self, file: &Wanted, only: &Placed) -> bool {
        let is_all = (only.part.id, u64::from(only.part.len)) == (file.entry.digest, file.entry.size);
        is_all && self.writer.is_none() && self.finishing.takes(file.slot, &file.entry)
    }

    fn told(&mut self, bytes: u64) {
        self.progress.bytes_done += bytes;
        self.watcher.progress(self.progress);
    }

    /// Begins a file that begins with these chunks: like the one that it replaces, if most of them
    /// stand at the same places there.
    fn begin(&self, file: &Wanted, chunks: &[Placed]) -> Result<StageWriter, StageError> {
        if file.entry.size < LARGE {
            return self.stage.writer(file.slot);
        }
        let old = self.old.iter().find(|old| old.slot == Some(file.slot)).map(|old| old.path.as_path());
        let like = old.filter(|old| self.source.on_disk.is_mostly(chunks, old));
        self.stage.writer_like(file.slot, like)
    }
}

/// True for an error that costs only the file at hand: the bucket has lost or damaged a part of it.
pub(super) fn is_lost(error: &SyncError) -> bool {
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
