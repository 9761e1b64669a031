//! `sync/reference.json`: the reference of the brakes, and the time that this device trusts.
//!
//! Decided here: for how long a loss counts, and how far a clock is trusted.
//!
//! It is a file of its own beside `last_sync.json`: an older program does not know it, leaves it
//! alone, and reads the record as before. Commits of that program in the meantime are not in here,
//! so they do not count as losses.
//!
//! Losing this file is harmless: then nothing was lost within the last day, so that today's base is
//! the reference, and time is trusted anew. So a file that is damaged, newer or of another vault
//! counts as lost.
//!
//! A machine's clock may jump in either direction at any moment. Three numbers keep that from
//! deleting anything early:
//! - `believed_ms`, the newest trusted time. It follows the clock by a day at most with each look,
//!   and never goes back. A name that tells an age never tells an earlier time.
//! - `passed_ms`, time that has passed, from any beginning. It grows by the clock's difference
//!   since the last look, half a day at most, so that a jump does not make a day of a minute.
//! - `local_ms`, the clock at the last look.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RecordError;
use crate::fs::{self, Fs};
use crate::model::{Group, Losses, MAX_AHEAD_MS, VaultId};

const FORMAT: u32 = 1;
/// Longest record, in bytes; a million losses fit.
const MAX_BYTES: u64 = 1 << 28;

const HOUR_MS: u64 = 3_600_000;
/// Time for which a loss counts.
const DAY_MS: u64 = 24 * HOUR_MS;
/// Time that can pass between two looks.
const STEP_MS: u64 = DAY_MS / 2;

/// Reference of the brakes, and the time that this device trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    format: u32,
    vault: VaultId,
    believed_ms: u64,
    passed_ms: u64,
    local_ms: u64,
    /// Files that commits of this device took within the last day; times are of
    /// [`Reference::passed_ms`].
    pub losses: Losses,
    /// The groups that this device goes by. Without them it goes by those of the commit that it
    /// agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Group>>,
}

impl Reference {
    /// Record of a device that looks for the first time. `server_ms` is the newest time that the
    /// server told. Until one tells any, no time is believed and nothing is old: this very clock
    /// may be the one that jumped.
    #[must_use]
    pub fn new(vault: VaultId, local_ms: u64, server_ms: Option<u64>) -> Self {
        let believed_ms = server_ms.map_or(0, |_| bounded(local_ms, server_ms));
        Self {
            format: FORMAT,
            vault,
            believed_ms,
            passed_ms: local_ms,
            local_ms,
            losses: Losses::new(),
            groups: None,
        }
    }

    /// Reads the record of this vault. `None` if there is none that can be used.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn load(fs: &dyn Fs, path: &Path, vault: VaultId) -> Result<Option<Self>, RecordError> {
        let bytes = match fs::read(fs, path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RecordError::io(path, error)),
        };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(record) if record.format == FORMAT && record.vault == vault => Ok(Some(record)),
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a record of ours is damaged and begun anew; nothing depends on it");
                Ok(None)
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

    /// Time by which ages are measured: never later than it is, as far as this device can know.
    #[must_use]
    pub fn age_ms(&self, local_ms: u64, server_ms: Option<u64>) -> u64 {
        bounded(local_ms.min(self.believed_ms.saturating_add(MAX_AHEAD_MS)), server_ms)
    }

    /// Time for the name of something whose age will be measured: never earlier than it is.
    #[must_use]
    pub fn name_ms(&self, local_ms: u64) -> u64 {
        local_ms.max(self.believed_ms)
    }

    /// Time that has passed, from any beginning.
    #[must_use]
    pub fn passed_ms(&self, local_ms: u64) -> u64 {
        self.passed_ms.saturating_add(local_ms.saturating_sub(self.local_ms).min(STEP_MS))
    }

    /// Time for a loss of this moment. Rounded up to the hour, so that an app that saves the same
    /// files every minute does not have the record written anew each time.
    #[must_use]
    pub fn loss_ms(&self, local_ms: u64) -> u64 {
        self.passed_ms(local_ms).next_multiple_of(HOUR_MS)
    }

    /// Losses of the last day.
    #[must_use]
    pub fn losses_now(&self, local_ms: u64) -> Losses {
        let now = self.passed_ms(local_ms);
        let recent = self.losses.iter().filter(|(_, loss)| loss.at_ms.saturating_add(DAY_MS) > now);
        recent.map(|(path, loss)| (path.clone(), loss.clone())).collect()
    }

    /// Takes note of the clock, and of the newest time that the server told. True if enough has
    /// changed for the record to be written.
    pub fn look(&mut self, local_ms: u64, server_ms: Option<u64>) -> bool {
        let told = server_ms.map_or(0, |server| local_ms.min(server));
        let first = self.believed_ms == 0 && told > 0;
        let worth = first || local_ms < self.local_ms || local_ms - self.local_ms >= HOUR_MS;
        if worth {
            self.passed_ms = self.passed_ms(local_ms);
            // From then on a server that jumps with this clock, a folder of this machine, is not
            // believed either.
            let followed = local_ms.min(self.believed_ms.saturating_add(MAX_AHEAD_MS));
            self.believed_ms = self.believed_ms.max(if first { told } else { followed });
            self.local_ms = local_ms;
        }
        worth
    }

    /// Goes on as the record of a vault that has another name from now on.
    pub const fn rename(&mut self, vault: VaultId) {
        self.vault = vault;
    }
}

/// The clock's time, or a day after the newest time that the server told.
fn bounded(local_ms: u64, server_ms: Option<u64>) -> u64 {
    server_ms.map_or(local_ms, |server| local_ms.min(server.saturating_add(MAX_AHEAD_MS)))
}

#[cfg(test)]
mod tests;
