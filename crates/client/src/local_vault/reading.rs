//! Reading under the shared lock.

use std::io;
use std::path::Path;

use ndarray::Array2;

use super::{Corpus, LocalVault, LocalVaultError, MappedEmbeddings, corpus_path, map, matrix, vectors_path};
use cogzy_engine::fs::{self, Escaping, Fs, IoAt, RootedFs};
use cogzy_engine::model::{Facts, Role, VaultPath};
use cogzy_engine::vault::FileLock;
use cogzy_engine::vault::validate::{Kind, Search, examine};

/// The longest corpus, in bytes.
const MAX_CORPUS: u64 = 16 << 30;

/// The right to read files of one generation: while it lives, no other generation is put in place.
#[derive(Debug)]
pub struct Reading<'a> {
    pub(super) vault: &'a LocalVault,
    pub(super) disk: Escaping<RootedFs>,
    _lock: FileLock,
}

impl<'a> Reading<'a> {
    pub(super) fn start(vault: &'a LocalVault) -> Result<Self, LocalVaultError> {
        let disk = vault.disk()?;
        let lock = FileLock::of_one_generation(&disk, &vault.layout)?.ok_or_else(|| {
            let text = "files are being put in place, or that was cut short: `cogzy-vault sync` finishes it";
            LocalVaultError::Busy(text.to_owned())
        })?;
        Ok(Self { vault, disk, _lock: lock })
    }

    /// The corpus of nodes.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn nodes(&self) -> Result<Corpus, LocalVaultError> {
        self.corpus("nodes")
    }

    /// The corpus of episodes.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn episodes(&self) -> Result<Corpus, LocalVaultError> {
        self.corpus("episodes")
    }

    fn corpus(&self, name: &str) -> Result<Corpus, LocalVaultError> {
        let path = corpus_path(name)?;
        let bytes = self.bytes(&path)?;
        Corpus::parse(&bytes, name).map_err(|error| LocalVaultError::Damaged { path, why: error.to_string() })
    }

    /// The number of entries of the corpus `name`; the corpus is not kept.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn count(&self, name: &str) -> Result<u64, LocalVaultError> {
        let path = corpus_path(name)?;
        match self.facts(&path)? {
            Facts::Corpus { count } => Ok(count),
            Facts::Broken { why } => Err(LocalVaultError::Damaged { path, why }),
            _ => Ok(0),
        }
    }

    /// The vectors in `vectors/<name>.npy` as 32-bit floats.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn embeddings(&self, name: &str) -> Result<Array2<f32>, LocalVaultError> {
        let path = vectors_path(name)?;
        let dtype = self.dtype(&path)?;
        matrix::read(&path, &dtype, &self.bytes(&path)?)
    }

    /// The same vectors without copying them; they stay readable after this reading ends.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn mapped(&self, name: &str) -> Result<MappedEmbeddings, LocalVaultError> {
        let path = vectors_path(name)?;
        self.dtype(&path)?;
        let place = path.below(self.vault.layout.root());
        let spelled = self.disk.place(&place).map_err(at("open", &place))?;
        let file = self.disk.disk().open_file(&spelled).map_err(at("open", &place))?;
        map::open(&path, &place, &file)
    }

    /// The array's type of element. Checks that the array is whole and two-dimensional, before
    /// anything is allocated for it.
    fn dtype(&self, path: &VaultPath) -> Result<String, LocalVaultError> {
        let path = path.clone();
        match self.facts(&path)? {
            Facts::Matrix { shape, dtype, .. } if shape.len() == 2 => Ok(dtype),
            Facts::Matrix { shape, .. } => {
                let why = format!("it has {} dimensions: vectors stand in two, one row each", shape.len());
                Err(LocalVaultError::Kind { path, why })
            }
            Facts::Broken { why } => Err(LocalVaultError::Damaged { path, why }),
            _ => Err(LocalVaultError::Kind { path, why: "it is no array".to_owned() }),
        }
    }

    fn facts(&self, path: &VaultPath) -> Result<Facts, LocalVaultError> {
        let root = self.vault.layout.root();
        let place = path.below(root);
        let stat = match self.disk.lstat(&place) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LocalVaultError::Missing(path.clone()));
            }
            Err(error) => return Err(at("look at", &place)(error).into()),
        };
        let kind = Kind::of(path, Role::Primary).unwrap_or(Kind::Matrix);
        // This only asks for a whole file; finding what is no number is the caller's task.
        let facts = examine(&self.disk, root, path.as_str(), &stat, &kind, Search::None);
        let facts = facts.map_err(at("read", &place))?;
        facts.ok_or_else(|| LocalVaultError::Busy(format!("{path} is being written: try again")))
    }

    fn bytes(&self, path: &VaultPath) -> Result<Vec<u8>, LocalVaultError> {
        let place = path.below(self.vault.layout.root());
        match fs::read(&self.disk, &place, MAX_CORPUS) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(LocalVaultError::Missing(path.clone()))
            }
            Err(error) => Err(at("read", &place)(error).into()),
        }
    }
}

/// Adds call and path to an error of the disk.
fn at(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IoAt {
    let path = path.to_owned();
    move |source| IoAt { operation, path, source }
}
