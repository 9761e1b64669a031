//! What is done when nothing else is: the trash, the manifest for people, a checkpoint now and then.

use super::report::Report;
use super::{Engine, SyncError, blocking};
use crate::log::Log;
use crate::state::LastSync;
use crate::vault::trash;

/// What [`Engine::clear_trash`] came upon.
pub(super) struct Cleared {
    /// Files that had been written to after they were displaced, and are kept.
    kept: usize,
    /// Trashes that are old enough to go and have not stood still for the settle window yet.
    waiting: usize,
}

impl Engine {
    /// Looks at the trash again, and removes what has been in it for long enough.
    pub(super) fn clear_trash(&self) -> Result<Cleared, SyncError> {
        let kept = self.recheck_trash()?;
        let keep = u64::try_from(self.settings.trash.as_millis()).unwrap_or(u64::MAX);
        let expired = trash::expire(self.fs(), &self.layout, self.ports.clock.now_ms().saturating_sub(keep))?;
        Ok(Cleared { kept, waiting: expired.waiting.len() })
    }

    /// Tidies up after a cycle that has come to its end.
    pub(super) async fn tidy(
        &mut self,
        log: &mut Log,
        record: &LastSync,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        let snapshot = log.snapshot(record.commit).await?;
        let cleared = blocking(|| {
            // First: what is moved away by the next call would not be looked at again.
            let cleared = self.clear_trash()?;
            self.tidy_transactions()?;
            self.clear_resolved(&snapshot)?;
            if self.manifest_of != Some(record.commit) {
                self.write_manifest(record.vault, &snapshot)?;
            }
            Ok::<_, SyncError>(cleared)
        })?;
        if cleared.kept > 0 {
            report.displaced_later(cleared.kept);
        }
        if cleared.waiting > 0 {
            report.trash_waits();
        }
        self.manifest_of = Some(record.commit);
        if let Some(head) = record.commit
            && report.pushed + report.deleted_remote > 0
        {
            // Best effort: a checkpoint that fails costs nothing but the next one's size.
            match log.checkpoint_if_due(head, self.ports.entropy.as_ref()).await {
                Ok(false) => {}
                Ok(true) => tracing::info!(commit = %head, "checkpoint written"),
                Err(error) => {
                    tracing::warn!(%error, "no checkpoint could be written; the next commit tries again");
                }
            }
        }
        Ok(())
    }
}
