//! SQLite databases of the real disk.
//!
//! SQLite opens files by their paths: it is told to follow no link, and the caller has looked that
//! a file stands there. A connection that only reads never checkpoints, not even when it is closed,
//! so nothing that a program wrote is moved by us. A snapshot is one step of the backup API: a copy
//! in several would begin again whenever somebody writes.
//!
//! A process that holds a lock on a database as well as another descriptor of it loses the lock
//! with that descriptor; see [`super::databases`].

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::databases::{DatabaseFault, Databases, Turn};
use super::{Fs, RootedFs};
use crate::model::FileKind;

/// Time to wait for another program.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows of a check that tell of a value which a constraint forbids, not of a damaged page.
const UNWANTED: [&str; 4] = ["NULL value in ", "non-", "NUMERIC value in ", "TEXT value in "];

impl Databases for RootedFs {
    fn snapshot(&self, from: &Path, to: &Path) -> Result<(), DatabaseFault> {
        let _turn = turn(self, from)?;
        copy(&reading(from)?, to, false)
    }

    fn fold(&self, path: &Path) -> Result<(), DatabaseFault> {
        let _turn = turn(self, path)?;
        let connection = opened(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if is_wal(&connection)? {
            let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            return if busy { Err(DatabaseFault::Busy) } else { Ok(()) };
        }
        // A transaction that a crash cut short is taken back by whoever reads first.
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(connection.execute_batch("COMMIT")?)
    }

    fn replace(
        &self,
        path: &Path,
        with: &Path,
        kept: &Path,
        agrees: &mut dyn FnMut() -> io::Result<bool>,
    ) -> Result<bool, DatabaseFault> {
        let _turn = turn(self, path)?;
        let source = reading(with).and_then(|source| check(&source).map(|()| source));
        let source = source.map_err(|fault| match fault {
            DatabaseFault::Damaged(why) => DatabaseFault::BadSource(why),
            other => other,
        })?;
        let mut writer = opened(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        if !is_wal(&writer)? {
            return replace_alone(&source, &mut writer, kept, agrees);
        }
        if page_size(&source)? == page_size(&writer)? {
            return replace_wal(path, &source, &mut writer, kept, agrees);
        }
        // Pages of a WAL all have one size.
        let mode = writer.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode != "wal" => {}
            Err(error) if !is_busy(&error) => return Err(error.into()),
            _ => return Err(DatabaseFault::Open("its pages have another size than the new ones")),
        }
        let done = replace_alone(&source, &mut writer, kept, agrees)?;
        writer.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        Ok(done)
    }
}

/// The turn to use a file that SQLite may open by its path.
fn turn(fs: &RootedFs, path: &Path) -> Result<Turn, DatabaseFault> {
    let stat = fs.lstat(path)?;
    if stat.kind != FileKind::File {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file").into());
    }
    Turn::alone((stat.dev, stat.ino), PATIENCE).ok_or(DatabaseFault::Busy)
}

/// Replaces a database with a WAL. Readers go on; a second connection reads what will go while the
/// first one locks out writers.
fn replace_wal(
    path: &Path,
    source: &Connection,
    writer: &mut Connection,
    kept: &Path,
    agrees: &mut dyn FnMut() -> io::Result<bool>,
) -> Result<bool, DatabaseFault> {
    {
        let backup = Backup::new(source, writer)?;
        // Copies nothing, but takes the lock.
        if let StepResult::Busy | StepResult::Locked = backup.step(0)? {
            return Err(DatabaseFault::Busy);
        }
        copy(&reading(path)?, kept, true)?;
        if !agrees()? {
            return Ok(false);
        }
        finish(&backup)?;
    }
    // Readers may allow a part of it. Programs that leave checkpoints to each other would find a
    // long WAL.
    let _later = writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    Ok(true)
}

/// Replaces a database with a rollback journal, which nobody can read meanwhile.
fn replace_alone(
    source: &Connection,
    writer: &mut Connection,
    kept: &Path,
    agrees: &mut dyn FnMut() -> io::Result<bool>,
) -> Result<bool, DatabaseFault> {
    // In this mode the lock stays from one transaction to the next.
    writer.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    writer.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
    copy(writer, kept, true)?;
    if !agrees()? {
        return Ok(false);
    }
    let backup = Backup::new(source, writer)?;
    finish(&backup)?;
    Ok(true)
}

fn finish(backup: &Backup<'_, '_>) -> Result<(), DatabaseFault> {
    match backup.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(DatabaseFault::Busy),
    }
}

/// Copies a database to an empty file, and checks the copy.
fn copy(source: &Connection, to: &Path, durable: bool) -> Result<(), DatabaseFault> {
    let mut target = opened(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    target.pragma_update(None, "synchronous", if durable { "FULL" } else { "OFF" })?;
    finish(&Backup::new(source, &mut target)?)?;
    // The copy of a database with a WAL wants one, too.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    check(&target)
}

/// Checks that the pages of a database fit together.
fn check(connection: &Connection) -> Result<(), DatabaseFault> {
    let found = connection.prepare("PRAGMA quick_check").and_then(|mut check| {
        let rows = check.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<Result<Vec<_>, _>>()
    });
    match found.map_err(DatabaseFault::from) {
        Err(DatabaseFault::Damaged(why)) => Err(DatabaseFault::Damaged(why)),
        // A schema may need functions that only its own program has.
        Err(_) => Ok(()),
        Ok(rows) => {
            let damage = |row: &&String| *row != "ok" && !UNWANTED.iter().any(|start| row.starts_with(start));
            let row = rows.iter().find(damage);
            row.map_or(Ok(()), |row| Err(DatabaseFault::Damaged(row.replace('\n', " "))))
        }
    }
}

/// Opens a database to read it, with a read transaction begun.
fn reading(path: &Path) -> Result<Connection, DatabaseFault> {
    let begin = |access| {
        let connection = opened(path, access)?;
        connection.execute_batch("BEGIN")?;
        // A transaction begins with the first read.
        connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
        Ok(connection)
    };
    let begun = match begin(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        // A transaction that a crash cut short cannot be taken back, nor a WAL be read for the
        // first time.
        Err(error) if needs_writing(&error) => begin(OpenFlags::SQLITE_OPEN_READ_WRITE),
        begun => begun,
    };
    Ok(begun?)
}

fn opened(path: &Path, access: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Nothing that a file says is run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "ignore_check_constraints", true)?;
    Ok(connection)
}

fn is_wal(connection: &Connection) -> Result<bool, rusqlite::Error> {
    connection.query_row("PRAGMA journal_mode", [], |row| Ok(row.get::<_, String>(0)? == "wal"))
}

fn page_size(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.query_row("PRAGMA page_size", [], |row| row.get(0))
}

fn needs_writing(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

impl From<rusqlite::Error> for DatabaseFault {
    fn from(error: rusqlite::Error) -> Self {
        let kind = match error.sqlite_error_code() {
            _ if is_busy(&error) => return Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                return Self::Damaged(error.to_string());
            }
            Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                io::ErrorKind::PermissionDenied
            }
            _ => io::ErrorKind::Other,
        };
        Self::Disk(io::Error::new(kind, error.to_string()))
    }
}

#[cfg(test)]
mod tests;
