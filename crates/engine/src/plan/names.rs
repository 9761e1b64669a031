//! Names that cannot exist side by side: a file where another item needs a folder, and paths that
//! differ only in letter case.
//!
//! The remote wins: the local file gives way and is kept. Letter case is treated more mildly,
//! because most disks can hold both names: the new path waits and is reported. It never reaches a
//! device whose disk cannot hold it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use super::reconcile::yield_to_remote;
use super::{Block, FileStep, Hold, Input, Mode, Step, Waiting};
use crate::model::{Alike, Item, Tree, VaultPath};

pub(super) fn settle(
    input: &Input,
    steps: &mut BTreeMap<Item, Step>,
    waiting: &mut Vec<Waiting>,
    holds: &[Hold],
) {
    let new = |step: &Step| step.files.iter().any(is_new);
    if !steps.values().any(new) {
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
pub(super) fn wait(
    steps: &mut BTreeMap<Item, Step>,
    waiting: &mut Vec<Waiting>,
    stopped: Vec<Waiting>,
) -> bool {
    for wait in &stopped {
        steps.remove(&wait.item);
    }
    let any = !stopped.is_empty();
    waiting.extend(stopped);
    any
}

/// Steps that need a name which an item that `stays` holds on the receiving side. Or, here, the
/// name of a folder in which something stands that is in no tree: emptied of the rest, it stays.
fn without_room(input: &Input, steps: &BTreeMap<Item, Step>, stays: impl Fn(&Item) -> bool) -> Vec<Waiting> {
    let mut stopped = Vec::new();
    for (side, unseen, takes) in [
        (input.remote, None, Step::outgoing as fn(&Step) -> bool),
        (input.local, Some(input.blocked), Step::incoming),
    ] {
        let taking = || steps.values().filter(|step| takes(step));
        let leaving: BTreeSet<&VaultPath> = taking()
            .flat_map(|step| &step.files)
            .filter(|file| file.to.is_none())
            .map(|file| &file.path)
            .collect();
        let in_the_way = |path: &VaultPath| {
            let other = standing(side, &leaving, path).find(|other| stays(&input.groups.item(other)));
            if let Some(other) = other {
                let why = format!("{path}: {other} stands in its place, and waits itself");
                return Some((why, false));
            }
            if let Some(Block { at, why }) = unseen?.below(path) {
                return Some((format!("{path}: {at} stands in its place: {why}"), false));
            }
            let at = unseen?.occupied.get(path)?;
            let why = format!("{path}: {at} stands in its place: it is not synced; move or delete it");
            Some((why, true))
        };
        stopped.extend(taking().filter_map(|step| {
            let (why, lasts) =
                step.files.iter().filter(|file| is_new(file)).find_map(|file| in_the_way(&file.path))?;
            let item = step.item.clone();
            Some(if lasts { Waiting::lasting(item, why) } else { Waiting::of(item, why) })
        }));
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
    let inside = format!("{path}/");
    let below = side.range::<str, _>((Bound::Included(inside.as_str()), Bound::Unbounded));
    let below = below.map(|(other, _)| other).take_while(move |other| other.as_str().starts_with(&inside));
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
            let twin = paths.twin(&file.path)?;
            let why = format!(
                "{}: its name differs from {twin} in letter case only; rename one of them",
                file.path
            );
            Some(Waiting::of(step.item.clone(), why))
        })
    };
    steps.values().filter_map(clash).collect()
}

/// Paths that both sides will have after all steps: those that stand there and stay, and those that
/// arrive.
struct FinalPaths<'a> {
    remote: &'a Tree,
    leaving: BTreeSet<&'a VaultPath>,
    /// By the key without letter case, each list sorted.
    arriving: HashMap<String, Vec<&'a VaultPath>>,
    there: Alike<'a>,
    /// A merge has no disk.
    here: Option<Alike<'a>>,
}

impl<'a> FinalPaths<'a> {
    fn of(input: &Input<'a>, steps: &'a BTreeMap<Item, Step>) -> Self {
        let gone = steps.values().flat_map(|step| step.agreed.iter()).filter(|(_, entry)| entry.is_none());
        let leaving = gone.map(|(path, _)| path).collect();
        let files = steps.values().flat_map(|step| &step.files).filter(|file| file.to.is_some());
        let all: BTreeSet<&VaultPath> = files.map(|file| &file.path).collect();
        let times = all.len();
        let mut arriving: HashMap<String, Vec<&VaultPath>> = HashMap::new();
        for path in all {
            arriving.entry(path.fold_key()).or_default().push(path);
        }
        let here = (input.mode != Mode::Merge).then(|| Alike::of(input.local, times));
        Self { remote: input.remote, leaving, arriving, there: Alike::of(input.remote, times), here }
    }

    /// Paths that stay there or here and differ from this one only in letter case.
    fn staying(&self, side: &Alike<'a>, path: &VaultPath) -> impl Iterator<Item = &'a VaultPath> {
        side.to(path).into_iter().filter(|other| !self.leaving.contains(other))
    }

    /// The first path that differs from this one only in letter case.
    fn twin(&self, path: &VaultPath) -> Option<&'a VaultPath> {
        let arriving = self.arriving.get(&path.fold_key()).into_iter().flatten().copied();
        let sides = self.here.iter().chain([&self.there]).flat_map(|side| self.staying(side, path));
        arriving.filter(|other| *other != path).chain(sides).min()
    }

    /// True if the remote keeps a path that differs from this one only in letter case.
    fn case_twin(&self, path: &VaultPath) -> bool {
        self.staying(&self.there, path).next().is_some()
    }

    /// True if the remote keeps a file where this path needs a folder, or a folder where this path
    /// is a file.
    fn shape_clash(&self, path: &VaultPath) -> bool {
        standing(self.remote, &self.leaving, path).next().is_some()
    }
}
