//! Units: items that can only be put in place together.
//!
//! Mostly a unit is one item. But if a name changes only its case, or a file becomes a folder, one
//! item's delete must come before another's create, and if the second fails the first must be
//! undone: those items make one unit. Pure.

use std::collections::HashMap;

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

/// Splits a journal into units, in the order of their first items.
pub(super) fn units(entries: &[Entry]) -> Vec<Unit<'_>> {
    let tasks: Vec<Task> = entries
        .iter()
        .enumerate()
        .flat_map(|(item, entry)| {
            entry.steps.iter().enumerate().map(move |(at, step)| Task {
                item,
                at,
                entry,
                step,
                key: step.path.fold_key(),
                seen: None,
                todo: true,
            })
        })
        .collect();
    let mut sets = Sets((0..entries.len()).collect());
    let mut keys: HashMap<&str, usize> = HashMap::new();
    for task in &tasks {
        if let Some(other) = keys.insert(&task.key, task.item) {
            sets.join(other, task.item);
        }
    }
    for task in &tasks {
        for (at, _) in task.key.match_indices('/') {
            if let Some(&other) = task.key.get(..at).and_then(|folder| keys.get(folder)) {
                sets.join(other, task.item);
            }
        }
    }
    drop(keys);
    let mut units: Vec<Unit> = Vec::new();
    let mut unit_of: HashMap<usize, usize> = HashMap::new();
    for task in tasks {
        let at = *unit_of.entry(sets.root(task.item)).or_insert(units.len());
        if at == units.len() {
            let tasks = Vec::with_capacity(task.entry.steps.len());
            units.push(Unit { items: Vec::with_capacity(1), tasks });
        }
        if let Some(unit) = units.get_mut(at) {
            if unit.items.last() != Some(&task.item) {
                unit.items.push(task.item);
            }
            unit.tasks.push(task);
        }
    }
    units
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
