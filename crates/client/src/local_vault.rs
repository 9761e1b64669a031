//! The vault for programs written in Rust: reading and writing memories without a daemon, a network or a lock to know of.
//!
//! ```no_run
//! use cogzy_client::local_vault::LocalVault;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let vault = LocalVault::open("/home/me/.local/share/cogzy")?;
//! let (mut nodes, vectors) = {
//!     let reading = vault.reading()?; // one generation: nothing is put in place meanwhile
//!     (reading.nodes()?, reading.embeddings("nodes")?)
//! };
//! nodes.push(&serde_json::json!({"id": "n1", "content": "a memory"}))?;
//! let mut grown = ndarray::Array2::zeros((nodes.len(), vectors.ncols()));
//! grown.slice_mut(ndarray::s![..vectors.nrows(), ..]).assign(&vectors);
//! let mut transaction = vault.transaction();
//! transaction.nodes(&nodes)?.embeddings("nodes", &grown)?;
//! transaction.commit()?; // both files, or none
//! # Ok(())
//! # }
//! ```
//!
//! - Every read is local, every write is local first: whoever syncs the vault sees it and sends it.
//! - A [`Reading`] holds the shared lock: files are those of one generation. Hold it while you open files, not while you think.
//! - A write replaces whole files, through the journal; a [`LocalTransaction`] replaces several as one. A crash leaves the old ones or the
//!   new ones, and a program that read before somebody else wrote gets [`LocalVaultError::Conflict`] instead of undoing it.
//! - What a program does not know in a node survives reading and writing: entries are kept as they were written.
//!
//! Paths are those of the app: `corpus/nodes.json`, `corpus/episodes.json`, `vectors/<name>.npy`. What is sent where, and what
//! happens in a conflict, is not decided here.

mod corpus;
mod map;
mod matrix;
mod reading;
mod transaction;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use ndarray::Array2;

pub use corpus::Corpus;
pub use map::MappedEmbeddings;
pub use reading::Reading;
pub use transaction::LocalTransaction;

use crate::documents::{ResetDocument, StatusDocument, SyncDocument, SyncRequest};
use crate::paths::Paths;
use crate::socket::{self, ClientError};
use cogzy_engine::fs::IoAt;
use cogzy_engine::fs::RootedFs;
use cogzy_engine::model::{Digest, PathError, VaultId, VaultPath};
use cogzy_engine::vault::{Layout, Marker, MarkerError, TransactError};

/// What a program cannot do with a vault, and why.
#[derive(Debug, thiserror::Error)]
pub enum LocalVaultError {
    /// There is no vault.
    #[error(transparent)]
    NoVault(#[from] MarkerError),
    /// The name makes no path of a vault.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoAt),
    /// A file is not what its name says.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// Which file.
        path: VaultPath,
        /// What is wrong, and where.
        why: String,
    },
    /// There is no such file.
    #[error("{0} does not exist")]
    Missing(VaultPath),
    /// The vectors are not of a kind that can be had this way.
    #[error("{path}: {why}")]
    Kind {
        /// Which file.
        path: VaultPath,
        /// What it holds, and what is wanted.
        why: String,
    },
    /// Somebody else has written since this program read.
    #[error("{path} was changed by somebody else since it was read: read it again")]
    Conflict {
        /// Which file.
        path: VaultPath,
        /// What it holds now.
        current: Option<Digest>,
    },
    /// Something is at the vault, and stays at it.
    #[error("{0}")]
    Busy(String),
    /// The value has no JSON form, or not that of an entry.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The files could not be written.
    #[error(transparent)]
    Write(TransactError),
    /// The daemon does not answer, or not with yes.
    #[error(transparent)]
    Daemon(#[from] ClientError),
}

impl From<TransactError> for LocalVaultError {
    fn from(error: TransactError) -> Self {
        match error {
            TransactError::Conflict { path, current } => Self::Conflict { path, current },
            TransactError::NoVault(error) => Self::NoVault(error),
            TransactError::Io(error) => Self::Io(error),
            error @ TransactError::Busy(_) => Self::Busy(error.to_string()),
            error => Self::Write(error),
        }
    }
}

/// A vault on this machine. Cheap to clone; clones are the same vault.
#[derive(Debug, Clone)]
pub struct LocalVault {
    layout: Layout,
    vault: VaultId,
    socket: PathBuf,
}

impl LocalVault {
    /// Opens the vault at `root`, which `cogzy-vault init` or `run` has made.
    ///
    /// # Errors
    /// Where there is none.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, LocalVaultError> {
        let root = root.as_ref();
        let real = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        let layout = Layout::new(real);
        let marker = Marker::read(&RootedFs::open(layout.root(), layout.sync()), &layout)?;
        let usual = Paths::of_this_user().ok().and_then(|paths| paths.socket(layout.root()));
        let socket = usual.unwrap_or_else(|| layout.sync().join("control/daemon.sock"));
        Ok(Self { layout, vault: marker.vault, socket })
    }

    /// The same vault, whose daemon listens at another socket.
    #[must_use]
    pub fn with_socket(mut self, socket: impl Into<PathBuf>) -> Self {
        self.socket = socket.into();
        self
    }

    /// The vault's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// The disk, with the vault's folder held open for one reading or one writing: no longer, for a disk that is in use
    /// cannot be unmounted.
    fn disk(&self) -> Result<RootedFs, LocalVaultError> {
        let disk = RootedFs::open(self.layout.root(), self.layout.sync());
        let marker = Marker::read_joined(&disk, &self.layout)?;
        if marker.vault != self.vault {
            let path = self.layout.marker();
            return Err(MarkerError::OtherVault { path, found: marker.vault, expected: self.vault }.into());
        }
        Ok(disk)
    }

    /// Takes the shared lock, so that what is read through it is of one generation. Waits while one is being put in place.
    ///
    /// # Errors
    /// Where that takes longer than half a minute, or was cut short by a crash and nobody finishes it.
    pub fn reading(&self) -> Result<Reading<'_>, LocalVaultError> {
        Reading::start(self)
    }

    /// The corpus of nodes.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn read_nodes(&self) -> Result<Corpus, LocalVaultError> {
        self.reading()?.nodes()
    }

    /// The corpus of episodes.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn read_episodes(&self) -> Result<Corpus, LocalVaultError> {
        self.reading()?.episodes()
    }

    /// The vectors in `vectors/<name>.npy`, one row for each entry of the corpus of that name, as 32-bit floats.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn read_embeddings(&self, name: &str) -> Result<Array2<f32>, LocalVaultError> {
        self.reading()?.embeddings(name)
    }

    /// The same without copying them; see [`MappedEmbeddings`].
    ///
    /// # Errors
    /// See [`LocalVaultError`]; other elements than 32-bit little-endian floats cannot be mapped.
    pub fn map_embeddings(&self, name: &str) -> Result<MappedEmbeddings, LocalVaultError> {
        self.reading()?.mapped(name)
    }

    /// How many nodes there are. Reads the corpus without keeping it.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn node_count(&self) -> Result<u64, LocalVaultError> {
        self.reading()?.count("nodes")
    }

    /// Replaces the corpus of nodes. Where it was read before, what was read must still stand there.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn write_nodes(&self, nodes: &Corpus) -> Result<(), LocalVaultError> {
        let mut transaction = self.transaction();
        transaction.nodes(nodes)?;
        transaction.commit()
    }

    /// Replaces the corpus of episodes, as [`LocalVault::write_nodes`] does.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn write_episodes(&self, episodes: &Corpus) -> Result<(), LocalVaultError> {
        let mut transaction = self.transaction();
        transaction.episodes(episodes)?;
        transaction.commit()
    }

    /// Replaces the vectors in `vectors/<name>.npy`.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn write_embeddings(&self, name: &str, vectors: &Array2<f32>) -> Result<(), LocalVaultError> {
        let mut transaction = self.transaction();
        transaction.embeddings(name, vectors)?;
        transaction.commit()
    }

    /// Several files, written as one.
    #[must_use]
    pub fn transaction(&self) -> LocalTransaction<'_> {
        LocalTransaction::new(self)
    }

    /// How things stand, as the daemon sees it.
    ///
    /// # Errors
    /// Where no daemon runs.
    pub async fn sync_status(&self) -> Result<StatusDocument, LocalVaultError> {
        Ok(socket::get(&self.socket, "/v1/status").await?)
    }

    /// Has the daemon run a whole cycle now, and waits for it.
    ///
    /// # Errors
    /// Where no daemon runs, or the cycle does not go through.
    pub async fn sync(&self) -> Result<SyncDocument, LocalVaultError> {
        let request = SyncRequest { wait: true, dry_run: false, derived: false };
        Ok(socket::post(&self.socket, "/v1/sync", &request).await?)
    }

    /// Has the daemon replace the vault by the backup's newest generation, and waits for it. What is here goes to the trash, what the
    /// backup never had becomes a conflict; nobody is asked again.
    ///
    /// # Errors
    /// Where no daemon runs, or the backup cannot be read; then nothing is changed.
    pub async fn reset(&self) -> Result<ResetDocument, LocalVaultError> {
        Ok(socket::post(&self.socket, "/v1/reset", &serde_json::json!({ "dry_run": false })).await?)
    }
}

fn corpus_path(name: &str) -> Result<VaultPath, LocalVaultError> {
    Ok(VaultPath::new(&format!("corpus/{name}.json"))?)
}

fn vectors_path(name: &str) -> Result<VaultPath, LocalVaultError> {
    Ok(VaultPath::new(&format!("vectors/{name}.npy"))?)
}
