//! Packs that are uploaded but that no commit names yet: after a crash they are used, not uploaded again.

use rusqlite::params;

use super::{Database, DatabaseError};
use crate::model::PackInfo;

impl Database {
    /// Remembers a pack that the remote has taken.
    ///
    /// # Errors
    /// Those of the database.
    pub fn put_uploaded(&self, pack: &PackInfo) -> Result<(), DatabaseError> {
        self.with(|db| {
            let info = serde_json::to_string(pack)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            let insert = "INSERT OR REPLACE INTO outbox_pack (id, info) VALUES (?1, ?2)";
            db.execute(insert, params![pack.id.as_bytes().as_slice(), info]).map(drop)
        })
    }

    /// The packs remembered, by id. A row that cannot be read counts as none: its chunks are uploaded again.
    ///
    /// # Errors
    /// Those of the database.
    pub fn uploaded(&self) -> Result<Vec<PackInfo>, DatabaseError> {
        self.with(|db| {
            let mut select = db.prepare("SELECT info FROM outbox_pack ORDER BY id")?;
            let rows = select.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            Ok(rows.iter().filter_map(|info| serde_json::from_str(info).ok()).collect())
        })
    }

    /// Forgets all of them: a commit names them now, or they are gone.
    ///
    /// # Errors
    /// Those of the database.
    pub fn clear_uploaded(&self) -> Result<(), DatabaseError> {
        self.with(|db| db.execute("DELETE FROM outbox_pack", []).map(drop))
    }
}

impl Database {
    /// Forgets everything that is about one remote: copies of its objects, packs on their way to it.
    ///
    /// # Errors
    /// Those of the database.
    pub fn forget_remote(&self) -> Result<(), DatabaseError> {
        self.with(|db| db.execute_batch("DELETE FROM object; DELETE FROM outbox_pack;"))
    }
}
