//! State that a device keeps between runs.
//!
//! `sync/last_sync.json` and `sync/pending` are the record: fsynced, replaced whole, and needed.
//! The SQLite database beside them is a cache (stat cache, facts about files, copies of log
//! objects, uploaded packs without a commit, events). It may be lost or damaged at any time. It is
//! then created anew, which costs time and requests but never a file.
//!
//! A crash leaves the old record or the new one. This module knows neither the vault's files nor
//! the remote.

mod cut;
mod database;
mod events;
mod facts;
mod failed;
mod last_sync;
mod lists;
mod marked;
mod noted;
mod objects;
mod outbox;
mod paused;
mod pending;
mod recipes;
mod reference;
mod seen;
mod sound;
mod stats;
mod waiting;

pub use cut::Cut;
pub use database::{Database, DatabaseError};
pub use events::{EventLog, EventLogError, StoredEvent};
pub use failed::Failed;
pub use last_sync::{Exception, FilterRecord, LastSync, RecordError};
pub use marked::Marked;
pub use paused::Paused;
pub use pending::Pending;
pub use recipes::RightRecipes;
pub use reference::Reference;
pub use seen::Seen;
pub use stats::StatRows;
pub use waiting::{Waiting, WaitingList};
