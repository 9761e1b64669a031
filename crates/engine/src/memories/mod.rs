//! Single memories of the vault: found and changed by id, each with its vector.
//!
//! A change is a transaction: corpus, array and index are written anew and put in place as one, or
//! none of them. The new files are made from what stands. The lock is held while that is opened and
//! while they are put in place, and not in between; if another program has changed a file by then,
//! they are made again.
//!
//! Invariants:
//! - Every memory stands beside its own vector, before and after.
//! - What a caller expects is compared with the files that the new ones are made from.
//! - Untouched memories keep their very bytes ([`crate::merge::edit()`]).
//!
//! Not decided here: what becomes of an index of another kind than flat, which is left as it is; and
//! whether the group is sent. A crash leaves what [`crate::vault::transact()`] says.

mod collection;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

pub use collection::{Collection, NoCollection};

use crate::fs::{Fs, ReadFile};
pub use crate::merge::{Edit, Expectation, Found, Id, Put, Rules, Unedited, Vector};
use crate::merge::{Edited, File, Names, Stood, Unmerged, edit, find};
use crate::model::{Content, Digest, VaultPath};
use crate::vault::validate::Kind;
use crate::vault::{
    Answer, ApplyId, Filter, Layout, Making, OpenFile, TransactError, Transaction, answered, open_current,
    take_lock, transact_made,
};

/// Times that files are made again because other programs changed them.
const TRIES: usize = 8;

/// Changes of memories in one corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// Its files.
    pub collection: Collection,
    /// States that must hold.
    pub expected: Vec<Expectation>,
    /// The changes, each of another memory.
    pub edits: Vec<Edit>,
}

/// A transaction that changes memories, and perhaps other files.
#[derive(Debug, Clone)]
pub struct Request {
    /// The transaction, with its files.
    pub transaction: Transaction,
    /// Changes of memories, each in another corpus.
    pub changes: Vec<Changes>,
}

/// Cause why memories were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum MemoriesError {
    /// The transaction was not carried out.
    #[error(transparent)]
    Transaction(#[from] TransactError),
    /// A change cannot be made.
    #[error("{corpus}: {cause}")]
    Unedited {
        /// The corpus.
        corpus: VaultPath,
        /// Cause.
        cause: Unedited,
    },
    /// There is no such corpus.
    #[error(transparent)]
    NoCollection(#[from] NoCollection),
}

/// Changes memories. `id` names the apply, `now_ms` becomes the new files' time. Blocks like
/// [`crate::vault::transact()`].
///
/// # Errors
/// See [`MemoriesError`]. Nothing is changed then, or the next start of a sync decides by the
/// journal.
pub fn write(
    fs: &dyn Fs,
    layout: &Layout,
    filter: &Filter,
    request: &Request,
    id: &ApplyId,
    now_ms: i64,
) -> Result<Answer, MemoriesError> {
    let transaction = &request.transaction;
    if let Some(answer) = answered(fs, layout, &transaction.id)? {
        return Ok(answer);
    }
    let mut again = None;
    for _ in 0..TRIES {
        // All of one state: another program's transaction is not seen by half.
        let lock = take_lock(fs, layout)?;
        let opened = request.changes.iter().map(|changes| Opened::open(fs, layout, &changes.collection));
        let opened: Vec<Opened> = opened.collect::<Result<_, _>>()?;
        drop(lock);
        let made_from: BTreeMap<_, _> = opened.iter().flat_map(Opened::digests).collect();
        let edited = opened.iter().zip(&request.changes);
        let edited: Vec<Edited<'_>> =
            edited.map(|(opened, changes)| opened.edit(changes)).collect::<Result<_, _>>()?;
        let mut making = Making { transaction, made: BTreeMap::new(), made_from };
        for (edited, changes) in edited.iter().zip(&request.changes) {
            make(edited, &changes.collection, &mut making);
        }
        match transact_made(fs, layout, filter, &making, id, now_ms) {
            Err(TransactError::Conflict { path, .. })
                if making.made_from.contains_key(&path) && !transaction.expected.contains_key(&path) =>
            {
                again = Some(path);
            }
            done => return Ok(done?),
        }
    }
    let path = again.map(|path| path.to_string()).unwrap_or_default();
    Err(TransactError::Busy(format!("other programs keep writing {path}")).into())
}

/// Finds memories by id, in the order of the corpus. The caller sees to it that no generation is put
/// in place meanwhile ([`Layout::apply_lock`]).
///
/// # Errors
/// See [`MemoriesError`]. A corpus that does not exist has no memories.
pub fn read(
    fs: &dyn Fs,
    layout: &Layout,
    collection: &Collection,
    ids: &BTreeSet<Id>,
    vectors: bool,
) -> Result<Vec<Found>, MemoriesError> {
    let Some((corpus, content)) = open_current(fs, layout, &collection.corpus)? else {
        return Ok(Vec::new());
    };
    let array = collection.array.as_ref().filter(|_| vectors);
    let array = array.and_then(|path| Some((path.as_str(), open_current(fs, layout, path).transpose()?)));
    let array = array.map(|(name, opened)| Ok::<_, TransactError>((name, opened?))).transpose()?;
    let array = array.as_ref().map(|(name, (file, content))| (*name, of(file.as_ref(), *content)));
    find(&collection.names(), of(corpus.as_ref(), content), array, ids)
        .map_err(|cause| collection.unedited(cause.into()))
}

/// Adds the files that an edit changes.
fn make<'e>(edited: &'e Edited<'_>, collection: &Collection, making: &mut Making<'e>) {
    if edited.changes_corpus() {
        let write = move |out: &mut dyn io::Write| edited.write_corpus(out).map_err(failed);
        making.made.insert(collection.corpus.clone(), Box::new(write));
    }
    for (at, path) in collection.rows().enumerate() {
        if edited.changes_rows(at) {
            let write = move |out: &mut dyn io::Write| edited.write_rows(at, out);
            making.made.insert(path.clone(), Box::new(write));
        }
    }
}

fn failed(error: Unmerged) -> io::Error {
    match error {
        Unmerged::Io(error) => error,
        other => io::Error::other(other),
    }
}

fn of(file: &dyn ReadFile, content: Content) -> File<'_> {
    File { file, len: content.size }
}

/// Open files of a collection, with their contents.
struct Opened {
    /// The corpus, then the files of rows.
    files: Vec<(VaultPath, Option<OpenFile>)>,
}

impl Opened {
    fn open(fs: &dyn Fs, layout: &Layout, collection: &Collection) -> Result<Self, TransactError> {
        let paths = std::iter::once(&collection.corpus).chain(collection.rows());
        let files = paths.map(|path| Ok((path.clone(), open_current(fs, layout, path)?)));
        Ok(Self { files: files.collect::<Result<_, TransactError>>()? })
    }

    fn digests(&self) -> impl Iterator<Item = (VaultPath, Option<Digest>)> {
        self.files.iter().map(|(path, file)| (path.clone(), file.as_ref().map(|(_, content)| content.digest)))
    }

    fn edit(&self, changes: &Changes) -> Result<Edited<'_>, MemoriesError> {
        let mut files = self
            .files
            .iter()
            .map(|(_, file)| file.as_ref().map(|(file, content)| of(file.as_ref(), *content)));
        let corpus = files.next().flatten();
        let stood = Stood { corpus, rows: files.collect() };
        edit(&changes.collection.names(), &stood, &changes.expected, &changes.edits)
            .map_err(|cause| changes.collection.unedited(cause))
    }
}

impl Collection {
    fn names(&self) -> Names {
        let kinds = self.array.iter().map(|_| Kind::Matrix).chain(self.indexes.iter().map(|_| Kind::Index));
        let rows = kinds.zip(self.rows()).map(|(kind, path)| (kind, path.to_string())).collect();
        Names { key: self.key.clone(), rows, rules: Rules::default(), gone: BTreeMap::new() }
    }

    fn unedited(&self, cause: Unedited) -> MemoriesError {
        MemoriesError::Unedited { corpus: self.corpus.clone(), cause }
    }
}
