//! Paths that are still to be sent.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SchemaVersion;

/// `GET /v1/outbox`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The number of paths that wait.
    pub total: usize,
    /// The first of them, by path.
    pub waiting: Vec<WaitingDocument>,
}

/// A path that is still to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingDocument {
    /// The path.
    pub path: String,
    /// The time since when it waits, RFC 3339.
    pub first_seen: String,
    /// The number of failed attempts.
    pub attempts: u32,
    /// The reason why the last attempt failed.
    pub error: Option<String>,
    /// The time of the next attempt, RFC 3339, where it is known.
    pub next_retry: Option<String>,
}
