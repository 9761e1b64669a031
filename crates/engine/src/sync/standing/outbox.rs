//! Changes on their way out, for a caller who asks while a cycle runs or after one that failed.
//!
//! Nothing here is lost by a crash: the next cycle finds the changes again.

use std::sync::Arc;

use super::status::SUCCESS;
use crate::model::VaultPath;
use crate::state::{DatabaseError, Waiting, WaitingList};
use crate::sync::{Amount, Engine, Survey};

/// Key of the time since which a first success is awaited.
const AWAITED: &str = "awaited";

/// Paths that a cycle has found to be sent and has not committed yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unsent {
    paths: Vec<VaultPath>,
    amount: Amount,
}

impl Unsent {
    /// Changes that a survey would send, at once or after they have settled or been decided.
    pub(crate) fn of(survey: &Survey) -> Self {
        let outgoing = survey.plan.steps.iter().filter(|step| step.outgoing());
        let paths = outgoing.flat_map(|step| &step.files).map(|file| file.path.clone()).collect();
        let (now, later) = (survey.pending().0, survey.waiting());
        Self { paths, amount: Amount { files: now.files + later.files, bytes: now.bytes + later.bytes } }
    }
}

impl Engine {
    /// Paths that the last cycle should have sent and did not.
    #[must_use]
    pub fn unsent(&self) -> &[VaultPath] {
        &self.memory.unsent.paths
    }

    /// Number of those files, and their bytes.
    #[must_use]
    pub const fn unsent_amount(&self) -> Amount {
        self.memory.unsent.amount
    }

    /// The outbox, for its one writer.
    #[must_use]
    pub fn waiting_list(&self) -> WaitingList {
        WaitingList::open(Arc::clone(&self.context.ports.database))
    }

    /// Number of paths that wait, and the first of them.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn outbox(&self, limit: usize) -> Result<(usize, Vec<(String, Waiting)>), DatabaseError> {
        let database = &self.context.ports.database;
        Ok((database.waiting_count()?, database.waiting(limit)?))
    }

    /// Time since which a success is awaited, in milliseconds since the Unix epoch: that of the
    /// last success, or of the first call of this function.
    #[must_use]
    pub fn awaiting_since(&self) -> u64 {
        let ports = &self.context.ports;
        let noted = |name| ports.database.noted(name).unwrap_or_default();
        noted(SUCCESS).or_else(|| noted(AWAITED)).unwrap_or_else(|| {
            let now = ports.clock.now_ms();
            if let Err(error) = ports.database.note(AWAITED, now) {
                tracing::warn!(%error, "the time since which a sync is awaited could not be noted");
            }
            now
        })
    }
}
