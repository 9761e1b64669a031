//! The brakes: apparent accidents wait for a person, whichever side they come from.

use std::collections::{BTreeMap, BTreeSet};

use super::reconcile::{reverse, wants_a_person};
use super::{Action, FileStep, Input, Step};
use super::{Direction, Hold, Reason};
use crate::model::{Entry, Item, VaultPath};

/// Number of entries or rows below which a member may lose any share of them.
const SHRINK_FLOOR_ROWS: u64 = 10;

/// Size in bytes below which a member may shrink freely: half of almost nothing is no loss.
const SHRINK_FLOOR: u64 = 256;

/// Limits above which a change waits for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brakes {
    /// Percentage of the files that may be deleted at once.
    pub max_delete_percent: u8,
    /// Percentage of its bytes, entries or rows that a primary member of a group may lose at once.
    pub max_shrink_percent: u8,
    /// Number of files below which deleting or changing all of them is no accident.
    pub min_files: usize,
}

impl Default for Brakes {
    fn default() -> Self {
        Self { max_delete_percent: 50, max_shrink_percent: 50, min_files: 20 }
    }
}

/// Holds of a plan, by decision.
pub(super) struct Holds {
    pub(super) open: Vec<Hold>,
    pub(super) approved: Vec<Hold>,
    pub(super) rejected: Vec<Hold>,
}

/// Removes the steps of open holds from `steps` and reverses those of rejected ones.
pub(super) fn hold(input: &Input, steps: &mut BTreeMap<Item, Step>) -> Holds {
    let (mut open, mut approved, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    for hold in find_holds(input, steps) {
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
    // Remove them last, so that each brake judges the whole plan.
    steps.retain(|item, _| !open.iter().any(|hold| hold.items.contains(item)));
    Holds { open, approved, rejected }
}

fn find_holds(input: &Input, steps: &BTreeMap<Item, Step>) -> Vec<Hold> {
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

/// Steps that delete too many of the agreed files, and steps that change all of them.
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

/// Number of files that also changed locally but are not part of these steps; most have not settled
/// yet. A mass change that is still being written must not pass piece by piece.
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

/// True if the last plan held the step as part of a mass and the step still matches. Other files
/// that come or go must not make the mass look small.
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

/// True if the step takes a primary member from a group, or more of one than may go at once.
fn loses(input: &Input, step: &Step, brakes: Brakes) -> bool {
    // A losing version is kept as a conflict, so it is not lost. Compare with the agreed version
    // instead.
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
    // Rows are known only for files that were read. If one side's are unknown, compare bytes.
    let rows = from.rows.zip(to.rows).is_some_and(|(was, left)| was >= SHRINK_FLOOR_ROWS && below(left, was));
    rows || (from.size >= SHRINK_FLOOR && below(to.size, from.size))
}
