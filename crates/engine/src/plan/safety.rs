//! The brakes: apparent accidents wait for a person, whichever side they come from.

use std::collections::{BTreeMap, BTreeSet};

use super::mass::Mass;
use super::reconcile::{reverse, wants_a_person};
use super::tally::Tally;
use super::{Action, Input, Step};
use super::{Direction, Hold, Reason};
use crate::model::{Entry, Item};

/// Number of entries or rows below which a member may lose any share of them.
const SHRINK_FLOOR_ROWS: u64 = 10;

/// Size in bytes below which a member may shrink freely: half of almost nothing is no loss.
const SHRINK_FLOOR: u64 = 256;

/// Limits above which a change waits for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brakes {
    /// Percentage of the files that may be deleted, or deleted and changed, within a day.
    pub max_delete_percent: u8,
    /// Percentage of its bytes, entries or rows that a primary member of a group may lose at once.
    pub max_shrink_percent: u8,
    /// Number of files below which deleting most of them, or changing them, is no accident.
    /// Deleting nearly all of them always is.
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
    open.extend(input.regroup.cloned());
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
        let is_loss = |step: &&&Step| matches!(step.item, Item::Group(_)) && loses(input, step, brakes);
        let losing: Vec<&Step> = moving.iter().filter(is_loss).copied().collect();
        holds.extend(losing.iter().map(|step| Hold::over(input, Reason::GroupLoss, direction, &[step])));
        holds.extend(masses(input, &moving, &losing, direction, brakes));
    }
    holds
}

/// Holds over masses: present ones, and items that the last plan held as part of one.
fn masses(
    input: &Input,
    moving: &[&Step],
    losing: &[&Step],
    direction: Direction,
    brakes: Brakes,
) -> Vec<Hold> {
    let tally = Tally::of(input, moving, direction);
    let adds = |mass: &Mass| mass.steps.iter().any(|step| losing.iter().all(|loss| loss.item != step.item));
    // Groups that wait by themselves need no second hold.
    let mass = tally.judge(input, moving, brakes).filter(adds);
    let of_mass: BTreeSet<&Item> = mass.iter().flat_map(|mass| &mass.steps).map(|step| &step.item).collect();
    let in_mass =
        |step: &Step| mass.as_ref().filter(|_| of_mass.contains(&step.item)).map(|mass| mass.reason);
    let mut holds = Vec::new();
    for reason in [Reason::MassDelete, Reason::MassChange] {
        let before = |step: &Step| was_held(input, step, reason, direction);
        // What settles late and carries the name of a file that waits belongs to it.
        let waiting = moving.iter().filter(|step| reason == Reason::MassChange && before(step));
        let late = tally.carriers_of(&waiting.flat_map(|step| &step.files).map(|file| &file.path).collect());
        let comes_late = |step: &Step| step.files.iter().any(|file| late.contains(&file.path));
        let held = moving.iter().copied().filter(|step| {
            in_mass(step).map_or_else(|| before(step) || comes_late(step), |fresh| fresh == reason)
        });
        let held: Vec<&Step> = held.collect();
        if !held.is_empty() {
            let share = Some(tally.share(reason));
            holds.push(Hold { share, ..Hold::over(input, reason, direction, &held) });
        }
    }
    holds
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
