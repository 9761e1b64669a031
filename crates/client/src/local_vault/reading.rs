//! Reading under the shared lock.

use std::io;
use std::time::Duration;

use ndarray::Array2;

use super::{Corpus, LocalVault, LocalVaultError, MappedEmbeddings, corpus_path, map, matrix, vectors_path};
use cogzy_engine::fs;
use cogzy_engine::fs::IoAt;
use cogzy_engine::model::{Facts, Role, VaultPath};
use cogzy_engine::vault::validate::{Kind, Search, examine};
use cogzy_engine::vault::{FileLock, wait_for};

/// How long a generation may take to be put in place.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(1);
/// No corpus is longer.
const MAX_CORPUS: u64 = 16 << 30;

/// The right to read files of one generation: while it lives, none is put in place.
#[derive(Debug)]
pub struct Reading<'a> {
    vault: &'a LocalVault,
    _lock: FileLock,
}

impl<'a> Reading<'a> {
    pub(super) fn start(vault: &'a LocalVault) -> Result<Self, LocalVaultError> {
        let take = || -> Result<Option<FileLock>, LocalVaultError> {
            let lock = FileLock::try_take_shared(&vault.layout.apply_lock())?;
            let applying = vault.layout.applying();
            // A journal without the lock is one that is about to be dropped, or that a crash has left.
            let whole =
                matches!(vault.fs.lstat(&applying), Err(error) if error.kind() == io::ErrorKind::NotFound);
            Ok(lock.filter(|_| whole))
        };
        let lock = wait_for(PATIENCE, PAUSE, take)?.ok_or_else(|| {
            let text = "files are being put in place, or that was cut short: `cogzy-vault sync` finishes it";
            LocalVaultError::Busy(text.to_owned())
        })?;
        Ok(Self { vault, _lock: lock })
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

    /// How many entries the corpus `name` has, without keeping it.
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

    /// The same without copying them; they stay readable after this reading ends.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn mapped(&self, name: &str) -> Result<MappedEmbeddings, LocalVaultError> {
        let path = vectors_path(name)?;
        self.dtype(&path)?;
        map::open(&path, &path.below(self.vault.layout.root()))
    }

    /// Whether the array is whole and in two dimensions, before anything is allocated for it.
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
        let at = |source| IoAt { operation: "read", path: path.below(root), source };
        let stat = match self.vault.fs.lstat(&path.below(root)) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LocalVaultError::Missing(path.clone()));
            }
            Err(error) => return Err(at(error).into()),
        };
        let kind = Kind::of(path, Role::Primary).unwrap_or(Kind::Matrix);
        let fs = self.vault.fs.as_ref();
        // Only whether it is whole is asked here; what is no number is the caller's to find.
        let facts = examine(fs, root, path.as_str(), &stat, &kind, Search::None).map_err(at)?;
        facts.ok_or_else(|| LocalVaultError::Busy(format!("{path} is being written: try again")))
    }

    fn bytes(&self, path: &VaultPath) -> Result<Vec<u8>, LocalVaultError> {
        let place = path.below(self.vault.layout.root());
        match fs::read(self.vault.fs.as_ref(), &place, MAX_CORPUS) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(LocalVaultError::Missing(path.clone()))
            }
            Err(source) => Err(IoAt { operation: "read", path: place, source }.into()),
        }
    }
}
