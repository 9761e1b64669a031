//! `sync/transactions/`: what each transaction wrote, and whether all of it is in place.
//!
//! A record is durable before the first rename of its transaction and says `begun`; it says `done`
//! before the journal goes. So a transaction id is answered once, after a crash too. A crash between
//! the two leaves `begun`; whoever finds the journal closes the record, and a record without a journal
//! is of a transaction that changed nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::fs::{At, Fs, IoAt, found, read, replace};
use crate::model::{Digest, VaultPath};

/// No record is longer.
const MAX_BYTES: u64 = 16 << 20;

/// Paths that a transaction changed, with what stands there since; none for one that is gone.
pub type Written = BTreeMap<VaultPath, Option<Digest>>;

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Which.
    pub transaction_id: String,
    /// The paths it changed.
    pub files: Written,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// True once all of it is in place.
    pub done: bool,
    pub answer: Answer,
}

impl Record {
    /// Reads the record `name`; none where there is none.
    pub fn read(fs: &dyn Fs, layout: &Layout, name: &str) -> Result<Option<Self>, IoAt> {
        let path = place(layout, name);
        let Some(bytes) = found(read(fs, &path, MAX_BYTES)).at("read", &path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from).at("read", &path)
    }

    /// Name of the record of this transaction.
    pub fn name(&self) -> String {
        name_of(&self.answer.transaction_id)
    }

    /// Makes the record durable.
    pub fn write(&self, fs: &dyn Fs, layout: &Layout) -> Result<(), IoAt> {
        let path = place(layout, &self.name());
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        fs.create_dir_all(folder).at("create", folder)?;
        let bytes = serde_json::to_vec(self).map_err(io::Error::from).at("write", &path)?;
        replace(fs, &path, &bytes, 0o600).at("write", &path)
    }

    /// Removes the record: its transaction came to nothing.
    pub fn remove(self, fs: &dyn Fs, layout: &Layout) -> Result<(), IoAt> {
        let path = place(layout, &self.name());
        found(fs.remove_file(&path)).at("remove", &path).map(drop)
    }
}

/// Name for the record of a transaction, whatever its id is made of.
pub(super) fn name_of(id: &str) -> String {
    Digest::of(id.as_bytes()).to_string()
}

fn place(layout: &Layout, name: &str) -> PathBuf {
    layout.transactions().join(format!("{name}.json"))
}
