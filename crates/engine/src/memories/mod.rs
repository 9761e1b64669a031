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
//! - Untouched memories keep their very bytes ([`crate::merge::Editing`]).
//! - Of several requests that are carried out as one, each finds the state that those before it
//!   leave, and one that fails leaves the others as they would be without it.
//!
//! Not decided here: what becomes of an index of another kind than flat, which is left as it is;
//! and whether the group is sent. A crash leaves what [`crate::vault::transact()`] says.

mod collection;
mod staged;
mod together;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use collection::{Collection, NoCollection};
pub use staged::{StagedRow, StagedRows, read_staged};

use crate::fs::{Fs, ReadFile};
pub use crate::merge::{Edit, Expectation, Found, Id, Put, Rules, Unedited, Vector};
use crate::merge::{Editable, File, Names, Stood, Unmerged, Walk, digests, find};
use crate::model::{Content, Digest, VaultPath};
use crate::vault::validate::Kind;
use crate::vault::{Answer, ApplyId, Filter, Layout, OpenFile, TransactError, Transaction, open_current};
use together::Batch;

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
    /// Several requests that were carried out as one have this cause in common.
    #[error(transparent)]
    Shared(Arc<MemoriesError>),
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
    let place = Place { fs, layout, filter };
    let mut results = write_together(place, std::slice::from_ref(request), id, now_ms);
    let none = || MemoriesError::Transaction(TransactError::Busy("it was not answered".to_owned()));
    let result = results.pop().ok_or_else(none)?;
    result.map_err(|error| Arc::try_unwrap(error).unwrap_or_else(MemoriesError::Shared))
}

/// Where memories are changed.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The disk.
    pub fs: &'a dyn Fs,
    /// The vault.
    pub layout: &'a Layout,
    /// The files that may be written.
    pub filter: &'a Filter,
}

/// Carries out several requests one after the other, and puts the result in place as one. Each has
/// its own result, in the same order. None of several may have to do with files of its own
/// ([`Transaction::concerns_files`]), and no two may have one id. Blocks like [`write()`].
#[must_use]
pub fn write_together(
    place: Place<'_>,
    requests: &[Request],
    id: &ApplyId,
    now_ms: i64,
) -> Vec<Result<Answer, Arc<MemoriesError>>> {
    Batch::new(place, requests).carry_out(id, now_ms)
}

/// Finds memories by id, in the order of the corpus. The caller sees to it that no generation is
/// put in place meanwhile ([`Layout::apply_lock`]).
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
    Shelf::open(fs, layout, collection.clone(), vectors)?.find(ids)
}

/// The open files of a corpus, to be read memory by memory. Other programs may put new ones in
/// their place meanwhile.
pub struct Shelf {
    collection: Collection,
    corpus: Option<OpenFile>,
    array: Option<OpenFile>,
}

impl Shelf {
    /// Opens the files; that of the vectors if they are wanted. The caller sees to it that no
    /// generation is put in place meanwhile ([`Layout::apply_lock`]).
    ///
    /// # Errors
    /// See [`MemoriesError`].
    pub fn open(
        fs: &dyn Fs,
        layout: &Layout,
        collection: Collection,
        vectors: bool,
    ) -> Result<Self, MemoriesError> {
        let corpus = open_current(fs, layout, &collection.corpus)?;
        let array = collection.array.as_ref().filter(|_| vectors && corpus.is_some());
        let array = array.map(|path| open_current(fs, layout, path)).transpose()?.flatten();
        Ok(Self { collection, corpus, array })
    }

    /// The memories, in the order of the corpus. None if there is no corpus.
    ///
    /// # Errors
    /// See [`MemoriesError`].
    pub fn walk(&self) -> Result<Option<Walk<'_>>, MemoriesError> {
        let Some((corpus, array)) = self.files() else { return Ok(None) };
        let walk = Walk::begin(&self.collection.names(), corpus, array);
        walk.map(Some).map_err(|cause| self.unread(cause))
    }

    /// The memories with these ids, in the order of the corpus.
    ///
    /// # Errors
    /// See [`MemoriesError`].
    pub fn find(&self, ids: &BTreeSet<Id>) -> Result<Vec<Found>, MemoriesError> {
        let Some((corpus, array)) = self.files() else { return Ok(Vec::new()) };
        find(&self.collection.names(), corpus, array, ids).map_err(|cause| self.unread(cause))
    }

    /// The error of a memory that could not be read.
    #[must_use]
    pub fn unread(&self, cause: Unmerged) -> MemoriesError {
        self.collection.unedited(cause.into())
    }

    fn files(&self) -> Option<(File<'_>, Option<(&str, File<'_>)>)> {
        let (corpus, content) = self.corpus.as_ref()?;
        let name = self.collection.array_name();
        let array = self.array.as_ref().map(|(file, content)| (name, of(file.as_ref(), *content)));
        Some((of(corpus.as_ref(), *content), array))
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

    fn read(&self, collection: &Collection) -> Result<Editable<'_>, MemoriesError> {
        let mut files = self
            .files
            .iter()
            .map(|(_, file)| file.as_ref().map(|(file, content)| of(file.as_ref(), *content)));
        let corpus = files.next().flatten();
        let stood = Stood { corpus, rows: files.collect() };
        Editable::read(collection.names(), stood).map_err(|cause| collection.unedited(cause))
    }
}

impl Collection {
    fn names(&self) -> Names {
        let kinds = self.array.iter().map(|_| Kind::Matrix).chain(self.indexes.iter().map(|_| Kind::Index));
        let rows = kinds.zip(self.rows()).map(|(kind, path)| (kind, path.to_string())).collect();
        Names { key: self.key.clone(), rows, rules: Rules::default(), seen: BTreeMap::new() }
    }

    /// Digest of each memory in a version of these files, together with its vector.
    ///
    /// # Errors
    /// If the files cannot be read as memories, or do not fit together.
    pub fn digests(
        &self,
        corpus: File<'_>,
        array: Option<File<'_>>,
    ) -> Result<BTreeMap<Id, Digest>, Unmerged> {
        digests(&self.names(), corpus, array.map(|array| (self.array_name(), array)))
    }

    /// The memories with these ids in a version of these files, in the order of the corpus.
    ///
    /// # Errors
    /// If the files cannot be read as memories, or do not fit together.
    pub fn find(
        &self,
        corpus: File<'_>,
        array: Option<File<'_>>,
        ids: &BTreeSet<Id>,
    ) -> Result<Vec<Found>, Unmerged> {
        find(&self.names(), corpus, array.map(|array| (self.array_name(), array)), ids)
    }

    fn array_name(&self) -> &str {
        self.array.as_ref().map_or("", VaultPath::as_str)
    }

    /// The error of a version that cannot be read as memories.
    #[must_use]
    pub fn unedited(&self, cause: Unedited) -> MemoriesError {
        MemoriesError::Unedited { corpus: self.corpus.clone(), cause }
    }
}
