//! The brakes: what looks like an accident waits for a person, whichever side it comes from.

use std::collections::BTreeMap;

use super::hold::{Direction, Hold, Reason};
use super::reconcile::{reverse, wants_a_person};
use super::{Action, FileStep, Input, Step};
use crate::model::{Entry, Item};

/// Members smaller than this may shrink as they like: half of next to nothing is no loss.
const SHRINK_FLOOR: u64 = 256;

/// When to ask first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brakes {
    /// How many of the files, in percent, may be deleted at once.
    pub max_delete_percent: u8,
    /// By how much, in percent of its bytes, a primary member of a group may shrink at once.
    pub max_shrink_percent: u8,
    /// Below this many files, deleting or changing all of them is no accident.
    pub min_files: usize,
}

impl Default for Brakes {
    fn default() -> Self {
        Self { max_delete_percent: 50, max_shrink_percent: 50, min_files: 20 }
    }
}

/// Takes what must wait out of `steps`, turns round what was rejected, and returns the holds that are open and those that a
/// decision has closed.
pub(super) fn hold(input: &Input, steps: &mut BTreeMap<Item, Step>) -> (Vec<Hold>, Vec<Hold>) {
    let (mut open, mut decided) = (Vec::new(), Vec::new());
    for hold in found(input, steps) {
        let joined = hold.reason == Reason::Differs && input.decisions.join;
        if input.decisions.rejected.contains(&hold.id) {
            for item in &hold.items {
                steps.insert(item.clone(), reverse(input, item, hold.direction));
            }
            decided.push(hold);
        } else if joined || input.decisions.approved.contains(&hold.id) {
            decided.push(hold);
        } else {
            open.push(hold);
        }
    }
    // Only now, so that each brake was judged by the whole plan and not by what an earlier one left of it.
    steps.retain(|item, _| !open.iter().any(|hold| hold.items.contains(item)));
    (open, decided)
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
        if input.base.len() < brakes.min_files {
            continue;
        }
        let of_base = |file: &&FileStep| input.base.contains_key(&file.path);
        let count = |test: fn(&FileStep) -> bool| {
            moving.iter().flat_map(|step| &step.files).filter(of_base).filter(|file| test(file)).count()
        };
        let (deleted, touched) = (count(|file| file.to.is_none()), count(|_| true));
        if deleted * 100 > input.base.len() * usize::from(brakes.max_delete_percent) {
            let deleting: Vec<&Step> = moving
                .iter()
                .copied()
                .filter(|step| step.files.iter().any(|file| file.to.is_none()))
                .collect();
            holds.push(Hold::over(input, Reason::MassDelete, direction, &deleting));
        } else if touched == input.base.len() {
            holds.push(Hold::over(input, Reason::MassChange, direction, &moving));
        }
    }
    holds
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
    let left = to.map_or(0, |entry| entry.size);
    let floor = u128::from(from.size) * u128::from(100_u8.saturating_sub(brakes.max_shrink_percent));
    to.is_none() || (from.size >= SHRINK_FLOOR && u128::from(left) * 100 < floor)
}
