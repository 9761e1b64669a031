//! What is on its way out, for whoever asks while a cycle runs or after one that failed; and reaching the remote at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::report::Amount;
use super::{Engine, Survey, SyncError};
use crate::state::{DatabaseError, Paused, Waiting, WaitingList};

/// A probe that takes longer has not reached the remote.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// Behind every commit: a listing from there on is short.
const BEHIND_ALL: &str = "commits/9999999999999999-~";
/// What the database calls the moment from which on a first success is waited for.
const AWAITED: &str = "awaited";

/// A wish that the cycle that runs ends soon; what it has done until then stays done. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Option<watch::Receiver<bool>>);

impl Interrupt {
    /// The wish as `receiver` sees it.
    #[must_use]
    pub const fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(Some(receiver))
    }

    /// Waits until it is wanted.
    pub async fn wanted(&self) {
        if let Some(mut receiver) = self.0.clone()
            && receiver.wait_for(|wanted| *wanted).await.is_ok()
        {
            return;
        }
        // Nobody can want it any more.
        std::future::pending::<()>().await;
    }
}

/// Paths that a cycle has found to be sent and has not committed yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsent {
    paths: Vec<String>,
    amount: Amount,
}

impl Unsent {
    /// What a survey would send, at once or when it has settled or been decided.
    pub(super) fn of(survey: &Survey) -> Self {
        let outgoing = survey.plan.steps.iter().filter(|step| step.outgoing());
        let paths = outgoing.flat_map(|step| &step.files).map(|file| file.path.to_string()).collect();
        let (now, later) = (survey.pending().0, survey.waiting());
        Self { paths, amount: Amount { files: now.files + later.files, bytes: now.bytes + later.bytes } }
    }
}

impl Engine {
    /// Lets cycles be broken off.
    pub fn heed(&mut self, interrupt: Interrupt) {
        self.interrupt = interrupt;
    }

    /// The paths that the last cycle was to send and did not.
    #[must_use]
    pub fn unsent(&self) -> &[String] {
        &self.unsent.paths
    }

    /// How many files and bytes those are.
    #[must_use]
    pub const fn unsent_amount(&self) -> Amount {
        self.unsent.amount
    }

    /// Whether the remote answers at all, whatever it says: one short listing.
    pub async fn probe(&self) -> bool {
        let asked = self.ports.remote.list("commits/", Some(BEHIND_ALL));
        match tokio::time::timeout(PROBE_PATIENCE, asked).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => !error.kind.offline(),
            Err(_) => false,
        }
    }

    /// The outbox, for its one writer.
    #[must_use]
    pub fn waiting_list(&self) -> WaitingList {
        WaitingList::open(Arc::clone(&self.ports.database))
    }

    /// How many paths wait, and the first of them.
    ///
    /// # Errors
    /// Those of the database.
    pub fn outbox(&self, limit: usize) -> Result<(usize, Vec<(String, Waiting)>), DatabaseError> {
        Ok((self.ports.database.waiting_count()?, self.ports.database.waiting(limit)?))
    }

    /// Since when a success is waited for, in milliseconds since the Unix epoch: the last one, or when it was asked first.
    #[must_use]
    pub fn awaiting_since(&self) -> u64 {
        let noted = |name| self.ports.database.noted(name).unwrap_or_default();
        noted(super::glance::SUCCESS).or_else(|| noted(AWAITED)).unwrap_or_else(|| {
            let now = self.ports.clock.now_ms();
            if let Err(error) = self.ports.database.note(AWAITED, now) {
                tracing::warn!(%error, "when a sync was first waited for could not be noted");
            }
            now
        })
    }

    /// The pause that somebody wants, if any.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn paused(&self) -> Result<Option<Paused>, SyncError> {
        Ok(Paused::load(self.fs(), &self.layout.paused())?)
    }

    /// Keeps a pause, or the wish to go on.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn set_paused(&self, paused: Option<Paused>) -> Result<(), SyncError> {
        let path = self.layout.paused();
        match paused {
            Some(paused) => paused.save(self.fs(), &path)?,
            None => Paused::clear(self.fs(), &path)?,
        }
        Ok(())
    }
}
