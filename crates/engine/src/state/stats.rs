//! Stat cache: the digest of each file, with the file's stat when it was hashed.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Row, params};

use super::{Database, DatabaseError};
use crate::model::{Cached, Digest, FileKind, FileStat, VaultPath};

/// Bit in the column of the mode that rows have since databases have the content of [`sqlite`]. The
/// digests of older rows may be of a database's bytes as they were.
///
/// [`sqlite`]: crate::model::sqlite
const SETTLED_HEADS: u32 = 1 << 16;

/// Columns in the order in which [`read`] takes them.
const COLUMNS: &str = "path, dev, ino, size, mtime_ns, ctime_ns, mode, digest, hashed_ns";

impl Database {
    /// Reads the whole stat cache.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn stats(&self) -> Result<HashMap<VaultPath, Cached>, DatabaseError> {
        self.with(|db| {
            let mut select = db.prepare(&format!("SELECT {COLUMNS} FROM stat"))?;
            let rows = select.query_map([], read)?.collect::<Result<Vec<_>, _>>()?;
            Ok(rows.into_iter().flatten().collect())
        })
    }

    /// The entries of the stat cache for these paths.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn stats_of(&self, paths: &BTreeSet<VaultPath>) -> Result<HashMap<VaultPath, Cached>, DatabaseError> {
        if paths.is_empty() {
            return Ok(HashMap::new());
        }
        self.with(|db| {
            let mut select = db.prepare(&format!("SELECT {COLUMNS} FROM stat WHERE path = ?1"))?;
            let mut found = HashMap::new();
            for path in paths {
                let rows = select.query_map([path.as_str()], read)?.collect::<Result<Vec<_>, _>>()?;
                found.extend(rows.into_iter().flatten());
            }
            Ok(found)
        })
    }

    /// Replaces the stat cache `known` by `fresh`, writing only the rows that differ.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn update_stats(
        &self,
        known: &HashMap<VaultPath, Cached>,
        fresh: &HashMap<VaultPath, Cached>,
    ) -> Result<(), DatabaseError> {
        let changed: Vec<_> =
            fresh.iter().filter(|(path, cached)| known.get(*path) != Some(cached)).collect();
        let gone: Vec<_> = known.keys().filter(|path| !fresh.contains_key(*path)).collect();
        if changed.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.with(|db| {
            let transaction = db.transaction()?;
            {
                let mut insert = transaction
                    .prepare("INSERT OR REPLACE INTO stat VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
                for (path, cached) in changed {
                    let Cached { stat, digest, hashed_ns } = cached;
                    insert.execute(params![
                        path.as_str(),
                        stat.dev.cast_signed(),
                        stat.ino.cast_signed(),
                        stat.size.cast_signed(),
                        stat.mtime_ns,
                        stat.ctime_ns,
                        stat.mode | SETTLED_HEADS,
                        digest.as_bytes().as_slice(),
                        hashed_ns
                    ])?;
                }
                let mut delete = transaction.prepare("DELETE FROM stat WHERE path = ?1")?;
                for path in gone {
                    delete.execute([path.as_str()])?;
                }
            }
            transaction.commit()
        })
    }
}

/// Reads a row. A damaged row is ignored, as one of an older version is, and the file is hashed
/// again.
fn read(row: &Row<'_>) -> Result<Option<(VaultPath, Cached)>, rusqlite::Error> {
    let mode: u32 = row.get(6)?;
    if mode & SETTLED_HEADS == 0 {
        return Ok(None);
    }
    let unsigned = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let stat = FileStat {
        kind: FileKind::File,
        dev: unsigned(1)?,
        ino: unsigned(2)?,
        size: unsigned(3)?,
        mtime_ns: row.get(4)?,
        ctime_ns: row.get(5)?,
        mode: mode & !SETTLED_HEADS,
    };
    let path = VaultPath::new(&row.get::<_, String>(0)?);
    let digest: Result<[u8; 32], _> = row.get::<_, Vec<u8>>(7)?.try_into();
    let hashed_ns = row.get(8)?;
    Ok(path
        .ok()
        .zip(digest.ok())
        .map(|(path, digest)| (path, Cached { stat, digest: Digest::from_bytes(digest), hashed_ns })))
}

#[cfg(test)]
mod tests;
