//! The status of the vault, and the health of the daemon.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AsideDocument, ContentDocument, HoldDocument, LeftOutDocument, SchemaVersion};
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
    /// A cycle that moves something is running.
    Syncing,
    /// The remote is out of reach.
    Offline,
    /// Something waits for a decision.
    Held,
    /// A user has paused syncing.
    Paused,
    /// The last cycle failed.
    Error,
    /// No daemon runs.
    Stopped,
}

impl State {
    /// Every verdict.
    pub const ALL: [Self; 8] = [
        Self::InSync,
        Self::Pending,
        Self::Syncing,
        Self::Offline,
        Self::Held,
        Self::Paused,
        Self::Error,
        Self::Stopped,
    ];

    /// The verdict's name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InSync => "in-sync",
            Self::Pending => "pending",
            Self::Syncing => "syncing",
            Self::Offline => "offline",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::Error => "error",
            Self::Stopped => "stopped",
        }
    }
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
    /// The device's id.
    #[schema(value_type = String)]
    pub id: DeviceId,
    /// The device's name.
    pub name: String,
}

/// The daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct DaemonDocument {
    /// True while a daemon runs.
    pub running: bool,
    /// The daemon's process id.
    pub pid: Option<u32>,
    /// The time when it started, RFC 3339.
    pub since: Option<String>,
    /// The daemon's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The progress of the running cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProgressDocument {
    /// The progress.
    #[serde(flatten)]
    pub progress: Progress,
    /// Seconds that the rest of this phase takes at the pace until now, where that can be told.
    pub seconds_left: Option<u64>,
    /// Bytes a second in this phase, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}

/// Amounts still to send and to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PendingDocument {
    /// The amount to send.
    pub up: Amount,
    /// The amount to fetch.
    pub down: Amount,
}

/// An error that stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDocument {
    /// The path it is about, if it is about one.
    pub path: Option<String>,
    /// A description of the error.
    pub message: String,
    /// The number of attempts.
    pub attempts: u32,
    /// The time of the next attempt, RFC 3339, where it is known.
    pub next_retry: Option<String>,
    /// The command to run, or the thing to do, next.
    pub next: String,
    /// True if nothing has been synced for so long that this error comes before everything else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alarm: bool,
    /// True if nothing is wrong: the path is waited for, such as a file that was written a moment
    /// ago, and tried again without anybody doing anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

impl ErrorDocument {
    /// An error about no path in particular, which is not tried again by itself.
    #[must_use]
    pub fn of(message: &str, next: &str) -> Self {
        let (message, next) = (message.to_owned(), next.to_owned());
        Self { path: None, message, attempts: 1, next_retry: None, next, alarm: false, waits: false }
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
                    "let the program that writes these files finish, or put a version back that fits: `cogzy-vault history PATH` lists them, `cogzy-vault restore --generation N PATH` does it"
                        .to_owned()
                }
                Weight::Stale => {
                    "let the app compute it again; it is then sent by itself".to_owned()
                }
                Weight::Blocked => {
                    "put the real folder or file back (a bind mount may stand in for a folder, a link may not), then run `cogzy-vault sync`"
                        .to_owned()
                }
                Weight::Unmounted => "mount the disk that belongs there, then run `cogzy-vault sync`".to_owned(),
                _ => "cogzy-vault sync".to_owned(),
            },
            alarm: false,
            waits: trouble.weight == Weight::Passing,
        }
    }
}

/// A folder that cannot be watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnwatchedDocument {
    /// The folder.
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// The reason.
    pub why: String,
}

/// The status of a vault: `status --json` and `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The verdict.
    pub state: State,
    /// The vault's folder.
    #[schema(value_type = String)]
    pub vault: PathBuf,
    /// The remote's URL.
    pub remote: String,
    /// The user whose vault it is.
    pub user_id: String,
    /// This device.
    pub device: DeviceDocument,
    /// The daemon.
    pub daemon: DaemonDocument,
    /// The generation that was agreed last.
    pub generation: u64,
    /// The newest generation of the remote that is known here.
    pub remote_generation: u64,
    /// The time of the last successful cycle, RFC 3339.
    pub last_sync: Option<String>,
    /// The time when a pause ends, RFC 3339, where it was set for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<String>,
    /// Files of the vault that the daemon keeps open although it is paused: the vault's disk cannot
    /// be unmounted before it is stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub open: Vec<PathBuf>,
    /// The number of files here.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Amounts still to send and to fetch.
    pub pending: PendingDocument,
    /// Folders that cannot be watched: they are scanned at every poll.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unwatched: Vec<UnwatchedDocument>,
    /// The progress of the running cycle.
    pub progress: Option<ProgressDocument>,
    /// The number of open conflicts.
    pub conflicts: usize,
    /// Changes that wait for a decision.
    pub holds: Vec<HoldDocument>,
    /// Errors that stand now.
    pub errors: Vec<ErrorDocument>,
    /// Objects in the bucket that were set aside, or are not believed, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<AsideDocument>,
    /// Groups without some of their derived members, where there are any: a merge left them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutDocument>,
    /// The content of the vault, once its files were looked into.
    pub content: Option<ContentDocument>,
    /// The traffic with the remote since the daemon started.
    pub transfer: Transfer,
}

/// `GET /v1/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthDocument {
    /// True while the daemon's loop comes round, or its cycle makes progress; false comes with
    /// status 503.
    pub ok: bool,
    /// Seconds since the last sign of life.
    pub silent_s: u64,
    /// The verdict of the status.
    pub state: State,
    /// The time of the last successful cycle, RFC 3339.
    pub last_sync: Option<String>,
}
