//! `sync/paused`: a pause in syncing. It is a file and not in the cache database, because a cache
//! may be lost and the user's wish may not.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::fs::{self, Fs};

const MAX_BYTES: u64 = 4096;

/// Pause in syncing: no cycles run until it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paused {
    /// End in milliseconds since the Unix epoch. `None` lasts until `resume`.
    pub until_ms: Option<u64>,
}

impl Paused {
    /// Reads the file. Returns `None` if there is no pause.
    ///
    /// # Errors
    /// If the file does not parse or the disk fails.
    pub fn load(fs: &dyn Fs, path: &Path) -> Result<Option<Self>, RecordError> {
        match fs::read(fs, path, MAX_BYTES) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|error| RecordError::damaged(path, error))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(RecordError::io(path, error)),
        }
    }

    /// Writes the file durably.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn save(&self, fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
        let bytes = serde_json::to_vec(self).map_err(|error| RecordError::damaged(path, error))?;
        fs::replace(fs, path, &bytes, 0o600).map_err(|error| RecordError::io(path, error))
    }

    /// Removes the file.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn clear(fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
        match fs.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RecordError::io(path, error)),
            _ => Ok(()),
        }
    }

    /// True if the pause is over at `now_ms`.
    #[must_use]
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until| until <= now_ms)
    }
}
