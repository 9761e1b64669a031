//! What a cycle says of itself: for `sync --json`, the log and the status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Commit, ConflictId, Holdings, Item};
use crate::plan::{Hold, Plan};
use crate::remote::Transfer;
use crate::vault::Applied;

/// The result of one cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The generation that is agreed now.
    pub generation: u64,
    /// Files sent.
    pub pushed: usize,
    /// Files fetched.
    pub pulled: usize,
    /// Files deleted here because they were deleted there.
    pub deleted_local: usize,
    /// Files deleted there because they were deleted here.
    pub deleted_remote: usize,
    /// Conflicts kept in this cycle.
    pub conflicts: Vec<ConflictId>,
    /// Changes that wait for `approve`.
    pub holds: Vec<Hold>,
    /// Paths and items that could not be dealt with, each with its cause.
    pub problems: Vec<Trouble>,
    /// What went over the wire.
    pub transfer: Transfer,
    /// How things stand, where the vault was scanned.
    pub standing: Option<Standing>,
    /// What the vault's groups hold, where the vault was scanned.
    pub holdings: Option<Holdings>,
}

/// How a vault stands at the end of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Standing {
    /// Files here, and their bytes.
    pub here: Amount,
    /// Files that wait to be sent.
    pub waiting: Amount,
    /// Open conflicts.
    pub conflicts: usize,
}

/// Something that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Trouble {
    /// Which path or item.
    pub path: String,
    /// Why.
    pub message: String,
    /// What it takes to get it through.
    pub weight: Weight,
}

/// What it takes to get something through that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Nothing: it was busy or had not settled, and the next cycle looks again.
    Passing,
    /// Somebody has to do something: it cannot be read, or its name cannot stand everywhere.
    Lasting,
    /// It is none of our business: a link, a pipe.
    Skipped,
    /// The files of a group do not fit together. It is held back until they do: whoever writes them may not be done.
    Invalid,
    /// The same, for longer than it may take: an error.
    Overdue,
    /// The files of a group do not fit together, and it is synced all the same, as its definition wants it.
    Warned,
}

impl Weight {
    /// Whether something that belongs to the vault is not synced because of it.
    #[must_use]
    pub const fn left_out(self) -> bool {
        !matches!(self, Self::Skipped | Self::Warned)
    }
}

impl Report {
    /// Whether anything was written on either side.
    #[must_use]
    pub const fn moved(&self) -> bool {
        self.pushed + self.pulled + self.deleted_local + self.deleted_remote + self.conflicts.len() > 0
    }

    /// Whether another cycle after the settle window may get further.
    #[must_use]
    pub fn again(&self) -> bool {
        self.problems.iter().any(|trouble| trouble.weight == Weight::Passing)
    }

    /// This report, with the counts of an `earlier` cycle of the same run.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        self.pushed += earlier.pushed;
        self.pulled += earlier.pulled;
        self.deleted_local += earlier.deleted_local;
        self.deleted_remote += earlier.deleted_remote;
        self.conflicts.extend(&earlier.conflicts);
        self.transfer = self.transfer + earlier.transfer;
        self
    }

    /// Counts what a commit of this device has brought to the remote.
    pub(super) fn sent(&mut self, commit: &Commit) {
        let deleted = commit.changes.iter().filter(|change| change.entry.is_none()).count();
        self.pushed += commit.changes.len() - deleted;
        self.deleted_remote += deleted;
        self.conflicts.extend(commit.kept.iter().map(|conflict| conflict.id));
    }

    /// Notes that programs wrote to files after these had been replaced: what they wrote is kept, and the next cycle sends it.
    pub(super) fn displaced_later(&mut self, files: usize) {
        let message =
            format!("{files} files were written to after they had been replaced; that is kept and sent next");
        self.passes("sync/conflicts", message);
    }

    /// Notes that the trash holds what is to go, and that a program may still be writing to it.
    pub(super) fn trash_waits(&mut self) {
        self.passes("sync/trash", "what was just replaced is removed when it has settled");
    }

    /// Counts what an apply has changed here.
    pub(super) const fn brought(&mut self, applied: &Applied) {
        self.pulled += applied.placed;
        self.deleted_local += applied.removed;
    }

    /// Notes that `item` was left out for now.
    pub(super) fn wait(&mut self, item: &Item, why: impl Into<String>) {
        self.passes(item.to_string(), why);
    }

    /// Notes, once, what another cycle may get past.
    fn passes(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let trouble = Trouble { path: path.into(), message: message.into(), weight: Weight::Passing };
        if !self.problems.contains(&trouble) {
            self.problems.push(trouble);
        }
    }
}

/// How far a long piece of work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Files dealt with.
    pub files_done: usize,
    /// Files in all.
    pub files_total: usize,
    /// Bytes dealt with.
    pub bytes_done: u64,
    /// Bytes in all.
    pub bytes_total: u64,
}

/// What a cycle is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Looking at the vault's files.
    #[default]
    Scan,
    /// Sending.
    Upload,
    /// Fetching.
    Download,
    /// Putting fetched files in their places.
    Apply,
    /// Deleting old data from the bucket; its objects count as files.
    Delete,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Scan => "scan",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Apply => "apply",
            Self::Delete => "delete",
        })
    }
}

/// Counts of what a plan would move, for the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Amount {
    /// Files.
    pub files: usize,
    /// Bytes.
    pub bytes: u64,
}

/// Somebody who watches a cycle.
pub trait Watcher: Send + Sync {
    /// Called often; must return at once.
    fn progress(&self, progress: Progress);
    /// Called with what a cycle is about to do.
    fn planned(&self, _plan: &Plan) {}
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watcher for Unwatched {
    fn progress(&self, _: Progress) {}
}
