//! Chunks that local files hold, so that they need not be fetched. Only reads; a crash leaves
//! nothing.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use crate::content::{Cutter, RecipeBuilder, RecipeError};
use crate::fs::{Fs, ReadFile};
use crate::log::Leaves;
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
}

struct OpenFile(Box<dyn ReadFile>);

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenFile")
    }
}

impl OnDisk {
    /// Notes all chunks of local files, on several threads. The first file that holds a chunk is its
    /// place.
    pub(crate) fn add_files(
        &mut self,
        fs: &dyn Fs,
        paths: &[PathBuf],
        params: ChunkParams,
        threads: NonZeroUsize,
    ) {
        let cut = |paths: &[PathBuf]| {
            let mut found = Self::default();
            paths.iter().for_each(|path| found.add_file(fs, path.clone(), params));
            found
        };
        let share = paths.len().div_ceil(threads.get()).max(1);
        let found: Vec<Self> = if paths.len() <= share {
            vec![cut(paths)]
        } else {
            std::thread::scope(|scope| {
                let cuts: Vec<_> = paths.chunks(share).map(|some| scope.spawn(|| cut(some))).collect();
                cuts.into_iter().filter_map(|cut| cut.join().ok()).collect()
            })
        };
        for Self { places, leaves, .. } in found {
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
