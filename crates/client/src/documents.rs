//! The documents of the socket and of `--json`, schema 1. Fields may be added; a change is a new schema number.

mod event;
mod holds;
mod outbox;
mod problem;
mod recovery;
mod status;
mod sync;

use jiff::Timestamp;

pub use event::{
    ChangeEvent, ChangesDocument, ConflictEvent, EventBody, EventDocument, EventsDocument, MovedDocument,
};
pub use holds::{HoldDocument, HoldsDocument, holds};
pub use outbox::{OutboxDocument, WaitingDocument};
pub use problem::Problem;
pub use recovery::{
    ConflictsDocument, GenerationDocument, HistoryDocument, PruneDocument, ResetDocument, RewriteDocument,
    VerifyDocument, VersionDocument,
};
pub use status::{
    DaemonDocument, DeviceDocument, ErrorDocument, HealthDocument, PauseRequest, PendingDocument,
    ProgressDocument, State, StatusDocument,
};
pub use sync::{SyncDocument, SyncRequest};

/// The number of this schema.
pub const SCHEMA: u32 = 1;

/// A moment, in milliseconds since the Unix epoch, as RFC 3339 to the second.
#[must_use]
pub fn moment(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "unknown".to_owned(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests;
