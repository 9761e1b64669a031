//! Chunks that local files hold, so that they need not be fetched. Only reads; a crash leaves
//! nothing.

use std::collections::HashMap;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::old::Told;
use crate::content::{Cutter, Expansion, Next, Placed, RecipeBuilder, RecipeError};
use crate::fs::{Fs, ReadFile, each};
use crate::log::Leaves;
use crate::model::sqlite::{HEAD, settle_head};
use crate::model::{ChunkParams, Digest, Part};

/// A chunk's place in a file on this disk.
#[derive(Debug, Clone)]
struct Place {
    file: Arc<PathBuf>,
    offset: u64,
    len: u32,
}

/// Chunks that this disk holds already.
#[derive(Debug, Default)]
pub(crate) struct OnDisk {
    places: HashMap<Digest, Place>,
    /// Lists that the recipes of these files would have. Those of a new version are mostly the
    /// same.
    pub(super) leaves: Leaves,
    /// Last file that was read. It stays open: chunks that follow each other mostly lie in one
    /// file.
    open: Option<(Arc<PathBuf>, OpenFile)>,
    /// True where chunks are not compared with their names: whoever reads them compares the whole.
    unchecked: bool,
    buffer: Vec<u8>,
}

/// Bytes that are copied at once, at most: as many as a core has at hand.
const WINDOW: usize = 128 << 10;
/// Bytes from which on a run has no more chunks: progress is told after each.
const RUN: u64 = 8 << 20;

/// Chunks that stand beside each other in a file on this disk.
#[derive(Debug)]
pub(super) struct Run {
    file: Arc<PathBuf>,
    offset: u64,
    /// Number of the chunks.
    pub(super) count: usize,
    /// Their bytes.
    pub(super) len: u64,
}

struct OpenFile(Box<dyn ReadFile>);

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenFile")
    }
}

impl OnDisk {
    /// For a reader that compares the whole of what it reads, and not each chunk.
    pub(super) fn unchecked() -> Self {
        Self { unchecked: true, ..Self::default() }
    }

    /// True if each chunk is compared with its name.
    pub(super) const fn checks(&self) -> bool {
        !self.unchecked
    }

    /// Notes the chunks of a file without reading it. False if a list of its recipe is missing.
    pub(super) fn add_told(
        &mut self,
        path: &Path,
        told: &Told,
        list: &dyn Fn(&Digest) -> Option<Vec<u8>>,
    ) -> bool {
        let Ok(mut expansion) = Expansion::new(told.content, told.recipe.as_ref()) else { return false };
        let (mut chunks, mut leaves) = (Vec::new(), Leaves::new());
        loop {
            match expansion.step() {
                Ok(Next::Chunk(placed)) => chunks.push(placed),
                Ok(Next::List(part)) => {
                    let Some(bytes) = list(&part.id) else { return false };
                    if expansion.open(&part, &bytes).is_err() {
                        return false;
                    }
                    leaves.insert(part.id, bytes);
                }
                Ok(Next::End) => break,
                Err(_) => return false,
            }
        }
        let path = Arc::new(path.to_owned());
        for Placed { part, offset } in chunks {
            self.note(part.id, &path, offset, part.len);
        }
        self.leaves.extend(leaves);
        true
    }

    /// True if most bytes of these chunks stand at the same places of this file.
    pub(super) fn is_mostly(&self, chunks: &[Placed], file: &Path) -> bool {
        let stands = |placed: &&Placed| {
            let place = self.places.get(&placed.part.id);
            place.is_some_and(|place| place.offset == placed.offset && place.file.as_path() == file)
        };
        let len = |placed: &Placed| u64::from(placed.part.len);
        let same: u64 = chunks.iter().filter(stands).map(len).sum();
        same * 2 > chunks.iter().map(len).sum()
    }

    /// Number and bytes of the first of these chunks that stand beside each other in one file, and
    /// their place there. None if the first is not there, or chunks are compared with their names.
    pub(super) fn run(&self, chunks: &[Placed]) -> Option<Run> {
        let first = self.places.get(&chunks.first().filter(|_| self.unchecked)?.part.id)?;
        let (mut count, mut len) = (0, 0);
        for placed in chunks {
            let Some(place) = self.places.get(&placed.part.id) else { break };
            let follows = place.file == first.file && place.offset == first.offset + len;
            if !follows || place.len != placed.part.len || len >= RUN {
                break;
            }
            (count, len) = (count + 1, len + u64::from(place.len));
        }
        (count > 0).then(|| Run { file: Arc::clone(&first.file), offset: first.offset, count, len })
    }

    /// Copies the bytes of a run that begins at `at` of the new file. An error of the old file is
    /// the inner one: some bytes may be written then.
    pub(super) fn copy(
        &mut self,
        fs: &dyn Fs,
        run: &Run,
        at: u64,
        to: &mut dyn Write,
    ) -> io::Result<io::Result<()>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(WINDOW, 0);
        let mut done = 0;
        let mut copied = Ok(());
        while done < run.len {
            // Windows of the new file: whole ones are hashed faster.
            let window = (WINDOW as u64 - (at + done) % WINDOW as u64).min(run.len - done);
            let part = buffer.get_mut(..usize::try_from(window).unwrap_or(WINDOW)).unwrap_or_default();
            copied = self.read_at(fs, &run.file, part, run.offset + done);
            if copied.is_err() {
                break;
            }
            to.write_all(part)?;
            done += window;
        }
        self.buffer = buffer;
        Ok(copied)
    }

    /// Notes all chunks of local files, on several threads. The first file that holds a chunk is its
    /// place.
    pub(crate) fn add_files(
        &mut self,
        fs: &dyn Fs,
        paths: &[PathBuf],
        params: ChunkParams,
        threads: NonZeroUsize,
    ) {
        let cut = |path: &PathBuf| {
            let mut found = Self::default();
            found.add_file(fs, path.clone(), params);
            found
        };
        for Self { places, leaves, .. } in each(threads, paths, cut) {
            for (chunk, place) in places {
                self.places.entry(chunk).or_insert(place);
            }
            self.leaves.extend(leaves);
        }
    }

    /// Notes all chunks of a local file. A file that cannot be read is left out.
    fn add_file(&mut self, fs: &dyn Fs, path: PathBuf, params: ChunkParams) {
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
        // Even if the list cannot be ended, the leaves that were cut until then are good.
        let _recipe = recipe.finish(&mut keep);
        self.leaves.extend(leaves);
    }

    pub(super) fn note(&mut self, chunk: Digest, file: &Arc<PathBuf>, offset: u64, len: u32) {
        self.places.entry(chunk).or_insert_with(|| Place { file: Arc::clone(file), offset, len });
    }

    /// Bytes of a chunk. None if the disk does not hold it, or holds it no longer.
    pub(super) fn read(&mut self, fs: &dyn Fs, chunk: &Digest) -> Option<Vec<u8>> {
        let place = self.places.get(chunk)?.clone();
        let bytes = self.read_place(fs, &place).ok().filter(|bytes| Digest::of(bytes) == *chunk);
        if bytes.is_none() {
            self.places.remove(chunk);
        }
        bytes
    }

    /// Bytes of a chunk or of a list. None if the disk does not hold them.
    pub(crate) fn chunk(&mut self, fs: &dyn Fs, id: &Digest) -> Option<Vec<u8>> {
        self.read(fs, id).or_else(|| self.leaves.get(id).cloned())
    }

    /// True if one of the files is known to hold a chunk.
    pub(super) fn has(&self, chunk: &Digest) -> bool {
        self.places.contains_key(chunk)
    }

    /// The file that holds a chunk.
    pub(super) fn place_of(&self, chunk: &Digest) -> Option<&Path> {
        self.places.get(chunk).map(|place| place.file.as_path())
    }

    fn read_place(&mut self, fs: &dyn Fs, place: &Place) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(place.len).unwrap_or(usize::MAX)];
        self.read_at(fs, &place.file, &mut bytes, place.offset)?;
        Ok(bytes)
    }

    fn read_at(&mut self, fs: &dyn Fs, path: &Arc<PathBuf>, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let file = match self.open.take() {
            Some((open, file)) if open == *path => file,
            _ => OpenFile(fs.open(path)?),
        };
        file.0.read_exact_at(bytes, offset)?;
        if offset == 0 && self.unchecked {
            // A database has another head in the vault than on the disk.
            let size = file.0.stat()?.size;
            if let Some(head) = bytes.get_mut(..HEAD) {
                settle_head(head, size);
            }
        }
        self.open = Some((Arc::clone(path), file));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
