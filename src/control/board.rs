//! The board: the daemon's status. The daemon keeps it up to date and clients read it, and neither
//! waits for the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::jobs::{Job, JobDocument};
use cogzy_client::documents::{Problem, ProgressDocument, State, StatusDocument, SyncDocument};
use cogzy_engine::clock::Clock;
use cogzy_engine::model::HoldId;
use cogzy_engine::remote::Meter;
use cogzy_engine::sync::{Pace, Progress};

/// A command for the daemon's thread.
#[derive(Debug)]
pub enum Command {
    /// Run a cycle now.
    Sync {
        /// Also send derived members that would stay here.
        derived: bool,
        /// The way back to the client that waits.
        reply: oneshot::Sender<Result<SyncDocument, Problem>>,
        /// Given back when the cycle begins, where no client waits.
        ticket: Option<OwnedSemaphorePermit>,
    },
    /// Decide holds, and run the cycle that carries it out.
    Decide {
        /// The holds.
        holds: Vec<HoldId>,
        /// True to let them pass, false to decide the other way.
        approve: bool,
        /// The way back to the client that waits.
        reply: oneshot::Sender<Result<SyncDocument, Problem>>,
    },
    /// Run a job that changes something.
    Recover {
        /// The job.
        job: Job,
        /// The way back to the client that waits.
        reply: oneshot::Sender<Result<JobDocument, Problem>>,
    },
    /// Try again at once, even what was given up.
    Retry,
    /// Run no cycles for some seconds, or until `Resume`.
    Pause {
        /// The length; without one, until `Resume`.
        seconds: Option<u64>,
        /// The way back to the client that waits.
        reply: oneshot::Sender<Result<(), Problem>>,
    },
    /// Go on.
    Resume {
        /// The way back to the client that waits.
        reply: oneshot::Sender<Result<(), Problem>>,
    },
}

/// The status, shared. Clones show the same.
#[derive(Debug, Clone)]
pub struct Board {
    status: Arc<Mutex<StatusDocument>>,
    pace: Arc<Mutex<Pace>>,
    meter: Meter,
    clock: Arc<dyn Clock>,
}

impl Board {
    /// A board that shows `status`.
    #[must_use]
    pub fn new(status: StatusDocument, meter: Meter, clock: Arc<dyn Clock>) -> Self {
        Self { status: Arc::new(Mutex::new(status)), pace: Arc::default(), meter, clock }
    }

    /// The status now.
    #[must_use]
    pub fn read(&self) -> StatusDocument {
        let mut status = self.lock().clone();
        status.transfer = self.meter.read();
        if status.progress.is_some() && matches!(status.state, State::InSync | State::Pending) {
            status.state = State::Syncing;
        }
        status
    }

    /// True while the remote gives no answer.
    #[must_use]
    pub fn hears_nothing(&self) -> bool {
        self.meter.is_silent()
    }

    /// Changes the status.
    pub fn update(&self, change: impl FnOnce(&mut StatusDocument)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, StatusDocument> {
        // A status that was half changed by a panic is still a status.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// Shows the progress of a cycle. Returns it as shown, if it is news.
    pub fn shown(&self, progress: Progress) -> Option<ProgressDocument> {
        // A scan that reads nothing is no news.
        if progress.files_total > 0 {
            let now = self.clock.monotonic();
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            let seconds_left = pace.left(&progress, now).map(|left| left.as_secs());
            let shown =
                ProgressDocument { progress, seconds_left, bytes_per_second: pace.rate(&progress, now) };
            drop(pace);
            self.update(|status| status.progress = Some(shown));
            return Some(shown);
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use cogzy_client::documents::{DaemonDocument, DeviceDocument, PendingDocument, SchemaVersion};
    use cogzy_engine::model::DeviceId;

    /// A board in this state, and the meter that it reads.
    pub(crate) fn board(state: State, clock: Arc<dyn Clock>) -> (Board, Meter) {
        let meter = Meter::default();
        (Board::new(StatusDocument { state, ..status() }, meter.clone(), clock), meter)
    }

    /// A status of a daemon that has done nothing yet.
    pub(crate) fn status() -> StatusDocument {
        StatusDocument {
            schema: SchemaVersion,
            state: State::Pending,
            vault: "/vault".into(),
            remote: "file:///remote".into(),
            user_id: "default".into(),
            device: DeviceDocument { id: DeviceId::from_bytes([1; 8]), name: "test".into() },
            daemon: DaemonDocument::default(),
            generation: 0,
            remote_generation: 0,
            last_sync: None,
            paused_until: None,
            open: Vec::new(),
            files: 0,
            bytes: 0,
            pending: PendingDocument::default(),
            unwatched: Vec::new(),
            progress: None,
            conflicts: 0,
            holds: Vec::new(),
            errors: Vec::new(),
            aside: None,
            left_out: Vec::new(),
            content: None,
            transfer: cogzy_engine::remote::Transfer::default(),
        }
    }
}
