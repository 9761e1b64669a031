//! The port for databases: files that other programs write through a library with locks of its own.
//!
//! Such a file is read and replaced through that library only, while it is in use: what it holds
//! may stand in other files beside it, and a program that has it open must see the change. A disk
//! of a simulation has none.
//!
//! A process loses its locks on a file when it closes any descriptor of it. So this process never
//! has a file open for reading while its library has it: [`Turn`]s see to that for every file that
//! [`super::Fs::open`] gives.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Reason why a database was not read or not replaced. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseFault {
    /// Another program uses it.
    #[error("another program uses the database right now")]
    Busy,
    /// Its pages do not fit together.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The pages of the database that was to replace it do not.
    #[error("the database that would replace it is damaged: {0}")]
    BadSource(String),
    /// It cannot be replaced while a program has it open.
    #[error("{0}")]
    Open(&'static str),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// The databases of a disk.
pub trait Databases {
    /// Writes the state of the database at `from`, as one transaction left it, to the empty file
    /// `to`, and checks it. Changes nothing else, but for what any reader does: a transaction that
    /// a crash cut short is taken back.
    ///
    /// # Errors
    /// See [`DatabaseFault`]; then nothing is to be read from `to`.
    fn snapshot(&self, from: &Path, to: &Path) -> Result<(), DatabaseFault>;

    /// Has the file at `path` hold the database's whole state, and nothing stand beside it.
    ///
    /// # Errors
    /// See [`DatabaseFault`]; `Busy` also while a reader needs an older state.
    fn fold(&self, path: &Path) -> Result<(), DatabaseFault>;

    /// Gives the database at `path` the state of the one at `with`, in one transaction; durable on
    /// return. Before, with other writers locked out, the state that will go is written to the
    /// empty file `kept`, durably, and `agrees` says if that may go; if not, false is returned.
    ///
    /// # Errors
    /// See [`DatabaseFault`]; and those of `agrees`.
    fn replace(
        &self,
        path: &Path,
        with: &Path,
        kept: &Path,
        agrees: &mut dyn FnMut() -> io::Result<bool>,
    ) -> Result<bool, DatabaseFault>;
}

/// Device and inode of a file.
type Id = (u64, u64);

#[derive(Default)]
struct Use {
    readers: usize,
    alone: bool,
}

static USES: Mutex<Option<HashMap<Id, Use>>> = Mutex::new(None);
static OVER: Condvar = Condvar::new();

/// A file's turn to be open for reading, or, alone, to be open in its library.
#[derive(Debug)]
pub(super) struct Turn {
    id: Id,
    alone: bool,
}

fn uses() -> MutexGuard<'static, Option<HashMap<Id, Use>>> {
    USES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turn {
    /// Waits until no library has the file. The caller has it open already, which does no harm:
    /// closing it would.
    pub fn to_read(id: Id) -> Self {
        let taken = |uses: &mut Option<HashMap<Id, Use>>| {
            uses.as_ref().and_then(|uses| uses.get(&id)).is_some_and(|one| one.alone)
        };
        let mut uses = OVER.wait_while(uses(), taken).unwrap_or_else(PoisonError::into_inner);
        uses.get_or_insert_default().entry(id).or_default().readers += 1;
        Self { id, alone: false }
    }

    /// Waits until nobody in this process has the file, but not for longer than `patience`.
    pub fn alone(id: Id, patience: Duration) -> Option<Self> {
        let taken =
            |uses: &mut Option<HashMap<Id, Use>>| uses.as_ref().and_then(|uses| uses.get(&id)).is_some();
        let waited = OVER.wait_timeout_while(uses(), patience, taken);
        let (mut uses, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return None;
        }
        uses.get_or_insert_default().insert(id, Use { readers: 0, alone: true });
        Some(Self { id, alone: true })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut uses = uses();
        let Some(all) = uses.as_mut() else { return };
        let Some(one) = all.get_mut(&self.id) else { return };
        one.readers = one.readers.saturating_sub(1);
        if self.alone || one.readers == 0 {
            all.remove(&self.id);
            OVER.notify_all();
        }
    }
}

#[cfg(test)]
mod tests;
