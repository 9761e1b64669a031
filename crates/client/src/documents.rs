//! The documents of the socket and of `--json`. All follow the schema of [`SchemaVersion`]: fields
//! may be added to it, and a change is a new schema.

mod aside;
mod content;
mod event;
mod holds;
mod left_out;
mod memories;
mod outbox;
mod plan;
mod problem;
mod query;
mod recovery;
mod requests;
mod schema;
mod status;
mod sync;
mod transaction;

use jiff::Timestamp;

pub use aside::{AsideDocument, AsideObject};
pub use content::{ContentDocument, EmbeddingsDocument, IndexDocument};
pub use event::{
    ChangeEvent, ChangesDocument, ConflictEvent, EventBody, EventDocument, EventsDocument, MovedDocument,
};
pub use holds::{DecideRequest, HoldDocument, HoldsDocument, holds};
pub use left_out::{LeftOutDocument, RebuildDocument, RebuildState};
pub use memories::{
    DeleteRequest, ExpectRequest, FieldConflictProblem, GenerationGoneProblem, MemoriesDocument,
    MemoryChangesDocument, MemoryDocument, MemoryId, PutRequest, RowRequest, VectorRequest, Written,
};
pub use outbox::{OutboxDocument, WaitingDocument};
pub use plan::{
    ActionDocument, ConflictRecord, FileStepDocument, PlanDocument, PlannedHoldDocument, StepDocument,
    WaitingItemDocument,
};
pub use problem::Problem;
pub use query::encoded;
pub use recovery::{
    ConflictDocument, ConflictsDocument, GenerationDocument, HistoryDocument, PruneDocument, ResetDocument,
    RewriteDocument, VerifyDocument, VersionDocument,
};
pub use requests::{
    DryRunRequest, KeptVersion, NamedGeneration, PauseRequest, ResolveRequest, ResolveSeveralRequest,
    RestoreRequest, SyncRequest, UndoRequest, VerifyRequest,
};
pub use schema::SchemaVersion;
pub use status::{
    DaemonDocument, DeviceDocument, ErrorDocument, HealthDocument, PendingDocument, ProgressDocument, State,
    StatusDocument, UnwatchedDocument,
};
pub use sync::SyncDocument;
pub use transaction::{ConflictProblem, FileDocument, TransactionDocument, TransactionRequest, WriteRequest};

/// A moment, in milliseconds since the Unix epoch, as RFC 3339 to the second.
#[must_use]
pub fn moment(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "unknown".to_owned(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests;
