//! Copies of log objects, which are immutable, by key.

use rusqlite::{OptionalExtension, params};

use super::{Database, DatabaseError};

impl Database {
    /// Copy stored under `key`.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn object(&self, key: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        self.with(|db| {
            db.prepare("SELECT bytes FROM object WHERE key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()
        })
    }

    /// Stores a copy.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn put_object(&self, key: &str, bytes: &[u8]) -> Result<(), DatabaseError> {
        self.with(|db| {
            let mut insert = db.prepare("INSERT OR REPLACE INTO object (key, bytes) VALUES (?1, ?2)")?;
            insert.execute(params![key, bytes]).map(drop)
        })
    }

    /// Removes a copy.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn remove_object(&self, key: &str) -> Result<(), DatabaseError> {
        self.with(|db| db.execute("DELETE FROM object WHERE key = ?1", [key]).map(drop))
    }

    /// Keys that start with `prefix`, in byte order.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn object_keys(&self, prefix: &str) -> Result<Vec<String>, DatabaseError> {
        self.with(|db| {
            // A range of the index, whatever else there is: this is asked in every cycle.
            let end = format!("{prefix}{}", char::MAX);
            let mut select =
                db.prepare("SELECT key FROM object WHERE key >= ?1 AND key < ?2 ORDER BY key")?;
            select.query_map([prefix, &end], |row| row.get(0))?.collect()
        })
    }
}
