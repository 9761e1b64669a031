//! Looking at the past, going back to it, and looking for damage: what can be asked for, and the documents that answer.
//!
//! The verbs and the socket share them: a job is run by whoever holds the vault, the daemon or a verb by itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::api::{SCHEMA, SyncDocument, moment};
use crate::model::{Conflict, ConflictId, Keep, VaultPath};
use crate::sync::{
    Engine, ListedConflict, Past, Point, Pruned, Repaired, Reset, Rewritten, SyncError, Verified, Watcher,
};

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

/// One commit: `history --json` and `GET /v1/history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenerationDocument {
    /// Its number. Two commits made at once have the same.
    pub generation: u64,
    /// Its id.
    pub commit: String,
    /// Whether it is the state that this number stands for; else a merge brought it in.
    pub on_line: bool,
    /// When, RFC 3339.
    pub time: String,
    /// Who made it; nobody for a merge.
    pub device: Option<String>,
    /// `sync`, `merge`, `restore`, `undo`, `resolve`, `import` or `prune`.
    pub kind: String,
    /// The generation that it went back to or took back.
    pub of: Option<u64>,
    /// Files that it set.
    pub changed: usize,
    /// Files that it deleted.
    pub deleted: usize,
    /// Bytes of the files that it set.
    pub bytes: u64,
    /// Conflicts that it listed.
    #[schema(value_type = Vec<String>)]
    pub kept: Vec<ConflictId>,
    /// Conflicts that it decided.
    #[schema(value_type = Vec<String>)]
    pub resolved: Vec<ConflictId>,
}

/// One version of a path: `history PATH --json` and `GET /v1/history?path=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionDocument {
    /// The file: the path itself, or one below it.
    pub path: String,
    /// The generation that made it.
    pub generation: u64,
    /// That generation's commit.
    pub commit: String,
    /// Whether it stood in the state that this number stands for; else a merge brought it in.
    pub on_line: bool,
    /// When, RFC 3339.
    pub time: String,
    /// Who made it.
    pub device: Option<String>,
    /// What made it.
    pub kind: String,
    /// Length in bytes; none where it was deleted.
    pub size: Option<u64>,
    /// BLAKE3 of its bytes.
    pub digest: Option<String>,
}

/// The history, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryDocument {
    /// The schema's number.
    pub schema: u32,
    /// The path that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// All generations; with a path none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generations: Vec<GenerationDocument>,
    /// The path's versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionDocument>,
}

/// What a restore, an undo or a decision did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RewriteDocument {
    /// The schema's number.
    pub schema: u32,
    /// The generation that was made; none where everything stood as wanted.
    pub generation: Option<u64>,
    /// The generation it went back to or took back.
    pub of: Option<u64>,
    /// Files that it set.
    pub changed: usize,
    /// Files that it deleted.
    pub deleted: usize,
    /// Second copies that it made.
    pub beside: Vec<String>,
    /// The cycle that brought it here.
    pub sync: SyncDocument,
}

/// What a prune did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PruneDocument {
    /// The schema's number.
    pub schema: u32,
    /// What it was.
    #[serde(flatten)]
    pub pruned: Pruned,
}

/// What a reset did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResetDocument {
    /// The schema's number.
    pub schema: u32,
    /// Whether it was only asked what would be done.
    pub dry_run: bool,
    /// The generation that the vault is at, or would be.
    pub generation: u64,
    /// Files that were fetched.
    pub fetched: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Local files that made way for another version.
    pub replaced: usize,
    /// Local files that the backup does not have.
    pub deleted: usize,
    /// Versions that the backup never had: kept as conflicts.
    #[schema(value_type = Vec<Value>)]
    pub kept: Vec<Conflict>,
    /// What cannot be replaced now, and why.
    pub left: Vec<String>,
    /// The cycle after it, which sends what was kept.
    pub sync: Option<SyncDocument>,
}

/// What a verification found: `verify --json` and `POST /v1/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyDocument {
    /// The schema's number.
    pub schema: u32,
    /// What was looked at, and what is wrong.
    pub verified: Verified,
    /// What was put right, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Repaired>,
}

impl ResetDocument {
    fn new(reset: Reset, dry_run: bool) -> Self {
        let Reset { generation, fetched, bytes, replaced, deleted, kept, left, report } = reset;
        let sync = report.as_ref().map(SyncDocument::from);
        Self { schema: SCHEMA, dry_run, generation, fetched, bytes, replaced, deleted, kept, left, sync }
    }
}

/// The open conflicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConflictsDocument {
    /// The schema's number.
    pub schema: u32,
    /// Each, by id.
    pub conflicts: Vec<ListedConflict>,
}

impl HistoryDocument {
    /// The whole history, or that of `path` and what lies below it.
    #[must_use]
    pub fn new(past: &[Past], path: Option<&VaultPath>) -> Self {
        match path {
            None => Self {
                schema: SCHEMA,
                path: None,
                generations: past.iter().map(generation).collect(),
                versions: Vec::new(),
            },
            Some(path) => Self {
                schema: SCHEMA,
                path: Some(path.to_string()),
                generations: Vec::new(),
                versions: past.iter().flat_map(|past| versions(past, path)).collect(),
            },
        }
    }
}

fn generation(past: &Past) -> GenerationDocument {
    let set = past.changes.iter().filter_map(|change| change.entry);
    let changed = set.clone().count();
    GenerationDocument {
        generation: past.key.seq,
        commit: past.key.id.to_string(),
        on_line: past.on_line,
        time: moment(past.time_ms),
        device: past.device.as_ref().map(|device| device.name.clone()),
        kind: past.made_by().to_owned(),
        of: past.kind.of(),
        changed,
        deleted: past.changes.len() - changed,
        bytes: set.map(|entry| entry.size).sum(),
        kept: past.kept.clone(),
        resolved: past.resolved.clone(),
    }
}

fn versions<'a>(past: &'a Past, path: &'a VaultPath) -> impl Iterator<Item = VersionDocument> + 'a {
    let meant = past.changes.iter().filter(move |change| change.path.is_at_or_below(path));
    meant.map(|change| VersionDocument {
        path: change.path.to_string(),
        generation: past.key.seq,
        commit: past.key.id.to_string(),
        on_line: past.on_line,
        time: moment(past.time_ms),
        device: past.device.as_ref().map(|device| device.name.clone()),
        kind: past.made_by().to_owned(),
        size: change.entry.map(|entry| entry.size),
        digest: change.entry.map(|entry| entry.digest.to_string()),
    })
}

impl From<&Rewritten> for RewriteDocument {
    fn from(rewritten: &Rewritten) -> Self {
        let Rewritten { generation, of, changed, deleted, beside, report } = rewritten;
        Self {
            schema: SCHEMA,
            generation: *generation,
            of: *of,
            changed: *changed,
            deleted: *deleted,
            beside: beside.iter().map(ToString::to_string).collect(),
            sync: SyncDocument::from(report),
        }
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
