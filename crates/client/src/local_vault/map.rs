//! Vectors that stay in their file.
//!
//! With `memory` the only place of the program with `unsafe`. A mapping is a reference to bytes
//! that another program could change, and no crate can rule that out. It is sound here because a
//! file of the vault is replaced by a rename, by this program and by every write through
//! [`super::LocalVault`]: a mapped file keeps its bytes for as long as it is mapped, even after it
//! was replaced.
//!
//! A program that writes into `vectors/*.npy` in place must not run beside one that maps it. The
//! reader would see numbers change, and a file that is cut short ends it with SIGBUS. If you cannot
//! promise that, read with [`super::LocalVault::read_embeddings`].

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
    /// If they are not 32-bit little-endian floats, or this machine is not little-endian.
    pub fn view(&self) -> Result<ArrayView2<'_, f32>, LocalVaultError> {
        ArrayView2::<f32>::view_npy(&self.map)
            .map_err(|error| LocalVaultError::Kind { path: self.path.clone(), why: error.to_string() })
    }
}

pub(super) fn open(path: &VaultPath, place: &Path, file: &File) -> Result<MappedEmbeddings, LocalVaultError> {
    let at = |source| IoAt { operation: "map", path: place.to_owned(), source };
    #[expect(unsafe_code, reason = "see the head of this file")]
    // SAFETY: files of the vault are replaced and never changed in place; the head of this file
    // says what happens to a program that breaks this rule.
    let map = unsafe { Mmap::map(file) }.map_err(at)?;
    let mapped = MappedEmbeddings { path: path.clone(), map };
    mapped.view()?;
    Ok(mapped)
}
