//! What has happened, numbered: the rows behind `events`.
//!
//! Numbers grow by one and are never given twice, so a reader that meets a gap knows that it has missed something. Three
//! things hold that: an event and its number are durable before anybody hears of it; the newest rows are never deleted, so a
//! restart goes on after them; and numbers are given out of a block whose end is noted in a file of its own (`sync/event_ids`)
//! before the first of the block is used. If the database is lost, the numbers go on behind that end: the gap says what it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Database, DatabaseError};
use crate::fs::{self, Fs};

/// So many events are kept.
const KEPT: u64 = 10_000;
/// Numbers are reserved by so many.
const BLOCK: u64 = 1000;
/// No reservation is longer.
const MAX_BYTES: u64 = 64;

/// An event that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum EventLogError {
    /// The database fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The reservation of numbers cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Reservation {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub id: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What happened: opaque here.
    pub body: String,
}

/// The events of one vault. There is one writer: whoever holds the vault's lock.
#[derive(Debug)]
pub struct EventLog {
    fs: Arc<dyn Fs>,
    reservation: PathBuf,
    database: Arc<Database>,
    newest: u64,
    /// Numbers up to this one are ours to give.
    reserved: u64,
}

impl EventLog {
    /// Opens the events in `database`, with the reservation at `path`.
    ///
    /// # Errors
    /// See [`EventLogError`].
    pub fn open(fs: Arc<dyn Fs>, path: PathBuf, database: Arc<Database>) -> Result<Self, EventLogError> {
        let noted = match fs::read(fs.as_ref(), &path, MAX_BYTES) {
            // A reservation that cannot be understood holds nothing back: the rows still do.
            Ok(bytes) => {
                std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(EventLogError::Reservation { path, source }),
        };
        let newest = database.newest_event()?;
        // Without rows nobody knows how much of the block was used.
        let newest = if newest == 0 { noted } else { newest };
        Ok(Self { fs, reservation: path, database, newest, reserved: noted })
    }

    /// The number of the newest event; 0 before the first.
    #[must_use]
    pub const fn newest(&self) -> u64 {
        self.newest
    }

    /// The events after number `id`, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn after(&self, id: u64, limit: usize) -> Result<Vec<StoredEvent>, EventLogError> {
        Ok(self.database.events_after(id, limit)?)
    }

    /// What was noted under `name` with some earlier event.
    ///
    /// # Errors
    /// Those of the database.
    pub fn cursor(&self, name: &str) -> Result<Option<String>, EventLogError> {
        Ok(self.database.with(|db| {
            db.query_row("SELECT value FROM cursor WHERE name = ?1", [name], |row| row.get(0)).optional()
        })?)
    }

    /// Keeps events, and with them how far whoever makes them has come. All or nothing, and durable. The numbers they got.
    ///
    /// # Errors
    /// See [`EventLogError`]; then none is kept.
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
            // The rest of the database may fall back to an earlier state by a power cut; a number that was heard of may not.
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
    /// The number of the newest event; 0 where there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub fn newest_event(&self) -> Result<u64, DatabaseError> {
        self.with(|db| {
            let newest: Option<i64> = db.query_row("SELECT max(id) FROM event", [], |row| row.get(0))?;
            Ok(newest.map_or(0, i64::cast_unsigned))
        })
    }

    /// The events after number `id`, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
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
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::fs::RealFs;

    fn open(folder: &Path) -> EventLog {
        let database = Arc::new(Database::open(Arc::new(RealFs), &folder.join("cache.db")).unwrap());
        EventLog::open(Arc::new(RealFs), folder.join("event_ids"), database).unwrap()
    }

    fn bodies(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("{{\"n\":{number}}}")).collect()
    }

    #[test]
    fn the_oldest_go_and_the_newest_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path());
        log.append(7, &bodies(12_345), &[("head", "x".into())]).unwrap();
        let kept = log.after(0, usize::MAX).unwrap();
        assert_eq!((kept.len(), kept[0].id, kept.last().unwrap().id), (10_000, 2346, 12_345));
        assert_eq!(
            log.after(12_340, 3).unwrap().iter().map(|event| event.id).collect::<Vec<_>>(),
            [12_341, 12_342, 12_343]
        );
        assert_eq!(log.cursor("head").unwrap().as_deref(), Some("x"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Across restarts numbers go on by one; a lost database makes a gap, and no number ever comes twice.
        #[test]
        fn no_number_is_given_twice(steps in prop::collection::vec((0_u8..4, 1_usize..900), 1..12)) {
            let folder = tempfile::tempdir().unwrap();
            let mut log = open(folder.path());
            let (mut newest, mut lost) = (0, false);
            for (what, count) in steps {
                match what {
                    0 => {
                        drop(log);
                        log = open(folder.path());
                    }
                    1 => {
                        drop(log);
                        for end in ["", "-wal", "-shm"] {
                            let _absent = std::fs::remove_file(folder.path().join(format!("cache.db{end}")));
                        }
                        log = open(folder.path());
                        lost = newest > 0;
                    }
                    _ => {
                        let given = log.append(0, &bodies(count), &[]).unwrap();
                        prop_assert_eq!(given.clone().count(), count);
                        if lost {
                            prop_assert!(*given.start() > newest);
                        } else {
                            prop_assert_eq!(*given.start(), newest + 1);
                        }
                        (newest, lost) = (*given.end(), false);
                    }
                }
            }
        }
    }
}
