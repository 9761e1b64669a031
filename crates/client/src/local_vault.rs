//! The vault for programs written in Rust: memories are read and written without a daemon, a
//! network, or a lock to care about.
//!
//! ```no_run
//! use cogzy_client::local_vault::LocalVault;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let vault = LocalVault::open("/home/me/.local/share/cogzy")?;
//! let (text, vector) = ("the meeting moved to Thursday", [0.1; 384]);
//! vault.upsert("nodes", &serde_json::json!({"id": "n1", "content": text}), Some(&vector))?;
//! let memory = vault.get("nodes", "n1")?;
//! vault.delete("nodes", "n1")?; // with its vector
//!
//! let (nodes, vectors) = {
//!     let reading = vault.reading()?; // one generation: nothing is put in place meanwhile
//!     (reading.nodes()?, reading.embeddings("nodes")?)
//! };
//! let mut transaction = vault.transaction();
//! transaction.nodes(&nodes)?.embeddings("nodes", &vectors)?;
//! transaction.commit()?; // both files, or none
//! # Ok(())
//! # }
//! ```
//!
//! - Every read is local, and every write is local first: the daemon or the next `sync` sends it.
//! - A [`Reading`] holds the shared lock: its files are those of one generation. Hold it while you
//!   open files, not while you work with them.
//! - A write replaces whole files, through the journal; a [`LocalTransaction`] replaces several as
//!   one. A crash leaves all the old ones or all the new ones. A program that read before another
//!   one wrote gets [`LocalVaultError::Conflict`] and undoes nothing.
//! - Fields of a node that a program does not know survive reading and writing: entries are kept as
//!   they were written.
//!
//! Paths are those of the app: `corpus/nodes.json`, `corpus/episodes.json`, `vectors/<name>.npy`.
//! Sending them, and settling conflicts, is not decided here.

mod corpus;
mod map;
mod matrix;
mod memories;
mod reading;
mod transaction;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::Array2;

pub use corpus::Corpus;
pub use map::MappedEmbeddings;
pub use memories::{Memories, Memory, MemoryId};
pub use reading::Reading;
pub use transaction::LocalTransaction;

use crate::documents::{DryRunRequest, ResetDocument, StatusDocument, SyncDocument, SyncRequest};
use crate::paths::{Paths, socket_within};
use crate::socket::{self, ClientError};
use cogzy_engine::fs::IoAt;
use cogzy_engine::fs::{Escaping, RootedFs};
use cogzy_engine::memories::MemoriesError;
use cogzy_engine::model::{Digest, PathError, VaultId, VaultPath};
use cogzy_engine::vault::{Layout, Marker, MarkerError, Spellings, TransactError};

/// An error of a [`LocalVault`].
#[derive(Debug, thiserror::Error)]
pub enum LocalVaultError {
    /// There is no vault.
    #[error(transparent)]
    NoVault(#[from] MarkerError),
    /// The name makes no valid path in a vault.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoAt),
    /// A file is damaged, or not of the kind that its name says.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: VaultPath,
        /// The damage, and its place.
        why: String,
    },
    /// There is no such file.
    #[error("{0} does not exist")]
    Missing(VaultPath),
    /// The vectors are of a kind that cannot be read this way.
    #[error("{path}: {why}")]
    Kind {
        /// The file.
        path: VaultPath,
        /// The kind it has, and the kind that is wanted.
        why: String,
    },
    /// Another program has written since this one read.
    #[error("another program changed {path} after it was read: read it again")]
    Conflict {
        /// The file.
        path: VaultPath,
        /// The digest of its content now.
        current: Option<Digest>,
    },
    /// Another program has changed a memory since this one read it.
    #[error("{corpus}: another program changed memory {id:?}{} after it was read: read it again", .field.as_ref().map(|field| format!(", field {field:?},")).unwrap_or_default())]
    Changed {
        /// The corpus.
        corpus: VaultPath,
        /// The memory's id.
        id: String,
        /// Its field; none if the whole memory was expected to be another one.
        field: Option<String>,
        /// JSON of what stands there now.
        current: Option<String>,
    },
    /// Memories cannot be read or written.
    #[error(transparent)]
    Memories(MemoriesError),
    /// Another program keeps the vault busy.
    #[error("{0}")]
    Busy(String),
    /// The value has no JSON form, or none that an entry can have.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The files could not be written.
    #[error(transparent)]
    Write(TransactError),
    /// The daemon does not answer, or refuses.
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
    /// Opens the vault at `root`, made by `cogzy-vault init` or `run`.
    ///
    /// # Errors
    /// If there is no vault.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, LocalVaultError> {
        let root = root.as_ref();
        let real = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        let layout = Layout::new(real);
        let marker = Marker::read(&RootedFs::open(layout.root(), layout.sync()), &layout)?;
        let usual = || Paths::of_this_user().ok().map(|paths| paths.socket(layout.root()));
        let socket = socket::recorded(&layout.lock()).or_else(usual);
        let socket = socket.unwrap_or_else(|| socket_within(layout.root()));
        Ok(Self { layout, vault: marker.vault, socket })
    }

    /// The same vault, with a daemon that listens at another socket.
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

    /// The disk, with the vault's folder held open for one reading or one writing and no longer: a
    /// disk that is in use cannot be unmounted.
    fn disk(&self) -> Result<Escaping<RootedFs>, LocalVaultError> {
        let disk = RootedFs::open(self.layout.root(), self.layout.sync());
        let marker = Marker::read_joined(&disk, &self.layout)?;
        if marker.vault != self.vault {
            let path = self.layout.marker();
            return Err(MarkerError::OtherVault { path, found: marker.vault, expected: self.vault }.into());
        }
        let spellings = Spellings::load(&disk, &self.layout)?;
        let disk = Escaping::new(Arc::new(disk), self.layout.root());
        spellings.apply(&disk);
        Ok(disk)
    }

    /// Takes the shared lock, under which all files are those of one generation. Waits while a
    /// generation is being put in place.
    ///
    /// # Errors
    /// If that takes longer than half a minute, or if a crash cut it short and no program finishes
    /// it.
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

    /// The vectors in `vectors/<name>.npy`, one row for each entry of the corpus of that name, as
    /// 32-bit floats.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn read_embeddings(&self, name: &str) -> Result<Array2<f32>, LocalVaultError> {
        self.reading()?.embeddings(name)
    }

    /// The same vectors without copying them; see [`MappedEmbeddings`].
    ///
    /// # Errors
    /// See [`LocalVaultError`]; elements other than 32-bit little-endian floats cannot be mapped.
    pub fn map_embeddings(&self, name: &str) -> Result<MappedEmbeddings, LocalVaultError> {
        self.reading()?.mapped(name)
    }

    /// The number of nodes. Reads the corpus without keeping it.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn node_count(&self) -> Result<u64, LocalVaultError> {
        self.reading()?.count("nodes")
    }

    /// Replaces the corpus of nodes. One that was read from the vault is only replaced while the
    /// file still holds the bytes that were read.
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

    /// A transaction: several files, written as one.
    #[must_use]
    pub fn transaction(&self) -> LocalTransaction<'_> {
        LocalTransaction::new(self)
    }

    /// The status, as the daemon sees it.
    ///
    /// # Errors
    /// If no daemon runs.
    pub async fn sync_status(&self) -> Result<StatusDocument, LocalVaultError> {
        Ok(socket::get(&self.socket, "/v1/status").await?)
    }

    /// Has the daemon run a whole cycle now, and waits for it.
    ///
    /// # Errors
    /// If no daemon runs, or the cycle fails.
    pub async fn sync(&self) -> Result<SyncDocument, LocalVaultError> {
        let request = SyncRequest { wait: true, dry_run: false, derived: false };
        Ok(socket::post(&self.socket, "/v1/sync", &request).await?)
    }

    /// Lets the daemon replace the vault by the backup's newest generation, and waits for it. Local
    /// files go to the trash, and versions that the backup never had become conflicts. The user is
    /// not asked again.
    ///
    /// # Errors
    /// If no daemon runs, or the backup cannot be read; then nothing is changed.
    pub async fn reset(&self) -> Result<ResetDocument, LocalVaultError> {
        Ok(socket::post(&self.socket, "/v1/reset", &DryRunRequest::default()).await?)
    }
}

fn corpus_path(name: &str) -> Result<VaultPath, LocalVaultError> {
    Ok(VaultPath::new(&format!("corpus/{name}.json"))?)
}

fn vectors_path(name: &str) -> Result<VaultPath, LocalVaultError> {
    Ok(VaultPath::new(&format!("vectors/{name}.npy"))?)
}
