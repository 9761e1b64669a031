//! The outbox: each path that is still to be sent, since when, and its last error.
//!
//! It has one entry per path, however often the path changes, in memory and in the cache database.
//! The rows survive a restart and may be lost. Only differences are written, so a vault at rest
//! writes nothing. A path that fails has its own entry and delays no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::params;

use super::{Database, DatabaseError};

/// Entry of a waiting path. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Time since when the path waits.
    pub first_seen_ms: u64,
    /// Number of failed attempts.
    pub attempts: u32,
    /// Last error.
    pub error: Option<String>,
    /// Time of the next attempt, if known.
    pub next_retry_ms: Option<u64>,
}

/// All waiting paths.
#[derive(Debug)]
pub struct WaitingList {
    database: Arc<Database>,
    rows: BTreeMap<String, Waiting>,
}

impl WaitingList {
    /// Loads the list of the last run. It is empty if it cannot be read.
    #[must_use]
    pub fn open(database: Arc<Database>) -> Self {
        let rows = database.waiting(usize::MAX);
        let rows =
            rows.inspect_err(|error| tracing::warn!(%error, "the outbox cannot be read and begins anew"));
        Self { database, rows: rows.unwrap_or_default().into_iter().collect() }
    }

    /// Entry of a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Waiting> {
        self.rows.get(path)
    }

    /// Updates the list to the paths that wait now, each with its error in this cycle, if any.
    ///
    /// # Errors
    /// Errors of the database. The list in memory is correct all the same.
    pub fn update(
        &mut self,
        now: BTreeMap<String, Option<String>>,
        now_ms: u64,
        next_retry_ms: Option<u64>,
    ) -> Result<(), DatabaseError> {
        let gone: Vec<String> = self.rows.keys().filter(|path| !now.contains_key(*path)).cloned().collect();
        self.rows.retain(|path, _| now.contains_key(path));
        let mut changed = Vec::new();
        for (path, error) in now {
            let known = self.rows.get(&path);
            if known.is_some() && error.is_none() {
                continue;
            }
            let row = Waiting {
                first_seen_ms: known.map_or(now_ms, |known| known.first_seen_ms),
                attempts: known.map_or(0, |known| known.attempts).saturating_add(u32::from(error.is_some())),
                next_retry_ms: if error.is_some() { next_retry_ms } else { None },
                error,
            };
            changed.push(path.clone());
            self.rows.insert(path, row);
        }
        if gone.is_empty() && changed.is_empty() {
            return Ok(());
        }
        self.database.with(|db| {
            let transaction = db.transaction()?;
            {
                let mut delete = transaction.prepare("DELETE FROM waiting WHERE path = ?1")?;
                for path in &gone {
                    delete.execute([path])?;
                }
                let mut insert =
                    transaction.prepare("INSERT OR REPLACE INTO waiting VALUES (?1, ?2, ?3, ?4, ?5)")?;
                for (path, row) in changed.iter().filter_map(|path| Some((path, self.rows.get(path)?))) {
                    let next = row.next_retry_ms.map(u64::cast_signed);
                    insert.execute(params![
                        path,
                        row.first_seen_ms.cast_signed(),
                        row.attempts,
                        row.error,
                        next
                    ])?;
                }
            }
            transaction.commit()
        })
    }
}

impl Database {
    /// Waiting paths, in order, at most `limit`.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn waiting(&self, limit: usize) -> Result<Vec<(String, Waiting)>, DatabaseError> {
        self.with(|db| {
            let columns = "path, first_seen_ms, attempts, error, next_retry_ms";
            let mut select = db.prepare(&format!("SELECT {columns} FROM waiting ORDER BY path LIMIT ?1"))?;
            let rows = select.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                let waiting = Waiting {
                    first_seen_ms: row.get::<_, i64>(1)?.cast_unsigned(),
                    attempts: row.get(2)?,
                    error: row.get(3)?,
                    next_retry_ms: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
                };
                Ok((row.get(0)?, waiting))
            })?;
            rows.collect()
        })
    }

    /// Number of waiting paths.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn waiting_count(&self) -> Result<usize, DatabaseError> {
        self.with(|db| {
            let count: i64 = db.query_row("SELECT count(*) FROM waiting", [], |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or(0))
        })
    }
}

#[cfg(test)]
mod tests;
