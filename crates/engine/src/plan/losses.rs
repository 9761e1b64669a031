//! What a commit takes from the files that stood, for the brakes of the plans after it.

use std::collections::BTreeSet;

use super::tally::{Tally, top};
use super::{Direction, Input, Plan, Reason, Step};
use crate::model::{Item, Loss, Losses, VaultPath};

/// Losses after the items in `done` are carried out: those of the input, with what the plan sends.
///
/// - What it deletes or overwrites is lost, unless it moves, or a person approved. Who approves a mass
///   approves the run: nothing before it counts either.
/// - What comes back is not lost, and neither is what another device has changed since.
/// - A new file makes up for the oldest loss of its top-level folder that nothing replaced (see `mass`).
#[must_use]
pub fn losses(input: &Input, plan: &Plan, done: &BTreeSet<Item>, at_ms: u64) -> Losses {
    let steps: Vec<&Step> = plan.steps.iter().filter(|step| done.contains(&step.item)).collect();
    let sent: Vec<&Step> = steps.iter().copied().filter(|step| step.outgoing()).collect();
    let tally = Tally::of(input, &sent, Direction::Outgoing);
    let approved = |item: &Item| {
        let mut holds = plan.approved.iter().filter(|hold| hold.direction == Direction::Outgoing);
        holds.any(|hold| hold.items.contains(item))
    };
    let mut losses = if approves_run(plan, done) { Losses::new() } else { input.losses.clone() };
    // What moved away earlier and has arrived now is neither gone nor changed.
    losses.retain(|path, _| tally.gone_before.contains_key(path) || tally.changed_before.contains(path));
    for step in sent.iter().filter(|step| !approved(&step.item)) {
        for file in &step.files {
            let (path, Some(agreed)) = (&file.path, input.base.get(&file.path)) else { continue };
            let folder = tally.folders.get(top(path));
            let gone = folder.filter(|folder| folder.gone.contains(path));
            if gone.is_none() && !tally.changed.contains(path) {
                continue;
            }
            let replaced = gone
                .is_some_and(|folder| input.brakes.is_some_and(|brakes| folder.is_replaced(path, brakes)));
            let entry = losses.get(path).map_or(*agreed, |loss| loss.entry);
            losses.insert(path.clone(), Loss { entry, at_ms, replaced });
        }
    }
    for path in steps
        .iter()
        .filter(|step| step.incoming() || approved(&step.item))
        .flat_map(|step| step.agreed.keys())
    {
        losses.remove(path);
    }
    for (path, entry) in sent.iter().flat_map(|step| &step.agreed) {
        if losses.get(path).is_some_and(|loss| Some(loss.entry) == *entry) {
            losses.remove(path);
        }
    }
    make_up(input, &tally, &mut losses);
    losses
}

/// True if a person approved a mass, and all of it is sent.
fn approves_run(plan: &Plan, done: &BTreeSet<Item>) -> bool {
    plan.approved.iter().any(|hold| {
        let mass = matches!(hold.reason, Reason::MassDelete | Reason::MassChange);
        mass && hold.direction == Direction::Outgoing && hold.items.is_subset(done)
    })
}

/// Removes losses that new files make up for.
fn make_up(input: &Input, tally: &Tally, losses: &mut Losses) {
    let Some(brakes) = input.brakes else { return };
    for (name, folder) in &tally.folders {
        let count = folder.making_up(brakes).count();
        let is_loose = |(path, loss): &(&VaultPath, &Loss)| {
            let goes = tally.gone_before.contains_key(path) || folder.gone.contains(path);
            goes && top(path) == *name && !loss.replaced
        };
        let mut loose: Vec<_> =
            losses.iter().filter(is_loose).map(|(path, loss)| (loss.at_ms, path.clone())).collect();
        loose.sort();
        for (_, path) in loose.into_iter().take(count) {
            losses.remove(&path);
        }
    }
}
