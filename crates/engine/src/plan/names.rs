//! Names that cannot exist side by side: a file where another item needs a folder, and paths that
//! differ only in letter case.
//!
//! The remote wins: the local file gives way and is kept. Letter case is treated more mildly,
//! because most disks can hold both names: the new path waits and is reported. It never reaches a
//! device whose disk cannot hold it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use super::reconcile::yield_to_remote;
use super::{FileStep, Hold, Input, Mode, Step, Waiting};
use crate::model::{Item, Tree, VaultPath};

pub(super) fn settle(
    input: &Input,
    steps: &mut BTreeMap<Item, Step>,
    waiting: &mut Vec<Waiting>,
    holds: &[Hold],
) {
    let new = |step: &Step| step.files.iter().any(is_new);
    if !steps.values().any(new) {
        // Folding every name of a large vault would cost more than the rest of the plan.
        return;
    }
    // Repeat until nothing changes: a waiting item frees no names, and a yielding one takes or
    // frees some. Each round removes a step or turns a push into something else.
    loop {
        if input.mode != Mode::Merge {
            let mut stopped = case_clashes(input, steps);
            if stopped.is_empty() {
                let stuck: BTreeSet<&Item> = waiting
                    .iter()
                    .map(|wait| &wait.item)
                    .chain(holds.iter().flat_map(|hold| &hold.items))
                    .collect();
                stopped = without_room(input, steps, |item| stuck.contains(item));
            }
            if wait(steps, waiting, stopped) {
                continue;
            }
        }
        let yielding = yielding(input, steps);
        if !yielding.is_empty() {
            for item in yielding {
                let step = yield_to_remote(input, &item);
                steps.insert(item, step);
            }
            continue;
        }
        // The rest: incoming files whose place is taken by a local file that stays on purpose.
        if input.mode == Mode::Merge || !wait(steps, waiting, without_room(input, steps, |_| true)) {
            return;
        }
    }
}

fn is_new(file: &FileStep) -> bool {
    file.to.is_some() && file.from.is_none()
}

/// Removes steps from the plan. True if it removed any.
fn wait(steps: &mut BTreeMap<Item, Step>, waiting: &mut Vec<Waiting>, stopped: Vec<Waiting>) -> bool {
    for wait in &stopped {
        steps.remove(&wait.item);
    }
    let any = !stopped.is_empty();
    waiting.extend(stopped);
    any
}

/// Steps that need a name which an item that `stays` holds on the receiving side.
fn without_room(input: &Input, steps: &BTreeMap<Item, Step>, stays: impl Fn(&Item) -> bool) -> Vec<Waiting> {
    let mut stopped = Vec::new();
    for (side, takes) in [(input.remote, Step::outgoing as fn(&Step) -> bool), (input.local, Step::incoming)]
    {
        let taking = || steps.values().filter(|step| takes(step));
        let leaving: BTreeSet<&VaultPath> = taking()
            .flat_map(|step| &step.files)
            .filter(|file| file.to.is_none())
            .map(|file| &file.path)
            .collect();
        for step in taking() {
            let in_the_way = step.files.iter().filter(|file| is_new(file)).find_map(|file| {
                let other =
                    standing(side, &leaving, &file.path).find(|other| stays(&input.groups.item(other)))?;
                Some((&file.path, other))
            });
            if let Some((path, other)) = in_the_way {
                let why = format!("{path}: {other} stands in its place, and waits itself");
                stopped.push(Waiting::of(step.item.clone(), why));
            }
        }
    }
    stopped
}

/// Finds a file of `tree` that cannot exist beside `path`: at one of its folders, or below it.
#[must_use]
pub fn in_the_way<'a>(tree: &'a Tree, path: &VaultPath) -> Option<&'a VaultPath> {
    standing(tree, &BTreeSet::new(), path).next()
}

/// Files of `side` that stay and cannot exist beside `path`: at one of its folders, or below it.
fn standing<'a>(
    side: &'a Tree,
    leaving: &BTreeSet<&VaultPath>,
    path: &VaultPath,
) -> impl Iterator<Item = &'a VaultPath> {
    let above = path.folders().filter_map(|folder| VaultPath::new(folder).ok());
    let above = above.filter_map(|folder| side.get_key_value(&folder)).map(|(other, _)| other);
    let below = side.range::<VaultPath, _>((Bound::Excluded(path), Bound::Unbounded)).map(|(other, _)| other);
    let below = below
        .take_while(|other| other.as_str().starts_with(path.as_str()))
        .filter(|other| other.is_at_or_below(path));
    above.chain(below).filter(|other| !leaving.contains(other))
}

/// Items to push whose new paths clash with those that the remote will have.
fn yielding(input: &Input, steps: &BTreeMap<Item, Step>) -> BTreeSet<Item> {
    let paths = FinalPaths::of(input, steps);
    let pushes = steps.values().filter(|step| step.outgoing());
    let clash = |step: &&Step| {
        step.files.iter().filter(|file| is_new(file)).any(|file| {
            let folded = input.mode == Mode::Merge && paths.case_twin(&file.path);
            folded || paths.shape_clash(&file.path)
        })
    };
    pushes.filter(clash).map(|step| step.item.clone()).collect()
}

/// Steps, local or incoming, whose new paths differ from an existing one only in letter case. They
/// wait.
fn case_clashes(input: &Input, steps: &BTreeMap<Item, Step>) -> Vec<Waiting> {
    let paths = FinalPaths::of(input, steps);
    let clash = |step: &Step| {
        step.files.iter().filter(|file| is_new(file)).find_map(|file| {
            let twin = paths.twins(&file.path).next()?;
            let why = format!(
                "{}: its name differs from {twin} in letter case only; rename one of them",
                file.path
            );
            Some(Waiting::of(step.item.clone(), why))
        })
    };
    steps.values().filter_map(clash).collect()
}

/// Paths that both sides will have after all steps, by letter-case key, and those of them that the
/// remote has and keeps.
struct FinalPaths<'a> {
    by_key: HashMap<String, Vec<&'a VaultPath>>,
    standing: BTreeSet<&'a VaultPath>,
    folders: HashMap<&'a str, &'a VaultPath>,
}

impl<'a> FinalPaths<'a> {
    fn of(input: &Input<'a>, steps: &'a BTreeMap<Item, Step>) -> Self {
        let leaving: BTreeSet<&VaultPath> = steps
            .values()
            .flat_map(|step| step.agreed.iter())
            .filter(|(_, entry)| entry.is_none())
            .map(|(path, _)| path)
            .collect();
        let arriving = steps.values().flat_map(|step| &step.files).filter(|file| file.to.is_some());
        let mut all: BTreeSet<&VaultPath> = arriving.map(|file| &file.path).collect();
        let mut standing = BTreeSet::new();
        for path in input.remote.keys().filter(|path| !leaving.contains(path)) {
            standing.insert(path);
            all.insert(path);
        }
        if input.mode != Mode::Merge {
            all.extend(input.local.keys().filter(|path| !leaving.contains(path)));
        }
        let folders = standing.iter().flat_map(|path| path.folders().map(|folder| (folder, *path))).collect();
        let mut by_key: HashMap<String, Vec<&VaultPath>> = HashMap::new();
        for path in all {
            by_key.entry(path.fold_key()).or_default().push(path);
        }
        Self { by_key, standing, folders }
    }

    fn twins(&self, path: &VaultPath) -> impl Iterator<Item = &'a VaultPath> {
        let same_key = self.by_key.get(&path.fold_key()).into_iter().flatten();
        same_key.copied().filter(move |other| *other != path)
    }

    /// True if the remote keeps a path that differs from this one only in letter case.
    fn case_twin(&self, path: &VaultPath) -> bool {
        self.twins(path).any(|twin| self.standing.contains(twin))
    }

    /// True if the remote keeps a file where this path needs a folder, or a folder where this path
    /// is a file.
    fn shape_clash(&self, path: &VaultPath) -> bool {
        let file_above = path
            .folders()
            .any(|folder| VaultPath::new(folder).is_ok_and(|folder| self.standing.contains(&folder)));
        file_above || self.folders.contains_key(path.as_str())
    }
}
