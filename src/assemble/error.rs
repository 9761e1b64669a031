//! Reasons why something cannot be put together.

use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;
use cogzy_engine::remote::{RemoteError, UrlError};
use cogzy_engine::state::{DatabaseError, EventLogError};
use cogzy_engine::sync::SyncError;
use cogzy_engine::vault::FilterError;

/// A part that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The remote cannot be opened.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The URL names no remote.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The environment holds half a key.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The filters do not compile.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The cache database cannot be opened.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The kept events cannot be opened.
    #[error(transparent)]
    Events(#[from] EventLogError),
    /// The vault is not the one that is configured, or cannot be used by this machine.
    #[error(transparent)]
    Vault(#[from] SyncError),
    /// An import names a folder.
    #[error("{} is a folder", .0.display())]
    FolderSource(PathBuf),
    /// The control socket cannot be bound.
    #[error("the control socket {} cannot be made: {source}", .path.display())]
    Socket {
        /// The path it should have.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}
