//! What this machine has seen of a remote, for the day when the vault's folder is gone: a bucket
//! that was rolled back, replaced or emptied is noticed all the same.

use super::session::{Context, Session};
use super::{SyncError, blocking};
use crate::fs::{At, found};
use crate::log::{Log, LogError};
use crate::model::VaultId;
use crate::state::{LastSync, Seen};

impl Context {
    /// The newest state of the configured remote that this machine has seen.
    pub(crate) fn seen(&self) -> Result<Option<Seen>, SyncError> {
        let Some(path) = &self.settings.seen else { return Ok(None) };
        Ok(Seen::load(self.fs(), path, &self.settings.remote)?)
    }

    /// Forgets what was seen: somebody has said that the remote was replaced on purpose.
    pub(crate) fn forget_seen(&self) -> Result<(), SyncError> {
        let Some(path) = &self.settings.seen else { return Ok(()) };
        Ok(found(self.fs().remove_file(path)).at("remove", path).map(drop)?)
    }

    /// Checks that the remote still has what this machine has seen. The inner error says what it
    /// lacks.
    pub(crate) async fn check_seen(
        &self,
        log: &mut Log,
        seen: &Seen,
    ) -> Result<Result<(), LogError>, SyncError> {
        let lacks: Result<(), LogError> = if log.is_named(seen.vault) {
            log.check_agreed(seen.commit).await
        } else {
            Err(LogError::Foreign { expected: seen.vault, found: log.vault() })
        };
        log.build_on(None);
        match lacks {
            Err(error @ (LogError::RolledBack { .. } | LogError::Foreign { .. })) => Ok(Err(error)),
            checked => Ok(Ok(checked?)),
        }
    }

    fn note_seen(&self, vault: VaultId, record: &LastSync) -> Result<(), SyncError> {
        let (Some(path), Some(commit)) = (&self.settings.seen, record.commit) else { return Ok(()) };
        let known = self.seen()?;
        if known.is_some_and(|known| known.vault == vault && known.commit >= commit) {
            return Ok(());
        }
        Ok(Seen::new(self.settings.remote.clone(), vault, commit).save(self.fs(), path)?)
    }
}

impl Session<'_> {
    /// Notes what this device has agreed on, where the vault's folder is not. A disk that cannot
    /// keep it costs only that a rollback is not noticed without the folder.
    pub(crate) fn note_seen(&mut self, record: &LastSync) {
        if self.memory.seen == Some(record.commit) {
            return;
        }
        match blocking(|| self.context.note_seen(self.marker.vault, record)) {
            Ok(()) => self.memory.seen = Some(record.commit),
            Err(error) => {
                tracing::warn!(%error, "the newest generation could not be noted outside the vault");
            }
        }
    }
}
