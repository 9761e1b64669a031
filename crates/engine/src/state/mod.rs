//! What a device remembers between runs.
//!
//! `sync/last_sync.json` and `sync/pending` are the record: fsynced, replaced whole, needed. The SQLite database beside them is
//! a cache (stat cache, what was found in files, copies of log objects, packs that are uploaded but not committed yet,
//! events): it can be lost or damaged at any time, is then made anew, and costs time and requests but never a file.
//!
//! A crash leaves the old record or the new one. Nothing here knows the vault's files or the remote.

mod database;
mod events;
mod facts;
mod last_sync;
mod noted;
mod objects;
mod outbox;
mod paused;
mod pending;
mod reference;
mod stats;
mod waiting;

pub use database::{Database, DatabaseError};
pub use events::{EventLog, EventLogError, StoredEvent};
pub use last_sync::{Exception, FilterRecord, LastSync, RecordError};
pub use paused::Paused;
pub use pending::Pending;
pub use reference::Reference;
pub use waiting::{Waiting, WaitingList};
