//! Files that the steps of one direction take, as the brakes count them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::moves::Moves;
use super::{Brakes, Direction, Input, Step};
use crate::model::{Groups, Losses, Place, Tree, VaultPath, beginning_with, starts};
use crate::planted::{Bug, planted};

static NO_LOSSES: Losses = Losses::new();

/// Effects of the steps of one direction on files that stood, and those of earlier commits.
#[derive(Debug, Default)]
pub(super) struct Tally<'a> {
    /// Number of agreed files that the side that loses still has: fewer than all, where what it has
    /// lost already is held here.
    pub(super) agreed: usize,
    /// Agreed files that get another content, also those that have not settled.
    pub(super) changed: BTreeSet<&'a VaultPath>,
    /// Files whose content earlier commits changed, or that come back with another one.
    pub(super) changed_before: BTreeSet<&'a VaultPath>,
    /// Files that earlier commits deleted and that came back nowhere, with the state of their
    /// places.
    pub(super) gone_before: BTreeMap<&'a VaultPath, Place>,
    /// Names that come and go, by top-level folder. A file of the root has an empty one.
    pub(super) folders: BTreeMap<&'a str, Folder<'a>>,
}

/// Names that come and go in one top-level folder.
#[derive(Debug, Default)]
pub(super) struct Folder<'a> {
    /// Agreed files that are deleted and do not move.
    pub(super) gone: BTreeSet<&'a VaultPath>,
    /// New names whose content did not move there.
    pub(super) new: BTreeSet<&'a VaultPath>,
    /// New names that have not settled, so that they cannot be sent yet.
    coming: BTreeSet<&'a VaultPath>,
    /// Number of files that earlier commits deleted, by the state of their places.
    free_before: usize,
    awaited_before: usize,
    /// New names, settled or not, that carry the name of a file that goes now.
    carriers: BTreeSet<&'a str>,
    /// Names of these that carry the name of a file that went before.
    carriers_before: BTreeSet<&'a str>,
    /// Files that went and whose names are carried; true if a settled name carries it.
    carried: BTreeMap<&'a VaultPath, bool>,
}

impl<'a> Tally<'a> {
    pub(super) fn of(input: &Input<'a>, steps: &[&'a Step], direction: Direction) -> Self {
        let outgoing = direction == Direction::Outgoing;
        let losses = if outgoing && !planted(Bug::OwnBatchAlone) { input.losses } else { &NO_LOSSES };
        let away = || losses.iter().filter(|(path, _)| !input.base.contains_key(*path));
        let moves = Moves::of(input.groups, steps, away().map(|(path, loss)| (path, loss.entry)));
        let counts = |path: &VaultPath| !input.groups.is_derived(path);
        let base = count(input.base, input.groups);
        let agreed = if outgoing { base.min(count(input.remote, input.groups)) } else { base };
        let mut tally = Self { agreed, ..Self::default() };
        for file in steps.iter().flat_map(|step| &step.files).filter(|file| counts(&file.path)) {
            let path = &file.path;
            let moved =
                if file.to.is_none() { moves.left.contains(path) } else { moves.arrived.contains(path) };
            let agreed = input.base.contains_key(path);
            if agreed && file.to.is_some() {
                tally.changed.insert(path);
            } else if agreed && !moved {
                tally.folder(path).gone.insert(path);
            } else if file.to.is_some() && !moved && losses.contains_key(path) {
                tally.changed_before.insert(path);
            } else if file.to.is_some() && !moved && file.from.is_none() {
                tally.folder(path).new.insert(path);
            }
        }
        for (path, loss) in away().filter(|(path, _)| counts(path) && !moves.left.contains(path)) {
            if !tally.changed_before.contains(path) {
                tally.gone_before.insert(path, loss.place);
                let folder = tally.folder(path);
                folder.free_before += usize::from(loss.place == Place::Free);
                folder.awaited_before += usize::from(loss.place == Place::Awaited);
            }
        }
        let stand = losses.keys().filter(|path| counts(path) && input.base.contains_key(*path));
        tally.changed_before.extend(stand);
        if outgoing {
            tally.add_unsettled(input, steps);
        }
        tally.find_carriers();
        tally
    }

    /// Adds files that were written and have not settled. A mass change that is still being written
    /// must not pass piece by piece, and a deletion is seen before the file that comes in its
    /// place.
    fn add_unsettled(&mut self, input: &Input<'a>, steps: &[&'a Step]) {
        let going: BTreeSet<&VaultPath> =
            steps.iter().flat_map(|step| &step.files).map(|file| &file.path).collect();
        let counts = |path: &VaultPath| !going.contains(path) && !input.groups.is_derived(path);
        let changed = input.base.diff(input.local).filter(|(_, was, here)| was.is_some() && here.is_some());
        self.changed.extend(changed.map(|(path, _, _)| path).filter(|path| counts(path)));
        let known = |path: &VaultPath| input.base.contains_key(path) || input.remote.contains_key(path);
        for path in input.blocked.paths.keys().filter(|path| !known(path) && counts(path)) {
            self.folder(path).coming.insert(path);
        }
    }

    fn folder(&mut self, path: &'a VaultPath) -> &mut Folder<'a> {
        self.folders.entry(top(path)).or_default()
    }

    fn find_carriers(&mut self) {
        for (name, folder) in &mut self.folders {
            let settled: BTreeSet<&str> = folder.new.iter().map(|path| path.as_str()).collect();
            let mut names = settled.clone();
            names.extend(folder.coming.iter().map(|path| path.as_str()));
            if names.is_empty() {
                continue;
            }
            let before = self.gone_before.keys().filter(|path| top(path) == *name).map(|path| (path, true));
            for (path, before) in folder.gone.iter().map(|path| (path, false)).chain(before) {
                let carriers = carrying(path, &names);
                if !carriers.is_empty() {
                    folder.carried.insert(path, carriers.iter().any(|name| settled.contains(name)));
                    if before { &mut folder.carriers_before } else { &mut folder.carriers }.extend(carriers);
                }
            }
        }
    }

    /// Number of files that stood.
    pub(super) fn stood(&self) -> usize {
        // A replaced file stands under its new name.
        self.agreed + self.gone_before.values().filter(|place| **place != Place::Taken).count()
    }

    /// Number of files that go now.
    pub(super) fn gone(&self) -> usize {
        self.folders.values().map(|folder| folder.gone.len()).sum()
    }

    /// Number of files that went in this run or go now, without those that other files make up for.
    pub(super) fn gone_in_run(&self, brakes: Brakes) -> usize {
        let made_up = self.folders.values().map(|folder| {
            let replaced = folder.gone.iter().filter(|path| folder.carried.contains_key(*path)).count();
            folder.making_up(brakes).count().min(folder.gone.len() - replaced + folder.free_before)
        });
        self.gone() + self.gone_before.len() - made_up.sum::<usize>()
    }

    /// Number of files that were changed in this run or are changed now, and do not go.
    pub(super) fn changed_in_run(&self) -> usize {
        self.changed.union(&self.changed_before).filter(|path| !self.goes(path)).count()
    }

    /// True if a file goes now.
    pub(super) fn goes(&self, path: &VaultPath) -> bool {
        self.folders.get(top(path)).is_some_and(|folder| folder.gone.contains(path))
    }

    /// True if most files that go now are replaced by files of other names.
    pub(super) fn is_exchange(&self) -> bool {
        let exchanged =
            self.folders.values().filter(|folder| folder.is_exchanged()).map(|folder| folder.gone.len());
        let gone = self.gone();
        gone > 0 && most_of(exchanged.sum(), gone)
    }

    /// New names that carry the name of one of `files`, if that goes now.
    pub(super) fn carriers_of(&self, files: &BTreeSet<&VaultPath>) -> BTreeSet<&'a VaultPath> {
        if files.is_empty() {
            return BTreeSet::new();
        }
        let carriers = |folder: &Folder<'a>| {
            let names: BTreeSet<&str> = folder.new.iter().map(|path| path.as_str()).collect();
            let gone = folder.gone.iter().filter(|path| files.contains(*path));
            let carrying: BTreeSet<&str> = gone.flat_map(|path| carrying(path, &names)).collect();
            folder.new.iter().copied().filter(|path| carrying.contains(path.as_str())).collect::<Vec<_>>()
        };
        self.folders.values().flat_map(carriers).collect()
    }

    /// New names of the steps that come in the place of files that go, and those for which `held`
    /// is true. If the deletions are no exchange, a few new names beside them take no file's place.
    pub(super) fn replacing(
        &self,
        held: &dyn Fn(&VaultPath) -> bool,
        brakes: Brakes,
    ) -> BTreeSet<&'a VaultPath> {
        let exchange = self.is_exchange();
        let replacing = |folder: &Folder<'a>| {
            let all = folder.is_exchanged() && exchange || folder.is_wave(brakes);
            folder.replacing(held, all)
        };
        self.folders.values().flat_map(replacing).collect()
    }
}

impl<'a> Folder<'a> {
    /// True if as many names come as go.
    fn is_exchanged(&self) -> bool {
        let carried = self.carriers.len().min(self.gone.len());
        most_of((self.new.len() + self.coming.len()).max(carried), self.gone.len())
    }

    /// True if this commit exchanges more files than an app that deletes an old file for each new
    /// one.
    pub(super) fn is_wave(&self, brakes: Brakes) -> bool {
        self.gone.len() >= brakes.min_files.max(1) && self.is_exchanged()
    }

    /// New names that make up for files that went: those that take no file's place.
    pub(super) fn making_up(&self, brakes: Brakes) -> impl Iterator<Item = &'a VaultPath> {
        self.others().skip(self.places(brakes))
    }

    /// Number of new names that take the place of a file without carrying its name.
    pub(super) fn taking_a_place(&self, brakes: Brakes) -> usize {
        self.others().take(self.places(brakes)).count()
    }

    /// Number of places that new names of any kind may take.
    fn places(&self, brakes: Brakes) -> usize {
        if self.is_wave(brakes) { usize::MAX } else { self.awaited_before }
    }

    /// New names that carry no name of a file that went.
    fn others(&self) -> impl Iterator<Item = &'a VaultPath> {
        let carries = |path: &VaultPath| {
            [&self.carriers, &self.carriers_before].iter().any(|names| names.contains(path.as_str()))
        };
        self.new.iter().copied().filter(move |path| !carries(path))
    }

    /// State of the place of a file that went.
    pub(super) fn place(&self, path: &VaultPath, brakes: Brakes) -> Place {
        match self.carried.get(path) {
            Some(true) => Place::Taken,
            Some(false) => Place::Awaited,
            None if self.gone.contains(path) && self.is_wave(brakes) => Place::Awaited,
            None => Place::Free,
        }
    }

    /// New names that carry the name of a file that goes, and those that are held already. With
    /// `all`, also as many of the others as files go.
    fn replacing(&self, held: &dyn Fn(&VaultPath) -> bool, all: bool) -> BTreeSet<&'a VaultPath> {
        let carries = |path: &&VaultPath| self.carriers.contains(path.as_str()) || held(path);
        let mut replacing: BTreeSet<&VaultPath> = self.new.iter().copied().filter(carries).collect();
        let missing = if all { self.gone.len().saturating_sub(replacing.len()) } else { 0 };
        let more: Vec<&VaultPath> =
            self.others().filter(|path| !replacing.contains(path)).take(missing).collect();
        replacing.extend(more);
        replacing
    }
}

/// Top-level folder of a path; empty for a file of the root.
pub(super) fn top(path: &VaultPath) -> &str {
    path.as_str().split_once('/').map_or("", |(folder, _)| folder)
}

/// True if `part` is more than half of `whole`.
const fn most_of(part: usize, whole: usize) -> bool {
    part * 2 > whole
}

/// Names in the folder of `path` that are its name with another ending: `x.json.locked` and
/// `x.locked` for `x.json`, and not `x1.json`.
pub(super) fn carrying<'a>(path: &VaultPath, names: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let (whole, name) = (path.as_str(), path.file_name());
    let ending = name.rfind('.').filter(|at| *at > 0).map_or(0, |at| name.len() - at);
    let stem = whole.get(..whole.len() - ending).unwrap_or(whole);
    let after = names.range::<str, _>((Bound::Included(stem), Bound::Unbounded)).copied();
    let carries = |name: &&str| {
        let rest = name.get(stem.len()..).unwrap_or_default();
        rest.starts_with('.') && !rest.contains('/')
    };
    after.take_while(|name| name.starts_with(stem)).filter(carries).collect()
}

/// Number of files of a tree that cannot be computed again. Only files below the names that the
/// patterns of derived members begin with are looked at.
fn count(tree: &Tree, groups: &Groups) -> usize {
    let starts = starts(groups.definitions().iter().flat_map(|group| &group.derived));
    let derived = |start| beginning_with(tree, start).filter(|(path, _)| groups.is_derived(path)).count();
    tree.len() - starts.iter().map(|start| derived(start)).sum::<usize>()
}
