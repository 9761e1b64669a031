//! Files that the steps of one direction take, as the brakes count them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::moves::Moves;
use super::{Brakes, Direction, Input, Step};
use crate::model::{Groups, Losses, Tree, VaultPath};
use crate::planted::{Bug, planted};

static NO_LOSSES: Losses = Losses::new();

/// What the steps of one direction do to files that stood, and what earlier commits did to them.
#[derive(Debug, Default)]
pub(super) struct Tally<'a> {
    /// Number of agreed files.
    pub(super) agreed: usize,
    /// Agreed files that get another content, those included that have not settled.
    pub(super) changed: BTreeSet<&'a VaultPath>,
    /// Files whose content earlier commits changed, or that come back with another one.
    pub(super) changed_before: BTreeSet<&'a VaultPath>,
    /// Files that earlier commits deleted and that came back nowhere; true for those that were replaced.
    pub(super) gone_before: BTreeMap<&'a VaultPath, bool>,
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
    /// Number of files that earlier commits deleted and nothing replaced.
    loose_before: usize,
    /// New names, settled or not, that carry the name of a file that went.
    carriers: BTreeSet<&'a str>,
}

impl<'a> Tally<'a> {
    pub(super) fn of(input: &Input<'a>, steps: &[&'a Step], direction: Direction) -> Self {
        let outgoing = direction == Direction::Outgoing;
        let losses = if outgoing && !planted(Bug::OwnBatchAlone) { input.losses } else { &NO_LOSSES };
        let away = || losses.iter().filter(|(path, _)| !input.base.contains_key(*path));
        let moves = Moves::of(steps, away().map(|(path, loss)| (path, loss.entry)));
        let counts = |path: &VaultPath| !input.groups.is_derived(path);
        let mut tally = Self { agreed: count(input.base, input.groups), ..Self::default() };
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
                tally.gone_before.insert(path, loss.replaced);
                tally.folder(path).loose_before += usize::from(!loss.replaced);
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

    /// Adds what was written and has not settled yet. A mass change that is still being written must not
    /// pass piece by piece, and a deletion is seen before the file that comes in its place.
    fn add_unsettled(&mut self, input: &Input<'a>, steps: &[&'a Step]) {
        let going: BTreeSet<&VaultPath> =
            steps.iter().flat_map(|step| &step.files).map(|file| &file.path).collect();
        let counts = |path: &VaultPath| !going.contains(path) && !input.groups.is_derived(path);
        let changed = input
            .base
            .iter()
            .filter(|(path, entry)| input.local.get(*path).is_some_and(|here| here != *entry));
        self.changed.extend(changed.map(|(path, _)| path).filter(|path| counts(path)));
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
            let names = folder.names();
            if names.is_empty() {
                continue;
            }
            let before = self.gone_before.keys().filter(|path| top(path) == *name);
            let went = folder.gone.iter().chain(before);
            folder.carriers = went.flat_map(|path| carrying(path, &names)).collect();
        }
    }

    /// Number of files that stood.
    pub(super) fn stood(&self) -> usize {
        // What was replaced stands under its new name.
        self.agreed + self.folders.values().map(|folder| folder.loose_before).sum::<usize>()
    }

    /// Number of files that go now.
    pub(super) fn gone(&self) -> usize {
        self.folders.values().map(|folder| folder.gone.len()).sum()
    }

    /// Number of files that went in this run or go now, but for those that others make up for.
    pub(super) fn gone_in_run(&self, brakes: Brakes) -> usize {
        let made_up = self
            .folders
            .values()
            .map(|folder| folder.making_up(brakes).count().min(folder.gone.len() + folder.loose_before));
        self.gone() + self.gone_before.len() - made_up.sum::<usize>()
    }

    /// Number of files that were changed in this run or are changed now, and do not go.
    pub(super) fn changed_in_run(&self) -> usize {
        let goes =
            |path: &VaultPath| self.folders.get(top(path)).is_some_and(|folder| folder.gone.contains(path));
        self.changed.union(&self.changed_before).filter(|path| !goes(path)).count()
    }

    /// True if most files that go now are replaced by files of other names.
    pub(super) fn is_exchange(&self) -> bool {
        let exchanged =
            self.folders.values().filter(|folder| folder.is_exchanged()).map(|folder| folder.gone.len());
        let gone = self.gone();
        gone > 0 && most_of(exchanged.sum(), gone)
    }

    /// New names of the steps that come in the place of files that go; of several, first those for which
    /// `held` holds. Where the deletions are no exchange, a few new names beside them take nobody's place.
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
    fn names(&self) -> BTreeSet<&'a str> {
        self.new.iter().chain(&self.coming).map(|path| path.as_str()).collect()
    }

    /// True if as many names come as go.
    fn is_exchanged(&self) -> bool {
        let carried = self.carriers.len().min(self.gone.len());
        most_of((self.new.len() + self.coming.len()).max(carried), self.gone.len())
    }

    /// True if more files are exchanged in this commit than an app does that deletes an old file for each new
    /// one.
    pub(super) fn is_wave(&self, brakes: Brakes) -> bool {
        self.gone.len() >= brakes.min_files.max(1) && self.is_exchanged()
    }

    /// New names that make up for files that went: those that take nobody's place.
    pub(super) fn making_up(&self, brakes: Brakes) -> impl Iterator<Item = &'a VaultPath> {
        let wave = self.is_wave(brakes);
        self.new.iter().copied().filter(move |path| !wave && !self.carriers.contains(path.as_str()))
    }

    /// True if another name came in the place of this file.
    pub(super) fn is_replaced(&self, path: &VaultPath, brakes: Brakes) -> bool {
        self.is_wave(brakes) || !carrying(path, &self.names()).is_empty()
    }

    /// As many new names as files go, or those that carry an old name alone.
    fn replacing(&self, held: &dyn Fn(&VaultPath) -> bool, all: bool) -> Vec<&'a VaultPath> {
        let carries = |path: &&VaultPath| self.carriers.contains(path.as_str());
        let mut new: Vec<&VaultPath> = self.new.iter().copied().collect();
        new.sort_by_key(|path| (!held(path), !carries(path), *path));
        let carried = new.iter().filter(|path| carries(path)).count();
        new.truncate(if all { self.gone.len() } else { carried.min(self.gone.len()) });
        new
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

/// Names in the folder of `path` that begin with its name, whatever the ending: `x.json.locked` and
/// `x.locked` for `x.json`, and not `x1.json`.
fn carrying<'a>(path: &VaultPath, names: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let (whole, name) = (path.as_str(), path.file_name());
    let ending = name.rfind('.').filter(|at| *at > 0).map_or(0, |at| name.len() - at);
    let stem = whole.get(..whole.len() - ending).unwrap_or(whole);
    let after = names.range::<str, _>((Bound::Included(stem), Bound::Unbounded)).copied();
    let carries = |name: &&str| {
        let rest = name.get(stem.len()..).unwrap_or_default();
        rest.starts_with(|c: char| !c.is_alphanumeric() && c != '/') && !rest.contains('/')
    };
    after.take_while(|name| name.starts_with(stem)).filter(carries).collect()
}

/// Number of files of a tree that cannot be computed again. Only files below the names that the patterns
/// of derived members begin with are looked at.
fn count(tree: &Tree, groups: &Groups) -> usize {
    let fixed = |pattern: &String| pattern.split(['*', '?', '[', '{']).next().unwrap_or_default().to_owned();
    let mut starts: Vec<String> =
        groups.definitions().iter().flat_map(|group| &group.derived).map(fixed).collect();
    starts.sort();
    starts.dedup_by(|next, kept| next.starts_with(kept.as_str()));
    let below = |start: &String| {
        let from = tree.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        from.take_while(|(path, _)| path.as_str().starts_with(start))
            .filter(|(path, _)| groups.is_derived(path))
            .count()
    };
    tree.len() - starts.iter().map(below).sum::<usize>()
}
