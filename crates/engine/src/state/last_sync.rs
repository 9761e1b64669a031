//! `sync/last_sync.json`: the last state that this device agreed on.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::{self, Fs};
use crate::model::{CommitKey, Decisions, Entry, Held, Hlc, Tree, VaultId, VaultPath};

const FORMAT: u32 = 1;
/// Maximum length of the record in bytes; a million exceptions fit.
const MAX_BYTES: u64 = 1 << 28;

/// Failure to read or write a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The disk failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// The record does not parse.
    #[error("{} is damaged: {why}", .path.display())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        why: String,
    },
    /// The record was written by a newer version of this program.
    #[error("{} has format {found}, and this program reads {FORMAT}: install a newer cogzy-vault", .path.display())]
    Newer {
        /// Path of the file.
        path: PathBuf,
        /// Format of the record.
        found: u64,
    },
}

impl RecordError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, why: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }
}

/// Path whose base differs from the agreed commit: an item that was held back keeps its old base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The path.
    pub path: VaultPath,
    /// Entry that was last agreed for it. `None` if the path did not exist.
    pub entry: Option<Entry>,
}

/// Filters in force. The base contains no path that they exclude.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterRecord {
    /// Setting `include`.
    pub include: Vec<String>,
    /// Setting `exclude`.
    pub exclude: Vec<String>,
}

/// Record of the last agreed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSync {
    format: u32,
    /// Vault of the record.
    pub vault: VaultId,
    /// True while the join is incomplete: items that differ on both sides without a common past
    /// wait for a decision.
    pub joining: bool,
    /// URL of the remote. Another one needs an explicit new join.
    pub remote: String,
    /// Commit whose manifest is the base. `None` before the first.
    pub commit: Option<CommitKey>,
    /// Differences between the base and that manifest.
    pub exceptions: Vec<Exception>,
    /// Filters that the base was made with.
    pub filter: FilterRecord,
    /// Exceptions without an entry of which this device may have agreed on a version once, before a
    /// filter hid them: what their files here came from, nobody knows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown_origins: BTreeSet<VaultPath>,
    /// Holds of the last plan.
    #[serde(default)]
    pub held: Vec<Held>,
    /// Decisions about holds that are still open.
    pub decisions: Decisions,
    /// Newest transaction id that this device has used or seen.
    pub txn: Option<Hlc>,
}

impl LastSync {
    /// Creates the record of a device that has not agreed on any state yet.
    #[must_use]
    pub const fn new(vault: VaultId, remote: String, filter: FilterRecord, decisions: Decisions) -> Self {
        Self {
            format: FORMAT,
            vault,
            joining: true,
            remote,
            commit: None,
            exceptions: Vec::new(),
            filter,
            unknown_origins: BTreeSet::new(),
            held: Vec::new(),
            decisions,
            txn: None,
        }
    }

    /// Reads the record, if there is one.
    ///
    /// # Errors
    /// If the record is damaged or newer, or the disk fails. None of these may be taken for a
    /// missing record.
    pub fn load(fs: &dyn Fs, path: &Path) -> Result<Option<Self>, RecordError> {
        let bytes = match fs::read(fs, path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RecordError::io(path, error)),
        };
        parse(path, &bytes).map(Some)
    }

    /// Replaces the record durably.
    ///
    /// # Errors
    /// If the disk fails. The old record stays in place.
    pub fn save(&self, fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| RecordError::damaged(path, error))?;
        fs::replace(fs, path, &bytes, 0o600).map_err(|error| RecordError::io(path, error))
    }

    /// Sets the exceptions so that they turn the agreed commit's manifest into `base`.
    pub fn set_base(&mut self, commit: Option<CommitKey>, manifest: &Tree, base: &Tree) {
        let exceptions = manifest
            .diff(base)
            .map(|(path, _, entry)| Exception { path: path.clone(), entry: entry.copied() });
        let exceptions = exceptions.collect();
        self.commit = commit;
        self.exceptions = exceptions;
        self.unknown_origins.retain(|path| manifest.contains_key(path) && !base.contains_key(path));
    }

    /// Base: the agreed commit's manifest with the exceptions.
    #[must_use]
    pub fn base(&self, manifest: &Tree) -> Tree {
        let mut base = manifest.clone();
        for exception in &self.exceptions {
            match exception.entry {
                Some(entry) => base.insert(exception.path.clone(), entry),
                None => base.remove(&exception.path),
            };
        }
        base
    }
}

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<LastSync, RecordError> {
    #[derive(Deserialize)]
    struct Version {
        format: u64,
    }
    let damaged = |error: serde_json::Error| RecordError::damaged(path, error);
    let Version { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format > u64::from(FORMAT) {
        return Err(RecordError::Newer { path: path.to_owned(), found: format });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

#[cfg(test)]
mod tests;
