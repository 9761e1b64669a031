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
    /// server told. Until one tells any, no time is believed and nothing is old: this very clock may
    /// be the one that jumped.
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fs::RealFs;
    use crate::model::{Digest, Entry, Loss, Place, VaultPath};

    const NOW: u64 = 20_000 * DAY_MS;

    fn vault() -> VaultId {
        VaultId::from_bytes([1; 16])
    }

    fn loss(at_ms: u64) -> Loss {
        let entry = Entry { digest: Digest::of(b"x"), size: 1, mtime_ms: 0, mode: 0o644, rows: None };
        Loss { entry, at_ms, place: Place::Free }
    }

    /// Looks at a clock: its error of some seconds at each look, and the real time between two
    /// looks.
    fn looks() -> impl Strategy<Value = Vec<(u64, i64)>> {
        let off = prop_oneof![6 => Just(0_i64), 1 => Just(60 * 86_400), 1 => -86_000..90_000_i64];
        prop::collection::vec((1..7_200_u64, off), 1..60)
    }

    proptest! {
        /// However the clock jumps, one jump at a time: nothing looks more than a day older than it
        /// is to a server that others write to.
        #[test]
        fn no_jump_makes_anything_old(looks in looks()) {
            let mut record = Reference::new(vault(), NOW, Some(NOW));
            let (mut real, mut named) = (NOW, Vec::new());
            for (passes, off) in looks {
                real += passes * 1000;
                let local = real.saturating_add_signed(off * 1000);
                for (born, name) in &named {
                    let age = record.age_ms(local, Some(real)).saturating_sub(*name);
                    prop_assert!(age <= real - born + 2 * DAY_MS, "{} seems {} old", real - born, age);
                }
                named.push((real, record.name_ms(local)));
                record.look(local, None);
            }
        }

        /// One jump does not make a day of a minute, and a loss is forgotten once a day has passed
        /// twice over.
        #[test]
        fn a_loss_counts_for_a_day_whatever_one_jump_does(jump in -60_i64..60, after in 0..600_u64) {
            let mut record = Reference::new(vault(), NOW, None);
            record.losses.insert(VaultPath::new("a").unwrap(), loss(record.loss_ms(NOW)));
            let minutes = |minutes: u64| NOW + minutes * 60_000;
            let jumped = minutes(after).saturating_add_signed(jump * 86_400_000);
            record.look(jumped, None);
            record.look(minutes(after + 1), None);
            prop_assert_eq!(record.losses_now(minutes(after + 2)).len(), 1);
            for hour in 1..=49 {
                record.look(minutes(after + hour * 60), None);
            }
            prop_assert_eq!(record.losses_now(minutes(after + 49 * 60)).len(), 0);
        }
    }

    #[test]
    fn without_a_server_the_believed_time_follows_by_a_day_at_a_time() {
        let mut record = Reference::new(vault(), NOW, Some(NOW));
        let later = NOW + 3 * DAY_MS;
        let ages: Vec<u64> = (0..4)
            .map(|_| {
                record.look(later, None);
                (record.age_ms(later, None) - NOW) / DAY_MS
            })
            .collect();
        assert_eq!(ages, [2, 2, 2, 2], "nobody looks twice in an hour");
        let ages: Vec<u64> = (0..4_u64)
            .map(|hour| {
                record.look(later + hour * HOUR_MS, None);
                (record.age_ms(later + hour * HOUR_MS, None) - NOW) / DAY_MS
            })
            .collect();
        assert_eq!(ages, [2, 3, 3, 3]);
    }

    #[test]
    fn without_a_record_nothing_is_old_until_a_server_tells_the_time() {
        let jumped = NOW + 60 * DAY_MS;
        let mut record = Reference::new(vault(), jumped, None);
        assert!(record.age_ms(jumped, None) <= DAY_MS);
        assert!(record.look(jumped, Some(NOW)), "the record is worth writing");
        assert_eq!(record.age_ms(jumped, None), NOW + DAY_MS);
    }

    #[test]
    fn a_record_that_cannot_be_used_counts_as_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reference.json");
        let load = |vault| Reference::load(&RealFs, &path, vault).unwrap();
        assert_eq!(load(vault()), None);
        let mut record = Reference::new(vault(), NOW, None);
        record.losses.insert(VaultPath::new("a/b").unwrap(), loss(7));
        record.save(&RealFs, &path).unwrap();
        assert_eq!(load(vault()), Some(record.clone()));
        assert_eq!(load(VaultId::from_bytes([2; 16])), None, "of another vault");
        let text = std::fs::read_to_string(&path).unwrap();
        for bad in ["", "{}", "[", &text.replace("\"format\":1", "\"format\":2"), &text.replace("1", "x")] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(load(vault()), None, "{bad}");
        }
    }
}
