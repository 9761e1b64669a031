//! Packs that stand in commits.
//!
//! A save of a few kilobytes is one object and not two: its chunks stand in the commit that names
//! them. Such a pack has the first half of the commit's id as its own, so whoever knows the commits
//! of the history finds it, and nothing else needs to say where it is. [`Enclosing`] lets it look
//! like any other pack to all that reads packs.
//!
//! Invariants: the pack is there as long as its commit is, and nothing deletes it. If the commit is
//! lost, an object with the pack's key takes its place. Only commits that were read, or that a
//! checkpoint's past names, are looked into: the name of an object proves nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::chunks::parse_pack_key;
use super::format::commit_key;
use super::lost::{HEADS_BEFORE_LIST, PARALLEL_HEADS};
use super::read::read_commit;
use super::{Log, LogError, ObjectCache};
use crate::content::FinishedPack;
use crate::model::{Commit, CommitKey, PackId, PackInfo};
use crate::remote::{Capabilities, Object, Page, Remote, RemoteError, Span};

/// The pack that stands in a commit.
fn enclosed_pack(key: CommitKey, commit: &Commit) -> Option<FinishedPack> {
    let enclosed = commit.enclosed.as_ref()?;
    // A commit whose pack is none is no commit: see `rules`.
    FinishedPack::of_enclosed(PackId::within(key.id), enclosed).ok()
}

/// All packs that a commit brings: its objects, and the one that stands in it.
pub fn packs_of(key: CommitKey, commit: &Commit) -> impl Iterator<Item = PackInfo> {
    commit.packs.iter().cloned().chain(enclosed_pack(key, commit).map(|pack| pack.info))
}

/// Commits of the history, by the packs that may stand in them.
#[derive(Debug, Default)]
pub struct Holders(RwLock<HashMap<PackId, CommitKey>>);

impl Holders {
    /// Notes commits that were read, or that a checkpoint's past names.
    pub(super) fn note(&self, commits: impl IntoIterator<Item = CommitKey>) {
        let packs = commits.into_iter().map(|key| (PackId::within(key.id), key));
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(packs);
    }

    /// The commit in which a pack stands, if it stands in one.
    fn of(&self, pack: PackId) -> Option<CommitKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&pack).copied()
    }
}

impl Log {
    /// Shares the commits of this log with the [`Enclosing`] that it reads through.
    #[must_use]
    pub fn sharing(mut self, holders: Arc<Holders>) -> Self {
        holders.note(self.graph.iter().map(|(key, _)| key));
        self.holders = holders;
        self
    }

    /// Picks the packs that stand in commits of the bucket, each with the time of its commit's PUT. A
    /// commit of the newest listing is there. The bucket is asked for others, or listed if they are
    /// many. No commit is read.
    pub(super) async fn held(
        &self,
        packs: impl IntoIterator<Item = PackId>,
    ) -> Result<BTreeMap<PackId, i64>, LogError> {
        let all = packs.into_iter().filter_map(|pack| Some((pack, self.holders.of(pack)?)));
        let (mut held, mut open) = (BTreeMap::new(), Vec::new());
        for (pack, key) in all {
            match self.visible.get(&key) {
                Some(seen) => drop(held.insert(pack, seen.modified_ms)),
                None => open.push((pack, key)),
            }
        }
        if open.len() > HEADS_BEFORE_LIST {
            let times = self.listed_times().await?;
            let shown = open.extract_if(.., |(_, key)| times.contains_key(key));
            held.extend(shown.filter_map(|(pack, key)| Some((pack, *times.get(&key)?))));
        }
        let asked = stream::iter(open).map(|(pack, key)| async move {
            let object = self.remote.head(&commit_key(key)).await?;
            Ok::<_, LogError>(object.map(|object| (pack, object.modified_ms)))
        });
        let found: Vec<Option<_>> = asked.buffered(PARALLEL_HEADS).try_collect().await?;
        held.extend(found.into_iter().flatten());
        Ok(held)
    }
}

/// A remote in which packs that stand in commits are objects like any others.
#[derive(Debug)]
pub struct Enclosing {
    remote: Arc<dyn Remote>,
    cache: Arc<dyn ObjectCache>,
    holders: Arc<Holders>,
}

impl Enclosing {
    /// A remote that finds packs in the commits of `remote`. `cache` and `holders` are those of the
    /// log.
    #[must_use]
    pub fn new(remote: Arc<dyn Remote>, cache: Arc<dyn ObjectCache>, holders: Arc<Holders>) -> Self {
        Self { remote, cache, holders }
    }

    /// The commit in which the pack of that key stands.
    fn holder(&self, key: &str) -> Option<CommitKey> {
        self.holders.of(parse_pack_key(key)?)
    }

    /// The pack that stands in a commit. None if the bucket does not give that commit.
    async fn read(&self, key: CommitKey) -> Result<Option<FinishedPack>, RemoteError> {
        match read_commit(self.remote.as_ref(), self.cache.as_ref(), key).await {
            Ok(commit) => Ok(enclosed_pack(key, &commit)),
            Err(LogError::Remote(error)) if !error.kind.of_the_object() => Err(error),
            Err(_) => Ok(None),
        }
    }
}

#[async_trait]
impl Remote for Enclosing {
    fn url(&self) -> String {
        self.remote.url()
    }

    fn capabilities(&self) -> Capabilities {
        self.remote.capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.remote.put(key, body).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        if let Some(commit) = self.holder(key)
            && let Some(pack) = self.read(commit).await?
        {
            return span.of(key, &pack.bytes);
        }
        self.remote.get(key, span).await
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        // A copy in the cache says nothing about the bucket.
        if let Some(commit) = self.holder(key)
            && let Some(there) = self.remote.head(&commit_key(commit)).await?
            && let Some(pack) = self.read(commit).await?
        {
            return Ok(Some(Object { key: key.to_owned(), size: pack.info.size, ..there }));
        }
        self.remote.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.remote.list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.remote.delete(key).await
    }

    async fn delete_all(&self, keys: &[String]) -> Result<(), RemoteError> {
        self.remote.delete_all(keys).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.remote.server_ms().await
    }

    async fn clear_leftovers(&self) -> Result<usize, RemoteError> {
        self.remote.clear_leftovers().await
    }

    fn renew(&self) {
        self.remote.renew();
    }
}
