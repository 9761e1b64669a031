//! The newest commit of a remote that this user's machine has agreed on, kept outside the vault's
//! folder.
//!
//! Who deletes the vault's folder and joins again would take any older state of the bucket for the
//! newest otherwise. Losing this file costs only that.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::fs::{self, Fs};
use crate::model::{CommitKey, VaultId};

const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 1 << 16;

/// The newest commit of a remote that this machine has agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    format: u32,
    /// URL of the remote.
    pub remote: String,
    /// Vault that it held.
    pub vault: VaultId,
    /// The commit.
    pub commit: CommitKey,
}

impl Seen {
    /// A record of what was agreed now.
    #[must_use]
    pub const fn new(remote: String, vault: VaultId, commit: CommitKey) -> Self {
        Self { format: FORMAT, remote, vault, commit }
    }

    /// Reads the record about `remote`. `None` if there is none that can be used.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn load(fs: &dyn Fs, path: &Path, remote: &str) -> Result<Option<Self>, RecordError> {
        let bytes = match fs::read(fs, path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RecordError::io(path, error)),
        };
        let record = serde_json::from_slice::<Self>(&bytes).ok();
        Ok(record.filter(|record| record.format == FORMAT && record.remote == remote))
    }

    /// Replaces the record.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn save(&self, fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
        let failed = |error| RecordError::io(path, error);
        if let Some(folder) = path.parent() {
            fs.create_dir_all(folder).map_err(failed)?;
        }
        let bytes = serde_json::to_vec(self).map_err(|error| RecordError::damaged(path, error))?;
        fs::replace(fs, path, &bytes, 0o600).map_err(failed)
    }
}
