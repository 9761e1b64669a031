//! Numbered events: the rows behind `events`.
//!
//! Numbers grow by one and are never reused, so a reader that meets a gap knows that it missed
//! something. Three rules ensure this:
//! - An event and its number are durable before anyone is told.
//! - The newest rows are never deleted, so a restart continues after them.
//! - Numbers come from a block. The end of the block is stored in a separate file
//!   (`sync/event_ids`) before its first number is used. If the database is lost, the numbers
//!   continue after that end, which leaves a visible gap.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Database, DatabaseError};
use crate::fs::{self, Fs};

/// Number of events to keep.
const KEPT: u64 = 10_000;
/// Number of ids in a reserved block.
const BLOCK: u64 = 1000;
/// Maximum length of the reservation file, in bytes.
const MAX_BYTES: u64 = 64;

/// Failure to store an event.
#[derive(Debug, thiserror::Error)]
pub enum EventLogError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The reservation of numbers cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Reservation {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

/// Event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Number of the event.
    pub id: u64,
    /// Time in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Description of the event, opaque here.
    pub body: String,
}

/// Events of one vault. The holder of the vault's lock is the only writer.
#[derive(Debug)]
pub struct EventLog {
    fs: Arc<dyn Fs>,
    reservation: PathBuf,
    database: Arc<Database>,
    newest: u64,
    /// Highest number that is reserved.
    reserved: u64,
}

impl EventLog {
    /// Opens the events in `database`, with the reservation file at `path`.
    ///
    /// # Errors
    /// See [`EventLogError`].
    pub fn open(fs: Arc<dyn Fs>, path: PathBuf, database: Arc<Database>) -> Result<Self, EventLogError> {
        let noted = match fs::read(fs.as_ref(), &path, MAX_BYTES) {
            // An unreadable reservation counts as 0. The rows still protect their numbers.
            Ok(bytes) => {
                std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(EventLogError::Reservation { path, source }),
        };
        let newest = database.newest_event()?;
        // Without rows, the used part of the block is unknown.
        let newest = if newest == 0 { noted } else { newest };
        Ok(Self { fs, reservation: path, database, newest, reserved: noted })
    }

    /// Number of the newest event; 0 before the first.
    #[must_use]
    pub const fn newest(&self) -> u64 {
        self.newest
    }

    /// Events after number `id`, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn after(&self, id: u64, limit: usize) -> Result<Vec<StoredEvent>, EventLogError> {
        Ok(self.database.events_after(id, limit)?)
    }

    /// Value of the cursor `name`, as stored with an earlier event.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn cursor(&self, name: &str) -> Result<Option<String>, EventLogError> {
        Ok(self.database.with(|db| {
            db.query_row("SELECT value FROM cursor WHERE name = ?1", [name], |row| row.get(0)).optional()
        })?)
    }

    /// Stores events and the cursors of their producer, all or nothing, durably. Returns the
    /// numbers of the events.
    ///
    /// # Errors
    /// See [`EventLogError`]. In that case nothing is stored.
    pub fn append(
        &mut self,
        at_ms: u64,
        bodies: &[String],
        cursors: &[(&str, String)],
    ) -> Result<std::ops::RangeInclusive<u64>, EventLogError> {
        let (first, last) = (self.newest + 1, self.newest + bodies.len() as u64);
        if last > self.reserved {
            let reserved = last + BLOCK;
            let failed = |source| EventLogError::Reservation { path: self.reservation.clone(), source };
            fs::replace(self.fs.as_ref(), &self.reservation, reserved.to_string().as_bytes(), 0o600)
                .map_err(failed)?;
            self.reserved = reserved;
        }
        self.database.with(|db| {
            // After a power cut, the rest of the database may fall back to an earlier state. A
            // number that was already told may not.
            db.pragma_update(None, "synchronous", "FULL")?;
            let kept = append(db, first, at_ms, bodies, cursors);
            db.pragma_update(None, "synchronous", "NORMAL")?;
            kept
        })?;
        self.newest = last;
        Ok(first..=last)
    }
}

fn append(
    db: &mut Connection,
    first: u64,
    at_ms: u64,
    bodies: &[String],
    cursors: &[(&str, String)],
) -> Result<(), rusqlite::Error> {
    let transaction = db.transaction()?;
    for (id, body) in (first..).zip(bodies) {
        let insert = "INSERT INTO event (id, at_ms, body) VALUES (?1, ?2, ?3)";
        transaction.execute(insert, params![id.cast_signed(), at_ms.cast_signed(), body])?;
        let oldest = id.saturating_sub(KEPT).cast_signed();
        transaction.execute("DELETE FROM event WHERE id <= ?1", [oldest])?;
    }
    for (name, value) in cursors {
        transaction
            .execute("INSERT OR REPLACE INTO cursor (name, value) VALUES (?1, ?2)", params![name, value])?;
    }
    transaction.commit()
}

impl Database {
    /// Number of the newest event; 0 if there is none.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn newest_event(&self) -> Result<u64, DatabaseError> {
        self.with(|db| {
            let newest: Option<i64> = db.query_row("SELECT max(id) FROM event", [], |row| row.get(0))?;
            Ok(newest.map_or(0, i64::cast_unsigned))
        })
    }

    /// Events after number `id`, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn events_after(&self, id: u64, limit: usize) -> Result<Vec<StoredEvent>, DatabaseError> {
        self.with(|db| {
            let mut select =
                db.prepare("SELECT id, at_ms, body FROM event WHERE id > ?1 ORDER BY id LIMIT ?2")?;
            let (id, limit) =
                (i64::try_from(id).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
            select.query_map([id, limit], read)?.collect()
        })
    }
}

fn read(row: &Row<'_>) -> Result<StoredEvent, rusqlite::Error> {
    let unsigned = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(StoredEvent { id: unsigned(0)?, at_ms: unsigned(1)?, body: row.get(2)? })
}

#[cfg(test)]
mod tests;
