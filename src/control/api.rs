//! The documents of the socket and of `--json`, schema 1. Fields may be added; a change is a new schema number.

mod event;

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{ConflictId, DeviceId, HoldId};
use crate::plan::{Hold, Plan};
use crate::remote::Transfer;
use crate::sync::{Advice, Amount, Progress, Report, SyncError, Trouble, Weight};

pub use event::{
    ChangeEvent, ChangesDocument, ConflictEvent, EventBody, EventDocument, EventsDocument, MovedDocument,
};

/// The number of this schema.
pub const SCHEMA: u32 = 1;

/// A change that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldDocument {
    /// Its id.
    #[schema(value_type = String)]
    pub id: HoldId,
    /// Why it waits, for people.
    pub reason: String,
    /// What is held.
    pub items: Vec<String>,
    /// The command that lets it pass.
    pub next: String,
}

impl From<&Hold> for HoldDocument {
    fn from(hold: &Hold) -> Self {
        Self {
            id: hold.id,
            reason: hold.to_string(),
            items: hold.items.iter().map(ToString::to_string).collect(),
            next: format!("cogzy-vault approve {}", hold.id),
        }
    }
}

/// Holds as documents.
#[must_use]
pub fn holds(holds: &[Hold]) -> Vec<HoldDocument> {
    holds.iter().map(HoldDocument::from).collect()
}

/// `GET /v1/holds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldsDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The open holds.
    pub holds: Vec<HoldDocument>,
}

/// `GET /v1/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthDocument {
    /// Whether the daemon's loop comes round, or its cycle comes further: an answer that says no comes with 503.
    pub ok: bool,
    /// For how many seconds it has not.
    pub silent_s: u64,
    /// The verdict of the status.
    pub state: State,
    /// When a cycle went through last, RFC 3339.
    pub last_sync: Option<String>,
}

/// What a cycle did: `sync --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SyncDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The generation that is agreed now.
    pub generation: u64,
    /// Files sent.
    pub pushed: usize,
    /// Files fetched.
    pub pulled: usize,
    /// Files deleted here.
    pub deleted_local: usize,
    /// Files deleted there.
    pub deleted_remote: usize,
    /// Conflicts kept.
    #[schema(value_type = Vec<String>)]
    pub conflicts: Vec<ConflictId>,
    /// What waits for a decision.
    pub holds: Vec<HoldDocument>,
    /// What was left out, and why.
    pub problems: Vec<Trouble>,
    /// What went over the wire.
    pub transfer: Transfer,
    /// With `--dry-run`, what would be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<serde_json::Value>,
}

impl From<&Report> for SyncDocument {
    fn from(report: &Report) -> Self {
        Self {
            schema: SCHEMA,
            generation: report.generation,
            pushed: report.pushed,
            pulled: report.pulled,
            deleted_local: report.deleted_local,
            deleted_remote: report.deleted_remote,
            conflicts: report.conflicts.clone(),
            holds: holds(&report.holds),
            problems: report.problems.clone(),
            transfer: report.transfer,
            plan: None,
        }
    }
}

impl SyncDocument {
    /// What would be done, and nothing that was.
    #[must_use]
    pub fn of_plan(plan: &Plan, generation: u64) -> Self {
        let report = Report { generation, holds: plan.holds.clone(), ..Report::default() };
        // A plan is plain data with text for keys: it always has a JSON form.
        Self { plan: serde_json::to_value(plan).ok(), ..Self::from(&report) }
    }
}

/// The verdict of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Both sides are the same.
    InSync,
    /// Something is to be sent or fetched.
    Pending,
    /// A cycle runs that moves something.
    Syncing,
    /// The remote is out of reach.
    Offline,
    /// Something waits for a decision.
    Held,
    /// Somebody said `pause`.
    Paused,
    /// The last cycle did not go through.
    Error,
    /// No daemon runs.
    Stopped,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InSync => "in sync",
            Self::Pending => "changes wait",
            Self::Syncing => "syncing",
            Self::Offline => "offline",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::Error => "error",
            Self::Stopped => "stopped",
        })
    }
}

/// This device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceDocument {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DeviceId,
    /// Its name.
    pub name: String,
}

/// The daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct DaemonDocument {
    /// Whether one runs.
    pub running: bool,
    /// Its process id.
    pub pid: Option<u32>,
    /// When it started, RFC 3339.
    pub since: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// How far the cycle that runs has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgressDocument {
    /// How far.
    #[serde(flatten)]
    pub progress: Progress,
    /// How many seconds the rest of this phase takes at the pace until now, where that can be told.
    pub seconds_left: Option<u64>,
}

/// What is to be sent and fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PendingDocument {
    /// To be sent.
    pub up: Amount,
    /// To be fetched.
    pub down: Amount,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDocument {
    /// Which path, if it is about one.
    pub path: Option<String>,
    /// What is wrong.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again, RFC 3339, where that is known.
    pub next_retry: Option<String>,
    /// What to do next.
    pub next: String,
    /// Nothing has been synced for so long that it is said before everything else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alarm: bool,
}

impl From<&Trouble> for ErrorDocument {
    fn from(trouble: &Trouble) -> Self {
        Self {
            path: Some(trouble.path.clone()),
            message: trouble.message.clone(),
            attempts: 1,
            next_retry: None,
            next: match trouble.weight {
                Weight::Invalid | Weight::Overdue => {
                    "let the program that writes these files finish, or put a version back that fits"
                        .to_owned()
                }
                _ => "cogzy-vault sync".to_owned(),
            },
            alarm: false,
        }
    }
}

/// How things stand: `status --json` and `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The verdict.
    pub state: State,
    /// The vault's folder.
    #[schema(value_type = String)]
    pub vault: PathBuf,
    /// The remote's URL.
    pub remote: String,
    /// Whose vault it is.
    pub user_id: String,
    /// This device.
    pub device: DeviceDocument,
    /// The daemon.
    pub daemon: DaemonDocument,
    /// The generation that was agreed last.
    pub generation: u64,
    /// The newest generation of the remote that is known.
    pub remote_generation: u64,
    /// When a cycle went through last, RFC 3339.
    pub last_sync: Option<String>,
    /// When a pause ends, RFC 3339, where somebody paused it for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<String>,
    /// Files here.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is to be sent and fetched.
    pub pending: PendingDocument,
    /// How far the cycle that runs has come.
    pub progress: Option<ProgressDocument>,
    /// Open conflicts.
    pub conflicts: usize,
    /// What waits for a decision.
    pub holds: Vec<HoldDocument>,
    /// What is wrong.
    pub errors: Vec<ErrorDocument>,
    /// What the vault holds, once somebody looks into its files.
    pub content: Option<serde_json::Value>,
    /// What went over the wire since the daemon started.
    pub transfer: Transfer,
}

/// `GET /v1/outbox`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// How many paths wait.
    pub total: usize,
    /// The first of them, by path.
    pub waiting: Vec<WaitingDocument>,
}

/// A path that is still to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingDocument {
    /// Which path.
    pub path: String,
    /// Since when, RFC 3339.
    pub first_seen: String,
    /// How often it could not be dealt with.
    pub attempts: u32,
    /// Why not, the last time.
    pub error: Option<String>,
    /// When it is looked at again, RFC 3339, where that is known.
    pub next_retry: Option<String>,
}

/// `POST /v1/pause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// For how long; else until `resume`.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// `POST /v1/sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncRequest {
    /// Answer when the cycle has ended, with what it did; else at once.
    #[serde(default = "yes")]
    pub wait: bool,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Also send derived members that would stay here.
    #[serde(default)]
    pub derived: bool,
}

const fn yes() -> bool {
    true
}

/// An error, as RFC 9457 has it, with the next command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind of error: a name below `about:cogzy-vault/`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened.
    pub detail: String,
    /// What to do next.
    pub next: String,
    /// What it asks for, where a cycle failed.
    pub advice: Option<Advice>,
}

impl From<&SyncError> for Problem {
    fn from(error: &SyncError) -> Self {
        let advice = error.advice();
        let (kind, title, status) = match advice {
            Advice::Offline => ("offline", "The remote is out of reach", 503),
            Advice::Again => ("failed", "The cycle did not go through", 500),
            Advice::Refused => ("refused", "The remote refuses", 502),
            Advice::Stopped => ("stopped", "The vault or its remote is not what it was", 409),
            Advice::Corrupt => ("corrupt", "Data is damaged", 500),
            Advice::Usage => ("not-possible", "What was asked for cannot be done", 422),
        };
        Self {
            kind: format!("about:cogzy-vault/{kind}"),
            title: title.to_owned(),
            status,
            detail: error.to_string(),
            next: error.next().to_owned(),
            advice: Some(advice),
        }
    }
}

/// A moment, in milliseconds since the Unix epoch, as RFC 3339 to the second.
#[must_use]
pub fn moment(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "unknown".to_owned(), |moment| moment.to_string())
}
