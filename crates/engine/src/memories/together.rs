//! Several requests that are carried out one after the other, and put in place as one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::{Collection, MemoriesError, Opened, Place, Request};
use crate::merge::{Editable, Edited, Editing, Step, Touched, Unedited, Unmerged};
use crate::model::VaultPath;
use crate::vault::{
    Answer, ApplyId, Making, Share, TransactError, Transaction, Verdict, answered, check_id, take_lock,
    transact_made,
};

/// Times that files are made again because other programs changed them.
const TRIES: usize = 8;

type Result_ = Result<Answer, Arc<MemoriesError>>;

/// Requests with their results, as far as these are known.
pub(super) struct Batch<'r> {
    place: Place<'r>,
    requests: &'r [Request],
    results: Vec<Option<Result_>>,
}

/// A corpus that requests change, as it is read; or why it cannot be.
type Read<'o> = Result<Editable<'o>, Arc<MemoriesError>>;

/// A request that can be carried out, with what it touches of each corpus.
struct Taken<'r> {
    at: usize,
    touched: Vec<(&'r Collection, Touched)>,
}

impl<'r> Batch<'r> {
    pub fn new(place: Place<'r>, requests: &'r [Request]) -> Self {
        Self { place, requests, results: vec![None; requests.len()] }
    }

    /// Carries out the requests. See [`super::write_together`].
    pub fn carry_out(mut self, id: &ApplyId, now_ms: i64) -> Vec<Result_> {
        let failed = self.attempts(id, now_ms).err().map(Arc::new);
        let left = || {
            let busy = || Arc::new(TransactError::Busy("it was not carried out".to_owned()).into());
            Err(failed.clone().unwrap_or_else(busy))
        };
        self.results.into_iter().map(|result| result.unwrap_or_else(left)).collect()
    }

    fn attempts(&mut self, id: &ApplyId, now_ms: i64) -> Result<(), MemoriesError> {
        for (request, result) in self.requests.iter().zip(&mut self.results) {
            let known = check_id(&request.transaction.id)
                .and_then(|()| answered(self.place.fs, self.place.layout, &request.transaction.id));
            *result = known.map_err(|error| Arc::new(error.into())).transpose();
        }
        let mut again = None;
        for _ in 0..TRIES {
            match self.attempt(id, now_ms)? {
                None => return Ok(()),
                Some(path) => again = Some(path),
            }
        }
        let path = again.map(|path| path.to_string()).unwrap_or_default();
        Err(TransactError::Busy(format!("other programs keep writing {path}")).into())
    }

    /// Makes the files from those that stand, and puts them in place. Gives the one that another
    /// program has changed meanwhile.
    fn attempt(&mut self, id: &ApplyId, now_ms: i64) -> Result<Option<VaultPath>, MemoriesError> {
        let Place { fs, layout, filter } = self.place;
        let known = self.results.clone();
        let collections = self.collections();
        if collections.is_empty() && self.results.iter().all(Option::is_some) {
            return Ok(None);
        }
        // All of one state: another program's transaction is not seen by half.
        let lock = take_lock(fs, layout)?;
        let opened = collections.iter().map(|collection| Opened::open(fs, layout, collection));
        let opened: Vec<Opened> = opened.collect::<Result<_, _>>()?;
        drop(lock);
        let read = collections.iter().zip(&opened);
        let read: Vec<Read<'_>> =
            read.map(|(collection, opened)| opened.read(collection).map_err(Arc::new)).collect();
        let editing = read.iter().zip(&collections).map(|(read, collection)| match read {
            Ok(read) => read.editing().map_err(|cause| Arc::new(collection.unedited(cause))),
            Err(error) => Err(Arc::clone(error)),
        });
        let mut corpora: Vec<_> = collections.iter().copied().zip(editing).collect();
        let taken = self.take(&mut corpora);
        let edited = corpora.into_iter().filter_map(|(collection, editing)| {
            let edited = editing.ok()?.finish().map_err(|cause| collection.unedited(cause));
            Some(edited.map(|edited| (collection, edited)))
        });
        let edited: Vec<(&Collection, Edited<'_>)> = edited.collect::<Result<_, _>>()?;
        let made_from = opened.iter().flat_map(Opened::digests).collect();
        let done = match self.transaction(&taken, id) {
            Some(transaction) => {
                let together = self.shares(&taken, &edited);
                let mut making =
                    Making { transaction: &transaction, together, made: BTreeMap::new(), made_from };
                edited.iter().for_each(|(collection, edited)| make(edited, collection, &mut making));
                let expected = &transaction.expected;
                match transact_made(fs, layout, filter, &making, id, now_ms) {
                    Err(TransactError::Conflict { path, .. })
                        if making.made_from.contains_key(&path) && !expected.contains_key(&path) =>
                    {
                        Err(path)
                    }
                    done => Ok(done?),
                }
            }
            None => Ok(Vec::new()),
        };
        match done {
            Ok(answers) => {
                for (taken, answer) in taken.iter().zip(answers) {
                    if let Some(result) = self.results.get_mut(taken.at) {
                        *result = Some(Ok(answer));
                    }
                }
                Ok(None)
            }
            Err(path) => {
                // A refused request may be right for the files that stand now.
                self.results = known;
                Ok(Some(path))
            }
        }
    }

    /// The corpora that open requests are about, each once.
    fn collections(&self) -> Vec<&'r Collection> {
        let open = self.requests.iter().zip(&self.results).filter(|(_, result)| result.is_none());
        let all = open.flat_map(|(request, _)| &request.changes).map(|changes| &changes.collection);
        let by_path: BTreeMap<&VaultPath, &Collection> =
            all.map(|collection| (&collection.corpus, collection)).collect();
        by_path.into_values().collect()
    }

    /// Carries out the open requests on the corpora, one after the other. Those that cannot be
    /// carried out get their results.
    fn take(
        &mut self,
        corpora: &mut [(&'r Collection, Result<Editing<'_>, Arc<MemoriesError>>)],
    ) -> Vec<Taken<'r>> {
        let mut taken = Vec::new();
        for (at, request) in self.requests.iter().enumerate() {
            let Some(result @ None) = self.results.get_mut(at) else { continue };
            match look(self.place, request, corpora) {
                Err(error) => *result = Some(Err(error)),
                Ok(steps) => {
                    let touched = steps.into_iter().filter_map(|(corpus, step)| {
                        let (collection, editing) = corpora.get_mut(corpus)?;
                        let touched = step.touched;
                        editing.as_mut().ok()?.take(step);
                        Some((*collection, touched))
                    });
                    taken.push(Taken { at, touched: touched.collect() });
                }
            }
        }
        taken
    }

    /// The transaction that is put in place. None if there is nothing to be done.
    fn transaction(&self, taken: &[Taken<'_>], id: &ApplyId) -> Option<Transaction> {
        match taken {
            [] => None,
            [one] => self.requests.get(one.at).map(|request| request.transaction.clone()),
            _ => Some(Transaction {
                id: id.to_string(),
                source: String::new(),
                expected: BTreeMap::new(),
                writes: BTreeMap::new(),
                deletes: BTreeSet::new(),
            }),
        }
    }

    /// The share of each request in the files that are made. None where one is all there is.
    fn shares(&self, taken: &[Taken<'_>], edited: &[(&Collection, Edited<'_>)]) -> Vec<Share> {
        let all = taken.iter().filter(|_| taken.len() > 1);
        let share = |taken: &Taken<'_>| {
            let of = |collection: &Collection| {
                edited.iter().find(|(other, _)| other.corpus == collection.corpus).map(|(_, edited)| edited)
            };
            let paths = taken
                .touched
                .iter()
                .filter_map(|(collection, touched)| Some(changed(of(collection)?, collection, *touched)));
            let id = self.requests.get(taken.at)?.transaction.id.clone();
            Some(Share { id, paths: paths.flatten().cloned().collect() })
        };
        all.filter_map(share).collect()
    }
}

/// Steps of one request, each with the place of its corpus among the corpora.
type Steps = Vec<(usize, Step)>;

/// Looks whether a request can be carried out now.
fn look(
    place: Place<'_>,
    request: &Request,
    corpora: &[(&Collection, Result<Editing<'_>, Arc<MemoriesError>>)],
) -> Result<Steps, Arc<MemoriesError>> {
    let mut steps = Steps::new();
    for changes in &request.changes {
        let collection = &changes.collection;
        let found = corpora.iter().position(|(other, _)| other.corpus == collection.corpus);
        let Some((at, (_, editing))) = found.and_then(|at| Some((at, corpora.get(at)?))) else { continue };
        let editing = editing.as_ref().map_err(Arc::clone)?;
        let step = editing
            .look(&changes.expected, &changes.edits)
            .map_err(|cause: Unedited| Arc::new(collection.unedited(cause)))?;
        let corpus = Some(&collection.corpus).filter(|_| step.touched.corpus);
        let array = collection.array.iter().filter(|_| step.touched.rows);
        for path in corpus.into_iter().chain(array) {
            if place.filter.verdict(path) != Verdict::Synced {
                let why = "this path is not synced, so it is not written either".to_owned();
                let refused = TransactError::Refused { what: path.to_string(), why };
                return Err(Arc::new(refused.into()));
            }
        }
        steps.push((at, step));
    }
    Ok(steps)
}

/// Paths of a corpus that an edit changes, as far as this part of it does.
fn changed<'c>(
    edited: &Edited<'_>,
    collection: &'c Collection,
    touched: Touched,
) -> impl Iterator<Item = &'c VaultPath> {
    let corpus = Some(&collection.corpus).filter(|_| touched.corpus && edited.changes_corpus());
    let rows = collection.rows().enumerate().filter(|(at, _)| touched.rows && edited.changes_rows(*at));
    corpus.into_iter().chain(rows.map(|(_, path)| path).collect::<Vec<_>>())
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
