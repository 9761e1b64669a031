//! `sync/last_sync.json`: what this device has agreed on.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fs::{self, Fs};
use crate::model::{CommitKey, Decisions, Entry, Held, Hlc, Tree, VaultId, VaultPath};

const FORMAT: u32 = 1;
/// No record is longer; a million exceptions fit.
const MAX_BYTES: u64 = 1 << 28;

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The disk failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not parse.
    #[error("{} is damaged: {why}", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It was written by a later version of this program.
    #[error("{} has format {found}, and this program reads {FORMAT}: install a newer cogzy-vault", .path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
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

/// A path at which the base is not what the agreed commit says: an item that was held back keeps the base it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Which path.
    pub path: VaultPath,
    /// What was last agreed for it; nothing where it was not there.
    pub entry: Option<Entry>,
}

/// The filters that were in force: paths they exclude are in nobody's base here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterRecord {
    /// As in the configuration.
    pub include: Vec<String>,
    /// As in the configuration.
    pub exclude: Vec<String>,
}

/// What this device has agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSync {
    format: u32,
    /// Which vault.
    pub vault: VaultId,
    /// Whether something is still open of joining: what differs on both sides without a common past waits for a decision.
    pub joining: bool,
    /// The remote's URL: another one is an explicit new join.
    pub remote: String,
    /// The commit whose manifest is the base; none before the first.
    pub commit: Option<CommitKey>,
    /// Where the base differs from that manifest.
    pub exceptions: Vec<Exception>,
    /// The filters the base was made under.
    pub filter: FilterRecord,
    /// What the last plan held.
    #[serde(default)]
    pub held: Vec<Held>,
    /// What has been decided about holds that are still open.
    pub decisions: Decisions,
    /// The newest transaction id this device has used or seen.
    pub txn: Option<Hlc>,
}

impl LastSync {
    /// The record of a device that has agreed on nothing yet.
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
            held: Vec::new(),
            decisions,
            txn: None,
        }
    }

    /// Reads the record; none where there is none.
    ///
    /// # Errors
    /// A record that is damaged or newer, or a disk that fails: neither counts as having agreed on nothing.
    pub fn load(fs: &dyn Fs, path: &Path) -> Result<Option<Self>, RecordError> {
        let bytes = match fs::read(fs, path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RecordError::io(path, error)),
        };
        parse(path, &bytes).map(Some)
    }

    /// Replaces the record, durably.
    ///
    /// # Errors
    /// Where the disk fails; the old record then still stands.
    pub fn save(&self, fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| RecordError::damaged(path, error))?;
        fs::replace(fs, path, &bytes, 0o600).map_err(|error| RecordError::io(path, error))
    }

    /// Sets the exceptions so that the agreed commit's manifest with them gives `base`.
    pub fn set_base(&mut self, commit: Option<CommitKey>, manifest: &Tree, base: &Tree) {
        let missing = manifest.keys().filter(|path| !base.contains_key(*path)).map(|path| (path, None));
        let differing = base
            .iter()
            .filter(|(path, entry)| manifest.get(*path) != Some(entry))
            .map(|(path, entry)| (path, Some(*entry)));
        let mut exceptions: Vec<Exception> =
            missing.chain(differing).map(|(path, entry)| Exception { path: path.clone(), entry }).collect();
        exceptions.sort_by(|a, b| a.path.cmp(&b.path));
        self.commit = commit;
        self.exceptions = exceptions;
    }

    /// The base: the agreed commit's manifest with the exceptions.
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Digest;

    fn tree() -> impl Strategy<Value = Tree> {
        let entry = any::<u8>().prop_map(|byte| Entry {
            digest: Digest::of(&[byte % 3]),
            size: 1,
            mtime_ms: 0,
            mode: 0o644,
            rows: None,
        });
        prop::collection::btree_map("[a-e]".prop_map(|name| VaultPath::new(&name).unwrap()), entry, 0..5)
    }

    proptest! {
        #[test]
        fn manifest_and_exceptions_give_the_base(manifest in tree(), base in tree()) {
            let mut record = LastSync::new(
                VaultId::from_bytes([1; 16]), "file:///x".into(), FilterRecord::default(), Decisions::default(),
            );
            record.set_base(None, &manifest, &base);
            prop_assert_eq!(record.base(&manifest), base.clone());
            let bytes = serde_json::to_vec(&record).unwrap();
            prop_assert_eq!(parse(Path::new("x"), &bytes).unwrap().base(&manifest), base);
        }
    }

    #[test]
    fn a_damaged_or_newer_record_is_an_error_and_not_a_fresh_start() {
        let path = Path::new("last_sync.json");
        for bad in [b"".as_slice(), b"{}", b"{\"format\":1", b"[]"] {
            assert!(matches!(parse(path, bad), Err(RecordError::Damaged { .. })), "{bad:?}");
        }
        assert!(matches!(parse(path, b"{\"format\":2}"), Err(RecordError::Newer { found: 2, .. })));
    }
}
