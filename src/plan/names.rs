//! Names that cannot stand side by side: a file where another item needs a folder, and paths that differ in letter case only.
//!
//! Remote wins, as everywhere: what is here gives way and is kept. Letter case is milder, for most users' disks can hold both:
//! the newcomer waits and is reported, and never reaches a device whose disk cannot hold it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::reconcile::yield_to_remote;
use super::{Input, Mode, Step, Waiting};
use crate::model::{Item, VaultPath};

pub(super) fn settle(input: &Input, steps: &mut BTreeMap<Item, Step>, waiting: &mut Vec<Waiting>) {
    let new = |step: &Step| step.files.iter().any(|file| file.to.is_some() && file.from.is_none());
    if !steps.values().any(new) {
        return; // Folding every name of a large vault for nothing would cost more than the rest of the plan.
    }
    if input.mode != Mode::Merge {
        hold_back_case_clashes(input, steps, waiting);
    }
    // One yield may free or take further names, so this repeats; each round turns a push into something that is none.
    loop {
        let yielding = yielding(input, steps);
        if yielding.is_empty() {
            return;
        }
        for item in yielding {
            let step = yield_to_remote(input, &item);
            steps.insert(item, step);
        }
    }
}

/// Items to be pushed whose new paths the remote's outcome has no room for.
fn yielding(input: &Input, steps: &BTreeMap<Item, Step>) -> BTreeSet<Item> {
    let outcome = Outcome::of(input, steps);
    let pushes = steps.values().filter(|step| step.outgoing());
    let clash = |step: &&Step| {
        step.files.iter().filter(|file| file.to.is_some()).any(|file| {
            let folded = input.mode == Mode::Merge && outcome.case_twin(&file.path);
            folded || outcome.shape_clash(&file.path)
        })
    };
    pushes.filter(clash).map(|step| step.item.clone()).collect()
}

/// New paths here that differ from an existing one in letter case only wait; so does what comes in under such a name.
fn hold_back_case_clashes(input: &Input, steps: &mut BTreeMap<Item, Step>, waiting: &mut Vec<Waiting>) {
    let outcome = Outcome::of(input, steps);
    let mut stopped = Vec::new();
    for step in steps.values() {
        let new = step.files.iter().filter(|file| file.to.is_some() && file.from.is_none());
        for file in new {
            if let Some(twin) = outcome.twin(&file.path) {
                let why = format!(
                    "{}: its name differs from {twin} in letter case only; rename one of them",
                    file.path
                );
                stopped.push(Waiting { item: step.item.clone(), why });
                break;
            }
        }
    }
    for wait in stopped {
        steps.remove(&wait.item);
        waiting.push(wait);
    }
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

    fn twin(&self, path: &VaultPath) -> Option<&'a VaultPath> {
        let same_key = self.by_key.get(&path.fold_key())?;
        same_key.iter().find(|other| **other != path).copied()
    }

    /// Whether the remote keeps a path that differs from this one in letter case only.
    fn case_twin(&self, path: &VaultPath) -> bool {
        self.twin(path).is_some_and(|twin| self.standing.contains(twin))
    }

    /// Whether the remote keeps a file where this path needs a folder, or a folder where this path is a file.
    fn shape_clash(&self, path: &VaultPath) -> bool {
        let file_above = path
            .folders()
            .any(|folder| VaultPath::new(folder).is_ok_and(|folder| self.standing.contains(&folder)));
        file_above || self.folders.contains_key(path.as_str())
    }
}
