//! How the versions of one item follow each other in the history, and which of them were merged
//! into others. Pure.
//!
//! A merge of two commits takes one side's version of an item. The other side's lost; when it is
//! merged later, by an ordinary commit that decides its conflict, the version that stands has all
//! of it: it was made of both.

use std::collections::{BTreeMap, BTreeSet};

use super::Past;
use super::cycle::kind;
use crate::model::{Change, CommitKey, CommitKind, Conflict, ConflictId, Entry, Groups, Item, Keep, Kept};
use crate::vault::validate::Kind;

/// The ordinary commit that brought the losing version of a conflict, if one did.
pub(crate) fn bringer<'p>(past: &'p [Past], conflict: &Conflict, groups: &Groups) -> Option<&'p Past> {
    // The number of rows in an entry depends on who looked.
    let content = |entry: Option<Entry>| entry.map(|entry| entry.content());
    let brings = |change: &Change| {
        let mut files = conflict.files.iter().filter(|file| !groups.is_derived(&file.path));
        files.any(|file| file.path == change.path && content(file.entry) == content(change.entry))
    };
    past.iter().find(|past| past.device.is_some() && past.changes.iter().any(brings))
}

/// The side that lost in a merge of two commits. None for an ordinary commit.
pub(super) fn loser(past: &Past) -> Option<CommitKey> {
    match past.parents.as_slice() {
        [_, loser] => Some(*loser),
        _ => None,
    }
}

/// The commits that brought versions of one item, each with the one that its version replaced.
pub(super) struct Lines<'p> {
    groups: &'p Groups,
    item: &'p Item,
    /// From the newest to the oldest.
    all: &'p [Past],
    past: BTreeMap<CommitKey, &'p Past>,
    /// Commits that bring or remove a file of the item.
    bring: BTreeSet<CommitKey>,
    /// Conflicts over the item, each with the commit that first listed it.
    lost: BTreeMap<ConflictId, (CommitKey, &'p Conflict)>,
}

impl<'p> Lines<'p> {
    pub(super) fn of(past: &'p [Past], groups: &'p Groups, item: &'p Item) -> Self {
        let of_item = |past: &&Past| past.changes.iter().any(|change| groups.item(&change.path) == *item);
        let bring = past.iter().filter(of_item).map(|past| past.key).collect();
        let listed = past.iter().flat_map(|past| past.kept.iter().map(|lost| (past.key, lost)));
        let lost = listed.filter(|(_, lost)| lost.item == *item).map(|(key, lost)| (lost.id, (key, lost)));
        let (all, past) = (past, past.iter().map(|past| (past.key, past)).collect());
        Self { groups, item, all, past, bring, lost: lost.collect() }
    }

    /// Commits that brought the version which stands in `from`, the one that this one replaced, and
    /// so on. A merge brings nothing: it takes the version of one of its parents.
    pub(super) fn down(&self, from: CommitKey) -> impl Iterator<Item = CommitKey> {
        let mut at = Some(from);
        std::iter::from_fn(move || {
            loop {
                let past = self.past.get(&at?)?;
                at = self.above(past);
                if self.bring.contains(&past.key) && past.parents.len() < 2 {
                    return Some(past.key);
                }
            }
        })
    }

    /// The commit whose version stands in one that brings none.
    fn above(&self, past: &Past) -> Option<CommitKey> {
        match past.parents.as_slice() {
            [_, other] if self.bring.contains(&past.key) => Some(*other),
            parents => parents.first().copied(),
        }
    }

    /// The first commit of all, which `from` goes back to. None if the history does not reach so
    /// far.
    pub(super) fn first(&self, from: CommitKey) -> Option<CommitKey> {
        let mut at = from;
        loop {
            match self.above(self.past.get(&at)?) {
                Some(above) => at = above,
                None => return Some(at),
            }
        }
    }

    /// All that the version which stands in `from` was made of.
    pub(super) fn all_in(&self, from: CommitKey) -> Ancestry {
        let mut all = Ancestry::default();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            let Some(past) = self.past.get(&at).filter(|past| all.commits.insert(past.key)) else { continue };
            open.extend(self.above(past));
            for id in self.merged_by(past) {
                all.merged.insert(id);
                open.extend(self.lost(id).and_then(|(_, lost)| self.committed(lost)));
            }
        }
        all
    }

    /// Conflicts of which this commit merged the losing version into the one that stood.
    fn merged_by(&self, past: &Past) -> impl Iterator<Item = ConflictId> {
        let is_other = |change: &Change| self.groups.item(&change.path) != *self.item;
        let is_merge = past.parents.len() < 2 && past.kind == CommitKind::Resolve;
        // A version that a person has put beside the one that stands is in files of its own. One
        // that was put in its place may have made way for another at once.
        let takes = is_merge && !past.changes.iter().any(is_other);
        let kept = past.resolved.iter().filter(move |one| takes && one.keep == Keep::Both);
        kept.map(|one| one.id).filter(|id| self.lost(*id).is_some())
    }

    pub(super) fn item(&self) -> &'p Item {
        self.item
    }

    /// A conflict over the item, and the commit that first listed it.
    pub(super) fn lost(&self, id: ConflictId) -> Option<(CommitKey, &'p Conflict)> {
        self.lost.get(&id).copied()
    }

    /// The commit that brought this very version of a group, if one did.
    fn committed(&self, conflict: &Conflict) -> Option<CommitKey> {
        let primary = |past: &'p Past| {
            let of_item = self.changes_in(past);
            of_item.filter(|change| !self.groups.is_derived(&change.path))
        };
        // Vectors alone may be those of several versions.
        let is_corpus = |change: &Change| matches!(kind(self.groups, &change.path), Some(Kind::Corpus(_)));
        let is_in = |change: &Change| stands_in(change, &conflict.files);
        let brings = |past: &&'p Past| primary(past).any(is_corpus) && primary(past).all(is_in);
        // The first one: a decision may have put it in place again.
        let ordinary = self.all.iter().rev().filter(|past| past.device.is_some());
        ordinary.filter(|past| self.bring.contains(&past.key)).find(brings).map(|past| past.key)
    }

    /// True if this version of the item may stand after a commit: what it changed is so in it.
    pub(super) fn may_stand_after(&self, key: CommitKey, files: &[Kept]) -> bool {
        let past = self.past.get(&key);
        past.is_some_and(|past| self.changes_in(past).all(|change| stands_in(change, files)))
    }

    fn changes_in(&self, past: &'p Past) -> impl Iterator<Item = &'p Change> {
        past.changes.iter().filter(|change| self.groups.item(&change.path) == *self.item)
    }
}

/// True if a file is among `files` as a change left it.
fn stands_in(change: &Change, files: &[Kept]) -> bool {
    let content = |entry: Option<Entry>| entry.map(|entry| entry.content());
    let file = files.iter().find(|file| file.path == change.path);
    content(file.and_then(|file| file.entry)) == content(change.entry)
}

/// All that a version was made of.
#[derive(Debug, Default)]
pub(super) struct Ancestry {
    /// Commits whose version of the item it has followed, or has taken in.
    pub(super) commits: BTreeSet<CommitKey>,
    /// Conflicts whose losing version it has taken in.
    pub(super) merged: BTreeSet<ConflictId>,
}

#[cfg(test)]
mod tests;
