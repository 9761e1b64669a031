//! Units: items that can only be put in place together.
//!
//! Mostly a unit is one item. But if a name changes only its case, or a file becomes a folder, one
//! item's delete must come before another's create, and if the second fails the first must be
//! undone: those items make one unit. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use super::{Entry, FileStat, Step};

/// One step of a unit.
pub(super) struct Task<'a> {
    /// Index of its item in the journal.
    pub item: usize,
    /// Index of the step in its item.
    pub at: usize,
    pub entry: &'a Entry,
    pub step: &'a Step,
    /// [`crate::model::VaultPath::fold_key`] of its path.
    pub key: String,
    /// The state in which the file to be displaced is known to hold the old content.
    pub seen: Option<FileStat>,
    /// True if it is still to be done.
    pub todo: bool,
}

/// Items that are put in place together.
pub(super) struct Unit<'a> {
    /// Their positions in the journal.
    pub items: Vec<usize>,
    pub tasks: Vec<Task<'a>>,
}

impl Task<'_> {
    pub const fn deletes(&self) -> bool {
        self.step.new.is_none()
    }
}

impl Unit<'_> {
    /// True if the unit itself deletes, or has deleted, the file at the place of `task`: one whose
    /// name differs only in case, or files below a folder in its place.
    pub fn makes_way(&self, task: &Task) -> bool {
        let below = |key: &str| key.strip_prefix(&task.key).is_some_and(|rest| rest.starts_with('/'));
        self.tasks.iter().any(|other| other.deletes() && (other.key == task.key || below(&other.key)))
    }

    /// True if the unit deletes a file at `folder`, where a folder will be.
    pub fn deletes_at(&self, folder_key: &str) -> bool {
        self.tasks.iter().any(|other| other.deletes() && other.key == folder_key)
    }
}

/// A journal, split into units. Each is made when its turn comes: of 100,000 files there would be
/// 30 MB of them.
pub(super) struct Units<'a> {
    entries: &'a [Entry],
    sets: Sets,
    /// Items of the units that have several, by the first of them.
    joined: HashMap<usize, Vec<usize>>,
}

impl<'a> Units<'a> {
    pub fn of(entries: &'a [Entry]) -> Self {
        let mut sets = Sets((0..entries.len()).collect());
        let steps = entries.iter().enumerate().flat_map(|(item, entry)| {
            let keys = entry.steps.iter().map(|step| step.path.fold_key());
            keys.map(move |key| (key, item))
        });
        let mut keys: HashMap<String, usize> = HashMap::new();
        for (key, item) in steps {
            match keys.entry(key) {
                Slot::Occupied(other) => sets.join(*other.get(), item),
                Slot::Vacant(free) => drop(free.insert(item)),
            }
        }
        for (key, &item) in &keys {
            for (at, _) in key.match_indices('/') {
                if let Some(&other) = key.get(..at).and_then(|folder| keys.get(folder)) {
                    sets.join(other, item);
                }
            }
        }
        let mut joined: HashMap<usize, Vec<usize>> = HashMap::new();
        for item in 0..entries.len() {
            let first = sets.root(item);
            if first != item {
                joined.entry(first).or_insert_with(|| vec![first]).push(item);
            }
        }
        Self { entries, sets, joined }
    }

    /// All units, in the order of their first items. An item without steps has none.
    pub fn iter(&self) -> impl Iterator<Item = Unit<'a>> {
        let firsts = (0..self.entries.len()).filter(|item| self.sets.root(*item) == *item);
        let units =
            firsts.map(|first| self.unit(self.joined.get(&first).cloned().unwrap_or_else(|| vec![first])));
        units.filter(|unit| !unit.tasks.is_empty())
    }

    fn unit(&self, items: Vec<usize>) -> Unit<'a> {
        let entries = items.iter().filter_map(|&item| Some((item, self.entries.get(item)?)));
        let tasks = entries.flat_map(|(item, entry)| {
            entry.steps.iter().enumerate().map(move |(at, step)| Task {
                item,
                at,
                entry,
                step,
                key: step.path.fold_key(),
                seen: None,
                todo: true,
            })
        });
        Unit { tasks: tasks.collect(), items }
    }
}

/// Disjoint sets: each number leads to a smaller one of its set, the smallest to itself.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&self, mut item: usize) -> usize {
        while let Some(&next) = self.0.get(item).filter(|&&next| next != item) {
            item = next;
        }
        item
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        if let Some(slot) = self.0.get_mut(one.max(other)) {
            *slot = one.min(other);
        }
    }
}
