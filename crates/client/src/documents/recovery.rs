//! The past and the ways back to it: history, restore, reset, prune, verification.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{SchemaVersion, SyncDocument, moment};
use cogzy_engine::model::{Conflict, ConflictId, VaultPath};
use cogzy_engine::sync::{Clash, ListedConflict, Past, Pruned, Repaired, Reset, Rewritten, Verified};

/// One commit: `history --json` and `GET /v1/history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenerationDocument {
    /// The generation's number. Two commits made at once have the same.
    pub generation: u64,
    /// The commit's id.
    pub commit: String,
    /// True if this commit is the state that the number stands for; false if a merge brought it in.
    pub on_line: bool,
    /// The time, RFC 3339.
    pub time: String,
    /// The name of the device that made it; a merge has none.
    pub device: Option<String>,
    /// The kind: `sync`, `merge`, `restore`, `undo`, `resolve`, `import` or `prune`.
    pub kind: String,
    /// The generation that it went back to or took back.
    pub of: Option<u64>,
    /// Files that it set.
    pub changed: usize,
    /// Files that it deleted.
    pub deleted: usize,
    /// Bytes of the files that it set.
    pub bytes: u64,
    /// Conflicts that it lists.
    #[schema(value_type = Vec<String>)]
    pub kept: Vec<ConflictId>,
    /// Conflicts that it decided.
    #[schema(value_type = Vec<String>)]
    pub resolved: Vec<ConflictId>,
    /// True if retention keeps this state no longer: a part of it may be gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
}

/// One version of a path: `history PATH --json` and `GET /v1/history?path=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionDocument {
    /// The file: the path itself, or one below it.
    pub path: String,
    /// The generation that made it.
    pub generation: u64,
    /// The commit of that generation.
    pub commit: String,
    /// True if the version stood in the state that the generation's number stands for; false if a
    /// merge brought it in.
    pub on_line: bool,
    /// The time, RFC 3339.
    pub time: String,
    /// The name of the device that made it; a merge has none.
    pub device: Option<String>,
    /// The kind of commit that made it.
    pub kind: String,
    /// Length in bytes; none where the file was deleted.
    pub size: Option<u64>,
    /// BLAKE3 of the file's bytes.
    pub digest: Option<String>,
}

/// The history, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The path that the client asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// All generations; empty where a path was asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generations: Vec<GenerationDocument>,
    /// The path's versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionDocument>,
}

/// The result of a restore, an undo or a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RewriteDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The generation that was made; none where everything stood as wanted already.
    pub generation: Option<u64>,
    /// The generation it went back to or took back.
    pub of: Option<u64>,
    /// Files that it set.
    pub changed: usize,
    /// Files that it deleted.
    pub deleted: usize,
    /// Files of this disk that were broken or half-written, and were put back.
    #[serde(default)]
    pub put_back: usize,
    /// Second copies that it made.
    pub beside: Vec<String>,
    /// Clashes of a merge: both sides changed the same, and the version that stands won.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clashes: Vec<Clash>,
    /// The cycle that applied it here.
    pub sync: SyncDocument,
}

/// The result of a prune, or its forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PruneDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The numbers.
    #[serde(flatten)]
    pub pruned: Pruned,
}

/// The result of a reset, or its forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResetDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// True for a forecast: nothing was changed.
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
    #[schema(value_type = Vec<Object>)]
    pub kept: Vec<Conflict>,
    /// Items that could not be replaced, each with the reason.
    pub left: Vec<String>,
    /// The cycle after the reset, which sends what was kept.
    pub sync: Option<SyncDocument>,
}

/// The findings of a verification: `verify --json` and `POST /v1/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Counts of what was checked, and the faults.
    pub verified: Verified,
    /// The repairs, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Repaired>,
}

impl ResetDocument {
    /// The document of a `reset`; with `dry_run`, of its forecast.
    #[must_use]
    pub fn new(reset: Reset, dry_run: bool) -> Self {
        let Reset { generation, fetched, bytes, replaced, deleted, kept, left, report } = reset;
        let sync = report.as_ref().map(SyncDocument::from);
        Self {
            schema: SchemaVersion,
            dry_run,
            generation,
            fetched,
            bytes,
            replaced,
            deleted,
            kept,
            left,
            sync,
        }
    }
}

/// The open conflicts: `conflicts --json` and `GET /v1/conflicts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConflictsDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The conflicts, by id.
    pub conflicts: Vec<ConflictDocument>,
}

/// An open conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConflictDocument {
    /// The conflict.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub conflict: Conflict,
    /// True if the losing version is on this disk.
    pub here: bool,
    /// Cause for which this device has not merged it, if it has tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmerged: Option<String>,
    /// The group of which the losing version holds one file without the others: it can be kept
    /// beside it, and not put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
}

impl From<&ListedConflict> for ConflictDocument {
    fn from(listed: &ListedConflict) -> Self {
        let ListedConflict { conflict, here, unmerged, part_of } = listed.clone();
        Self { conflict, here, unmerged, part_of }
    }
}

impl From<&[ListedConflict]> for ConflictsDocument {
    fn from(listed: &[ListedConflict]) -> Self {
        Self { schema: SchemaVersion, conflicts: listed.iter().map(ConflictDocument::from).collect() }
    }
}

impl HistoryDocument {
    /// The whole history, or that of `path` and what lies below it.
    #[must_use]
    pub fn new(past: &[Past], path: Option<&VaultPath>) -> Self {
        match path {
            None => Self {
                schema: SchemaVersion,
                path: None,
                generations: past.iter().map(generation).collect(),
                versions: Vec::new(),
            },
            Some(path) => Self {
                schema: SchemaVersion,
                path: Some(path.to_string()),
                generations: Vec::new(),
                versions: past.iter().flat_map(|past| versions(past, path)).collect(),
            },
        }
    }

    /// The same, with the generations flagged that are older than the first kept one.
    #[must_use]
    pub fn kept_from(mut self, first: u64) -> Self {
        for one in &mut self.generations {
            one.expired = one.generation < first;
        }
        self
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
        kept: past.kept.iter().map(|conflict| conflict.id).collect(),
        resolved: past.resolved.iter().map(|resolution| resolution.id).collect(),
        expired: false,
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
        let Rewritten { generation, of, changed, deleted, put_back, beside, clashes, report } = rewritten;
        Self {
            schema: SchemaVersion,
            generation: *generation,
            of: *of,
            changed: *changed,
            deleted: *deleted,
            put_back: *put_back,
            beside: beside.iter().map(ToString::to_string).collect(),
            clashes: clashes.clone(),
            sync: SyncDocument::from(report),
        }
    }
}
