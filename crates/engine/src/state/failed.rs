//! The last run by hand that failed, for the status only: nobody else would know of it where no
//! daemon runs.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Database, DatabaseError};

/// Name of the row.
const FAILED: &str = "failed-run";

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Its end, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The failure in words.
    pub message: String,
    /// The next step.
    pub next: String,
    /// The code that it ended with. Zero where an older version has noted none.
    #[serde(default)]
    pub code: u8,
}

impl Database {
    /// The last run that failed, if none succeeded since.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn failed(&self) -> Result<Option<Failed>, DatabaseError> {
        let read = "SELECT value FROM cursor WHERE name = ?1";
        let text: Option<String> =
            self.with(|db| db.query_row(read, [FAILED], |row| row.get(0)).optional())?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Notes that a run failed, or with none that one succeeded.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn note_failed(&self, failed: Option<&Failed>) -> Result<(), DatabaseError> {
        let text = failed.and_then(|failed| serde_json::to_string(failed).ok());
        self.with(|db| match &text {
            Some(text) => db
                .execute("INSERT OR REPLACE INTO cursor (name, value) VALUES (?1, ?2)", params![FAILED, text])
                .map(drop),
            None => db.execute("DELETE FROM cursor WHERE name = ?1", [FAILED]).map(drop),
        })
    }
}
