//! Stat cache: the digest of each file, with the file's stat when it was hashed.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use rusqlite::{Row, params};

use super::{Database, DatabaseError};
use crate::model::{Cached, Digest, FileKind, FileStat, KnownDigests, VaultPath};

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

    /// Number of files in the stat cache, and their bytes.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn amount(&self) -> Result<(usize, u64), DatabaseError> {
        self.with(|db| {
            let sum = "SELECT count(*), ifnull(sum(size), 0) FROM stat WHERE mode & ?1";
            db.query_row(sum, [SETTLED_HEADS], |row| {
                let files = usize::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
                Ok((files, row.get::<_, i64>(1)?.cast_unsigned()))
            })
        })
    }

    /// The rows of the stat cache, to be asked for in ascending order.
    #[must_use]
    pub fn rows(&self) -> StatRows<'_> {
        StatRows { database: self, page: RefCell::default() }
    }

    /// Writes what changes in the stat cache, and forgets what is `gone`.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn update_stats(
        &self,
        news: &BTreeMap<VaultPath, Option<Cached>>,
        gone: &[VaultPath],
    ) -> Result<(), DatabaseError> {
        if news.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.with(|db| {
            let transaction = db.transaction()?;
            {
                let mut insert = transaction
                    .prepare("INSERT OR REPLACE INTO stat VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
                for (path, cached) in news.iter().filter_map(|(path, cached)| Some((path, (*cached)?))) {
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
                let forgotten = news.iter().filter(|(_, cached)| cached.is_none()).map(|(path, _)| path);
                for path in forgotten.chain(gone) {
                    delete.execute([path.as_str()])?;
                }
            }
            transaction.commit()
        })
    }
}

/// Number of rows that are read at once: some hundred kilobytes.
const PAGE: u32 = 1024;

/// Rows of the stat cache, read in pages, so that the cache of a large vault is never in memory as
/// a whole, and the database is never held for long.
#[derive(Debug)]
pub struct StatRows<'d> {
    database: &'d Database,
    page: RefCell<Page>,
}

#[derive(Debug, Default)]
struct Page {
    rows: VecDeque<(VaultPath, Cached)>,
    /// Path of the last row that was read, as it stands there.
    last: String,
    ended: bool,
    /// Rows that were passed over.
    gone: Vec<(VaultPath, Cached)>,
}

impl KnownDigests for StatRows<'_> {
    fn digest_of(&self, path: &VaultPath) -> Option<Cached> {
        self.forward(Some(path))
    }

    fn unasked(&self) -> Vec<Cached> {
        self.forward(None);
        self.page.borrow().gone.iter().map(|(_, cached)| *cached).collect()
    }
}

impl StatRows<'_> {
    /// Paths of the rows that nobody asked for.
    #[must_use]
    pub fn gone(self) -> Vec<VaultPath> {
        self.forward(None);
        self.page.into_inner().gone.into_iter().map(|(path, _)| path).collect()
    }

    /// Goes to the row of a path, or to the end.
    fn forward(&self, to: Option<&VaultPath>) -> Option<Cached> {
        let mut page = self.page.borrow_mut();
        loop {
            while let Some((path, cached)) = page.rows.pop_front() {
                match to.map_or(Ordering::Less, |to| path.cmp(to)) {
                    Ordering::Less => page.gone.push((path, cached)),
                    Ordering::Equal => return Some(cached),
                    Ordering::Greater => {
                        page.rows.push_front((path, cached));
                        return None;
                    }
                }
            }
            if page.ended {
                return None;
            }
            let read = self.database.page(&mut page);
            if let Err(error) = read {
                tracing::warn!(%error, "the stat cache cannot be read; files are hashed again");
                page.ended = true;
            }
        }
    }
}

impl Database {
    fn page(&self, page: &mut Page) -> Result<(), DatabaseError> {
        self.with(|db| {
            let mut select = db
                .prepare(&format!("SELECT {COLUMNS} FROM stat WHERE path > ?1 ORDER BY path LIMIT {PAGE}"))?;
            let mut rows = select.query([&page.last])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                count += 1;
                page.last = row.get(0)?;
                page.rows.extend(read(row)?);
            }
            page.ended = count < PAGE;
            Ok(())
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
    let path = VaultPath::new(row.get_ref(0)?.as_str()?);
    let digest: Result<[u8; 32], _> = row.get_ref(7)?.as_blob()?.try_into();
    let hashed_ns = row.get(8)?;
    Ok(path
        .ok()
        .zip(digest.ok())
        .map(|(path, digest)| (path, Cached { stat, digest: Digest::from_bytes(digest), hashed_ns })))
}

#[cfg(test)]
mod tests;
