//! How files of a push were cut into chunks, until the push is committed: a push that was broken
//! off need not cut them again.
//!
//! A row is found by the content's digest, so one of a file that has changed is never found. It
//! says only which chunks the content has; whoever uses it looks for each of them. A row whose
//! bytes have changed is ignored.

use rusqlite::{OptionalExtension, params};

use super::{Database, DatabaseError};
use crate::model::{Content, Digest, Recipe};

/// Bytes of all rows, at most: chunks of some 120 GB. What goes beyond is cut again.
const MOST_BYTES: i64 = 64 << 20;

/// A content as it was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Its recipe.
    pub recipe: Recipe,
    /// Its chunks, and those of its recipe.
    pub chunks: Vec<Digest>,
}

impl Database {
    /// Remembers how a content was cut, unless that is too much.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn put_cut(&self, content: Content, recipe: &Recipe, chunks: &[Digest]) -> Result<(), DatabaseError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let recipe = serde_json::to_string(recipe).unwrap_or_default();
        let chunks: Vec<u8> = chunks.iter().flat_map(|chunk| *chunk.as_bytes()).collect();
        let proof = proof(content, &recipe, &chunks);
        let bytes = i64::try_from(recipe.len() + chunks.len()).unwrap_or(i64::MAX);
        self.with(|db| {
            let before: Option<i64> =
                db.query_row("SELECT total FROM cut ORDER BY id DESC LIMIT 1", [], |row| row.get(0)).optional()?;
            let total = before.unwrap_or(0).saturating_add(bytes);
            if total > MOST_BYTES {
                return Ok(());
            }
            let insert = "INSERT OR REPLACE INTO cut (digest, recipe, chunks, proof, total) VALUES (?1, ?2, ?3, ?4, ?5)";
            let digest = content.digest.as_bytes().as_slice();
            db.execute(insert, params![digest, recipe, chunks, proof.as_bytes().as_slice(), total]).map(drop)
        })
    }

    /// Tells how a content was cut, if that is remembered.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn cut(&self, content: Content) -> Result<Option<Cut>, DatabaseError> {
        let row: Option<(String, Vec<u8>, Vec<u8>)> = self.with(|db| {
            let select = "SELECT recipe, chunks, proof FROM cut WHERE digest = ?1";
            let digest = content.digest.as_bytes().as_slice();
            db.query_row(select, [digest], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })?;
        Ok(row.and_then(|(recipe, chunks, told)| {
            let is_whole = proof(content, &recipe, &chunks).as_bytes().as_slice() == told;
            let ids = chunks.chunks_exact(32).filter_map(|id| Some(Digest::from_bytes(id.try_into().ok()?)));
            let recipe = serde_json::from_str(&recipe).ok().filter(|_| is_whole)?;
            Some(Cut { recipe, chunks: ids.collect() })
        }))
    }
}

/// Digest of a row: nothing but a whole one counts.
fn proof(content: Content, recipe: &str, chunks: &[u8]) -> Digest {
    let mut row = blake3::Hasher::new();
    row.update(content.digest.as_bytes()).update(&content.size.to_le_bytes());
    row.update(&(recipe.len() as u64).to_le_bytes()).update(recipe.as_bytes()).update(chunks);
    row.finalize().into()
}

#[cfg(test)]
mod tests;
