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

mod copies;
mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use super::journal::{Journal, Purpose};
use super::lock::wait_for;
use super::names::spelling;
use super::read::hash_stable;
use super::record::{Answer, Record, name_of};
use super::together::{forget_together, note_together};
use super::{
    Applied, ApplyError, ApplyId, ApplyItem, ApplyPlan, ApplyStep, FileLock, Filter, Layout, Marker,
    MarkerError, Recovered, Seen, StageError, Verdict, apply, conclude, recover,
};
use crate::fs::{At, Fs, IoAt, Linked, ReadFile, found, remove_tree};
use crate::model::{Content, Digest, FileKind, Item, VaultPath};
use copies::Prepared;
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

/// Writes a new content.
pub type Maker<'a> = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + 'a>;

/// A transaction with contents that are made from what stands.
pub struct Making<'a> {
    /// The transaction. It may change no file of its own.
    pub transaction: &'a Transaction,
    /// Contents by path.
    pub made: BTreeMap<VaultPath, Maker<'a>>,
    /// Digests of the files that they are made from.
    pub made_from: BTreeMap<VaultPath, Option<Digest>>,
}

impl Making<'_> {
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
    let making = Making { transaction: request, made: BTreeMap::new(), made_from: BTreeMap::new() };
    transact_made(fs, layout, filter, &making, id, now_ms)
}

/// The answer to a transaction that was carried out before. None if there is none.
///
/// # Errors
/// Errors of the system.
pub fn answered(fs: &dyn Fs, layout: &Layout, id: &str) -> Result<Option<Answer>, TransactError> {
    let record = Record::read(fs, layout, &name_of(id))?;
    Ok(record.filter(|record| record.done).map(|record| record.answer))
}

/// Carries out a transaction with contents that are made from what stands, like [`transact()`]. If a
/// file that they were made from has changed meanwhile, that is a [`TransactError::Conflict`].
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
) -> Result<Answer, TransactError> {
    let request = making.transaction;
    check(making, filter)?;
    Marker::read_joined(fs, layout)?;
    if let Some(answer) = answered(fs, layout, &request.id)? {
        return Ok(answer);
    }
    let places = Places::new(fs, layout, id)?;
    let prepared = copies::prepare(fs, layout, making, &places, now_ms);
    let result = prepared.and_then(|prepared| {
        let lock = take_lock(fs, layout)?;
        Marker::read_joined(fs, layout)?;
        let answer = commit(fs, layout, making, &places, &prepared, lock.as_ref())?;
        // All files are in the folder that was opened; the caller must know if the path leads
        // elsewhere by now.
        Marker::read_joined(fs, layout)?;
        Ok(answer)
    });
    // After an error some copies are left; after success they are in their places.
    let tidied = places.all.iter().try_for_each(|place| remove_tree(fs, &place.aside));
    let answer = result?;
    tidied?;
    for staged in request.writes.values() {
        let path = staged.below(&layout.incoming());
        found(fs.remove_file(&path)).at("remove", &path)?;
    }
    Ok(answer)
}

/// Records the outcome of a transaction whose apply [`recover`] has finished; to be called before
/// [`conclude`].
///
/// # Errors
/// Errors of the system.
pub fn settle_transaction(fs: &dyn Fs, layout: &Layout, recovered: &Recovered) -> Result<(), IoAt> {
    let Purpose::Transaction(name) = &recovered.purpose else { return Ok(()) };
    let Ok(Some(record)) = Record::read(fs, layout, name) else { return Ok(()) };
    close(fs, layout, record, &recovered.applied)
}

/// The present content of the file at `path`. None if there is no file.
///
/// # Errors
/// An error if it is no file, cannot be read, or changes; or if there is no vault.
pub fn current(fs: &dyn Fs, layout: &Layout, path: &VaultPath) -> Result<Option<Digest>, TransactError> {
    Marker::read_joined(fs, layout)?;
    Ok(look(fs, layout, path)?.map(|seen| seen.content.digest))
}

fn check(making: &Making<'_>, filter: &Filter) -> Result<(), TransactError> {
    let request = making.transaction;
    let refuse = |what: &dyn std::fmt::Display, why: &str| {
        Err(TransactError::Refused { what: what.to_string(), why: why.to_owned() })
    };
    if request.id.is_empty() || request.id.chars().count() > 200 {
        return refuse(&"transaction_id", "expected 1 to 200 characters");
    }
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

/// The part during which no other program may change files.
fn commit(
    fs: &dyn Fs,
    layout: &Layout,
    making: &Making<'_>,
    places: &Places,
    prepared: &[Prepared],
    lock: Option<&FileLock>,
) -> Result<Answer, TransactError> {
    let request = making.transaction;
    if let Some(answer) = answered(fs, layout, &request.id)? {
        return Ok(answer);
    }
    let mut there: BTreeMap<VaultPath, Option<Seen>> = BTreeMap::new();
    for path in making.expected().map(|(path, _)| path).chain(making.changed()) {
        if !there.contains_key(path) {
            there.insert(path.clone(), look(fs, layout, path)?);
        }
    }
    let digest = |path: &VaultPath| there.get(path).copied().flatten().map(|seen| seen.content.digest);
    for (path, expected) in making.expected() {
        let current = digest(path);
        if current != *expected {
            return Err(TransactError::Conflict { path: path.clone(), current });
        }
    }
    let old = |path: &VaultPath| there.get(path).copied().flatten();
    let writes = prepared.iter().map(|new| (new.path.clone(), Some(new.staged)));
    let deletes = request.deletes.iter().map(|path| (path.clone(), None));
    let steps: Vec<ApplyStep> = writes
        .chain(deletes)
        .map(|(path, new)| {
            let on_disk = spelling(fs, layout.root(), &path)?;
            Ok(ApplyStep { old: old(&path), on_disk, new, path })
        })
        .filter(|step| step.as_ref().map_or(true, |step| step.old.is_some() || step.new.is_some()))
        .collect::<Result<_, IoAt>>()?;
    let files =
        steps.iter().map(|step| (step.path.clone(), step.new.map(|new| new.content.digest))).collect();
    let answer = Answer { transaction_id: request.id.clone(), files };
    let mut begun = Record { done: false, answer };
    begun.write(fs, layout)?;
    places.stage(fs)?;
    let Some(first) = steps.first().map(|step| step.path.clone()) else {
        begun.done = true;
        begun.write(fs, layout)?;
        places.all.iter().try_for_each(|place| remove_tree(fs, &place.stage))?;
        return Ok(begun.answer);
    };
    if steps.len() > 1 {
        note_together(fs, layout, &begun.name())?;
    }
    // One item, so that it is put in place as a whole, whatever groups its files are in.
    let items = vec![ApplyItem { item: Item::File(first), keep: None, steps }];
    let purpose = Purpose::Transaction(begun.name());
    let plan = ApplyPlan { id: places.id.clone(), purpose, finish: true, items };
    let applied = apply(fs, layout, plan, lock, &mut |_| {})?;
    let answer = begun.answer.clone();
    close(fs, layout, begun, &applied)?;
    conclude(fs, layout)?;
    match applied.retry.into_iter().next() {
        None => Ok(answer),
        Some((_, why)) => Err(TransactError::Busy(why)),
    }
}

fn close(fs: &dyn Fs, layout: &Layout, mut record: Record, applied: &Applied) -> Result<(), IoAt> {
    if applied.retry.is_empty() {
        record.done = true;
        return record.write(fs, layout);
    }
    forget_together(fs, layout, &record.name())?;
    record.remove(fs, layout)
}

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
    let take = || -> Result<Option<FileLock>, TransactError> {
        let Some(lock) = FileLock::try_take(fs, &layout.apply_lock())? else { return Ok(None) };
        let applying = layout.applying();
        let free = found(fs.lstat(&applying)).at("look at", &applying)?.is_none()
            || finish_other(fs, layout, &lock)?;
        Ok(free.then_some(lock))
    };
    let busy = || TransactError::Busy("other programs hold the vault's files".to_owned());
    wait_for(PATIENCE, PAUSE, take)?.ok_or_else(busy).map(Some)
}

fn finish_other(fs: &dyn Fs, layout: &Layout, lock: &FileLock) -> Result<bool, TransactError> {
    let path = layout.applying();
    let journal = Journal::read(fs, &path).map_err(ApplyError::from)?;
    if !journal.is_some_and(|journal| matches!(journal.purpose, Purpose::Transaction(_))) {
        return Ok(false);
    }
    if let Some(recovered) = recover(fs, layout, Some(lock))? {
        settle_transaction(fs, layout, &recovered)?;
        conclude(fs, layout)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
