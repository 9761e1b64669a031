//! Uploaded packs that no commit names yet. After a crash they are used again instead of uploaded
//! again.

use rusqlite::params;

use super::{Database, DatabaseError};
use crate::model::PackInfo;

impl Database {
    /// Stores a pack that the remote has accepted.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn put_uploaded(&self, pack: &PackInfo) -> Result<(), DatabaseError> {
        self.note_sound_pack(pack)?;
        self.with(|db| {
            let info = serde_json::to_string(pack)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            let insert = "INSERT OR REPLACE INTO outbox_pack (id, info) VALUES (?1, ?2)";
            db.execute(insert, params![pack.id.as_bytes().as_slice(), info]).map(drop)
        })
    }

    /// Stored packs, by id. An unreadable row is ignored, and its chunks are uploaded again.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn uploaded(&self) -> Result<Vec<PackInfo>, DatabaseError> {
        self.with(|db| {
            let mut select = db.prepare("SELECT info FROM outbox_pack ORDER BY id")?;
            let rows = select.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            Ok(rows.iter().filter_map(|info| serde_json::from_str(info).ok()).collect())
        })
    }

    /// Removes all stored packs, and what is known of how files were cut into them, because a
    /// commit names them now or they are gone.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn clear_uploaded(&self) -> Result<(), DatabaseError> {
        self.with(|db| db.execute_batch("DELETE FROM outbox_pack; DELETE FROM cut;"))
    }
}

impl Database {
    /// Removes all data about one remote: copies of its objects, and packs uploaded to it.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn forget_remote(&self) -> Result<(), DatabaseError> {
        self.with(|db| db.execute_batch("DELETE FROM object; DELETE FROM outbox_pack; DELETE FROM cut;"))
    }
}
