//! Looking at the past, going back to it, and looking for damage: jobs, and what answers them.
//!
//! The verbs and the socket share them: a job is run by whoever holds the vault, the daemon or a verb by itself.

use serde::Serialize;
use serde_json::Value;

use cogzy_client::documents::{
    ConflictsDocument, HistoryDocument, PruneDocument, ResetDocument, RewriteDocument, SCHEMA, VerifyDocument,
};
use cogzy_engine::model::{ConflictId, Keep, VaultPath};
use cogzy_engine::sync::{Engine, Point, SyncError, Watcher};

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// The history, of one path where one is named.
    History(Option<VaultPath>),
    /// The open conflicts.
    Conflicts,
    /// The decision of a conflict.
    Resolve {
        /// Which.
        id: ConflictId,
        /// What is kept.
        keep: Keep,
        /// Also where it looks like an accident.
        yes: bool,
    },
    /// Paths, or everything, as they were.
    Restore {
        /// When.
        point: Point,
        /// Files or folders; everything where there are none.
        paths: Vec<VaultPath>,
        /// Also where it looks like an accident.
        yes: bool,
    },
    /// The vault as the backup's newest generation is.
    Reset {
        /// Only say what would be done.
        dry_run: bool,
    },
    /// What retention no longer needs, removed from the bucket.
    Prune {
        /// Only say what would be done.
        dry_run: bool,
    },
    /// A look at every file and object.
    Verify {
        /// Read every pack.
        deep: bool,
        /// Put right what can be; reads every pack.
        repair: bool,
    },
    /// One generation taken back.
    Undo {
        /// Which.
        point: Point,
        /// Also where later changes touch the same files.
        force: bool,
        /// Also where it looks like an accident.
        yes: bool,
    },
}

impl Job {
    /// Whether it changes anything.
    #[must_use]
    pub const fn changes(&self) -> bool {
        !matches!(
            self,
            Self::History(_)
                | Self::Conflicts
                | Self::Reset { dry_run: true }
                | Self::Prune { dry_run: true }
                | Self::Verify { repair: false, .. }
        )
    }
}

/// Runs a job; the document that answers it.
///
/// # Errors
/// See [`SyncError`].
pub async fn run(engine: &mut Engine, job: &Job, watcher: &dyn Watcher) -> Result<Value, SyncError> {
    let rewritten = match job {
        Job::History(path) => {
            return Ok(document(&HistoryDocument::new(&engine.past().await?, path.as_ref())));
        }
        Job::Conflicts => {
            let conflicts = engine.conflicts().await?;
            return Ok(document(&ConflictsDocument { schema: SCHEMA, conflicts }));
        }
        Job::Reset { dry_run } => {
            let reset = engine.reset(*dry_run, watcher).await?;
            return Ok(document(&ResetDocument::new(reset, *dry_run)));
        }
        Job::Prune { dry_run } => {
            let pruned = engine.prune(*dry_run, watcher).await?;
            return Ok(document(&PruneDocument { schema: SCHEMA, pruned }));
        }
        Job::Verify { deep, repair } => {
            let (verified, repaired) = if *repair {
                let (verified, repaired) = engine.repair(watcher).await?;
                (verified, Some(repaired))
            } else {
                (engine.verify(*deep, watcher).await?, None)
            };
            return Ok(document(&VerifyDocument { schema: SCHEMA, verified, repaired }));
        }
        Job::Resolve { id, keep, yes } => engine.resolve(*id, *keep, *yes, watcher).await?,
        Job::Restore { point, paths, yes } => engine.restore(point, paths, *yes, watcher).await?,
        Job::Undo { point, force, yes } => engine.undo(point, *force, *yes, watcher).await?,
    };
    Ok(document(&RewriteDocument::from(&rewritten)))
}

fn document(document: &impl Serialize) -> Value {
    // Plain data with text for keys: it always has a JSON form.
    serde_json::to_value(document).unwrap_or_default()
}
