//! `sync/transactions/`: the paths that each transaction wrote, and its state.
//!
//! A record is durable before the first rename of its transaction and says `begun`; it says `done`
//! before the journal goes. So a transaction id is answered once, after a crash too. A crash
//! between the two leaves `begun`: the next run that finds the journal closes the record, and a
//! record without a journal belongs to a transaction that changed nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::fs::{At, Fs, IoAt, found, read, replace};
use crate::model::{Digest, VaultPath};

/// Longest record, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Paths that a transaction changed, each with its digest since. None for a deleted one.
pub type Written = BTreeMap<VaultPath, Option<Digest>>;

/// Answer to a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Id of the transaction.
    pub transaction_id: String,
    /// Paths that it changed.
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
    /// Reads the record `name`. None if there is none.
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

    /// Removes the record, since its transaction came to nothing.
    pub fn remove(self, fs: &dyn Fs, layout: &Layout) -> Result<(), IoAt> {
        let path = place(layout, &self.name());
        found(fs.remove_file(&path)).at("remove", &path).map(drop)
    }
}

/// Name for the record of a transaction, whatever characters its id has.
pub(super) fn name_of(id: &str) -> String {
    Digest::of(id.as_bytes()).to_string()
}

fn place(layout: &Layout, name: &str) -> PathBuf {
    layout.transactions().join(format!("{name}.json"))
}
