//! Times of notable events, for the status only.

use rusqlite::{OptionalExtension, params};

use super::{Database, DatabaseError};

impl Database {
    /// Time of the last `name`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn noted(&self, name: &str) -> Result<Option<u64>, DatabaseError> {
        self.with(|db| {
            let ms: Option<i64> =
                db.query_row("SELECT ms FROM noted WHERE name = ?1", [name], |row| row.get(0)).optional()?;
            Ok(ms.and_then(|ms| u64::try_from(ms).ok()))
        })
    }

    /// Removes the time of `name`.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn forget(&self, name: &str) -> Result<(), DatabaseError> {
        self.with(|db| db.execute("DELETE FROM noted WHERE name = ?1", [name]).map(drop))
    }

    /// Stores `now_ms` as the time of `name`.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn note(&self, name: &str, now_ms: u64) -> Result<(), DatabaseError> {
        let insert = "INSERT OR REPLACE INTO noted (name, ms) VALUES (?1, ?2)";
        self.with(|db| db.execute(insert, params![name, now_ms.cast_signed()]).map(drop))
    }
}
