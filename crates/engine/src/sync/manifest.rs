//! `sync/manifest.json`: what was agreed last, for people and programs to read. Nothing here reads it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Engine, SyncError};
use crate::fs;
use crate::log::Snapshot;
use crate::model::{CommitKey, Digest, VaultId, VaultPath};
use crate::vault::IoAt;

const FORMAT: u32 = 1;
/// A manifest of ten million files.
const MAX_BYTES: u64 = 4 << 30;

/// The same on every device that has agreed on the same commit.
#[derive(Debug, Serialize)]
struct Manifest<'a> {
    format: u32,
    vault: VaultId,
    generation: u64,
    commit: Option<CommitKey>,
    files: BTreeMap<&'a VaultPath, File>,
}

#[derive(Debug, Serialize)]
struct File {
    size: u64,
    blake3: Digest,
    mtime_ms: i64,
}

impl Engine {
    /// Writes the manifest of a snapshot, unless it stands there already.
    pub(super) fn write_manifest(&self, vault: VaultId, snapshot: &Snapshot) -> Result<(), SyncError> {
        let path = self.layout.manifest();
        let files = snapshot.tree.iter().map(|(path, entry)| {
            (path, File { size: entry.size, blake3: entry.digest, mtime_ms: entry.mtime_ms })
        });
        let (generation, commit) = (snapshot.seq(), snapshot.key);
        let manifest = Manifest { format: FORMAT, vault, generation, commit, files: files.collect() };
        let io = |operation| {
            let path = path.clone();
            move |source| SyncError::Io(IoAt { operation, path, source })
        };
        let bytes =
            serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other).map_err(io("write"))?;
        if fs::read(self.fs(), &path, MAX_BYTES).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        fs::replace(self.fs(), &path, &bytes, 0o600).map_err(io("write"))
    }
}
