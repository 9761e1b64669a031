//! Events, and the paths that changed since a generation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ErrorDocument, HoldDocument, LeftOutDocument, ProgressDocument, SchemaVersion, State};
use cogzy_engine::sync::{Clash, Moved};

/// Something that happened: `events`, `GET /v1/events`, and the standard input of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventDocument {
    /// The event's number. Numbers grow by one, so that a gap shows. Progress has none: it is told
    /// as it is made, and not kept.
    pub id: Option<u64>,
    /// The time, RFC 3339.
    pub at: String,
    /// The kind of event, and its details.
    #[serde(flatten)]
    pub body: EventBody,
}

/// A kind of event, with its details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum EventBody {
    /// A generation was committed or applied here.
    Change(ChangeEvent),
    /// A version lost, and is kept.
    Conflict(ConflictEvent),
    /// A change waits for a decision.
    Hold {
        /// The hold.
        hold: HoldDocument,
    },
    /// Something went wrong that was not wrong before.
    Error {
        /// The error.
        error: ErrorDocument,
    },
    /// The verdict of the status has changed.
    State {
        /// The new verdict.
        state: State,
        /// The verdict before.
        was: State,
    },
    /// Derived members of a group were left out, are there again, or are computed again.
    #[serde(rename = "left-out")]
    LeftOut(LeftOutDocument),
    /// A cycle has made progress.
    Progress {
        /// The progress.
        progress: ProgressDocument,
    },
    /// A kind that this version does not know. A newer daemon may have more kinds.
    #[serde(other)]
    Unknown,
}

impl EventBody {
    /// The name of the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Change(_) => "change",
            Self::Conflict(_) => "conflict",
            Self::Hold { .. } => "hold",
            Self::Error { .. } => "error",
            Self::State { .. } => "state",
            Self::LeftOut(_) => "left-out",
            Self::Progress { .. } => "progress",
            Self::Unknown => "unknown",
        }
    }
}

/// A generation that was committed or applied here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeEvent {
    /// The generation's number.
    pub generation: u64,
    /// The generation's commit.
    pub commit: String,
    /// The generation's transaction; a merge has none.
    pub transaction: Option<String>,
    /// The name of the device that made it; a merge has none.
    pub device: Option<String>,
    /// The paths it touched, the first hundred of them; `changes` has all.
    pub paths: Vec<String>,
    /// The number of paths it touched.
    pub files: usize,
}

/// A version that lost, and is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConflictEvent {
    /// The conflict's id.
    pub conflict: String,
    /// The item in conflict.
    pub item: String,
    /// The name of the device whose version lost.
    pub device: Option<String>,
    /// The command that shows the conflict.
    pub next: String,
    /// Clashes, with the ranks of both sides, where this device has merged them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clashes: Vec<Clash>,
}

/// A page of kept events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The events, the oldest first.
    pub events: Vec<EventDocument>,
    /// The number of the newest event.
    pub newest: u64,
}

/// A page of the paths that changed since a generation: `changes --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangesDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The generation that the client asked for.
    pub since: u64,
    /// The generation of the vault here: the one to ask for next time. Of several pages, the first
    /// one's holds.
    pub generation: u64,
    /// The paths in order, each once.
    pub changes: Vec<MovedDocument>,
    /// The resource with the next page, if there is one.
    pub next: Option<String>,
}

/// A path that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovedDocument {
    /// The path.
    pub path: String,
    /// True if the file is deleted.
    pub deleted: bool,
    /// The file's size in bytes.
    pub size: Option<u64>,
    /// BLAKE3 of the file's bytes.
    pub digest: Option<String>,
    /// The generation that touched it last.
    pub generation: u64,
    /// The transaction of that generation; a merge has none.
    pub transaction: Option<String>,
    /// The name of the device that made it; a merge has none.
    pub device: Option<String>,
}

impl From<Moved> for MovedDocument {
    fn from(moved: Moved) -> Self {
        Self {
            path: moved.path.to_string(),
            deleted: moved.entry.is_none(),
            size: moved.entry.map(|entry| entry.size),
            digest: moved.entry.map(|entry| entry.digest.to_string()),
            generation: moved.generation,
            transaction: moved.transaction,
            device: moved.device,
        }
    }
}
