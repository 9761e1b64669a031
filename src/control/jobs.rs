//! Jobs: looks at the past, ways back to it, and searches for damage.
//!
//! The verbs and the socket share them. The process that holds the vault runs a job, the daemon or
//! a verb by itself, and the answer is one document.

use serde::Serialize;

use super::sides;
use cogzy_client::documents::{
    ConflictsDocument, HistoryDocument, KeptVersion, PruneDocument, ResetDocument, RewriteDocument,
    SchemaVersion, VerifyDocument, VerifyRequest,
};
use cogzy_engine::model::{ConflictId, Resolution, VaultPath};
use cogzy_engine::sync::{Engine, Fault, Lost, Point, Repaired, SyncError, Watcher};

/// A job that the socket takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// The history, of one path where one is named.
    History(Option<VaultPath>),
    /// The open conflicts.
    Conflicts,
    /// A new generation made of old versions.
    Rewrite(RewriteJob),
    /// The decision of one conflict for the version that the caller names.
    Decide {
        /// The conflict.
        id: ConflictId,
        /// The version that is kept.
        keep: KeptVersion,
        /// Go on although it looks like an accident.
        yes: bool,
    },
    /// The vault replaced by the backup's newest generation.
    Reset {
        /// Only say what would be done.
        dry_run: bool,
    },
    /// The removal of data that retention no longer needs from the bucket.
    Prune {
        /// Only say what would be done.
        dry_run: bool,
    },
    /// Repairs of faults that a check has found.
    PutRight(Vec<Fault>),
    /// The end of the search for what stays lost for faults that a check has found.
    GiveUp {
        /// Versions that may be given up.
        agreed: Vec<Lost>,
        /// Faults that a repair has left.
        faults: Vec<Fault>,
    },
}

/// A job that makes a new generation of old versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewriteJob {
    /// The decision of conflicts, in one generation.
    Resolve {
        /// The conflicts, each with the version that is kept.
        decisions: Vec<Resolution>,
        /// Go on although it looks like an accident.
        yes: bool,
    },
    /// Paths, or everything, as they were.
    Restore {
        /// The moment to go back to.
        point: Point,
        /// Files or folders; everything where there are none.
        paths: Vec<VaultPath>,
        /// Go on although it looks like an accident.
        yes: bool,
    },
    /// One generation taken back.
    Undo {
        /// The generation.
        point: Point,
        /// Go on although later changes touch the same files.
        force: bool,
        /// Go on although it looks like an accident.
        yes: bool,
    },
}

/// The answer to a job. Its JSON is that of the document alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum JobDocument {
    /// To [`Job::History`].
    History(HistoryDocument),
    /// To [`Job::Conflicts`].
    Conflicts(ConflictsDocument),
    /// To [`Job::Rewrite`].
    Rewrite(RewriteDocument),
    /// To [`Job::Reset`].
    Reset(ResetDocument),
    /// To [`Job::Prune`].
    Prune(PruneDocument),
    /// To [`Job::PutRight`] and [`Job::GiveUp`].
    Repaired(Repaired),
}

impl Job {
    /// True if the job may change something. Such a job waits for the running cycle.
    #[must_use]
    pub const fn changes(&self) -> bool {
        match self {
            Self::History(_) | Self::Conflicts => false,
            Self::Rewrite(_) | Self::Decide { .. } | Self::PutRight(_) | Self::GiveUp { .. } => true,
            Self::Reset { dry_run } | Self::Prune { dry_run } => !*dry_run,
        }
    }
}

/// Runs a job.
///
/// # Errors
/// See [`SyncError`].
pub async fn run(engine: &mut Engine, job: &Job, watcher: &dyn Watcher) -> Result<JobDocument, SyncError> {
    Ok(match job {
        Job::History(path) => {
            let (past, first) = (engine.past().await?, engine.first_kept().await?);
            JobDocument::History(HistoryDocument::new(&past, path.as_ref()).kept_from(first))
        }
        Job::Conflicts => {
            JobDocument::Conflicts(ConflictsDocument::from(engine.conflicts().await?.as_slice()))
        }
        Job::Rewrite(job) => JobDocument::Rewrite(rewrite(engine, job, watcher).await?),
        Job::Decide { id, keep: KeptVersion::Merged, yes } => {
            let merged = engine.merge_conflict(*id, *yes, watcher).await?;
            JobDocument::Rewrite(RewriteDocument::from(&merged))
        }
        Job::Decide { id, keep, yes } => {
            let decisions = vec![Resolution { id: *id, keep: sides::decision(engine, *id, keep).await? }];
            let job = RewriteJob::Resolve { decisions, yes: *yes };
            JobDocument::Rewrite(rewrite(engine, &job, watcher).await?)
        }
        Job::Reset { dry_run } => JobDocument::Reset(reset(engine, *dry_run, watcher).await?),
        Job::Prune { dry_run } => JobDocument::Prune(prune(engine, *dry_run, watcher).await?),
        Job::PutRight(faults) => JobDocument::Repaired(engine.put_right(faults, watcher).await?),
        Job::GiveUp { agreed, faults } => {
            let given_up = engine.declare_lost(agreed, faults, watcher).await?;
            JobDocument::Repaired(Repaired { given_up, ..Repaired::default() })
        }
    })
}

/// Makes a new generation of old versions.
///
/// # Errors
/// See [`SyncError`].
pub async fn rewrite(
    engine: &mut Engine,
    job: &RewriteJob,
    watcher: &dyn Watcher,
) -> Result<RewriteDocument, SyncError> {
    let rewritten = match job {
        RewriteJob::Resolve { decisions, yes } => engine.resolve_all(decisions, *yes, watcher).await?,
        RewriteJob::Restore { point, paths, yes } => engine.restore(point, paths, *yes, watcher).await?,
        RewriteJob::Undo { point, force, yes } => engine.undo(point, *force, *yes, watcher).await?,
    };
    Ok(RewriteDocument::from(&rewritten))
}

/// Resets the vault to the backup, or forecasts it.
///
/// # Errors
/// See [`SyncError`].
pub async fn reset(
    engine: &mut Engine,
    dry_run: bool,
    watcher: &dyn Watcher,
) -> Result<ResetDocument, SyncError> {
    Ok(ResetDocument::new(engine.reset(dry_run, watcher).await?, dry_run))
}

/// Prunes the bucket, or forecasts it.
///
/// # Errors
/// See [`SyncError`].
pub async fn prune(
    engine: &mut Engine,
    dry_run: bool,
    watcher: &dyn Watcher,
) -> Result<PruneDocument, SyncError> {
    Ok(PruneDocument { schema: SchemaVersion, pruned: engine.prune(dry_run, watcher).await? })
}

/// Checks every file and object; where it is asked for, puts right what can be, gives up what is
/// lost, and checks again.
///
/// # Errors
/// See [`SyncError`].
pub async fn verify(
    engine: &mut Engine,
    request: &VerifyRequest,
    watcher: &dyn Watcher,
) -> Result<VerifyDocument, SyncError> {
    let (verified, repaired) = match &request.give_up {
        Some(agreed) if request.repair => {
            let (verified, repaired) = engine.give_up(agreed, watcher).await?;
            (verified, Some(repaired))
        }
        _ if request.repair => {
            let (verified, repaired) = engine.repair(watcher).await?;
            (verified, Some(repaired))
        }
        _ => (engine.verify(request.deep, watcher).await?, None),
    };
    Ok(VerifyDocument { schema: SchemaVersion, verified, repaired })
}
