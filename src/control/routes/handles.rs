//! The handlers' way to the daemon: the board, the events, its thread, and readers of the vault.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::problem::{ProblemResponse, stopping};
use crate::control::board::{Board, Command};
use crate::control::events::Events;
use crate::control::jobs::{self, Job, JobDocument};
use crate::control::pulse::Pulse;
use cogzy_client::documents::{Problem, SchemaVersion, VerifyDocument, VerifyRequest};
use cogzy_engine::sync::{Engine, Progress, Repaired, SyncError, Unwatched, Verified, Watcher};

/// The largest number of programs that follow the events at once.
const MAX_STREAMS: usize = 64;
/// The largest number of questions that are answered at once; the others wait.
const MAX_READERS: usize = 4;

/// Everything that the handlers need. Clones share it.
#[derive(Debug, Clone)]
pub struct Handles {
    /// The status.
    pub board: Board,
    /// The queue of the daemon's thread.
    pub commands: mpsc::Sender<Command>,
    /// The events.
    pub events: Events,
    /// Set to break off the running cycle, for a pause.
    pub interrupt: watch::Sender<bool>,
    /// The daemon's signs of life.
    pub pulse: Pulse,
    /// The engine that readers are made from; it runs no cycles itself.
    pub(super) engine: Arc<Engine>,
    /// Places for streams: they are long, and must not take all the connections.
    pub(super) streams: Arc<Semaphore>,
    /// Places for readers: each has the whole manifest in memory.
    readers: Arc<Semaphore>,
    /// Places for cycles that nobody waits for and that have not begun, without and with derived
    /// files. One more would do nothing that the first does not.
    unawaited: [Arc<Semaphore>; 2],
}

impl Handles {
    /// Handles for a daemon whose engine is of the same vault as `engine`.
    #[must_use]
    pub fn new(
        board: Board,
        commands: mpsc::Sender<Command>,
        events: Events,
        interrupt: watch::Sender<bool>,
        pulse: Pulse,
        engine: Engine,
    ) -> Self {
        let (streams, readers) = (Semaphore::new(MAX_STREAMS), Semaphore::new(MAX_READERS));
        let (engine, streams, readers) = (Arc::new(engine), Arc::new(streams), Arc::new(readers));
        let unawaited = std::array::from_fn(|_| Arc::new(Semaphore::new(1)));
        Self { board, commands, events, interrupt, pulse, engine, streams, readers, unawaited }
    }

    /// Answers a question without the daemon's thread, which may be busy for hours. The work ends
    /// when the client no longer waits for the answer.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        question: impl AsyncFnOnce(&mut Engine) -> Result<T, SyncError> + Send + 'static,
    ) -> Result<T, ProblemResponse> {
        let place = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| stopping())?;
        let (mut engine, runtime) = (self.engine.reader(), tokio::runtime::Handle::current());
        let (waiting, gone) = oneshot::channel::<()>();
        let asked = tokio::task::spawn_blocking(move || {
            let _place = place;
            runtime.block_on(async {
                tokio::select! {
                    answer = question(&mut engine) => Some(answer),
                    _ = gone => None,
                }
            })
        });
        let answer = asked.await.ok().flatten().ok_or_else(stopping)?;
        drop(waiting);
        answer.map_err(|error| ProblemResponse(Problem::from(&error)))
    }

    pub(super) async fn send(&self, command: Command) -> Result<(), ProblemResponse> {
        self.commands.send(command).await.map_err(|_| stopping())
    }

    /// Hands a command to the daemon's thread and waits for its answer.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> Command,
    ) -> impl Future<Output = Result<T, ProblemResponse>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let (command, handles) = (command(reply), self.clone());
        async move {
            handles.send(command).await?;
            answer.await.map_err(|_| stopping())?.map_err(ProblemResponse)
        }
    }

    /// Has a cycle run that nobody waits for, unless one is to come anyway.
    pub(super) fn sync_later(&self, derived: bool) {
        let [plain, with_derived] = &self.unawaited;
        let places = if derived { with_derived } else { plain };
        if let Ok(ticket) = Arc::clone(places).try_acquire_owned() {
            tokio::spawn(self.ask(|reply| Command::Sync { derived, reply, ticket: Some(ticket) }));
        }
    }

    /// Checks everything beside the daemon's thread, which goes on syncing.
    async fn verify(&self, deep: bool) -> Result<Verified, ProblemResponse> {
        let shown = Shown { board: self.board.clone(), events: self.events.clone() };
        self.read(async move |engine| engine.verify(deep, &shown).await).await
    }

    /// Checks everything, and repairs. The daemon's thread is only needed for what is to be
    /// written.
    pub(super) async fn look_for_damage(
        &self,
        request: VerifyRequest,
    ) -> Result<VerifyDocument, ProblemResponse> {
        let VerifyRequest { deep, repair, give_up } = request;
        let document = |verified, repaired| VerifyDocument { schema: SchemaVersion, verified, repaired };
        if !repair {
            return Ok(document(self.verify(deep).await?, None));
        }
        let mut repaired = self.mend(Job::PutRight(Vec::new())).await?;
        let mut verified = self.verify(true).await?;
        if !verified.faults.is_empty() {
            let dismissed = std::mem::take(&mut repaired.dismissed);
            repaired = self.mend(Job::PutRight(verified.faults)).await?;
            repaired.dismissed.extend(dismissed);
            verified = self.verify(true).await?;
        }
        repaired.lost.clone_from(&verified.lost);
        if let Some(agreed) = give_up {
            let faults = verified.faults.clone();
            repaired.given_up = self.mend(Job::GiveUp { agreed, faults }).await?.given_up;
            if !repaired.given_up.is_empty() || !verified.faults.is_empty() {
                verified = self.verify(true).await?;
                repaired.lost.clone_from(&verified.lost);
            }
        }
        Ok(document(verified, Some(repaired)))
    }

    async fn mend(&self, job: Job) -> Result<Repaired, ProblemResponse> {
        match self.ask(|reply| Command::Recover { job, reply }).await? {
            JobDocument::Repaired(repaired) => Ok(repaired),
            _ => Err(stopping()),
        }
    }

    /// Has a job run. A job that changes nothing does not wait for the running cycle.
    pub(super) async fn run(&self, job: Job) -> Result<JobDocument, ProblemResponse> {
        if job.changes() {
            self.ask(|reply| Command::Recover { job, reply }).await
        } else {
            self.read(async move |engine| jobs::run(engine, &job, &Unwatched).await).await
        }
    }
}

/// A watcher that shows the progress of a reader. It is no sign of the daemon's life.
struct Shown {
    board: Board,
    events: Events,
}

impl Watcher for Shown {
    fn progress(&self, progress: Progress) {
        if let Some(shown) = self.board.shown(progress) {
            self.events.progress(shown);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.board.update(|status| status.progress = None);
    }
}
