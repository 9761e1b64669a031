//! The version that both sides of a conflict over a group came from.
//!
//! The device that finds a conflict knows it, and notes it beside the losing version. Where that
//! note is missing, the history tells less: where a merge of two commits listed the conflict, their
//! common ancestor; else the last version of the group that the losing device itself had sent. That
//! one may be older than the true base: then a deletion may come back. It is no newer, with which a
//! memory could be lost, as long as that device remembered what it had agreed on. Where there is
//! neither, there is no base.
//!
//! A crash leaves a conflict without its note.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cycle::Survey;
use super::recovery::Stand;
use super::session::{Context, Session};
use super::{Past, SyncError};
use crate::fs::{self, At, found};
use crate::log::Snapshot;
use crate::model::{CommitKey, CommitKind, Conflict, ConflictId, Item, Kept, VaultPath};
use crate::plan::Action;

/// Longest note, in bytes.
const MAX_NOTE: u64 = 64 << 20;

/// Commits in which the noted version is looked for.
const MAX_LOOKS: usize = 50;

/// Note of the version that a losing one came from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    /// Commit that this device had agreed on. None at a first join: then there is no base, whatever
    /// the history says.
    commit: Option<CommitKey>,
    /// Files of the group on which it had agreed.
    files: Vec<Kept>,
}

impl Session<'_> {
    /// Notes beside each losing version of a group that was put aside just now what it came from.
    pub(crate) fn note_bases(
        &self,
        survey: &Survey,
        done: &BTreeSet<Item>,
        agreed: Option<CommitKey>,
    ) -> Result<(), SyncError> {
        for step in survey.plan.steps.iter().filter(|step| done.contains(&step.item)) {
            let (Action::Conflict(conflict), Item::Group(name)) = (&step.action, &step.item) else {
                continue;
            };
            let members = survey.remote.groups.members(name, &survey.base);
            let kept = |(path, entry): (&VaultPath, &_)| Kept { path: path.clone(), entry: Some(*entry) };
            self.context
                .note_base(conflict.id, &Base { commit: agreed, files: members.map(kept).collect() })?;
        }
        Ok(())
    }

    /// State with the version that both sides of a conflict over the group `name` came from.
    pub(crate) async fn common_version(
        &mut self,
        conflict: &Conflict,
        name: &str,
        head: &Stand,
    ) -> Result<Option<Stand>, SyncError> {
        if let Some(note) = self.context.noted_base(conflict.id)? {
            let Some(commit) = note.commit else { return Ok(None) };
            if head.key.is_some_and(|head| self.log.graph().descends(head, commit)) {
                // A group that waited for its files to settle was agreed on in an older commit.
                let past = self.log.past(commit).await?;
                let of_the_group = |past: &&Past| {
                    past.changes.iter().any(|change| head.groups.item(&change.path) == conflict.item)
                };
                let older = past.iter().filter(of_the_group).map(|past| past.key);
                for key in std::iter::once(commit).chain(older).take(MAX_LOOKS) {
                    let state = self.log.readable(key, head.key).await?;
                    if note.is_in(name, head, &state) {
                        return Ok(Some(state));
                    }
                }
            }
        }
        let Some(key) = self.base_in_history(conflict, head).await? else { return Ok(None) };
        Ok(Some(self.log.readable(key, head.key).await?))
    }

    async fn base_in_history(
        &self,
        conflict: &Conflict,
        head: &Stand,
    ) -> Result<Option<CommitKey>, SyncError> {
        let Some(newest) = head.key else { return Ok(None) };
        let past = self.log.past(newest).await?;
        // The newest comes first, and a merge may list again what an ancestor listed.
        let Some(listed) = past.iter().rev().find(|past| past.kept.contains(&conflict.id)) else {
            return Ok(None);
        };
        if let [one, other] = listed.parents.as_slice() {
            let nearest = self.log.graph().nearest_common(*one, *other);
            // Crossed merges have several, and their merge is no commit.
            return Ok(nearest.first().copied().filter(|_| nearest.len() == 1));
        }
        let Some(device) = listed.device.as_ref().map(|device| device.id) else { return Ok(None) };
        let before = self.log.graph().ancestry(listed.key);
        let sent = |past: &&Past| {
            let of_the_group =
                past.changes.iter().any(|change| head.groups.item(&change.path) == conflict.item);
            let is_sent = matches!(past.kind, CommitKind::Sync | CommitKind::Import);
            let is_its = past.device.as_ref().is_some_and(|maker| maker.id == device);
            past.key != listed.key && before.contains(&past.key) && is_its && is_sent && of_the_group
        };
        Ok(past.iter().find(sent).map(|past| past.key))
    }
}

impl Base {
    /// True if `state` has the contents of the group that are noted. What else an entry says, the
    /// number of rows among it, depends on who looked.
    fn is_in(&self, name: &str, head: &Snapshot, state: &Snapshot) -> bool {
        let members = head.groups.members(name, &state.tree);
        let noted = self.files.iter().map(|file| (&file.path, file.entry.map(|entry| entry.content())));
        members.map(|(path, entry)| (path, Some(entry.content()))).eq(noted)
    }
}

impl Context {
    fn note_base(&self, id: ConflictId, base: &Base) -> Result<(), SyncError> {
        let (record, place) = (self.layout.conflict_record(id), self.layout.conflict_base(id));
        for (path, wanted) in [(&record, true), (&place, false)] {
            // Without a record nothing was displaced; and what lost once came from the first note.
            if found(self.fs().lstat(path)).at("look at", path)?.is_some() != wanted {
                return Ok(());
            }
        }
        let text = serde_json::to_string_pretty(base);
        let text =
            text.map_err(|error| SyncError::Damaged { path: place.clone(), why: error.to_string() })?;
        Ok(fs::replace(self.fs(), &place, text.as_bytes(), 0o600).at("write", &place)?)
    }

    /// Note beside a losing version. One that cannot be read counts as none.
    fn noted_base(&self, id: ConflictId) -> Result<Option<Base>, SyncError> {
        let place = self.layout.conflict_base(id);
        let bytes = found(fs::read(self.fs(), &place, MAX_NOTE)).at("read", &place)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}
