//! `sync/transactions/`: the paths that each transaction wrote, and its state.
//!
//! A record is durable before the first rename of its transaction and says `begun`; it says `done`
//! before the journal goes. So a transaction id is answered once, after a crash too. A crash
//! between the two leaves `begun`: the next run that finds the journal closes the record, and a
//! record without a journal belongs to a transaction that changed nothing.
//!
//! Transactions that were put in place as one have one record, with the name of the apply; when
//! they are done, a link to it for each, all before the journal goes.

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
    /// Where several transactions were put in place as one, all that they changed; the apply has
    /// its name.
    pub answer: Answer,
    /// Answers to those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<Answer>,
}

impl Record {
    /// Reads the record `name`. None if there is none.
    pub fn read(fs: &dyn Fs, layout: &Layout, name: &str) -> Result<Option<Self>, IoAt> {
        let path = place(layout, name);
        let Some(bytes) = found(read(fs, &path, MAX_BYTES)).at("read", &path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from).at("read", &path)
    }

    /// Name of this record.
    pub fn name(&self) -> String {
        // That of an apply is no digest, so no transaction's record has it.
        let id = &self.answer.transaction_id;
        if self.together.is_empty() { name_of(id) } else { id.clone() }
    }

    /// The answer to the transaction of this id, if it is done.
    pub fn answer_to(self, id: &str) -> Option<Answer> {
        let mut answers = self.together.into_iter().chain([self.answer]);
        answers.find(|answer| self.done && answer.transaction_id == id)
    }

    /// The answers to all of its transactions.
    pub fn answers(self) -> Vec<Answer> {
        if self.together.is_empty() { vec![self.answer] } else { self.together }
    }

    /// Makes the record durable.
    pub fn write(&self, fs: &dyn Fs, layout: &Layout) -> Result<(), IoAt> {
        let path = place(layout, &self.name());
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        fs.create_dir_all(folder).at("create", folder)?;
        replace(fs, &path, &self.bytes(&path)?, 0o600).at("write", &path)
    }

    /// Makes it durable that its transactions are done: each finds the record under its own name.
    pub fn close(&mut self, fs: &dyn Fs, layout: &Layout) -> Result<(), IoAt> {
        self.done = true;
        self.write(fs, layout)?;
        let own = place(layout, &self.name());
        for Answer { transaction_id, .. } in &self.together {
            let path = place(layout, &name_of(transaction_id));
            // One that is there says `begun`, or is that of a close that was cut short.
            found(fs.remove_file(&path)).at("remove", &path)?;
            match fs.hard_link(&own, &path) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    replace(fs, &path, &self.bytes(&path)?, 0o600).at("write", &path)?;
                }
                linked => linked.at("link", &path)?,
            }
        }
        match own.parent().filter(|_| !self.together.is_empty()) {
            Some(folder) => fs.sync_dir(folder).at("sync", folder),
            None => Ok(()),
        }
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>, IoAt> {
        serde_json::to_vec(self).map_err(io::Error::from).at("write", path)
    }

    /// Removes the record, since its transaction came to nothing.
    pub fn remove(self, fs: &dyn Fs, layout: &Layout) -> Result<(), IoAt> {
        let path = place(layout, &self.name());
        found(fs.remove_file(&path)).at("remove", &path).map(drop)
    }
}

/// Forgets the answer to a transaction, which only its maker could ask for. One of several files is
/// kept: until all are sent, its record says that they go as one.
///
/// # Errors
/// Errors of the system.
pub fn forget_answer(fs: &dyn Fs, layout: &Layout, answer: &Answer) -> Result<(), IoAt> {
    if answer.files.len() > 1 {
        return Ok(());
    }
    let path = place(layout, &name_of(&answer.transaction_id));
    found(fs.remove_file(&path)).at("remove", &path).map(drop)
}

/// Name for the record of a transaction, whatever characters its id has.
pub(super) fn name_of(id: &str) -> String {
    Digest::of(id.as_bytes()).to_string()
}

fn place(layout: &Layout, name: &str) -> PathBuf {
    layout.transactions().join(format!("{name}.json"))
}
