//! Cuts a push into commits of a bounded size. Pure.
//!
//! Every reader holds a commit in memory, and every device waits for all contents of a commit. So a
//! push of many files is many commits, the small files first. A group is one item and is never cut.
//! Neither is a transaction, the set of one hold that was let through, a file and the place that
//! its content or its name moves from, or a file and one that carries its name on. So no commit
//! takes away a content that a later one brings, and the brakes see a replacement whole.

use std::collections::{BTreeMap, BTreeSet};

use super::tally::carrying;
use super::{Hold, Step};
use crate::model::{Digest, Item, VaultPath};
use crate::planted::{Bug, planted};

/// Limits of one commit. A set that cannot be cut may exceed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the commit's own description: paths, recipes and tables of packs.
    pub described: u64,
    /// Bytes of the files that it brings.
    pub content: u64,
    /// Bytes of the pack that it may hold itself, and that need no object of its own; 0 for none.
    pub enclosed: u64,
    /// Generation of the vault after which it may. An older device that has joined and committed
    /// nothing yet is known to nobody, and would be shut out by the first such commit.
    pub enclosed_after: u64,
}

/// Files of a commit that may hold a pack itself, at most: it is decoded whole for the pack.
const FILES_BESIDE: usize = 256;

impl Limits {
    /// Bytes of the pack that a commit of so many files may hold itself, if it follows this
    /// generation.
    #[must_use]
    pub const fn enclosed_at(&self, generation: u64, files: usize) -> u64 {
        if files <= FILES_BESIDE && generation >= self.enclosed_after { self.enclosed } else { 0 }
    }
}

impl Default for Limits {
    /// A commit of less than 8 MiB when it is compressed, and less than twenty minutes of upload at
    /// two megabits per second.
    fn default() -> Self {
        Self { described: 12 << 20, content: 256 << 20, enclosed: 8 << 10, enclosed_after: 32 }
    }
}

/// Bytes that a commit needs for one change, beside its path.
const CHANGE: u64 = 180;
/// Bytes that a commit needs for one chunk: a row of a pack's table, and a part of a recipe.
const CHUNK: u64 = 230;

/// Steps that cannot be cut, and their size.
#[derive(Debug, Default)]
struct Unit<'a> {
    /// With their numbers in the plan.
    steps: Vec<(usize, &'a Step)>,
    described: u64,
    content: u64,
    newest_ms: i64,
    /// True if the unit only removes.
    removes: bool,
}

/// Cuts the outgoing `steps` of a plan into commits, in the order in which they are made. Items of
/// one set of `together`, and of one hold of `approved`, stay in one commit. `chunk` is the
/// expected length of a chunk, in bytes.
#[must_use]
pub fn batches<'a>(
    steps: &[&'a Step],
    together: &[BTreeSet<Item>],
    approved: &[Hold],
    chunk: u32,
    limits: Limits,
) -> Vec<Vec<&'a Step>> {
    let mut ties = Ties::new(steps.len());
    if !planted(Bug::CutThrough) {
        tie_items(&mut ties, steps, together.iter().chain(approved.iter().map(|hold| &hold.items)));
        tie_moves(&mut ties, steps);
        tie_places(&mut ties, steps);
        tie_names(&mut ties, steps);
    }
    let mut units: BTreeMap<usize, Unit<'a>> = BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        let unit =
            units.entry(ties.root(number)).or_insert_with(|| Unit { removes: true, ..Unit::default() });
        unit.add(number, step, u64::from(chunk.max(1)));
    }
    let mut units: Vec<Unit<'a>> = units.into_values().collect();
    // Among files of about the same size, the oldest first. A stable sort keeps the order of paths.
    units.sort_by_key(|unit| (unit.removes, unit.content.checked_ilog2(), unit.newest_ms));
    let mut cut: Vec<Vec<(usize, &Step)>> = Vec::new();
    let (mut described, mut content) = (0, 0);
    for unit in units {
        described += unit.described;
        content += unit.content;
        match cut.last_mut() {
            Some(last) if described <= limits.described && content <= limits.content => {
                last.extend(unit.steps);
            }
            _ => {
                (described, content) = (unit.described, unit.content);
                cut.push(unit.steps);
            }
        }
    }
    // Files that lie together in the vault lie together in a pack, and are fetched in few requests.
    cut.iter_mut().for_each(|batch| batch.sort_by_key(|(number, _)| *number));
    cut.into_iter().map(|batch| batch.into_iter().map(|(_, step)| step).collect()).collect()
}

impl<'a> Unit<'a> {
    fn add(&mut self, number: usize, step: &'a Step, chunk: u64) {
        self.steps.push((number, step));
        for file in &step.files {
            self.described += CHANGE + file.path.as_str().len() as u64;
            let Some(entry) = file.to else { continue };
            self.removes = false;
            self.described += CHUNK * (entry.size / chunk + 1);
            self.content += entry.size;
            self.newest_ms = self.newest_ms.max(entry.mtime_ms);
        }
    }
}

/// Ties steps whose items stand in one of the sets.
fn tie_items<'a>(ties: &mut Ties, steps: &[&Step], sets: impl Iterator<Item = &'a BTreeSet<Item>>) {
    let mut sets = sets.peekable();
    if sets.peek().is_none() {
        return;
    }
    let numbers: BTreeMap<&Item, usize> =
        steps.iter().enumerate().map(|(number, step)| (&step.item, number)).collect();
    for set in sets {
        let mut tied = set.iter().filter_map(|item| numbers.get(item));
        let Some(first) = tied.next() else { continue };
        tied.for_each(|number| ties.tie(*first, *number));
    }
}

/// Ties a step that takes a content away to one that brings it.
fn tie_moves(ties: &mut Ties, steps: &[&Step]) {
    let files = || {
        steps.iter().enumerate().flat_map(|(number, step)| step.files.iter().map(move |file| (number, file)))
    };
    // An empty file needs no content from anywhere.
    let mut taken: BTreeMap<Digest, usize> = BTreeMap::new();
    for (number, file) in files() {
        let from = file.from.filter(|from| from.size > 0 && file.to.map(|to| to.digest) != Some(from.digest));
        taken.extend(from.map(|from| (from.digest, number)));
    }
    let mut brought: BTreeMap<Digest, usize> = BTreeMap::new();
    for (number, file) in files() {
        let to = file.to.filter(|to| taken.contains_key(&to.digest));
        to.map(|to| brought.entry(to.digest).or_insert(number));
    }
    for (number, file) in files() {
        if let Some(other) = file.from.and_then(|from| brought.get(&from.digest)) {
            ties.tie(number, *other);
        }
    }
}

/// Ties a step that frees a name to one that needs it: the same name in other letters, a file's
/// where a folder is to be, or a folder's where a file is to be.
fn tie_places(ties: &mut Ties, steps: &[&Step]) {
    let mut freed: BTreeMap<String, usize> = BTreeMap::new();
    for (number, path) in paths(steps, true) {
        freed.insert(path.fold_key(), number);
    }
    if freed.is_empty() {
        return;
    }
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for (number, path) in paths(steps, false) {
        let key = path.fold_key();
        for name in folders_of(&key) {
            if let Some(other) = freed.get(name) {
                ties.tie(number, *other);
            }
        }
        taken.insert(key, number);
    }
    for (name, number) in &freed {
        for folder in folders_of(name) {
            if let Some(other) = taken.get(folder) {
                ties.tie(*number, *other);
            }
        }
    }
}

/// Ties a step that deletes a file to those that bring its name with another ending.
fn tie_names(ties: &mut Ties, steps: &[&Step]) {
    let taken: BTreeMap<&str, usize> =
        paths(steps, false).map(|(number, path)| (path.as_str(), number)).collect();
    let names: BTreeSet<&str> = taken.keys().copied().collect();
    for (number, path) in paths(steps, true) {
        for name in carrying(path, &names) {
            if let Some(other) = taken.get(name) {
                ties.tie(number, *other);
            }
        }
    }
}

/// Paths that steps free, or those that they take, each with its step's number.
fn paths<'a>(steps: &'a [&Step], freed: bool) -> impl Iterator<Item = (usize, &'a VaultPath)> {
    let numbered = steps.iter().enumerate();
    numbered.flat_map(move |(number, step)| {
        let wanted = step.files.iter().filter(move |file| {
            if freed { file.to.is_none() } else { file.to.is_some() && file.from.is_none() }
        });
        wanted.map(move |file| (number, &file.path))
    })
}

/// A path and the folders above it.
fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    let above = path.rmatch_indices('/').map(|(at, _)| &path[..at]);
    std::iter::once(path).chain(above)
}

/// Sets of steps that belong together.
struct Ties(Vec<usize>);

impl Ties {
    fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    /// The number that stands for a step's set: the lowest of it.
    fn root(&mut self, of: usize) -> usize {
        let mut at = of;
        while let Some(next) = self.0.get(at).copied().filter(|next| *next != at) {
            at = next;
        }
        // Short cuts keep this quick.
        if let Some(slot) = self.0.get_mut(of) {
            *slot = at;
        }
        at
    }

    fn tie(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        if let Some(slot) = self.0.get_mut(one.max(other)) {
            *slot = one.min(other);
        }
    }
}
