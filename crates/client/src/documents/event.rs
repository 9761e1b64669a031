//! Documents of events and of what has moved.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ErrorDocument, HoldDocument, ProgressDocument, SchemaVersion, State};
use cogzy_engine::sync::Moved;

/// Something that happened: `events`, `GET /v1/events`, and what a hook reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventDocument {
    /// Its number; they grow by one, so that a gap shows. Progress has none: it is told as it is made and not kept.
    pub id: Option<u64>,
    /// When, RFC 3339.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum EventBody {
    /// A generation was committed or applied here.
    Change(ChangeEvent),
    /// A version lost, and is kept.
    Conflict(ConflictEvent),
    /// A change waits for a decision.
    Hold {
        /// Which.
        hold: HoldDocument,
    },
    /// Something went wrong that was not wrong before.
    Error {
        /// What.
        error: ErrorDocument,
    },
    /// The verdict of the status is another one.
    State {
        /// What it is.
        state: State,
        /// What it was.
        was: State,
    },
    /// How far a cycle has come.
    Progress {
        /// How far.
        progress: ProgressDocument,
    },
}

impl EventBody {
    /// The name of its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Change(_) => "change",
            Self::Conflict(_) => "conflict",
            Self::Hold { .. } => "hold",
            Self::Error { .. } => "error",
            Self::State { .. } => "state",
            Self::Progress { .. } => "progress",
        }
    }
}

/// A generation that was committed or applied here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeEvent {
    /// Its number.
    pub generation: u64,
    /// Its commit.
    pub commit: String,
    /// Its transaction; a merge has none.
    pub transaction: Option<String>,
    /// The name of the device that made it; a merge has none.
    pub device: Option<String>,
    /// What it touched, the first hundred of it; `changes` has all.
    pub paths: Vec<String>,
    /// How many paths it touched.
    pub files: usize,
}

/// A version that lost, and is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConflictEvent {
    /// Its id.
    pub conflict: String,
    /// What it is over.
    pub item: String,
    /// The name of the device whose version lost.
    pub device: Option<String>,
    /// The command that shows it.
    pub next: String,
}

/// A page of kept events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventsDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The events, the oldest first.
    pub events: Vec<EventDocument>,
    /// The number of the newest event there is.
    pub newest: u64,
}

/// What has moved since a generation: `changes --json`, a page of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangesDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The generation that was asked for.
    pub since: u64,
    /// The generation that the vault here is at: what to ask for next time. Of several pages, the first one's holds.
    pub generation: u64,
    /// The paths, in order, each once.
    pub changes: Vec<MovedDocument>,
    /// Where the next page is.
    pub next: Option<String>,
}

/// A path that has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovedDocument {
    /// Which path.
    pub path: String,
    /// Whether it is gone.
    pub deleted: bool,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// BLAKE3 of its bytes.
    pub digest: Option<String>,
    /// The generation that touched it last.
    pub generation: u64,
    /// That generation's transaction; a merge has none.
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
