//! Lists of chunks that the recipes of long files are made of, so that a pull knows what the file
//! here holds and need not cut it again.
//!
//! A list is found by its digest, and one whose bytes have changed is ignored. What a file has in
//! common with its next version is kept once. The oldest lists go first; a file that lacks one is
//! cut again.

use rusqlite::{OptionalExtension, params};

use super::{Database, DatabaseError};
use crate::model::Digest;

/// Bytes of all lists, at most: those of some 120 GB.
const MOST_BYTES: i64 = 64 << 20;

impl Database {
    /// Keeps lists.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn put_lists<'a>(
        &self,
        lists: impl IntoIterator<Item = (&'a Digest, &'a Vec<u8>)>,
    ) -> Result<(), DatabaseError> {
        // Each is numbered by the bytes of all lists up to it.
        let insert = "INSERT OR IGNORE INTO list (id, digest, bytes)
            VALUES ((SELECT ifnull(max(id), 0) FROM list) + max(length(?2), 1), ?1, ?2)";
        self.with(|db| {
            let transaction = db.transaction()?;
            let mut statement = transaction.prepare(insert)?;
            for (digest, bytes) in lists {
                statement.execute(params![digest.as_bytes().as_slice(), bytes])?;
            }
            drop(statement);
            let forget = "DELETE FROM list WHERE id <= (SELECT max(id) FROM list) - ?1";
            transaction.execute(forget, [MOST_BYTES])?;
            transaction.commit()
        })
    }

    /// A list that was kept.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn list(&self, digest: &Digest) -> Result<Option<Vec<u8>>, DatabaseError> {
        let bytes: Option<Vec<u8>> = self.with(|db| {
            let mut select = db.prepare("SELECT bytes FROM list WHERE digest = ?1")?;
            select.query_row([digest.as_bytes().as_slice()], |row| row.get(0)).optional()
        })?;
        Ok(bytes.filter(|bytes| Digest::of(bytes) == *digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_whole_and_once_and_the_oldest_go() {
        let database = Database::in_memory().unwrap();
        let list = |number: i64| [number.to_le_bytes().repeat(100), vec![0; 1 << 20]].concat();
        let put = |bytes: Vec<u8>| database.put_lists([(&Digest::of(&bytes), &bytes)]).unwrap();
        let kept = |number| database.list(&Digest::of(&list(number))).unwrap();
        put(list(1));
        put(list(1));
        assert_eq!(kept(1), Some(list(1)));
        assert_eq!(kept(2), None);
        let rows: i64 =
            database.with(|db| db.query_row("SELECT COUNT(*) FROM list", [], |row| row.get(0))).unwrap();
        assert_eq!(rows, 1);
        (2..=65).for_each(|number| put(list(number)));
        assert_eq!((kept(1), kept(65)), (None, Some(list(65))));
        database.with(|db| db.execute("UPDATE list SET bytes = zeroblob(100)", []).map(drop)).unwrap();
        assert_eq!(kept(65), None, "a row that the disk has damaged");
    }
}
