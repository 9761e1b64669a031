//! Puts objects of the log back that the bucket has lost, from this device's verified copies.
//!
//! A lost commit keeps new devices from all that builds on it, and any device that has read it can
//! put the very bytes again. Decided here: when that is no more than mending. A commit on which a
//! visible one builds was there, so it is put back as soon as a listing of all shows that it is
//! gone. The newest one is not: its absence looks the same as a bucket that somebody has set back
//! on purpose, so only a repair does it.
//!
//! A crash leaves whole objects.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{VAULT, commit_key, header_key, parse_header_key};
use super::{Depth, Log, LogError, Node};
use crate::model::{CommitKey, PackId};
use crate::remote::list_all;

impl Log {
    /// Puts commits back that the newest listing of all lacks, although what builds on them was
    /// listed and is older than any listing is behind.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn put_back_commits(&mut self) -> Result<(), LogError> {
        let missing: Vec<(CommitKey, &Node)> =
            self.graph.iter().filter(|(key, _)| !self.visible.contains_key(key)).collect();
        let parents =
            self.graph.iter().flat_map(|(key, node)| node.parents.iter().map(move |one| (*one, key)));
        let mut builders: BTreeMap<CommitKey, BTreeSet<CommitKey>> =
            missing.iter().map(|(key, _)| (*key, BTreeSet::new())).collect();
        for (parent, child) in parents {
            if let Some(children) = builders.get_mut(&parent) {
                children.insert(child);
            }
        }
        let mut gone = BTreeSet::new();
        // The newest first: one that is missing itself counts as there once it is put back.
        for (key, children) in builders.into_iter().rev() {
            let mut was_there = children.iter().any(|child| gone.contains(child));
            for child in &children {
                was_there = was_there || self.is_long_ago(*child).await?;
            }
            if was_there {
                gone.insert(key);
            }
        }
        for key in gone {
            let name = commit_key(key);
            if self.put_again(&name).await? {
                tracing::warn!(commit = %key, "this commit was missing from the bucket, and is put back");
            }
        }
        Ok(())
    }

    /// Puts the vault's header back if the bucket has lost it: no new device could join. The log
    /// has been refreshed.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn put_back_header(&self) -> Result<(), LogError> {
        if let Some(key) = self.missing_header().await?
            && self.put_again(&key).await?
        {
            tracing::warn!(key, "the vault's header was missing from the bucket, and is put back");
        }
        Ok(())
    }

    /// Key of the vault's header, if the bucket holds commits and not the header.
    pub(super) async fn missing_header(&self) -> Result<Option<String>, LogError> {
        let Some(vault) = self.vault().filter(|_| !self.visible.is_empty()) else { return Ok(None) };
        let listed = list_all(self.remote.as_ref(), VAULT, None).await?;
        let is_there = listed.iter().any(|object| parse_header_key(&object.key) == Some(vault));
        Ok((!is_there).then(|| header_key(vault)))
    }

    /// Puts the commits back that lead to `agreed` from what the bucket still holds, if it holds
    /// all packs of that state. False if `agreed` cannot be put back.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn put_back_agreed(&mut self, agreed: CommitKey) -> Result<bool, LogError> {
        match self.check_agreed(agreed).await {
            Err(LogError::RolledBack { .. }) => {}
            checked => return checked.map(|()| true),
        }
        let (mut lost, mut open) = (BTreeSet::new(), BTreeSet::from([agreed]));
        let mut begins = false;
        while let Some(key) = open.pop_last() {
            if self.visible.contains_key(&key) {
                begins = true;
                continue;
            }
            let Some(commit) = self.cached_commit(key) else { return Ok(false) };
            lost.insert(key);
            open.extend(commit.parents);
        }
        // Of a bucket that was emptied or replaced nothing is left to build on.
        if !begins {
            return Ok(false);
        }
        let state = self.recall(agreed).await?;
        // A pack in a lost commit is back with it.
        let back: BTreeSet<PackId> = lost.iter().map(|key| PackId::within(key.id)).collect();
        let there = self.packs_there(state.packs.values()).await?;
        if !state.packs.keys().all(|pack| back.contains(pack) || there.contains_key(pack)) {
            return Ok(false);
        }
        for key in lost {
            self.put_again(&commit_key(key)).await?;
        }
        self.refresh(Depth::Whole).await?;
        Ok(self.check_agreed(agreed).await.is_ok())
    }
}
