//! How things stand, and whether the daemon is well.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HoldDocument;
use cogzy_engine::model::DeviceId;
use cogzy_engine::remote::Transfer;
use cogzy_engine::sync::{Amount, Progress, Trouble, Weight};

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

impl ErrorDocument {
    /// What is wrong with no path in particular, and is not tried again by itself.
    #[must_use]
    pub fn of(message: &str, next: &str) -> Self {
        let (message, next) = (message.to_owned(), next.to_owned());
        Self { path: None, message, attempts: 1, next_retry: None, next, alarm: false }
    }
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
                Weight::Blocked => {
                    "put the real folder or file back (a bind mount may stand in for a folder, a link may not), then cogzy-vault sync"
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
    /// What the daemon keeps open in the vault although it is paused: the vault's disk cannot be unmounted before it is stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub open: Vec<PathBuf>,
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

/// `POST /v1/pause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// For how long; else until `resume`.
    #[serde(default)]
    pub seconds: Option<u64>,
}
