//! Takes in a listing of `commits/`: commits of the history, and objects to set aside.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::aside::Lack;
use super::format::commit_key;
use super::frame::{Outline, outline};
use super::read::{Listed, Seen, opened_commit};
use super::sift::{Sifted, sift};
use super::steady::{Steady, read_steadily};
use super::{Log, LogError, Node};
use crate::model::{Commit, CommitKey, PackId, limits};
use crate::remote::{RemoteError, RemoteErrorKind, Span};

/// Number of concurrent reads of commits.
const PARALLEL_READS: usize = 8;
/// Missing packs that are looked for again with each refresh.
const PACKS_AT_ONCE: usize = 4;

/// Result of reading an object.
enum Read {
    Commit(Box<Commit>),
    Lacking(Lack),
    /// A newer program wrote it.
    Newer(Option<Outline>, LogError),
    /// It is missing.
    Missing,
}

/// Objects that were read for a listing.
#[derive(Default)]
struct Batch {
    commits: BTreeMap<CommitKey, Node>,
    lacking: BTreeMap<CommitKey, Lack>,
    newer: BTreeMap<CommitKey, (Option<Outline>, LogError)>,
    missing: BTreeSet<CommitKey>,
}

impl Batch {
    fn knows(&self, key: &CommitKey) -> bool {
        self.commits.contains_key(key)
            || self.lacking.contains_key(key)
            || self.newer.contains_key(key)
            || self.missing.contains(key)
    }
}

impl Log {
    /// Reads the new objects of a listing, and those that they build on.
    pub(super) async fn take_in(&mut self, listed: &Listed) -> Result<(), LogError> {
        let fresh = |(key, seen): &(&CommitKey, &Seen)| {
            !self.graph.contains(**key) && !self.asides.stands(**key, **seen)
        };
        let open = listed.iter().filter(fresh).map(|(key, _)| *key).collect();
        self.read_in(open, listed).await
    }

    /// Reads these commits, those that were set aside and depend on them, and all that they build
    /// on.
    async fn read_in(&mut self, mut open: BTreeSet<CommitKey>, listed: &Listed) -> Result<(), LogError> {
        // By key, so that parents come before the commits that build on them.
        for (key, note) in self.asides.iter() {
            if let Lack::Parent(parent) = &note.lack
                && (self.graph.contains(*parent) || open.contains(parent))
            {
                open.insert(key);
            }
        }
        let mut batch = Batch::default();
        while !open.is_empty() {
            let log = &*self;
            let reads = stream::iter(&open).map(|key| log.read_listed(*key, listed.get(key).copied()));
            let reads: Vec<Result<Read, LogError>> = reads.buffered(PARALLEL_READS).collect().await;
            let mut parents = BTreeSet::new();
            for (key, read) in std::mem::take(&mut open).into_iter().zip(reads) {
                match read? {
                    Read::Commit(commit) => {
                        if let Some(why) = self.lacks_header(&commit).await? {
                            batch.lacking.insert(key, Lack::Damaged(why));
                            continue;
                        }
                        parents.extend(&commit.parents);
                        batch.commits.insert(key, Node { parents: commit.parents, vault: commit.vault });
                    }
                    Read::Lacking(lack) => drop(batch.lacking.insert(key, lack)),
                    Read::Newer(outline, error) => drop(batch.newer.insert(key, (outline, error))),
                    Read::Missing => drop(batch.missing.insert(key)),
                }
            }
            let unknown = |key: &CommitKey| {
                let note = self.asides.get(*key);
                let set_aside = note.is_some_and(|note| !matches!(note.lack, Lack::Parent(_)));
                !self.graph.contains(*key) && !batch.knows(key) && !set_aside
            };
            open = parents.into_iter().filter(unknown).collect();
        }
        self.settle_batch(batch, listed)
    }

    /// Reads an object.
    async fn read_listed(&self, key: CommitKey, seen: Option<Seen>) -> Result<Read, LogError> {
        if let Some(Seen { size, .. }) = seen.filter(|seen| seen.size > limits::COMMIT_STORED) {
            let why = format!("it has {size} bytes: expected at most {}", limits::COMMIT_STORED);
            return Ok(Read::Lacking(Lack::Damaged(why)));
        }
        if let Some(commit) = self.cached_commit(key) {
            return Ok(Read::Commit(Box::new(commit)));
        }
        let (name, span) = (commit_key(key), Span::UpTo(limits::COMMIT_STORED));
        let open = |bytes: &Bytes| opened_commit(self.cache.as_ref(), key, bytes);
        let read = read_steadily(self.remote.as_ref(), &name, span, open).await;
        if let Some(error) = seen.and_then(|seen| is_another(&name, seen, &read)) {
            return Err(error.into());
        }
        match read {
            Ok(Steady::Opened(commit)) => Ok(Read::Commit(Box::new(commit))),
            Ok(Steady::Wrong(error @ LogError::Newer { .. }, bytes)) => {
                Ok(Read::Newer(outline(&bytes), error))
            }
            Ok(Steady::Wrong(error, _)) => Ok(Read::Lacking(Lack::Damaged(error.cause()))),
            Ok(Steady::Unsteady) => Err(LogError::corrupt(name, "each time that it is read it is another")),
            Err(error) if error.kind == RemoteErrorKind::NotFound => Ok(Read::Missing),
            Err(error) if error.kind.of_the_object() => Ok(Read::Lacking(Lack::Damaged(error.to_string()))),
            Err(error) => Err(error.into()),
        }
    }

    /// Cause why the header of a commit's vault cannot be used.
    async fn lacks_header(&mut self, commit: &Commit) -> Result<Option<String>, LogError> {
        match self.header_of(commit.vault).await {
            Ok(_) => Ok(None),
            Err(LogError::Remote(error)) if error.kind.of_the_object() => {
                Ok(Some(format!("it names vault {}, which has no header", commit.vault)))
            }
            Err(error) if error.is_damage() => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Makes commits of the history known, and notes the others.
    fn settle_batch(&mut self, batch: Batch, listed: &Listed) -> Result<(), LogError> {
        let Batch { commits, mut lacking, newer, missing: _ } = batch;
        let Sifted { good, orphans, crowd } = sift(&self.graph, &commits);
        let is_parent = |key: &CommitKey| orphans.values().any(|parent| parent == key);
        for (key, (outline, error)) in newer {
            let builds = |outline: &Outline| {
                let known = |parent: &CommitKey| self.graph.contains(*parent) || good.contains(parent);
                let parents = &outline.parents;
                outline.key == key && !parents.is_empty() && parents.iter().all(known)
            };
            if is_parent(&key) || outline.as_ref().is_some_and(builds) {
                return Err(error);
            }
            lacking.insert(key, Lack::Damaged(error.cause()));
        }
        let now_ms = self.cache.now_ms();
        lacking.extend(orphans.into_iter().map(|(key, parent)| (key, Lack::Parent(parent))));
        lacking.extend(crowd.into_iter().map(|key| (key, Lack::Crowd)));
        for (key, lack) in lacking {
            // A parent that no listing shows does not exist for other devices.
            if listed.contains_key(&key) || self.asides.get(key).is_some() {
                self.asides.note(key, lack, listed.get(&key).copied(), now_ms);
            }
        }
        self.asides.take_back(&good);
        let learnt = commits.into_iter().filter(|(key, _)| good.contains(key));
        learnt.for_each(|(key, node)| self.know(key, node));
        Ok(())
    }

    /// Looks again for packs whose lack has set commits aside: they may have been put, or a sweep
    /// that explains it may have become visible, or they may count as lost by now.
    pub(super) async fn look_for_packs(&mut self) -> Result<(), LogError> {
        let lacking = self.asides.iter().filter_map(|(key, note)| match note.lack {
            Lack::Pack(pack) => Some((key, pack)),
            _ => None,
        });
        let lacking: Vec<(CommitKey, PackId)> = lacking.collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let mut swept = BTreeSet::new();
        for head in self.graph.heads().into_iter().take(super::write::MAX_MERGES) {
            swept.extend(self.snapshot(Some(head)).await?.swept.iter().copied());
        }
        // Some at a time, in turn: there may be many.
        let turn = self.turn % lacking.len();
        self.turn = turn + PACKS_AT_ONCE;
        let some: Vec<_> = lacking.iter().cycle().skip(turn).take(lacking.len().min(PACKS_AT_ONCE)).collect();
        let unswept = some.iter().map(|(_, pack)| *pack).filter(|pack| !swept.contains(pack));
        let gone = self.not_found(&unswept.collect()).await?;
        let mut found = BTreeSet::new();
        for (key, pack) in some {
            if !gone.contains(pack) || self.is_long_ago(*key).await? {
                found.insert(*key);
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        self.read_in(found, &Listed::new()).await
    }
}

/// The error that what was read is not the object that was listed, but has another size: then it is
/// the answer of something on the way, which gives the same one each time, and tells nothing of the
/// object.
fn is_another(name: &str, seen: Seen, read: &Result<Steady<Commit>, RemoteError>) -> Option<RemoteError> {
    let size = match read {
        Ok(Steady::Wrong(_, bytes)) => bytes.len() as u64,
        Err(RemoteError { kind: RemoteErrorKind::TooLarge { limit }, .. }) => limit + 1,
        _ => return None,
    };
    let differs = size != seen.size;
    differs.then(|| {
        RemoteError::new(RemoteErrorKind::Malformed, "get", name).because(format!(
            "other bytes came than the store lists: {size}, and it lists {}; something between here and the store answers in its place",
            seen.size
        ))
    })
}
