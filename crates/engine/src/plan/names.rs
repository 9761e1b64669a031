//! Names that cannot stand side by side: a file where another item needs a folder, and paths that differ in letter case only.
//!
//! Remote wins, as everywhere: what is here gives way and is kept. Letter case is milder, for most users' disks can hold both:
//! the newcomer waits and is reported, and never reaches a device whose disk cannot hold it.

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
        return; // Folding every name of a large vault for nothing would cost more than the rest of the plan.
    }
    // What waits makes no room for others, and what yields takes or frees names; so this repeats. Each round turns a push
    // into something that is none, or takes a step out.
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
        // Left over: what comes in where something stays here on purpose.
        if input.mode == Mode::Merge || !wait(steps, waiting, without_room(input, steps, |_| true)) {
            return;
        }
    }
}

fn is_new(file: &FileStep) -> bool {
    file.to.is_some() && file.from.is_none()
}

/// Takes steps out of the plan; whether there were any.
fn wait(steps: &mut BTreeMap<Item, Step>, waiting: &mut Vec<Waiting>, stopped: Vec<Waiting>) -> bool {
    for wait in &stopped {
        steps.remove(&wait.item);
    }
    let any = !stopped.is_empty();
    waiting.extend(stopped);
    any
}

/// Steps whose new paths need a name that an item which `stays` has on the receiving side.
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

/// A file of `tree` that cannot stand beside `path`: at a folder of it, or below it.
#[must_use]
pub fn in_the_way<'a>(tree: &'a Tree, path: &VaultPath) -> Option<&'a VaultPath> {
    standing(tree, &BTreeSet::new(), path).next()
}

/// Files of `side` that stay and that cannot stand beside `path`: at a folder of it, or below it.
fn standing<'a>(
    side: &'a Tree,
    leaving: &BTreeSet<&VaultPath>,
    path: &VaultPath,
) -> impl Iterator<Item = &'a VaultPath> {
    let above = path.folders().filter_map(|folder| VaultPath::new(folder).ok());
    let above = above.filter_map(|folder| side.get_key_value(&folder)).map(|(other, _)| other);
    let below = side.range((Bound::Excluded(path), Bound::Unbounded)).map(|(other, _)| other);
    let below = below
        .take_while(|other| other.as_str().starts_with(path.as_str()))
        .filter(|other| other.is_at_or_below(path));
    above.chain(below).filter(|other| !leaving.contains(other))
}

/// Items to be pushed whose new paths the remote's outcome has no room for.
fn yielding(input: &Input, steps: &BTreeMap<Item, Step>) -> BTreeSet<Item> {
    let outcome = Outcome::of(input, steps);
    let pushes = steps.values().filter(|step| step.outgoing());
    let clash = |step: &&Step| {
        step.files.iter().filter(|file| is_new(file)).any(|file| {
            let folded = input.mode == Mode::Merge && outcome.case_twin(&file.path);
            folded || outcome.shape_clash(&file.path)
        })
    };
    pushes.filter(clash).map(|step| step.item.clone()).collect()
}

/// New paths here that differ from an existing one in letter case only wait; so does what comes in under such a name.
fn case_clashes(input: &Input, steps: &BTreeMap<Item, Step>) -> Vec<Waiting> {
    let outcome = Outcome::of(input, steps);
    let clash = |step: &Step| {
        step.files.iter().filter(|file| is_new(file)).find_map(|file| {
            let twin = outcome.twins(&file.path).next()?;
            let why = format!(
                "{}: its name differs from {twin} in letter case only; rename one of them",
                file.path
            );
            Some(Waiting::of(step.item.clone(), why))
        })
    };
    steps.values().filter_map(clash).collect()
}

/// The paths that both sides will have if all steps are done, by letter-case key, and those among them that the remote has
/// and keeps.
struct Outcome<'a> {
    by_key: HashMap<String, Vec<&'a VaultPath>>,
    standing: BTreeSet<&'a VaultPath>,
    folders: HashMap<&'a str, &'a VaultPath>,
}

impl<'a> Outcome<'a> {
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

    /// Whether the remote keeps a path that differs from this one in letter case only.
    fn case_twin(&self, path: &VaultPath) -> bool {
        self.twins(path).any(|twin| self.standing.contains(twin))
    }

    /// Whether the remote keeps a file where this path needs a folder, or a folder where this path is a file.
    fn shape_clash(&self, path: &VaultPath) -> bool {
        let file_above = path
            .folders()
            .any(|folder| VaultPath::new(folder).is_ok_and(|folder| self.standing.contains(&folder)));
        file_above || self.folders.contains_key(path.as_str())
    }
}
