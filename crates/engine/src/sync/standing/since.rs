//! Memories that differ between two generations, for programs that keep what they have read.
//!
//! Both are states of the history, so the answer is exact: whoever goes on from where it ends is
//! told nothing twice and misses nothing. What was written here is told once a generation has it. An
//! answer ends with the newest generation whose memories of the group this device has agreed on; what
//! waits here for a decision is not told.
//!
//! Compared are digests ([`super::tables`]); only memories that are told are read. A later page goes
//! on between the same two generations, whatever has come meanwhile.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::tables::Table;
use super::version::{Unread, Version};
use crate::log::{LogError, looks_back};
use crate::memories::{Collection, Found, Id, MemoriesError};
use crate::model::{CommitKey, Item};
use crate::sync::recovery::{Generation, Point, Stand};
use crate::sync::session::Session;
use crate::sync::{Engine, Past, Refusal, SyncError, Unwatched};

/// Older states that are looked at for the one that this device has agreed on.
const MAX_LOOKS: usize = 50;

/// A question for memories that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// Name of the group.
    pub group: String,
    /// Generation that is known: [`Generation::BEGINNING`] for none.
    pub since: Generation,
    /// Generation up to which they are asked for: that of the first page. None for the newest.
    pub until: Option<Generation>,
    /// Last memory of the page before.
    pub after: Option<Id>,
    /// Most memories on a page.
    pub limit: usize,
    /// True if vectors are wanted, too.
    pub vectors: bool,
}

/// Memories that differ between two generations.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryChanges {
    /// Generation up to which they are told: the next `since`.
    pub until: Generation,
    /// Memories that are new, or of which entry or vector is another one, as they are then.
    pub put: Vec<Found>,
    /// Memories that are no longer there.
    pub deleted: Vec<Id>,
    /// Last memory of this page, if more follow.
    pub more: Option<Id>,
}

/// Cause why such a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SinceError {
    /// This device cannot tell what a generation had.
    #[error("generation {generation} cannot be compared with: {why}")]
    Gone {
        /// The generation.
        generation: Generation,
        /// Cause.
        why: String,
    },
    /// The group has no memories to be read.
    #[error(transparent)]
    Memories(#[from] MemoriesError),
    /// The history or the contents cannot be read now.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

impl From<LogError> for SinceError {
    fn from(error: LogError) -> Self {
        Self::Sync(error.into())
    }
}

/// Memories of one page.
struct Page {
    put: BTreeSet<Id>,
    deleted: Vec<Id>,
    more: Option<Id>,
}

impl Engine {
    /// Memories of a group that differ between a generation and the agreed one.
    ///
    /// # Errors
    /// See [`SinceError`].
    pub async fn memories_since(&mut self, asked: &Since) -> Result<MemoryChanges, SinceError> {
        let collection = self.collection(&asked.group)?;
        self.session(&Unwatched).await?.memories_since(&collection, asked).await
    }
}

impl Session<'_> {
    async fn memories_since(
        &mut self,
        collection: &Collection,
        asked: &Since,
    ) -> Result<MemoryChanges, SinceError> {
        let agreed = self.agreed_snapshot().await?;
        let then = self.state_of(&asked.since, agreed.key).await?;
        let now = match &asked.until {
            Some(until) => self.state_of(until, agreed.key).await?,
            None => self.agreed_here(collection, &asked.group, &agreed).await?,
        };
        let until = now.key.map_or(Generation::BEGINNING, Generation::of);
        let [old, new] = [&then, &now].map(|state| Version::of(state, collection, self.context));
        if old.contents(collection) == new.contents(collection) {
            return Ok(MemoryChanges { until, put: Vec::new(), deleted: Vec::new(), more: None });
        }
        let gone = |why| SinceError::Gone { generation: asked.since.clone(), why };
        let before = self.table_of(collection, &asked.group, (&old, &then)).await?.map_err(|unread| {
            gone(match unread {
                Unread::Lost(path) => format!("the bucket no longer has its {path}"),
                Unread::Other(why) => why.to_string(),
            })
        })?;
        let (page, put) =
            self.page(collection, asked, &before, (&new, &now)).await?.map_err(|unread| {
                match (unread, &asked.until) {
                    (Unread::Lost(path), Some(until)) => {
                        let why = format!("the bucket no longer has its {path}");
                        SinceError::Gone { generation: until.clone(), why }
                    }
                    (Unread::Lost(path), None) => SyncError::from(Refusal::Gone { path }).into(),
                    (Unread::Other(why), _) => collection.unedited(why.into()).into(),
                }
            })?;
        Ok(MemoryChanges { until, put, deleted: page.deleted, more: page.more })
    }

    /// The state that a generation names, in the past of the newest one.
    async fn state_of(&mut self, named: &Generation, newest: Option<CommitKey>) -> Result<Stand, SinceError> {
        if *named == Generation::BEGINNING {
            return Ok(self.log.snapshot(None).await?);
        }
        match Point::Generation(named.clone()).find(self.log, newest).await {
            Err(SyncError::Refused(refusal)) => {
                Err(SinceError::Gone { generation: named.clone(), why: refusal.to_string() })
            }
            key => Ok(self.log.readable(key?, newest).await?),
        }
    }

    /// The newest state with the memories that this device has agreed on. A group that is held back
    /// here keeps those of an older one.
    async fn agreed_here(
        &mut self,
        collection: &Collection,
        group: &str,
        agreed: &Stand,
    ) -> Result<Stand, SinceError> {
        let Some(key) = agreed.key else { return Ok(agreed.clone()) };
        let mut here = Version::of(agreed, collection, self.context);
        for exception in self.context.record()?.into_iter().flat_map(|record| record.exceptions) {
            if exception.path == collection.corpus {
                here.corpus = exception.entry;
            } else if Some(&exception.path) == collection.array.as_ref() {
                here.array = exception.entry;
            }
        }
        let wanted = here.contents(collection);
        let context = self.context;
        let is_it = |state: &Stand| Version::of(state, collection, context).contents(collection) == wanted;
        let newest = self.log.readable(key, Some(key)).await?;
        if is_it(&newest) {
            return Ok(newest);
        }
        let changes_it = |past: &&Past| {
            let mut paths = past.changes.iter().map(|change| &change.path);
            past.on_line
                && paths.any(|path| *path == collection.corpus || Some(path) == collection.array.as_ref())
        };
        let mut looked = 0;
        for from in looks_back(key) {
            let past = self.log.past_from(key, from).await?;
            for past in past.iter().filter(changes_it).take(MAX_LOOKS).skip(looked) {
                let before = match past.parents.first() {
                    Some(parent) => self.log.readable(*parent, Some(key)).await?,
                    None => self.log.snapshot(None).await?,
                };
                if is_it(&before) {
                    return Ok(before);
                }
                looked += 1;
            }
        }
        let why = "this device keeps an older version of it than the history tells of".to_owned();
        Err(SyncError::from(Refusal::NotAtRest { item: Item::Group(group.to_owned()), why }).into())
    }

    /// Digests of the memories in a version.
    async fn table_of(
        &self,
        collection: &Collection,
        group: &str,
        (version, state): (&Version, &Stand),
    ) -> Result<Result<Table, Unread>, SyncError> {
        if version.corpus.is_none() {
            return Ok(Ok(Table::new()));
        }
        let contents = version.contents(collection);
        if let Some(table) = self.context.kept_table(group, contents) {
            return Ok(Ok(table));
        }
        let table = self.read_version(collection, (version, true), state, |corpus, array| {
            collection.digests(corpus, array)
        });
        let table = table.await?;
        if let Ok(table) = &table {
            self.context.keep_table(group, contents, table);
        }
        Ok(table)
    }

    /// A page of what differs in a version, with the memories that it has.
    async fn page(
        &self,
        collection: &Collection,
        asked: &Since,
        before: &Table,
        (version, state): (&Version, &Stand),
    ) -> Result<Result<(Page, Vec<Found>), Unread>, SyncError> {
        let contents = version.contents(collection);
        let known = match version.corpus {
            Some(_) => self.context.kept_table(&asked.group, contents),
            None => Some(Table::new()),
        };
        if let Some(table) = &known {
            let page = Page::of(before, table, asked);
            if page.put.is_empty() {
                return Ok(Ok((page, Vec::new())));
            }
        }
        let vectors = asked.vectors || known.is_none();
        let read = self.read_version(collection, (version, vectors), state, |corpus, array| {
            let table = match &known {
                Some(table) => Cow::Borrowed(table),
                None => Cow::Owned(collection.digests(corpus, array)?),
            };
            let page = Page::of(before, &table, asked);
            let array = array.filter(|_| asked.vectors);
            let put = match page.put.is_empty() {
                true => Vec::new(),
                false => collection.find(corpus, array, &page.put)?,
            };
            let made = if let Cow::Owned(table) = table { Some(table) } else { None };
            Ok((made, page, put))
        });
        Ok(read.await?.map(|(made, page, put)| {
            if let Some(table) = made {
                self.context.keep_table(&asked.group, contents, &table);
            }
            (page, put)
        }))
    }
}

impl Page {
    fn of(before: &Table, now: &Table, asked: &Since) -> Self {
        let all: BTreeSet<&Id> = before.keys().chain(now.keys()).collect();
        let differs = |id: &&Id| before.get(*id) != now.get(*id);
        let is_next = |id: &&Id| asked.after.as_ref().is_none_or(|after| *id > after);
        let mut rest = all.into_iter().filter(is_next).filter(differs);
        let page: Vec<&Id> = rest.by_ref().take(asked.limit).collect();
        let more = page.last().filter(|_| rest.next().is_some()).map(|id| (*id).clone());
        let (put, deleted): (Vec<&Id>, Vec<&Id>) = page.into_iter().partition(|id| now.contains_key(*id));
        let deleted = deleted.into_iter().cloned().collect();
        Self { put: put.into_iter().cloned().collect(), deleted, more }
    }
}
