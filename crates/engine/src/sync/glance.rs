//! A look at where things stand, without the network: for the status when no daemon runs, or when it can send nothing.

use std::sync::Arc;

use super::cycle::note;
use super::keep::ListedConflict;
use super::report::{Amount, Report, Standing, Watcher};
use super::survey::Seen;
use super::unsent::Unsent;
use super::{Engine, Survey, SyncError};
use crate::log::Snapshot;
use crate::model::DeviceId;
use crate::vault::Marker;

/// What the database calls the end of a cycle that went through.
pub(super) const SUCCESS: &str = "success";

/// Where things stand, as far as this device knows.
#[derive(Debug)]
pub struct Glance {
    /// This device.
    pub device: DeviceId,
    /// The generation that was agreed last.
    pub generation: u64,
    /// When a cycle went through last, in milliseconds since the Unix epoch.
    pub last_sync_ms: Option<u64>,
    /// What is here, and what would be sent.
    pub survey: Survey,
    /// Open conflicts.
    pub conflicts: Vec<ListedConflict>,
}

impl Glance {
    /// What would be sent.
    #[must_use]
    pub fn up(&self) -> Amount {
        self.survey.pending().0
    }
}

impl Engine {
    /// Compares the vault with what was agreed last.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn glance(&mut self, watcher: &dyn Watcher) -> Result<Glance, SyncError> {
        let marker = Marker::read(self.fs(), &self.layout)?;
        let agreed = self.agreed_snapshot().await?;
        let record = self.record()?;
        let conflicts = self.conflicts().await?;
        let mut log = self.open_log(marker.vault).await?;
        let seen = Seen { head: agreed.key, remote: Arc::clone(&agreed), agreed: Arc::clone(&agreed) };
        let survey = self.survey(&mut log, marker.vault, record.as_ref(), seen, false, watcher).await;
        self.log = Some(log);
        let last_sync_ms = self.ports.database.noted(SUCCESS).unwrap_or_default();
        Ok(Glance {
            device: marker.device,
            generation: agreed.seq(),
            last_sync_ms,
            survey: survey?,
            conflicts,
        })
    }

    /// Looks at what is here and would be sent, and remembers it as what waits. A report of a cycle that moves nothing.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn look_around(&mut self, watcher: &dyn Watcher) -> Result<Report, SyncError> {
        let Glance { generation, survey, conflicts, .. } = self.glance(watcher).await?;
        let standing = Standing { here: survey.here, waiting: survey.waiting(), conflicts: conflicts.len() };
        let mut report = Report { generation, standing: Some(standing), ..Report::default() };
        note(&survey, &mut report);
        self.unsent = Unsent::of(&survey);
        Ok(report)
    }

    /// The vault as it was agreed last, from the cache where it has it.
    pub(super) async fn agreed_snapshot(&mut self) -> Result<Arc<Snapshot>, SyncError> {
        let marker = Marker::read(self.fs(), &self.layout)?;
        let mut log = self.open_log(marker.vault).await?;
        let agreed = self.record()?.and_then(|record| record.commit);
        let snapshot = match agreed {
            Some(agreed) => log.recall(agreed).await,
            None => log.snapshot(None).await,
        };
        self.log = Some(log);
        Ok(snapshot?)
    }

    /// Notes that a whole cycle went through.
    pub fn note_success(&self) {
        if let Err(error) = self.ports.database.note(SUCCESS, self.ports.clock.now_ms()) {
            tracing::warn!(%error, "the time of this sync could not be noted");
        }
    }
}
