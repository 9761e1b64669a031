//! Note of what pulls have brought to a group since it was last written here, pull by pull, and the
//! version that a save was made from.
//!
//! An app may have read the group before the first of these pulls, or after any of them. A save
//! tells when: it has something of the pulls before that moment as they brought it, and nothing of
//! the later ones. Of all such moments the first one counts. What the save lacks of the version of
//! that moment was deleted by somebody who knew it.
//!
//! Between two pulls that were joined, as there were too many, no app is looked for: one that read
//! there seems to know both.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::bases::Gone;
use crate::merge::Id;
use crate::model::{ConflictId, Digest, Kept, VaultPath};

/// Memories that are noted for a group: a note is written with each pull.
const MOST: usize = 100_000;
/// Pulls that are told apart. An app that is open all day meets many, and reads before most of them.
const MOST_PULLS: usize = 64;

/// Note of the pulls of a group since it was last written here.
///
/// A note of one pull has the form that older programs know. They take one of several for none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Brought {
    /// Agreed version that whatever was last written here came from, or was.
    pub origin: Vec<Kept>,
    /// Version that the last of these pulls put in place.
    pub agreed: Vec<Kept>,
    /// Memories as they were last written here, by corpus.
    pub wrote: BTreeMap<VaultPath, Table>,
    /// Memories that the first pull changed.
    pub lines: Lines,
    /// True once a save that took them back was merged.
    pub merged: bool,
    /// Conflicts over what was last written here: a save from the same memory has all of it.
    #[serde(default)]
    pub aside: Vec<ConflictId>,
    /// The later pulls, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<Pull>,
}

/// A later pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pull {
    /// Agreed version that it replaced.
    pub from: Vec<Kept>,
    /// Memories that it changed.
    pub lines: Lines,
}

/// A memory that a pull has brought, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub id: Id,
    /// Digest of what it said before. None if it was not there.
    pub before: Option<Digest>,
    /// Digest of what it says since. None if it is gone.
    pub after: Option<Digest>,
}

/// A save that takes back what pulls have brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reverted {
    /// Conflicts over versions of which it has everything, too.
    pub aside: Vec<ConflictId>,
    /// Memories that it deletes of those that were last written here, by corpus.
    pub gone: Gone,
}

/// Digest of each memory.
pub(super) type Table = BTreeMap<Id, Digest>;

/// Memories that pulls have changed, by corpus.
pub(super) type Lines = BTreeMap<VaultPath, Vec<Line>>;

/// The same of pulls that follow each other.
type Changes<'n> = BTreeMap<&'n VaultPath, BTreeMap<&'n Id, Change>>;

/// A memory that pulls which follow each other have changed.
#[derive(Debug)]
struct Change {
    /// Digest of what it said before the first one. None if it was not there.
    before: Option<Digest>,
    /// Digest of what it says since the last one. None if it is gone.
    after: Option<Digest>,
    /// Digests of what each of them brought.
    came: Vec<Digest>,
}

impl Brought {
    /// The note after a later pull, which brings `lines` in place of the last version. `wrote` has
    /// the memories that were here before it.
    pub fn and_then(mut self, agreed: Vec<Kept>, lines: Lines, wrote: BTreeMap<VaultPath, Table>) -> Self {
        self.merged &= !self.grows_with(&lines);
        for (corpus, table) in wrote {
            // No pull has touched this corpus before.
            self.wrote.entry(corpus).or_insert(table);
        }
        let from = std::mem::replace(&mut self.agreed, agreed);
        if !is_empty(&lines) {
            self.later.push(Pull { from, lines });
        }
        while !self.later.is_empty() && (self.later.len() >= MOST_PULLS || self.is_too_long()) {
            let second = self.later.remove(0);
            self.lines = joined(&self.lines, &second.lines);
        }
        self
    }

    /// True if it is too much to be noted.
    pub fn is_too_long(&self) -> bool {
        let lines = self.pulls().flat_map(BTreeMap::values).map(Vec::len);
        lines.chain(self.wrote.values().map(Table::len)).sum::<usize>() > MOST
    }

    /// Corpora of which it has something to say.
    pub fn corpora(&self) -> BTreeSet<&VaultPath> {
        self.pulls().flat_map(BTreeMap::keys).collect()
    }

    fn pulls(&self) -> impl Iterator<Item = &Lines> {
        std::iter::once(&self.lines).chain(self.later.iter().map(|pull| &pull.lines))
    }

    /// True if a later pull brings memories that the ones before do not know.
    fn grows_with(&self, lines: &Lines) -> bool {
        let mut known = Changes::new();
        for earlier in self.pulls().collect::<Vec<_>>().into_iter().rev() {
            precede(&mut known, earlier);
        }
        let is_new = |corpus: &VaultPath, line: &Line| {
            let known = known.get(corpus).and_then(|known| known.get(&line.id));
            line.after.is_some() && known.is_none_or(Change::is_none)
        };
        lines.iter().any(|(corpus, lines)| lines.iter().any(|line| is_new(corpus, line)))
    }

    /// Judges a save, given its memories: one that takes back what pulls have brought although that
    /// was not meant, and the version that it was made from; or none.
    pub fn judge(&self, here: &BTreeMap<VaultPath, Table>) -> Option<(&[Kept], Reverted)> {
        let (mut changes, mut knew) = (Changes::new(), None);
        for pull in self.later.iter().rev() {
            precede(&mut changes, &pull.lines);
            if Signs::of(&changes, here).is_unaware() {
                knew = Some((pull.from.as_slice(), Reverted::default()));
            }
        }
        precede(&mut changes, &self.lines);
        let signs = Signs::of(&changes, here);
        if !signs.is_unaware() {
            return knew;
        }
        let corpora = || here.iter().map(|(corpus, table)| (corpus, table, self.wrote.get(corpus)));
        let is_pure = corpora().all(|(_, table, wrote)| wrote == Some(table));
        if is_pure && self.merged {
            // It was brought back once, and is taken back again.
            return None;
        }
        // Whoever has read again and deleted all that came has nothing of what was there before,
        // and may not have what waits beside.
        let aside = if signs.has { self.aside.clone() } else { Vec::new() };
        let mut gone = Gone::new();
        for (corpus, table, wrote) in corpora().filter(|_| signs.has || !signs.had) {
            let deleted = wrote.into_iter().flatten().filter(|(id, _)| !table.contains_key(*id));
            gone.insert(corpus.clone(), deleted.map(|(id, digest)| (id.clone(), *digest)).collect());
        }
        Some((&self.origin, Reverted { aside, gone }))
    }
}

/// Signs, in a save, of what its app knew of some pulls. It has:
#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    /// Something as it came, even if a later pull has changed it since.
    knows: bool,
    /// Something that came, however it was changed.
    knows_new: bool,
    /// Something as it was before, or as absent as it was.
    takes_back: bool,
    /// Something as it was before.
    has: bool,
    /// True if there was something before.
    had: bool,
}

impl Signs {
    fn of(changes: &Changes<'_>, here: &BTreeMap<VaultPath, Table>) -> Self {
        let mut signs = Self::default();
        for (corpus, changes) in changes {
            for (id, change) in changes {
                let Change { before, after, came } = change;
                let says = here.get(*corpus).and_then(|table| table.get(*id)).copied();
                // A memory that is gone may have been deleted here, too.
                signs.knows |= says != *before && says.is_some_and(|says| came.contains(&says));
                if change.is_none() {
                    continue;
                }
                signs.knows_new |= before.is_none() && after.is_some() && says.is_some();
                signs.takes_back |= says == *before;
                signs.has |= before.is_some() && says == *before;
                signs.had |= before.is_some();
            }
        }
        signs
    }

    /// True if whoever saved this had not read what came.
    const fn is_unaware(self) -> bool {
        // Else it has read what came, and has changed or deleted every memory of it since.
        let has_changed_all = self.had && !self.has && self.knows_new;
        self.takes_back && !self.knows && !has_changed_all
    }
}

impl Change {
    /// True if the memory says again what it said.
    fn is_none(&self) -> bool {
        self.before == self.after
    }
}

/// True if no memory differs.
pub(super) fn is_empty(lines: &Lines) -> bool {
    lines.values().all(Vec::is_empty)
}

/// Memories that differ between two versions of a corpus.
pub(super) fn difference(before: &Table, after: &Table) -> Vec<Line> {
    let ids: BTreeSet<&Id> = before.keys().chain(after.keys()).collect();
    let line =
        |id: &Id| Line { id: id.clone(), before: before.get(id).copied(), after: after.get(id).copied() };
    ids.into_iter().map(line).filter(|line| line.before != line.after).collect()
}

/// Adds the pull before those that are known.
fn precede<'n>(changes: &mut Changes<'n>, lines: &'n Lines) {
    for (corpus, lines) in lines {
        let known = changes.entry(corpus).or_default();
        for line in lines {
            let new = || Change { before: None, after: line.after, came: Vec::new() };
            let change = known.entry(&line.id).or_insert_with(new);
            change.before = line.before;
            change.came.extend(line.after);
        }
    }
}

/// Memories that two pulls have changed, as if they were one.
fn joined(first: &Lines, second: &Lines) -> Lines {
    let mut changes = Changes::new();
    precede(&mut changes, second);
    precede(&mut changes, first);
    let lines = |all: BTreeMap<&Id, Change>| {
        let differ = all.into_iter().filter(|(_, change)| !change.is_none());
        differ.map(|(id, Change { before, after, .. })| Line { id: id.clone(), before, after }).collect()
    };
    changes.into_iter().map(|(corpus, all)| (corpus.clone(), lines(all))).collect()
}

#[cfg(test)]
mod tests;
