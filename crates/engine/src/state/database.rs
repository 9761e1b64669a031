//! Cache database: opens, migrates and recreates it, and lets go of it for a while.
//!
//! SQLite opens files by their paths. So that it neither creates a file nor follows a link, the
//! file is created before, through [`Fs`], for its owner only; SQLite is told to create and to
//! follow nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use crate::fs::{Fs, found};
use crate::model::FileKind;

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
", "
    CREATE TABLE cut (
        id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, recipe TEXT NOT NULL, chunks BLOB NOT NULL, proof BLOB NOT NULL,
        total INTEGER NOT NULL
    );
", "
    CREATE TABLE list (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL);
"];

/// Time to wait while another process uses the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// Failure of the cache database.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", .path.display())]
pub struct DatabaseError {
    path: PathBuf,
    #[source]
    cause: Cause,
}

/// Reporter of a failure.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// Cache database of one vault.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    /// The file, as it was opened. None in memory.
    file: Option<Opened>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Opened {
    fs: Arc<dyn Fs>,
    /// Its device and inode.
    id: (u64, u64),
    patience: Duration,
}

#[derive(Debug)]
struct State {
    /// None while it is let go.
    connection: Option<Connection>,
    /// True from [`Database::let_go`] to [`Database::hold`].
    let_go: bool,
}

impl Database {
    /// Opens the database at `path`, for whoever holds the vault's lock. A damaged database, or one
    /// of a newer version, is deleted and created anew, because nothing in it is needed. Where the
    /// disk takes no database, because it is full or read-only, there is one in memory.
    ///
    /// # Errors
    /// If a new database cannot be created either.
    pub fn open(fs: Arc<dyn Fs>, path: &Path) -> Result<Self, DatabaseError> {
        Self::open_within(fs, path, PATIENCE, true)
    }

    /// The same for a program beside the one that holds the lock: it deletes nothing, and goes on
    /// in memory instead.
    ///
    /// # Errors
    /// If another process keeps it busy, or something else stands in its place.
    pub fn open_beside(fs: Arc<dyn Fs>, path: &Path) -> Result<Self, DatabaseError> {
        Self::open_within(fs, path, PATIENCE, false)
    }

    fn open_within(
        fs: Arc<dyn Fs>,
        path: &Path,
        patience: Duration,
        owner: bool,
    ) -> Result<Self, DatabaseError> {
        let attempt = || -> Result<Self, Cause> {
            let id = made(fs.as_ref(), path)?;
            let connection = connected(path, patience)?;
            let file = Some(Opened { fs: Arc::clone(&fs), id, patience });
            Ok(Self { file, ..Self::migrated(path, connection)? })
        };
        let failed = |cause| DatabaseError { path: path.to_owned(), cause };
        match attempt() {
            Ok(database) => Ok(database),
            // Another process uses the database, so it is not damaged.
            Err(error) if is_busy(&error) => Err(failed(error)),
            Err(error) if takes_none(&error) || (is_useless(&error) && !owner) => {
                tracing::warn!(path = %path.display(), %error, "the cache database cannot be used; going on without it");
                Self::in_memory()
            }
            Err(error) if !is_useless(&error) => Err(failed(error)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the cache database is unusable and is made anew");
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = path.as_os_str().to_owned();
                    name.push(suffix);
                    // A file that cannot be removed causes an error when the database is opened
                    // again.
                    let _absent_or_in_the_way = fs.remove_file(Path::new(&name));
                }
                attempt().or_else(
                    |error| {
                        if takes_none(&error) { Self::in_memory() } else { Err(failed(error)) }
                    },
                )
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
        database.map_err(|error| DatabaseError { path: path.to_owned(), cause: error.into() })
    }

    /// Closes the file: from now on it is open only while it is used. Does nothing in memory.
    pub fn let_go(&self) {
        if self.file.is_some() {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            *state = State { connection: None, let_go: true };
        }
    }

    /// Keeps the file open again.
    ///
    /// # Errors
    /// An error if it cannot be opened, or is another one by now.
    pub fn hold(&self) -> Result<(), DatabaseError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).let_go = false;
        self.with(|_| Ok(())).inspect_err(|_| self.let_go())
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
        Ok(Self::of(path, connection))
    }

    fn of(path: &Path, connection: Connection) -> Self {
        let state = State { connection: Some(connection), let_go: false };
        Self { path: path.to_owned(), file: None, state: Mutex::new(state) }
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
        Ok(Self::of(&self.path, copied))
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
        // A panic while the lock was held cannot leave a half-done transaction: SQLite rolls it
        // back.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |cause| DatabaseError { path: self.path.clone(), cause };
        let done = match state.connection.as_mut() {
            Some(connection) => work(connection),
            None => {
                let mut connection = self.connected_again().map_err(failed)?;
                let done = work(&mut connection);
                state.connection = Some(connection).filter(|_| !state.let_go);
                done
            }
        };
        done.map_err(|error| failed(error.into()))
    }

    /// Opens the file that was let go, if it still is the same: on another disk there may be
    /// another.
    fn connected_again(&self) -> Result<Connection, Cause> {
        let Some(Opened { fs, id, patience }) = &self.file else {
            return Err(io::Error::from(io::ErrorKind::NotFound).into());
        };
        let stat = fs.lstat(&self.path)?;
        if (stat.dev, stat.ino) != *id {
            return Err(io::Error::other("it is another file than the one that was opened").into());
        }
        Ok(connected(&self.path, *patience)?)
    }
}

/// Makes the file where it is missing, for its owner only; its device and inode.
fn made(fs: &dyn Fs, path: &Path) -> io::Result<(u64, u64)> {
    if found(fs.lstat(path))?.is_none() {
        drop(fs.create(path)?);
    }
    let stat = fs.lstat(path)?;
    match stat.kind {
        FileKind::File => Ok((stat.dev, stat.ino)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "something else than a file stands there")),
    }
}

/// Opens a database whose file is there.
fn connected(path: &Path, patience: Duration) -> Result<Connection, rusqlite::Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(patience)?;
    Ok(connection)
}

/// True for a file that is no database of ours, whatever is done with it.
fn is_useless(error: &Cause) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error {
        Cause::Sqlite(rusqlite::Error::InvalidQuery) => true,
        Cause::Sqlite(error) => matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
        // A link is not followed, a folder not entered: it makes way, if it can.
        Cause::Disk(error) => error.kind() == io::ErrorKind::InvalidInput,
    }
}

/// True where the disk has no room, or no right to write, for a database.
fn takes_none(error: &Cause) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    use rusqlite::ErrorCode;
    match error {
        Cause::Sqlite(error) => matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::PermissionDenied
            )
        ),
        Cause::Disk(error) => {
            matches!(error.kind(), StorageFull | ReadOnlyFilesystem | PermissionDenied | QuotaExceeded)
        }
    }
}

fn is_busy(error: &Cause) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    let Cause::Sqlite(error) = error else { return false };
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

#[cfg(test)]
mod tests;
