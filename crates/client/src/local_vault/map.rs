//! Vectors that stay in their file.
//!
//! With `memory` the one place of the program with `unsafe`: a mapping is bytes that somebody else could change under a reference, and no safe
//! crate can rule that out, whatever it calls itself. What makes it sound here: a file of the vault is replaced by a rename, by
//! this program and by every write through [`super::LocalVault`], so the mapped file keeps its bytes after it has been replaced,
//! for as long as it is mapped. A program that writes into `vectors/*.npy` in place must not be run beside one that maps
//! it: that one would see numbers change, and a file cut short ends it with SIGBUS. Who cannot promise that reads with
//! [`super::LocalVault::read_embeddings`].

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;
use ndarray::ArrayView2;
use ndarray_npy::ViewNpyExt;

use super::LocalVaultError;
use cogzy_engine::fs::IoAt;
use cogzy_engine::model::VaultPath;

/// Vectors of one generation, mapped. They stay as they are when the file is replaced.
#[derive(Debug)]
pub struct MappedEmbeddings {
    path: VaultPath,
    map: Mmap,
}

impl MappedEmbeddings {
    /// The vectors, one row for each entry.
    ///
    /// # Errors
    /// Where they are not 32-bit little-endian floats, as on a machine whose numbers are the other way round.
    pub fn view(&self) -> Result<ArrayView2<'_, f32>, LocalVaultError> {
        ArrayView2::<f32>::view_npy(&self.map)
            .map_err(|error| LocalVaultError::Kind { path: self.path.clone(), why: error.to_string() })
    }
}

pub(super) fn open(path: &VaultPath, place: &Path, file: &File) -> Result<MappedEmbeddings, LocalVaultError> {
    let at = |source| IoAt { operation: "map", path: place.to_owned(), source };
    #[expect(unsafe_code, reason = "see the head of this file")]
    // SAFETY: files of the vault are replaced and never changed in place; what a program that breaks this must expect is said above.
    let map = unsafe { Mmap::map(file) }.map_err(at)?;
    let mapped = MappedEmbeddings { path: path.clone(), map };
    mapped.view()?;
    Ok(mapped)
}
