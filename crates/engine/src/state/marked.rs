//! `sync/marked.json`: packs that this device has seen on their way out of the bucket, and since
//! when.
//!
//! A device deletes a pack only if it has known for a grace period that the pack is to go, by the
//! server's clock: what others wrote into the bucket a moment ago, or while nobody looked, deletes
//! nothing yet.
//!
//! Losing this file is harmless: the grace period begins anew. So a file that is damaged, newer or
//! of another vault counts as lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::fs::{self, Fs};
use crate::model::{CommitKey, PackId, VaultId};

const FORMAT: u32 = 1;
/// No record is longer; a million packs fit.
const MAX_BYTES: u64 = 1 << 28;

/// A pack on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaving {
    /// When this device saw it first, by the server's clock, in milliseconds since the Unix epoch.
    seen_ms: i64,
    /// True if this device decided to mark it.
    ours: bool,
    /// The commit that marked it, where this device decided to.
    by: Option<CommitKey>,
}

/// Packs on their way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marked {
    format: u32,
    vault: VaultId,
    packs: BTreeMap<PackId, Leaving>,
}

impl Marked {
    /// Reads the record of this vault; an empty one if there is none that can be used.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn load(fs: &dyn Fs, path: &Path, vault: VaultId) -> Result<Self, RecordError> {
        let none = Self { format: FORMAT, vault, packs: BTreeMap::new() };
        let bytes = match fs::read(fs, path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(none),
            Err(error) => return Err(RecordError::io(path, error)),
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(record) if record.format == FORMAT && record.vault == vault => Ok(record),
            Ok(_) => Ok(none),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a record of ours is damaged and begun anew; what is to be deleted waits longer");
                Ok(none)
            }
        }
    }

    /// Replaces the record, durably.
    ///
    /// # Errors
    /// If the disk fails. The old record then still stands.
    pub fn save(&self, fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
        let bytes = serde_json::to_vec(self).map_err(|error| RecordError::damaged(path, error))?;
        fs::replace(fs, path, &bytes, 0o600).map_err(|error| RecordError::io(path, error))
    }

    /// Notes that this device is about to mark packs.
    pub fn will_mark(&mut self, packs: &[PackId], now_ms: i64) {
        for pack in packs {
            self.packs.insert(*pack, Leaving { seen_ms: now_ms, ours: true, by: None });
        }
    }

    /// Notes what is on its way out now: packs that are `marked`, each with the commit that did it,
    /// and packs that are `swept` and still there. Others have come back.
    pub fn see(&mut self, marked: &BTreeMap<PackId, CommitKey>, swept: &BTreeSet<PackId>, now_ms: i64) {
        self.packs.retain(|pack, _| marked.contains_key(pack) || swept.contains(pack));
        for pack in marked.keys().chain(swept) {
            let new = Leaving { seen_ms: now_ms, ours: false, by: None };
            let leaving = self.packs.entry(*pack).or_insert(new);
            // The server's clock was ahead, and was set back.
            leaving.seen_ms = leaving.seen_ms.min(now_ms);
            if let Some(by) = marked.get(pack).filter(|_| leaving.ours) {
                leaving.by = Some(*by);
            }
        }
    }

    /// True if this device has known for a `grace` period that the pack is to go. What it decided
    /// itself counts from the commit that says so.
    #[must_use]
    pub fn is_due(&self, pack: PackId, times: &BTreeMap<CommitKey, i64>, now_ms: i64, grace_ms: i64) -> bool {
        self.packs.get(&pack).is_some_and(|leaving| {
            let put_ms = leaving.by.and_then(|by| times.get(&by).copied());
            put_ms.unwrap_or(leaving.seen_ms).saturating_add(grace_ms) <= now_ms
        })
    }
}

#[cfg(test)]
mod tests;
