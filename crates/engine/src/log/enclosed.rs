//! Packs that stand in commits.
//!
//! A save of a few kilobytes is one object and not two: its chunks stand in the commit that names
//! them. Such a pack has the first half of the commit's id as its own, so whoever knows the commits
//! of the bucket finds it, and nothing else needs to say where it is. [`Enclosing`] lets it look
//! like any other pack to all that reads packs.
//!
//! Invariants: the pack is there as long as its commit is, and nothing deletes it. If the commit is
//! lost, an object with the pack's key takes its place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::ObjectCache;
use super::chunks::parse_pack_key;
use super::format::{COMMITS, before_seq, commit_key, decode_commit, parse_commit_key};
use crate::content::FinishedPack;
use crate::model::{Commit, CommitKey, PackId, PackInfo, limits};
use crate::remote::{
    Capabilities, Object, Page, Remote, RemoteError, RemoteErrorKind, Span, list_all, no_such_range,
    too_large,
};

/// The pack that stands in a commit.
#[must_use]
pub fn enclosed_pack(key: CommitKey, commit: &Commit) -> Option<FinishedPack> {
    let enclosed = commit.enclosed.as_ref()?;
    // A commit whose pack is none is no commit: see `rules`.
    FinishedPack::of_enclosed(PackId::within(key.id), enclosed).ok()
}

/// All packs that a commit brings: its objects, and the one that stands in it.
pub fn packs_of(key: CommitKey, commit: &Commit) -> impl Iterator<Item = PackInfo> {
    commit.packs.iter().cloned().chain(enclosed_pack(key, commit).map(|pack| pack.info))
}

/// A remote in which packs that stand in commits are objects like any others.
#[derive(Debug)]
pub struct Enclosing {
    remote: Arc<dyn Remote>,
    cache: Arc<dyn ObjectCache>,
    known: Mutex<Known>,
}

/// Commits by the packs that may stand in them, each with the time of its PUT if a listing has told
/// it.
type Places = BTreeMap<PackId, (CommitKey, Option<i64>)>;

#[derive(Debug, Default)]
struct Known {
    /// Commits that are in the bucket.
    places: Places,
    /// Those of a listing of all commits that has begun, and the key after which it goes on.
    listing: Option<(Places, String)>,
}

impl Known {
    /// Takes in one page of a listing of commits. Only a listing of all tells which are gone.
    fn take(&mut self, after: &str, page: &Page) {
        let commits = page.objects.iter().filter_map(|object| {
            let key = parse_commit_key(&object.key)?;
            Some((PackId::within(key.id), (key, Some(object.modified_ms))))
        });
        self.places.extend(commits.clone());
        let (mut all, until) = match self.listing.take() {
            _ if after <= before_seq(0).as_str() => (Places::new(), after.to_owned()),
            Some(begun) => begun,
            None => return,
        };
        if until != after {
            return;
        }
        all.extend(commits);
        match page.objects.last().filter(|_| page.more) {
            Some(last) => self.listing = Some((all, last.key.clone())),
            None => self.places = all,
        }
    }
}

impl Enclosing {
    /// A remote that finds packs in the commits of `remote`. `cache` is that of the log.
    #[must_use]
    pub fn new(remote: Arc<dyn Remote>, cache: Arc<dyn ObjectCache>) -> Self {
        Self { remote, cache, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pack of that key and the commit in which it stands. None if it stands in none.
    async fn find(&self, key: &str) -> Result<Option<(FinishedPack, CommitKey, Option<i64>)>, RemoteError> {
        let Some(id) = parse_pack_key(key) else { return Ok(None) };
        let place = self.known().places.get(&id).copied();
        let Some((commit, put_ms)) = place else { return Ok(None) };
        let pack = self.read(commit).await?;
        Ok(pack.map(|pack| (pack, commit, put_ms)))
    }

    /// The pack that stands in a commit. None if there is none, or no such commit any more.
    async fn read(&self, key: CommitKey) -> Result<Option<FinishedPack>, RemoteError> {
        let name = commit_key(key);
        let pack = |bytes: &[u8]| match decode_commit(&name, bytes) {
            Ok((found, commit)) if found == key => Some(enclosed_pack(key, &commit)),
            _ => None,
        };
        if let Some(pack) = self.cache.get(&name).and_then(|bytes| pack(&bytes)) {
            return Ok(pack);
        }
        match self.remote.get(&name, Span::UpTo(limits::COMMIT_STORED)).await {
            Ok(bytes) => {
                let pack = pack(&bytes);
                if pack.is_some() {
                    self.cache.put(&name, &bytes);
                }
                Ok(pack.flatten())
            }
            Err(error) if error.kind == RemoteErrorKind::NotFound => {
                self.known().places.remove(&PackId::within(key.id));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks for the commit of a pack that is no object and that no listing has shown yet. True if
    /// it is found.
    async fn search(&self, key: &str) -> Result<bool, RemoteError> {
        let Some(id) = parse_pack_key(key) else { return Ok(false) };
        if self.known().places.is_empty() {
            let listed = list_all(self.remote.as_ref(), COMMITS, None).await?;
            self.known().take("", &Page { objects: listed, more: false });
        }
        let names = self.cache.keys(COMMITS);
        let mut keys = names.iter().filter_map(|name| parse_commit_key(name));
        if let Some(key) = keys.find(|key| PackId::within(key.id) == id)
            && let Some(object) = self.remote.head(&commit_key(key)).await?
        {
            self.known().places.insert(id, (key, Some(object.modified_ms)));
        }
        Ok(self.known().places.contains_key(&id))
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
        if let Some((pack, ..)) = self.find(key).await? {
            return part(key, &pack.bytes, &span);
        }
        let got = self.remote.get(key, span.clone()).await;
        if got.is_ok() {
            if let Some(commit) = parse_commit_key(key) {
                // A listing may be behind.
                self.known().places.entry(PackId::within(commit.id)).or_insert((commit, None));
            }
            return got;
        }
        let missing = got.as_ref().is_err_and(|error| error.kind == RemoteErrorKind::NotFound);
        if missing
            && self.search(key).await?
            && let Some((pack, ..)) = self.find(key).await?
        {
            return part(key, &pack.bytes, &span);
        }
        got
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        let mut found = self.find(key).await?;
        if found.is_none() {
            let object = self.remote.head(key).await?;
            if object.is_some() || !self.search(key).await? {
                return Ok(object);
            }
            found = self.find(key).await?;
        }
        let Some((pack, commit, put_ms)) = found else { return Ok(None) };
        let put_ms = match put_ms {
            Some(put_ms) => Some(put_ms),
            None => self.remote.head(&commit_key(commit)).await?.map(|object| object.modified_ms),
        };
        Ok(put_ms.map(|modified_ms| Object { key: key.to_owned(), size: pack.info.size, modified_ms }))
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        let page = self.remote.list(prefix, after).await?;
        if prefix == COMMITS {
            self.known().take(after.unwrap_or_default(), &page);
        }
        Ok(page)
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

/// The bytes of a pack that a GET asks for.
fn part(key: &str, bytes: &Bytes, span: &Span) -> Result<Bytes, RemoteError> {
    let size = bytes.len() as u64;
    match span {
        Span::UpTo(most) if size > *most => Err(too_large(key, *most, Some(size))),
        Span::UpTo(_) => Ok(bytes.clone()),
        Span::Part(range) => {
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
            let within = start < end && end <= bytes.len();
            within.then(|| bytes.slice(start..end)).ok_or_else(|| no_such_range(key, range, Some(size)))
        }
    }
}
