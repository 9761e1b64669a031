//! Cache database: opens, migrates and recreates it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

/// Migrations of the schema, one version each. `PRAGMA user_version` counts them.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE stat (
        path TEXT PRIMARY KEY, dev INTEGER, ino INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, mode INTEGER,
        digest BLOB, hashed_ns INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE object (key TEXT PRIMARY KEY, bytes BLOB NOT NULL);
    CREATE TABLE outbox_pack (id BLOB PRIMARY KEY, info TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE noted (name TEXT PRIMARY KEY, ms INTEGER NOT NULL) WITHOUT ROWID;
", "
    CREATE TABLE event (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE TABLE cursor (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
", "
    CREATE TABLE fact (
        id INTEGER PRIMARY KEY, digest BLOB NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (digest, kind)
    );
", "
    CREATE TABLE waiting (
        path TEXT PRIMARY KEY, first_seen_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, error TEXT, next_retry_ms INTEGER
    ) WITHOUT ROWID;
"];

/// Time to wait while another process uses the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Failure of the cache database.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", .path.display())]
pub struct DatabaseError {
    path: PathBuf,
    #[source]
    source: rusqlite::Error,
}

/// Cache database of one vault.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Database {
    /// Opens the database at `path`. A damaged database, or one of a newer version, is deleted and
    /// created anew, because nothing in it is needed.
    ///
    /// # Errors
    /// If a new database cannot be created either.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Self::open_within(path, PATIENCE)
    }

    fn open_within(path: &Path, patience: Duration) -> Result<Self, DatabaseError> {
        let attempt = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(patience)?;
            Self::migrated(path, connection)
        };
        match attempt() {
            Ok(database) => Ok(database),
            // Another process uses the database, so it is not damaged.
            Err(error) if is_busy(&error) => Err(DatabaseError { path: path.to_owned(), source: error }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the cache database is unusable and is made anew");
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(suffix);
                    // A file that cannot be removed causes an error when the database is opened
                    // again.
                    let _absent_or_in_the_way = std::fs::remove_file(name);
                }
                attempt().map_err(|source| DatabaseError { path: path.to_owned(), source })
            }
        }
    }

    /// Creates a database in memory.
    ///
    /// # Errors
    /// If SQLite cannot create it.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        let path = Path::new(":memory:");
        let database = Connection::open_in_memory().and_then(|connection| Self::migrated(path, connection));
        database.map_err(|source| DatabaseError { path: path.to_owned(), source })
    }

    fn migrated(path: &Path, mut connection: Connection) -> Result<Self, rusqlite::Error> {
        // This is a cache: after a power cut an older state is as good as a newer one, so commits
        // do not wait for the disk.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let check: String = connection.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
        let done: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let steps = (1_u32..).zip(MIGRATIONS.iter().copied());
        let newest = steps.clone().last().map_or(0, |(version, _)| version);
        if check != "ok" || done > newest {
            return Err(rusqlite::Error::InvalidQuery);
        }
        for (version, step) in steps.filter(|(version, _)| *version > done) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// Copies the database into memory. For simulations, which continue from one state in several
    /// ways.
    ///
    /// # Errors
    /// If SQLite cannot create the copy.
    pub fn copy(&self) -> Result<Self, DatabaseError> {
        let copied = self.with(|connection| {
            let mut copy = Connection::open_in_memory()?;
            Backup::new(connection, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
            Ok(copy)
        })?;
        Ok(Self { path: self.path.clone(), connection: Mutex::new(copied) })
    }

    /// Calls `allow` before each transaction commits, and rolls it back on false. For simulations,
    /// in which a process may end before any effect.
    ///
    /// # Errors
    /// If SQLite rejects the hook.
    pub fn allow_commits(&self, allow: impl Fn() -> bool + Send + 'static) -> Result<(), DatabaseError> {
        self.with(|connection| connection.commit_hook(Some(move || !allow())))
    }

    /// Runs `work` on the connection.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, DatabaseError> {
        // A panic under the lock leaves no half-done transaction: SQLite rolls it back.
        let mut connection: MutexGuard<'_, Connection> =
            self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut connection).map_err(|source| DatabaseError { path: self.path.clone(), source })
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_in_use_is_not_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        Database::open(&path).unwrap().put_object("commits/x", b"bytes").unwrap();
        let holder = Connection::open(&path).unwrap();
        holder.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
        holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
        assert!(Database::open_within(&path, Duration::ZERO).is_err());
        drop(holder);
        assert!(Database::open(&path).unwrap().object("commits/x").unwrap().is_some());
    }

    #[test]
    fn a_damaged_or_newer_database_is_created_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        for damage in [
            b"this is no database, but long enough to have a header of one".as_slice(),
            b"",
            b"SQLite format 3\0",
        ] {
            std::fs::write(&path, damage).unwrap();
            let database = Database::open(&path).unwrap();
            database.put_object("commits/x", b"bytes").unwrap();
            drop(database);
            assert_eq!(
                Database::open(&path).unwrap().object("commits/x").unwrap().as_deref(),
                Some(b"bytes".as_slice())
            );
        }
        let newer = Connection::open(&path).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        drop(newer);
        assert_eq!(Database::open(&path).unwrap().object("commits/x").unwrap(), None);
    }
}
