//! Transactions: several files changed as one, at the request of a program.
//!
//! The caller has put the new bytes below `sync/incoming/` ([`Layout::incoming`]) and names, for
//! each path it has read, the digest that must still stand there. The journalled apply puts all of
//! it in place as one unit, or none of it.
//!
//! Invariants:
//! - Nothing is written to a folder that is no vault, or another vault than the one that was
//!   opened, such as the mount point of a disk that is away. This is checked before, under the
//!   lock, and after.
//! - Paths that are not synced cannot be written (config.json, `sync/**`, excluded paths).
//! - A transaction id is answered once, and every further request gets that same answer.
//! - Other programs are locked out while files are renamed, as in every apply.
//!
//! Not decided here: whether the files fit together. A group that does not is held back before it
//! is committed.
//!
//! A crash leaves a record that says `begun` and, if any file was renamed, the journal. The next
//! run that finds the journal ([`super::recover`]) rolls it forward and calls
//! [`settle_transaction`], so the answer is the same as without the crash. A record without a
//! journal belongs to a transaction that changed nothing, and is made anew.

mod commit;
mod copies;
mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use super::journal::{Journal, Purpose};
use super::lock::{ApplyTurn, wait_for};
use super::names::spelling;
use super::read::hash_stable;
use super::record::{Answer, Record, name_of};
use super::{
    ApplyError, ApplyId, FileLock, Filter, Layout, Marker, MarkerError, Seen, StageError, Verdict, conclude,
    recover,
};
use crate::fs::{At, Fs, IoAt, Linked, ReadFile, found, remove_tree};
use crate::model::{Content, Digest, FileKind, FileStat, VaultPath};
pub use commit::settle_transaction;
use places::Places;

/// Largest number of paths in a transaction.
const MAX_PATHS: usize = 10_000;
/// Time for which other programs may hold the lock: to put a generation in place, or to open their
/// files.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);
/// Permission bits of a new file.
const MODE: u32 = 0o644;

/// Changes that a program asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Id that the caller chooses, 1 to 200 characters.
    pub id: String,
    /// Name of the program that asks, for the log.
    pub source: String,
    /// Digests that must stand at these paths. None for a path that must not exist.
    pub expected: BTreeMap<VaultPath, Option<Digest>>,
    /// Paths to write, each with the file below `sync/incoming/` that it will hold.
    pub writes: BTreeMap<VaultPath, VaultPath>,
    /// Paths to delete.
    pub deletes: BTreeSet<VaultPath>,
}

impl Transaction {
    /// True if it changes files, or expects something of them.
    #[must_use]
    pub fn concerns_files(&self) -> bool {
        !(self.expected.is_empty() && self.writes.is_empty() && self.deletes.is_empty())
    }
}

/// Writes a new content.
pub type Maker<'a> = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + 'a>;

/// A transaction with contents that are made from what stands.
pub struct Making<'a> {
    /// The transaction. It may change no file of its own.
    pub transaction: &'a Transaction,
    /// Transactions that are put in place as one, in the place of this one, which then changes no
    /// file of its own and has the name of the apply. Each is answered by itself.
    pub together: Vec<Share>,
    /// Contents by path.
    pub made: BTreeMap<VaultPath, Maker<'a>>,
    /// Digests of the files that they are made from.
    pub made_from: BTreeMap<VaultPath, Option<Digest>>,
}

/// What one of several transactions has to do with the files that are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Id of the transaction.
    pub id: String,
    /// Paths that it changes.
    pub paths: BTreeSet<VaultPath>,
}

impl Making<'_> {
    /// Ids of all transactions.
    fn ids(&self) -> impl Iterator<Item = &str> {
        let own = self.together.is_empty().then_some(self.transaction.id.as_str());
        self.together.iter().map(|share| share.id.as_str()).chain(own)
    }

    /// Paths that are written or deleted.
    fn changed(&self) -> impl Iterator<Item = &VaultPath> {
        let Transaction { writes, deletes, .. } = self.transaction;
        writes.keys().chain(self.made.keys()).chain(deletes)
    }

    /// Digests that must stand at these paths.
    fn expected(&self) -> impl Iterator<Item = (&VaultPath, &Option<Digest>)> {
        self.transaction.expected.iter().chain(&self.made_from)
    }
}

/// Cause why a transaction changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// A path does not hold the expected digest.
    #[error("{path} is no longer what was expected: it {}", .current.map_or_else(|| "does not exist".to_owned(), |digest| format!("holds {digest}")))]
    Conflict {
        /// Path that differs.
        path: VaultPath,
        /// Digest that stands there.
        current: Option<Digest>,
    },
    /// The request cannot be carried out as it is.
    #[error("{what}: {why}")]
    Refused {
        /// Path or field at fault.
        what: String,
        /// Cause.
        why: String,
    },
    /// The folder is no vault, or not the one that was opened: its disk may be away.
    #[error(transparent)]
    NoVault(#[from] MarkerError),
    /// Another program uses these files.
    #[error("{0}; try again")]
    Busy(String),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoAt),
    /// A file could not be staged.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The files could not be put in place. The next start of a sync finishes it or takes it back.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// Carries out a transaction. `id` names the apply, `now_ms` becomes the new files' time. Blocks
/// while other programs hold the lock, 30 seconds at most. Durable when it returns.
///
/// # Errors
/// See [`TransactError`]. In each case nothing has changed, or the next start of a sync decides by
/// the journal.
pub fn transact(
    fs: &dyn Fs,
    layout: &Layout,
    filter: &Filter,
    request: &Transaction,
    id: &ApplyId,
    now_ms: i64,
) -> Result<Answer, TransactError> {
    if request.writes.is_empty() && request.deletes.is_empty() {
        let why = "it changes nothing".to_owned();
        return Err(TransactError::Refused { what: "writes".to_owned(), why });
    }
    let (made, made_from) = (BTreeMap::new(), BTreeMap::new());
    let making = Making { transaction: request, together: Vec::new(), made, made_from };
    let mut answers = transact_made(fs, layout, filter, &making, id, now_ms)?;
    // It is the only one.
    Ok(answers.pop().unwrap_or_else(|| Answer { transaction_id: request.id.clone(), files: BTreeMap::new() }))
}

/// The answer to a transaction that was carried out before. None if there is none.
///
/// # Errors
/// Errors of the system.
pub fn answered(fs: &dyn Fs, layout: &Layout, id: &str) -> Result<Option<Answer>, TransactError> {
    let record = Record::read(fs, layout, &name_of(id))?;
    Ok(record.and_then(|record| record.answer_to(id)))
}

/// Carries out a transaction with contents that are made from what stands, like [`transact()`]. If
/// a file that they were made from has changed meanwhile, that is a [`TransactError::Conflict`].
/// Gives its answer, or that of each transaction that it is made of.
///
/// # Errors
/// See [`transact()`].
pub fn transact_made(
    fs: &dyn Fs,
    layout: &Layout,
    filter: &Filter,
    making: &Making<'_>,
    id: &ApplyId,
    now_ms: i64,
) -> Result<Vec<Answer>, TransactError> {
    let request = making.transaction;
    check(making, filter)?;
    Marker::read_joined(fs, layout)?;
    if let Some(answers) = commit::already(fs, layout, making)? {
        return Ok(answers);
    }
    let places = Places::new(fs, layout, id)?;
    let prepared = copies::prepare(fs, layout, making, &places, now_ms);
    let result = prepared.and_then(|prepared| {
        let lock = take_lock(fs, layout)?;
        Marker::read_joined(fs, layout)?;
        let answers = commit::commit(fs, layout, making, &places, &prepared, lock.as_ref())?;
        // All files are in the folder that was opened; the caller must know if the path leads
        // elsewhere by now.
        Marker::read_joined(fs, layout)?;
        Ok(answers)
    });
    // After an error some copies are left; after success they are in their places.
    let tidied = places.all.iter().try_for_each(|place| remove_tree(fs, &place.aside));
    let answers = result?;
    tidied?;
    for staged in request.writes.values() {
        let path = staged.below(&layout.incoming());
        found(fs.remove_file(&path)).at("remove", &path)?;
    }
    Ok(answers)
}

/// The present content of the file at `path`. None if there is no file.
///
/// # Errors
/// An error if it is no file, cannot be read, or changes; or if there is no vault.
pub fn current(fs: &dyn Fs, layout: &Layout, path: &VaultPath) -> Result<Option<Digest>, TransactError> {
    Marker::read_joined(fs, layout)?;
    Ok(look(fs, layout, path)?.map(|seen| seen.content.digest))
}

/// Refuses an id that no transaction may have.
///
/// # Errors
/// [`TransactError::Refused`].
pub fn check_id(id: &str) -> Result<(), TransactError> {
    if id.is_empty() || id.chars().count() > 200 {
        let why = "expected 1 to 200 characters".to_owned();
        return Err(TransactError::Refused { what: "transaction_id".to_owned(), why });
    }
    Ok(())
}

fn check(making: &Making<'_>, filter: &Filter) -> Result<(), TransactError> {
    let request = making.transaction;
    let refuse = |what: &dyn std::fmt::Display, why: &str| {
        Err(TransactError::Refused { what: what.to_string(), why: why.to_owned() })
    };
    making.ids().try_for_each(check_id)?;
    if request.writes.len() + request.deletes.len() + request.expected.len() > MAX_PATHS {
        return refuse(&"writes", "it names more than 10000 paths");
    }
    for path in making.changed() {
        if filter.verdict(path) != Verdict::Synced {
            return refuse(path, "this path is not synced, so it is not written either");
        }
        if request.writes.contains_key(path) && request.deletes.contains(path) {
            return refuse(path, "it is both written and deleted");
        }
        if making.made.contains_key(path) && making.changed().filter(|other| *other == path).count() > 1 {
            return refuse(path, "it is written or deleted as a file, and memories in it are changed");
        }
    }
    Ok(())
}

/// An open file, with the state in which it was looked at.
pub type SeenFile = (Box<dyn ReadFile>, FileStat);

/// An open file, with its content.
pub type OpenFile = (Box<dyn ReadFile>, Content);

/// Opens the file at `path` for reading, with its content at that moment. None if there is no file.
///
/// # Errors
/// See [`current`].
pub fn open_current(
    fs: &dyn Fs,
    layout: &Layout,
    path: &VaultPath,
) -> Result<Option<OpenFile>, TransactError> {
    let Some(seen) = look(fs, layout, path)? else { return Ok(None) };
    let place = layout.root().join(spelling(fs, layout.root(), path)?.unwrap_or_else(|| path.to_string()));
    Ok(found(fs.open(&place)).at("open", &place)?.map(|file| (file, seen.content)))
}

/// Opens the file at `path` if it has this content, with the state in which it has. None if it has
/// another one, or is being written.
///
/// # Errors
/// Errors of the system; one if there is no vault.
pub fn open_as(
    fs: &dyn Fs,
    layout: &Layout,
    path: &VaultPath,
    content: Content,
) -> Result<Option<SeenFile>, TransactError> {
    let seen = match look(fs, layout, path) {
        Err(TransactError::Busy(_) | TransactError::Refused { .. }) => return Ok(None),
        looked => looked?,
    };
    let Some(seen) = seen.filter(|seen| seen.content == content) else { return Ok(None) };
    let place = layout.root().join(spelling(fs, layout.root(), path)?.unwrap_or_else(|| path.to_string()));
    let Some(file) = found(fs.open(&place)).at("open", &place)? else { return Ok(None) };
    // Another file may have come in its place since it was read.
    let is_it = file.stat().at("look at", &place)? == seen.stat;
    Ok(is_it.then_some((file, seen.stat)))
}

/// The file at a path, however the disk spells it, in a state that stood still while it was read.
fn look(fs: &dyn Fs, layout: &Layout, path: &VaultPath) -> Result<Option<Seen>, TransactError> {
    let on_disk = spelling(fs, layout.root(), path)?.unwrap_or_else(|| path.to_string());
    let place = layout.root().join(&on_disk);
    let refused = |why: String| Err(TransactError::Refused { what: path.to_string(), why });
    let stat = match fs.lstat(&place) {
        Err(error) if Linked::is(&error) => return refused(error.to_string()),
        looked => found(looked).at("look at", &place)?,
    };
    let Some(stat) = stat else { return Ok(None) };
    if stat.kind != FileKind::File {
        return refused("something else than a file stands there".to_owned());
    }
    let content: Option<Content> = hash_stable(fs, layout.root(), &on_disk, &stat).at("read", &place)?;
    let busy = || TransactError::Busy(format!("{path} is being written"));
    Ok(Some(Seen { content: content.ok_or_else(busy)?, stat }))
}

/// Takes the apply lock, with no other apply left half-way. A transaction that a crash cut short is
/// finished here; a generation is left to the next sync.
///
/// # Errors
/// See [`transact()`].
pub fn take_lock(fs: &dyn Fs, layout: &Layout) -> Result<Option<FileLock>, TransactError> {
    if !fs.is_shared() {
        return Ok(None);
    }
    let mut turn = ApplyTurn::new(PAUSE);
    let take = || -> Result<Option<FileLock>, TransactError> {
        let Some(lock) = turn.try_take(fs, layout)? else { return Ok(None) };
        let applying = layout.applying();
        let free = found(fs.lstat(&applying)).at("look at", &applying)?.is_none()
            || finish_other(fs, layout, &lock)?;
        Ok(free.then_some(lock))
    };
    let busy = || TransactError::Busy("other programs keep reading or writing the vault's files".to_owned());
    wait_for(PATIENCE, PAUSE, take)?.ok_or_else(busy).map(Some)
}

fn finish_other(fs: &dyn Fs, layout: &Layout, lock: &FileLock) -> Result<bool, TransactError> {
    let path = layout.applying();
    let journal = Journal::read(fs, &path).map_err(ApplyError::from)?;
    if !journal.is_some_and(|journal| matches!(journal.purpose, Purpose::Transaction(_))) {
        return Ok(false);
    }
    if let Some(recovered) = recover(fs, layout, Some(lock))? {
        if !recovered.applied.stranded.is_empty() {
            // Only the engine can note that nobody has deleted them.
            return Ok(false);
        }
        settle_transaction(fs, layout, &recovered)?;
        conclude(fs, layout)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
