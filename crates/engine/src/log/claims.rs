//! Untrue things that objects of the bucket say, and that the log goes on without.
//!
//! Such an object is not set aside ([`super::aside`]): a commit stays part of the history, a pack
//! gives its other chunks. Only what it says is not believed. That would be silent, so each object
//! is noted here, and told of beside those that were set aside: a commit that gives up packs which
//! files need, or sweeps what nobody has marked, or ends the history that this device keeps, or
//! brings a file that is never synced; a checkpoint that is not the state of its commit; a pack
//! that does not hold what its table names; a name below `commits/` that no commit has.
//!
//! The notes are in the cache: if they are lost, nothing is but the telling. Nothing is decided by
//! them, so a mistake here cannot lose a byte.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::aside::{Aside, SETTLED_MS};
use super::chunks::PACKS;
use super::format::{CHECKPOINTS, COMMITS, commit_key, parse_commit_key};
use super::{Log, LogError, ObjectCache, Snapshot};
use crate::model::{Commit, CommitKey, DeviceId, Digest, PackId, PackInfo, VaultPath};

/// Prefix in the cache, followed by the key of the object.
const CLAIMS: &str = "claim/";
/// Objects that are noted, at most.
const MOST: usize = 1000;
/// Names that no commit has, of a listing, that are noted at most.
const ODD_NAMES: usize = 50;

/// Note of an untrue claim.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    why: String,
    /// Time when this device first saw it, in milliseconds since the Unix epoch.
    since_ms: u64,
    /// True if the user has dismissed it.
    dismissed: bool,
}

/// The wishes that claims are held against.
pub struct Wishes<'a> {
    /// This device.
    pub device: DeviceId,
    /// Newest generations that this device keeps.
    pub generations: u64,
    /// True for a path that is never synced.
    pub is_never: &'a (dyn Fn(&VaultPath) -> bool + Send + Sync),
}

/// Notes that the object `key` says what is not true, as half a sentence. One that is known keeps
/// its note.
pub fn note_claim(cache: &dyn ObjectCache, key: &str, why: &str) {
    let name = format!("{CLAIMS}{key}");
    if cache.get(&name).is_some() || cache.keys(CLAIMS).len() >= MOST {
        return;
    }
    tracing::warn!(key, why, "an object of the bucket is not believed");
    write(cache, &name, &Claim { why: why.to_owned(), since_ms: cache.now_ms(), dismissed: false });
}

/// Notes objects below `commits/` whose names no commit has. If these are all that there are,
/// others are forgotten; a poll lists only a part, and does not look for them.
pub(super) fn note_odd_names(cache: &dyn ObjectCache, names: &[&str], is_all: bool) {
    for name in names.iter().take(ODD_NAMES) {
        note_claim(cache, name, "no commit has such a name: it is not read");
    }
    let known = if is_all { cache.keys(&format!("{CLAIMS}{COMMITS}")) } else { Vec::new() };
    for noted in known {
        let key = &noted[CLAIMS.len()..];
        if parse_commit_key(key).is_none() && !names.contains(&key) {
            cache.remove(&noted);
        }
    }
}

fn write(cache: &dyn ObjectCache, name: &str, claim: &Claim) {
    match serde_json::to_vec(claim) {
        Ok(bytes) => cache.put(name, &bytes),
        Err(error) => tracing::warn!(%error, "an untrue claim could not be noted"),
    }
}

impl Log {
    fn noted_claims(&self) -> Vec<(String, Claim)> {
        let read = |name: String| {
            let claim = serde_json::from_slice(&self.cache.get(&name)?).ok()?;
            Some((name, claim))
        };
        self.cache.keys(CLAIMS).into_iter().filter_map(read).collect()
    }

    /// Objects whose claims are not true, and that are not dismissed.
    pub(super) fn claims(&self) -> Vec<Aside> {
        let told = self.noted_claims().into_iter().filter(|(_, claim)| !claim.dismissed);
        let aside = |(name, Claim { why, since_ms, .. }): (String, Claim)| Aside {
            key: name[CLAIMS.len()..].to_owned(),
            why,
            since_ms,
        };
        told.map(aside).collect()
    }

    /// Dismisses the claims that were noted more than a day ago. Returns the keys of their objects.
    pub(super) fn dismiss_claims(&self) -> Vec<String> {
        let line = self.cache.now_ms().saturating_sub(SETTLED_MS);
        let mut dismissed = Vec::new();
        for (name, mut claim) in self.noted_claims() {
            if !claim.dismissed && claim.since_ms <= line {
                claim.dismissed = true;
                write(self.cache.as_ref(), &name, &claim);
                dismissed.push(name[CLAIMS.len()..].to_owned());
            }
        }
        dismissed
    }

    /// Forgets packs and checkpoints whose claims are true by now, or that are gone: those without
    /// a fault, where each was read.
    pub fn forget_claims_but(&self, faulty: &BTreeSet<&str>) {
        for name in self.cache.keys(CLAIMS) {
            let key = &name[CLAIMS.len()..];
            let was_read = key.starts_with(PACKS) || key.starts_with(CHECKPOINTS);
            if was_read && !faulty.contains(key) {
                self.cache.remove(&name);
            }
        }
    }

    /// Notes the claims of commits that `head` has brought since `known` and that are not true.
    /// Merges say nothing of their own.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn weigh_claims(
        &mut self,
        head: Option<CommitKey>,
        known: Option<CommitKey>,
        wishes: Wishes<'_>,
    ) -> Result<(), LogError> {
        let Some(head) = head.filter(|head| Some(*head) != known) else { return Ok(()) };
        for (key, commit) in self.news(head, known).await? {
            if commit.parents.len() > 1 {
                continue;
            }
            if let Some(why) = self.untrue(&commit, &wishes).await? {
                note_claim(self.cache.as_ref(), &commit_key(key), &why);
            }
        }
        Ok(())
    }

    /// The first untrue thing that a commit says, if any.
    async fn untrue(&mut self, commit: &Commit, wishes: &Wishes<'_>) -> Result<Option<String>, LogError> {
        let brought = commit.changes.iter().filter(|change| change.entry.is_some());
        if let Some(change) = brought.map(|change| &change.path).find(|path| (wishes.is_never)(path)) {
            return Ok(Some(format!("it brings {change}, which no device syncs: it is not put in place")));
        }
        let prune = &commit.prune;
        if !(prune.marked.is_empty() && prune.swept.is_empty()) {
            let state = self.snapshot(commit.parents.first().copied()).await?;
            let unmarked = prune.swept.iter().filter(|pack| !state.marked.contains_key(*pack)).count();
            if unmarked > 0 {
                return Ok(Some(format!(
                    "it says that {unmarked} packs may be deleted that no commit has marked: they stay"
                )));
            }
            if let Some(pack) = needed_pack(&state, commit) {
                return Ok(Some(format!(
                    "it gives up packs that files of the vault need, such as {pack}: they are not deleted, and a prune or `cogzy-vault verify --repair` takes them up again"
                )));
            }
        }
        let generations = wishes.generations.max(1);
        let is_past = |horizon: &u64| *horizon > 1 && horizon.saturating_add(generations) > commit.seq;
        let (Some(horizon), Some(parent)) = (prune.horizon.filter(is_past), commit.parents.first()) else {
            return Ok(None);
        };
        // Nobody heeds the wishes of a device that has not committed for long.
        if !self.devices_lately(*parent).await?.contains_key(&wishes.device) {
            return Ok(None);
        }
        Ok(Some(format!(
            "it says that what is older than generation {horizon} may be deleted, and this device keeps {generations} generations: it deletes nothing for that"
        )))
    }
}

/// A pack that a commit marks or sweeps, although it alone holds a part of a file of its first
/// parent's state, or of an open conflict.
fn needed_pack(state: &Snapshot, commit: &Commit) -> Option<PackId> {
    let gives_up = |pack: &PackId| commit.prune.marked.contains(pack) || commit.prune.swept.contains(pack);
    let (going, staying): (Vec<_>, Vec<_>) = state.packs.values().partition(|pack| gives_up(&pack.id));
    let brought = commit.enclosed.iter().flat_map(|pack| &pack.chunks);
    let moved = commit.packs.iter().flat_map(|pack| &pack.chunks).chain(brought);
    let staying = staying.iter().flat_map(|pack| &pack.chunks).chain(moved);
    let there: BTreeSet<Digest> = staying.map(|slot| slot.id).collect();
    let needed: BTreeSet<Digest> = state
        .contents()
        .filter(|entry| entry.size > 0)
        .flat_map(|entry| match state.recipes.get(&entry.digest) {
            Some(recipe) => recipe.parts.iter().map(|part| part.id).collect(),
            None => vec![entry.digest],
        })
        .filter(|chunk| !there.contains(chunk))
        .collect();
    let holds = |pack: &&&Arc<PackInfo>| pack.chunks.iter().any(|slot| needed.contains(&slot.id));
    going.iter().find(holds).map(|pack| pack.id)
}

#[cfg(test)]
mod tests;
