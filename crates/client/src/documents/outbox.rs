//! Paths that are still to be sent.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SchemaVersion;

/// `GET /v1/outbox`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutboxDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
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
