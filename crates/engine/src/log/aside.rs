//! Objects below `commits/` that the log leaves out.
//!
//! Anyone who can write to the bucket can put objects there that no device has made. Such an object
//! must not stop the devices, so the log sets it aside, reports it and goes on. It leaves out every
//! object that does not belong to the history ([`super::sift`]): one that cannot be read, one that
//! builds on such an object or on a missing one, one that names missing packs, and one that says
//! untrue things of its first parent's state.
//!
//! # Why going on is safe
//! A commit that is set aside is like one that no listing has shown yet, and the protocol is made
//! for those: it is merged whenever it is seen. So nothing is lost by setting a good commit aside,
//! and it comes back by itself once its missing objects are there. Three things must not go on
//! without it, and do not: this device's own past ([`Log::check_agreed`]), a checkpoint or a prune
//! ([`Log::is_doubtful`]), and a new device most of whose history would be missing
//! ([`Log::check_first`]). A well-made commit of a newer format that builds on the history is no
//! junk: the log refuses to go on, and names the version that can.
//!
//! # Cost
//! Each object is read once. It is read again only when a listing shows that it was put anew, or
//! when its missing object has come. The notes are in the cache: losing them costs one more
//! reading.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::format::commit_key;
use super::read::{Listed, Seen};
use super::{Log, LogError, ObjectCache};
use crate::model::{CommitKey, PackId, limits};

/// Key in the cache.
const NOTES: &str = "aside";
/// Time after which an object that was set aside is taken for what it seems: one day.
pub(super) const SETTLED_MS: u64 = 24 * 3600 * 1000;

/// Cause that keeps a commit out of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Lack {
    /// It cannot be read.
    Damaged(String),
    /// It builds on a commit that is missing, or set aside too.
    Parent(CommitKey),
    /// It needs a pack that is missing.
    Pack(PackId),
    /// It does not follow its first parent's state.
    State(String),
    /// It is one of too many first commits.
    Crowd,
}

/// Note of an object that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub lack: Lack,
    /// Time when this device first saw it, in milliseconds since the Unix epoch.
    since_ms: u64,
    /// The object in the listing that was current then.
    seen: Option<Seen>,
    /// True if the user has dismissed it.
    #[serde(default)]
    dismissed: bool,
}

/// An object that is set aside, or not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Aside {
    /// Its key in the bucket.
    pub key: String,
    /// Reason, as half a sentence.
    pub why: String,
    /// Time when this device first saw it, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

/// All objects that are set aside.
#[derive(Debug, Default)]
pub(super) struct Notes {
    by_key: BTreeMap<CommitKey, Note>,
    changed: bool,
}

impl Notes {
    pub(super) fn load(cache: &dyn ObjectCache) -> Self {
        let notes =
            cache.get(NOTES).and_then(|bytes| serde_json::from_slice::<Vec<(CommitKey, Note)>>(&bytes).ok());
        Self { by_key: notes.unwrap_or_default().into_iter().collect(), changed: false }
    }

    /// Saves the notes that have changed since the last time.
    pub(super) fn keep(&mut self, cache: &dyn ObjectCache) {
        let now_ms = cache.now_ms();
        // This device's clock was ahead, and was set back.
        for note in self.by_key.values_mut().filter(|note| note.since_ms > now_ms) {
            note.since_ms = now_ms;
            self.changed = true;
        }
        if std::mem::take(&mut self.changed) {
            let notes: Vec<(&CommitKey, &Note)> = self.by_key.iter().collect();
            match serde_json::to_vec(&notes) {
                Ok(bytes) => cache.put(NOTES, &bytes),
                Err(error) => tracing::warn!(%error, "what was set aside could not be noted"),
            }
        }
    }

    pub(super) fn get(&self, key: CommitKey) -> Option<&Note> {
        self.by_key.get(&key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (CommitKey, &Note)> {
        self.by_key.iter().map(|(key, note)| (*key, note))
    }

    /// True if the object is set aside and reading it would tell nothing new: only a damaged one
    /// may have other bytes by now.
    pub(super) fn stands(&self, key: CommitKey, seen: Seen) -> bool {
        self.by_key.get(&key).is_some_and(|note| match note.lack {
            Lack::Damaged(_) => note.seen == Some(seen),
            _ => true,
        })
    }

    /// Notes an object. One that is known keeps the time when it was first seen.
    pub(super) fn note(&mut self, key: CommitKey, lack: Lack, seen: Option<Seen>, now_ms: u64) {
        let known = self.by_key.get(&key);
        let since_ms = known.map_or(now_ms, |note| note.since_ms);
        let dismissed = known.is_some_and(|note| note.dismissed);
        let note = Note { lack, since_ms, seen: seen.or(known.and_then(|note| note.seen)), dismissed };
        if known.is_none() {
            tracing::warn!(key = commit_key(key), why = note.why(), "an object is set aside");
        }
        if known != Some(&note) {
            self.by_key.insert(key, note);
            self.changed = true;
        }
    }

    /// Takes back commits that belong to the history after all.
    pub(super) fn take_back<'a>(&mut self, keys: impl IntoIterator<Item = &'a CommitKey>) {
        for key in keys {
            if self.by_key.remove(key).is_some() {
                tracing::info!(key = commit_key(*key), "a commit that was set aside is taken back");
                self.changed = true;
            }
        }
    }

    /// Forgets objects that are no longer listed.
    pub(super) fn retain_listed(&mut self, listed: &Listed) {
        let before = self.by_key.len();
        self.by_key.retain(|key, _| listed.contains_key(key));
        self.changed |= before != self.by_key.len();
    }

    /// The object that keeps `key` out in the end: not one that itself lacks a parent.
    fn cause(&self, key: CommitKey) -> CommitKey {
        let mut cause = key;
        // Parents have lower generations, so this ends.
        while let Some(Note { lack: Lack::Parent(parent), .. }) = self.by_key.get(&cause) {
            cause = *parent;
        }
        cause
    }
}

impl Note {
    fn why(&self) -> String {
        match &self.lack {
            Lack::Damaged(why) | Lack::State(why) => why.clone(),
            Lack::Parent(parent) => format!("it builds on {}, which cannot be used", commit_key(*parent)),
            Lack::Pack(pack) => format!("it needs pack {pack}, which is not in the bucket"),
            Lack::Crowd => format!("there are more than {} first commits", limits::ROOTS),
        }
    }
}

impl Log {
    /// Objects below `commits/` that are set aside, and others whose claims are not believed,
    /// without the dismissed ones.
    #[must_use]
    pub fn aside(&self) -> Vec<Aside> {
        let told = self.asides.iter().filter(|(_, note)| !note.dismissed);
        let aside = |(key, note): (CommitKey, &Note)| Aside {
            key: commit_key(key),
            why: note.why(),
            since_ms: note.since_ms,
        };
        told.map(aside).chain(self.claims()).collect()
    }

    /// True while something was set aside less than a day ago. It may yet turn out to be a commit
    /// that another one builds on, so nothing may be deleted as unneeded.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.doubtful() > 0
    }

    /// Number of objects that were set aside less than a day ago.
    #[must_use]
    pub fn doubtful(&self) -> usize {
        let line = self.cache.now_ms().saturating_sub(SETTLED_MS);
        self.asides.iter().filter(|(_, note)| !note.dismissed && note.since_ms > line).count()
    }

    /// Dismisses the objects that were set aside, or not believed, more than a day ago: they are no
    /// longer reported. They stay in the bucket, and are taken back if their missing objects come.
    /// Returns their keys.
    pub fn dismiss(&mut self) -> Vec<String> {
        let line = self.cache.now_ms().saturating_sub(SETTLED_MS);
        let mut dismissed = Vec::new();
        for (key, note) in &mut self.asides.by_key {
            if !note.dismissed && note.since_ms <= line {
                note.dismissed = true;
                dismissed.push(commit_key(*key));
            }
        }
        self.asides.changed |= !dismissed.is_empty();
        self.asides.keep(self.cache.as_ref());
        dismissed.extend(self.dismiss_claims());
        dismissed
    }

    /// Refuses to begin with a history most of which cannot be used. A device that has agreed on
    /// nothing yet cannot tell junk from its vault's past, and would take an old state for the
    /// newest.
    pub(super) fn check_first(&self) -> Result<(), LogError> {
        if self.agreed.is_some() {
            return Ok(());
        }
        let known = self.graph.iter().count();
        let mut hanging: BTreeMap<CommitKey, usize> = BTreeMap::new();
        for (key, note) in self.asides.iter() {
            let readable = !matches!(note.lack, Lack::Damaged(_));
            *hanging.entry(self.asides.cause(key)).or_default() += usize::from(readable);
        }
        let worst = hanging.into_iter().max_by_key(|(_, count)| *count);
        match worst {
            Some((key, count)) if count > known || known == 0 => {
                let why = self.asides.get(key).map_or_else(|| "it is not there".to_owned(), Note::why);
                let why = format!("{why}; most of the history ({count} commits) cannot be used without it");
                Err(LogError::corrupt(commit_key(key), why))
            }
            _ => Ok(()),
        }
    }

    /// Sets a commit of the history aside, with all that builds on it, because of `error`.
    ///
    /// # Errors
    /// `error`, if this device must not go on without it: its own past, or most of the listed
    /// history.
    pub(super) fn set_aside(&mut self, key: CommitKey, lack: Lack, error: LogError) -> Result<(), LogError> {
        let gone: Vec<CommitKey> = self
            .graph
            .iter()
            .map(|(other, _)| other)
            .filter(|other| self.graph.descends(*other, key))
            .collect();
        let left = self.graph.iter().count() - gone.len();
        let ours = self.agreed.map(|agreed| gone.contains(&agreed));
        if ours.unwrap_or(gone.len() > left) {
            return Err(error);
        }
        let now_ms = self.cache.now_ms();
        for other in gone {
            let lack = match self.graph.get(other) {
                _ if other == key => lack.clone(),
                Some(node) => {
                    let below = node.parents.iter().find(|parent| self.graph.descends(**parent, key));
                    Lack::Parent(below.copied().unwrap_or(key))
                }
                None => continue,
            };
            self.asides.note(other, lack, None, now_ms);
        }
        for (other, _) in self.asides.iter() {
            self.graph.remove(other);
        }
        self.recent.retain(|state| state.key.is_none_or(|key| self.graph.contains(key)));
        self.waypoints.retain(|key| self.graph.contains(key));
        self.asides.keep(self.cache.as_ref());
        Ok(())
    }
}
