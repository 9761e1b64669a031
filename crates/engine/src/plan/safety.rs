//! The brakes: what looks like an accident waits for a person, whichever side it comes from.

use std::collections::{BTreeMap, BTreeSet};

use super::reconcile::{reverse, wants_a_person};
use super::{Action, FileStep, Input, Step};
use super::{Direction, Hold, Reason};
use crate::model::{Entry, Item, VaultPath};

/// The same for entries of a corpus and rows of a matrix.
const SHRINK_FLOOR_ROWS: u64 = 10;

/// Members smaller than this may shrink as they like: half of next to nothing is no loss.
const SHRINK_FLOOR: u64 = 256;

/// When to ask first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brakes {
    /// How many of the files, in percent, may be deleted at once.
    pub max_delete_percent: u8,
    /// By how much, in percent of its bytes or of its entries or rows, a primary member of a group may shrink at once.
    pub max_shrink_percent: u8,
    /// Below this many files, deleting or changing all of them is no accident.
    pub min_files: usize,
}

impl Default for Brakes {
    fn default() -> Self {
        Self { max_delete_percent: 50, max_shrink_percent: 50, min_files: 20 }
    }
}

/// The holds of a plan, by what has become of them.
pub(super) struct Holds {
    pub(super) open: Vec<Hold>,
    pub(super) approved: Vec<Hold>,
    pub(super) rejected: Vec<Hold>,
}

/// Takes what must wait out of `steps` and turns round what was rejected.
pub(super) fn hold(input: &Input, steps: &mut BTreeMap<Item, Step>) -> Holds {
    let (mut open, mut approved, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    for hold in found(input, steps) {
        let joined = hold.reason == Reason::Differs && input.decisions.join;
        if input.decisions.rejected.contains(&hold.id) {
            for item in &hold.items {
                steps.insert(item.clone(), reverse(input, item, hold.direction));
            }
            rejected.push(hold);
        } else if joined || input.decisions.approved.contains(&hold.id) {
            approved.push(hold);
        } else {
            open.push(hold);
        }
    }
    // Only now, so that each brake was judged by the whole plan and not by what an earlier one left of it.
    steps.retain(|item, _| !open.iter().any(|hold| hold.items.contains(item)));
    Holds { open, approved, rejected }
}

fn found(input: &Input, steps: &BTreeMap<Item, Step>) -> Vec<Hold> {
    let mut holds = Vec::new();
    let apart: Vec<&Step> = steps.values().filter(|step| wants_a_person(input, step)).collect();
    if !apart.is_empty() {
        holds.push(Hold::over(input, Reason::Differs, Direction::Incoming, &apart));
    }
    let Some(brakes) = input.brakes else { return holds };
    for direction in [Direction::Outgoing, Direction::Incoming] {
        let moving: Vec<&Step> = steps.values().filter(|step| goes(step, direction)).collect();
        for &step in
            moving.iter().filter(|step| matches!(step.item, Item::Group(_)) && loses(input, step, brakes))
        {
            holds.push(Hold::over(input, Reason::GroupLoss, direction, &[step]));
        }
        let (deleting, changing) = mass(input, &moving, direction, brakes);
        for (reason, fresh) in [(Reason::MassDelete, deleting), (Reason::MassChange, changing)] {
            let kept = moving.iter().copied().filter(|step| was_held(input, step, reason, direction));
            let held: BTreeMap<&Item, &Step> =
                fresh.into_iter().chain(kept).map(|step| (&step.item, step)).collect();
            if !held.is_empty() {
                let held: Vec<&Step> = held.into_values().collect();
                holds.push(Hold::over(input, reason, direction, &held));
            }
        }
    }
    holds
}

/// The steps that delete too much of what was agreed, or that change all of it.
fn mass<'a>(
    input: &Input,
    moving: &[&'a Step],
    direction: Direction,
    brakes: Brakes,
) -> (Vec<&'a Step>, Vec<&'a Step>) {
    let of_base = |file: &&FileStep| input.base.contains_key(&file.path);
    let count = |test: fn(&FileStep) -> bool| {
        moving.iter().flat_map(|step| &step.files).filter(of_base).filter(|file| test(file)).count()
    };
    let (deleted, touched) = (count(|file| file.to.is_none()), count(|_| true));
    let steps = |test: &dyn Fn(&Step) -> bool| moving.iter().copied().filter(|step| test(step)).collect();
    if input.base.len() < brakes.min_files {
        (Vec::new(), Vec::new())
    } else if deleted * 100 > input.base.len() * usize::from(brakes.max_delete_percent) {
        (steps(&deletes), Vec::new())
    } else if touched > 0 && touched + changed_elsewhere(input, moving, direction) == input.base.len() {
        (Vec::new(), steps(&|step| step.files.iter().any(|file| of_base(&file))))
    } else {
        (Vec::new(), Vec::new())
    }
}

/// Files that have changed here as well, but do not go out with these steps: most have not settled yet. A mass that is still being
/// written must not pass piece by piece.
fn changed_elsewhere(input: &Input, moving: &[&Step], direction: Direction) -> usize {
    if direction == Direction::Incoming {
        return 0;
    }
    let going: BTreeSet<&VaultPath> =
        moving.iter().flat_map(|step| &step.files).map(|file| &file.path).collect();
    let changed =
        |(path, entry): &(&VaultPath, &Entry)| input.local.get(*path).is_some_and(|here| here != *entry);
    input.base.iter().filter(changed).filter(|(path, _)| !going.contains(path)).count()
}

fn deletes(step: &Step) -> bool {
    step.files.iter().any(|file| file.to.is_none())
}

/// Whether the step was part of a mass that the last plan held, and still is such a step: files that come or go beside it must
/// not make it look small.
fn was_held(input: &Input, step: &Step, reason: Reason, direction: Direction) -> bool {
    let held = input.held.iter().filter(|held| held.reason == reason && held.direction == direction);
    held.into_iter().any(|held| held.items.contains(&step.item))
        && (reason != Reason::MassDelete || deletes(step))
}

fn goes(step: &Step, direction: Direction) -> bool {
    match direction {
        Direction::Outgoing => step.outgoing(),
        Direction::Incoming => step.incoming(),
    }
}

/// Whether the step takes away a primary member of a group, or more of one than may go at once.
fn loses(input: &Input, step: &Step, brakes: Brakes) -> bool {
    // A losing version that is kept as a conflict is not lost; but what a device has not moved itself is judged all the same.
    let kept = matches!(step.action, Action::Conflict(_));
    step.files.iter().filter(|file| !input.groups.is_derived(&file.path)).any(|file| {
        let from = if kept { input.base.get(&file.path).copied() } else { file.from };
        shrinks(from, file.to, brakes)
    })
}

fn shrinks(from: Option<Entry>, to: Option<Entry>, brakes: Brakes) -> bool {
    let Some(from) = from else { return false };
    let Some(to) = to else { return true };
    let below = |left: u64, was: u64| {
        let floor = u128::from(was) * u128::from(100_u8.saturating_sub(brakes.max_shrink_percent));
        u128::from(left) * 100 < floor
    };
    // Rows are known only of files that somebody looked into; where one side's are not, bytes have to do.
    let rows = from.rows.zip(to.rows).is_some_and(|(was, left)| was >= SHRINK_FLOOR_ROWS && below(left, was));
    rows || (from.size >= SHRINK_FLOOR && below(to.size, from.size))
}
