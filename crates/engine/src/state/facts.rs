//! Facts about the files of groups, by content. The text is opaque here.

use rusqlite::{OptionalExtension, params};

use super::{Database, DatabaseError};
use crate::model::Digest;

/// Number of facts to keep. The oldest are removed first.
const KEPT: i64 = 4096;

impl Database {
    /// Fact about a content, of this kind.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn fact(&self, digest: &Digest, kind: &str) -> Result<Option<String>, DatabaseError> {
        let select = "SELECT text FROM fact WHERE digest = ?1 AND kind = ?2";
        self.with(|db| {
            db.query_row(select, params![digest.as_bytes().as_slice(), kind], |row| row.get(0)).optional()
        })
    }

    /// Stores a fact about a content.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn put_fact(&self, digest: &Digest, kind: &str, text: &str) -> Result<(), DatabaseError> {
        let insert = "INSERT OR REPLACE INTO fact (digest, kind, text) VALUES (?1, ?2, ?3)";
        let forget = "DELETE FROM fact WHERE id <= (SELECT max(id) FROM fact) - ?1";
        self.with(|db| {
            db.execute(insert, params![digest.as_bytes().as_slice(), kind, text])?;
            db.execute(forget, [KEPT]).map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_kept_by_content_and_kind_and_the_oldest_go() {
        let database = Database::in_memory().unwrap();
        let digest = |number: i64| Digest::of(&number.to_le_bytes());
        for number in 0..KEPT + 5 {
            database.put_fact(&digest(number), "index", &number.to_string()).unwrap();
        }
        let fact = |number, kind| database.fact(&digest(number), kind).unwrap();
        assert_eq!(fact(4, "index"), None);
        assert_eq!(fact(5, "index").as_deref(), Some("5"));
        assert_eq!(fact(5, "matrix"), None);
        database.put_fact(&digest(5), "index", "again").unwrap();
        assert_eq!(fact(5, "index").as_deref(), Some("again"));
    }
}
