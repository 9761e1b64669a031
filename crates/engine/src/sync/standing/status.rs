//! The state of things, without the network: for the status when no daemon runs, or when it can
//! send nothing. A crash leaves nothing.

use std::sync::Arc;

use crate::log::{Aside, Snapshot};
use crate::model::DeviceId;
use crate::state::Failed;
use crate::sync::cycle::{Scope, Sides, note};
use crate::sync::session::{Context, Session};
use crate::sync::standing::Unsent;
use crate::sync::{
    Amount, Engine, ListedConflict, Report, Standing, Survey, SyncError, Unwatched, Watcher, blocking,
};

/// Key of the time of the last successful cycle.
pub(super) const SUCCESS: &str = "success";

/// The end of the last successful run, as it was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastKnown {
    /// The generation that was agreed.
    pub generation: u64,
    /// Its time, in milliseconds since the Unix epoch.
    pub last_sync_ms: Option<u64>,
    /// Files here, and their bytes, at the last scan.
    pub here: Amount,
}

/// State of things, as far as this device knows.
#[derive(Debug)]
pub struct Glance {
    /// Id of this device.
    pub device: DeviceId,
    /// Generation that was agreed last.
    pub generation: u64,
    /// Time of the last successful cycle, in milliseconds since the Unix epoch.
    pub last_sync_ms: Option<u64>,
    /// Local state, and the plan for it.
    pub survey: Survey,
    /// Open conflicts.
    pub conflicts: Vec<ListedConflict>,
    /// Objects in the bucket that were set aside.
    pub aside: Vec<Aside>,
}

impl Glance {
    /// Changes that would be sent.
    #[must_use]
    pub fn up(&self) -> Amount {
        self.survey.pending().0
    }
}

impl Engine {
    /// Compares the vault with the state that was agreed last.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn glance(&mut self, watcher: &dyn Watcher) -> Result<Glance, SyncError> {
        let mut session = self.session(watcher).await?;
        let context = session.context;
        let agreed = session.agreed_snapshot().await?;
        let record = context.record()?;
        let conflicts = context.list_conflicts(&agreed)?;
        let sides = Sides { head: agreed.key, remote: Arc::clone(&agreed), agreed: Arc::clone(&agreed) };
        let survey = session.survey(record.as_ref(), sides, Scope { dry: true, ..Scope::default() }).await?;
        let last_sync_ms = context.last_success();
        let (device, aside) = (session.marker.device, session.log.aside());
        Ok(Glance { device, generation: agreed.seq(), last_sync_ms, survey, conflicts, aside })
    }

    /// The end of the last successful run: what a daemon can say before its first cycle. Reads
    /// neither the vault's files nor the remote.
    #[must_use]
    pub fn last_known(&self) -> LastKnown {
        let database = &self.context.ports.database;
        let (files, bytes) = database.amount().unwrap_or_default();
        LastKnown {
            // Whatever is wrong with the record, the first cycle says so.
            generation: self.context.agreed().ok().flatten().map_or(0, |commit| commit.seq),
            last_sync_ms: self.context.last_success(),
            here: Amount { files, bytes },
        }
    }

    /// Looks at the local changes that would be sent, and remembers them as waiting. Returns the
    /// report of a cycle that moves nothing. Looks again at displaced files, too: no cycle does
    /// meanwhile.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn look_around(&mut self, watcher: &dyn Watcher) -> Result<Report, SyncError> {
        // Without that state nobody knows what is decided.
        if let Ok(agreed) = self.agreed_snapshot().await {
            blocking(|| self.context.recheck_trash_meanwhile(&agreed.resolved));
        }
        let Glance { generation, survey, conflicts, aside, .. } = self.glance(watcher).await?;
        let (here, waiting, conflicts) = (survey.here, survey.waiting(), conflicts.len());
        let standing = Standing { here, waiting, coming: survey.pending().1, conflicts };
        let mut report = Report { generation, aside, standing: Some(standing), ..Report::default() };
        note(&survey, &mut report);
        self.memory.unsent = Unsent::of(&survey);
        Ok(report)
    }

    /// The vault as it was agreed last, from the cache if it has it.
    pub(crate) async fn agreed_snapshot(&mut self) -> Result<Arc<Snapshot>, SyncError> {
        self.session(&Unwatched).await?.agreed_snapshot().await
    }

    /// Notes that a whole cycle succeeded.
    pub fn note_success(&self) {
        let ports = &self.context.ports;
        let noted = ports.database.note(SUCCESS, ports.clock.now_ms());
        if let Err(error) = noted.and_then(|()| ports.database.note_failed(None)) {
            tracing::warn!(%error, "the time of this sync could not be noted");
        }
    }

    /// The last run by hand that failed, if none succeeded since.
    #[must_use]
    pub fn failed_run(&self) -> Option<Failed> {
        self.context.ports.database.failed().unwrap_or_default()
    }
}

impl Session<'_> {
    /// The vault as it was agreed last, from the cache if it has it.
    pub(crate) async fn agreed_snapshot(&mut self) -> Result<Arc<Snapshot>, SyncError> {
        Ok(match self.context.agreed()? {
            Some(agreed) => self.log.recall(agreed).await?,
            None => self.log.snapshot(None).await?,
        })
    }
}

impl Context {
    /// End of the last successful cycle. Where the cache has nothing of it (it is new, or in memory
    /// on a disk that cannot be written), the time of the record stands in: both sides agreed then.
    fn last_success(&self) -> Option<u64> {
        let noted = self.ports.database.noted(SUCCESS).unwrap_or_default();
        noted.or_else(|| {
            self.agreed().ok().flatten()?;
            let record = self.fs().lstat(&self.layout.last_sync()).ok()?;
            u64::try_from(record.mtime_ns / 1_000_000).ok()
        })
    }
}
