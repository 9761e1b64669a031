//! The outbox: each path that is still to be sent, since when, and what has stood in its way.
//!
//! One entry per path, however often it changes, in memory and in the cache database: the rows survive a restart and may be lost.
//! Only differences are written, so a vault that is at rest writes nothing. A path that cannot be dealt with has its own entry
//! and holds up no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::params;

use super::{Database, DatabaseError};

/// What is known of a path that waits. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Since when.
    pub first_seen_ms: u64,
    /// How often it could not be dealt with.
    pub attempts: u32,
    /// Why not, the last time.
    pub error: Option<String>,
    /// When it is looked at again, where that is known.
    pub next_retry_ms: Option<u64>,
}

/// All paths that wait.
#[derive(Debug)]
pub struct WaitingList {
    database: Arc<Database>,
    rows: BTreeMap<String, Waiting>,
}

impl WaitingList {
    /// The list as the last run left it; empty where it cannot be read.
    #[must_use]
    pub fn open(database: Arc<Database>) -> Self {
        let rows = database.waiting(usize::MAX);
        let rows =
            rows.inspect_err(|error| tracing::warn!(%error, "the outbox cannot be read and begins anew"));
        Self { database, rows: rows.unwrap_or_default().into_iter().collect() }
    }

    /// What is known of a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Waiting> {
        self.rows.get(path)
    }

    /// Brings the list to what waits now, each path with what stood in its way this time, if anything did.
    ///
    /// # Errors
    /// Those of the database; the list in memory is right all the same.
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
    /// The paths that wait, in order, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
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

    /// How many paths wait.
    ///
    /// # Errors
    /// Those of the database.
    pub fn waiting_count(&self) -> Result<usize, DatabaseError> {
        self.with(|db| {
            let count: i64 = db.query_row("SELECT count(*) FROM waiting", [], |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or(0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(entries: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<String>> {
        entries.iter().map(|(path, error)| ((*path).to_owned(), error.map(str::to_owned))).collect()
    }

    #[test]
    fn a_path_is_one_entry_that_counts_what_went_wrong_and_outlives_a_restart() {
        let database = Arc::new(Database::in_memory().unwrap());
        let mut list = WaitingList::open(Arc::clone(&database));
        list.update(now(&[("a", None), ("b", Some("busy"))]), 10, Some(12)).unwrap();
        list.update(now(&[("a", None), ("b", Some("locked"))]), 20, Some(24)).unwrap();
        let mut list = WaitingList::open(Arc::clone(&database));
        list.update(now(&[("b", Some("locked")), ("c", None)]), 30, None).unwrap();
        let b = Waiting { first_seen_ms: 10, attempts: 3, error: Some("locked".into()), next_retry_ms: None };
        assert_eq!(list.get("b"), Some(&b));
        assert_eq!(list.get("a"), None);
        let stored = database.waiting(usize::MAX).unwrap();
        assert_eq!(stored.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!((stored[0].1.clone(), database.waiting_count().unwrap()), (b, 2));
    }
}
