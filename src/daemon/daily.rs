//! Prunes: a daily one, if the configuration wants it, and those that are asked for.
//!
//! A daily prune follows a successful cycle, after which this device knows the state of the remote.
//! One that fails is repeated after an hour, and the next day if the store has refused something. A
//! prune is done in pieces, each while nothing else is due: what is saved or committed meanwhile
//! goes first. Like a cycle it is broken off by a pause and by a stop, and a later one goes on.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::oneshot;

use super::heart::Heart;
use super::meanwhile::Meanwhile;
use super::scheduler::Next;
use super::{Course, Daemon, obey};
use crate::control::board::Board;
use crate::control::jobs::JobDocument;
use cogzy_client::documents::{Problem, PruneDocument, SchemaVersion};
use cogzy_engine::sync::{Interrupt, PruneRun, Pruned, Request, SyncError};

/// Time for which a piece deletes, if it did not take longer to find out what may go.
const PIECE: Duration = Duration::from_secs(10);
/// Time between two looks at the requests of a piece.
const LOOK: Duration = Duration::from_secs(5);

/// The way back to a client that waits for a prune.
type Reply = oneshot::Sender<Result<JobDocument, Problem>>;

/// A prune under way.
#[derive(Debug)]
pub(super) struct Pruning {
    run: PruneRun,
    /// Clients that wait for its end.
    replies: Vec<Reply>,
}

impl Pruning {
    fn begin() -> Self {
        Self { run: PruneRun::in_pieces(PIECE), replies: Vec::new() }
    }
}

impl Daemon {
    /// Begins a prune, if one is due.
    pub(super) fn prune_daily(&self, course: &mut Course) {
        if self.prune && course.pruning.is_none() && self.engine.prune_is_due() {
            course.pruning = Some(Pruning::begin());
        }
    }

    /// Does a piece of the prune under way, unless something else is due. False if it did nothing.
    pub(super) async fn prune_piece(&mut self, course: &mut Course, next: Next) -> bool {
        let is_free = match next {
            Next::Run(_) => false,
            Next::Wait(_) => true,
            // The remote is away; a client learns of that.
            Next::Probe | Next::Look | Next::Stopped => {
                course.pruning.as_ref().is_some_and(|pruning| !pruning.replies.is_empty())
            }
        };
        if !is_free || course.paused.is_some() {
            return false;
        }
        let Some(mut pruning) = course.pruning.take() else { return false };
        self.heart.works();
        let (watcher, interrupt) = (self.watcher(), Interrupt::new(self.interrupt.subscribe()));
        let mut meanwhile = Meanwhile {
            board: self.board.clone(),
            clock: std::sync::Arc::clone(&self.clock),
            renew: self.engine.renewal(),
            heard: Vec::new(),
        };
        let more = tokio::select! {
            more = self.engine.prune_piece(&mut pruning.run, &watcher) => more,
            () = interrupt.wanted() => Err(SyncError::Interrupted),
            never = meanwhile.watch(&mut course.hints, &mut course.sleep) => match never {},
            never = beats(&self.heart, &self.board) => match never {},
        };
        self.take_all(meanwhile.heard, course);
        match more {
            Ok(true) => course.pruning = Some(pruning),
            Ok(false) => {
                let pruned = pruning.run.result();
                self.end_prune(course, Ok(pruned), pruning.replies).await;
            }
            Err(error) => self.end_prune(course, Err(error), pruning.replies).await,
        }
        true
    }

    /// Adds a client that waits for the end of a prune, and begins one if there is none.
    pub(super) fn prune_for(course: &mut Course, reply: Reply) {
        course.pruning.get_or_insert_with(Pruning::begin).replies.push(reply);
    }

    async fn end_prune(
        &mut self,
        course: &mut Course,
        pruned: Result<Pruned, SyncError>,
        replies: Vec<Reply>,
    ) {
        self.board.update(|status| status.progress = None);
        let answer = match &pruned {
            Err(SyncError::Interrupted) => Err(obey::paused()),
            Err(error) => {
                // A lock lasts for days, and each try weighs the whole bucket.
                self.engine.note_prune(error.is_denied());
                tracing::warn!(%error, next = error.next(), "the prune was not finished");
                Err(Problem::from(error))
            }
            Ok(pruned) => {
                // Noted before it is logged: a program that reads the log may end this process.
                self.engine.note_prune(true);
                tracing::info!(
                    kept_from = pruned.kept_from,
                    marked = pruned.marked.objects,
                    freed = pruned.freed.objects,
                    freed_bytes = pruned.freed.bytes,
                    "pruned"
                );
                Ok(JobDocument::Prune(PruneDocument { schema: SchemaVersion, pruned: pruned.clone() }))
            }
        };
        if !replies.is_empty() && course.paused.is_none() && answer.is_ok() {
            // The answer has the result; this cycle brings the board up to date.
            let _told = self.turn(course, Request::FULL, None, false).await;
        }
        for reply in replies {
            // The client may have gone.
            let _gone = reply.send(answer.clone());
        }
    }
}

/// Feeds the signs of life as long as requests are answered: to weigh a large bucket takes long.
async fn beats(heart: &Heart, board: &Board) -> Infallible {
    let mut seen = board.read().transfer.requests;
    loop {
        tokio::time::sleep(LOOK).await;
        let requests = board.read().transfer.requests;
        if requests != std::mem::replace(&mut seen, requests) {
            heart.beats();
        }
    }
}
