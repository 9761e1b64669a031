//! Losses of a commit: files that stood and that it takes, for the brakes of the plans after it.

use std::collections::BTreeSet;

use super::tally::{Tally, top};
use super::{Brakes, Direction, Input, Plan, Reason, Step};
use crate::model::{Item, Loss, Losses, Place, VaultPath};

/// Losses after the items in `done` are carried out: those of the input, with what the plan sends.
///
/// - A file that it deletes or overwrites is lost, unless it moves, or a person approved. Approving
///   a mass approves the run: nothing before it counts either.
/// - A file that comes back is not lost, and neither is one that another device has changed since.
/// - A new file makes up for the oldest loss of its top-level folder that nothing replaced (see
///   `mass`).
#[must_use]
pub fn losses(input: &Input, plan: &Plan, done: &BTreeSet<Item>, at_ms: u64) -> Losses {
    let steps: Vec<&Step> = plan.steps.iter().filter(|step| done.contains(&step.item)).collect();
    let sent: Vec<&Step> = steps.iter().copied().filter(|step| step.outgoing()).collect();
    let tally = Tally::of(input, &sent, Direction::Outgoing);
    // A person who lets a loss pass, or overrules one that comes in, means the files that are sent
    // for it.
    let approved = |item: &Item| {
        let lets = plan.approved.iter().filter(|hold| hold.direction == Direction::Outgoing);
        let overrules = plan.rejected.iter().filter(|hold| hold.direction == Direction::Incoming);
        lets.chain(overrules).any(|hold| hold.items.contains(item))
    };
    let mut losses = if approves_run(plan, done) { Losses::new() } else { input.losses.clone() };
    // A file that moved away earlier and has arrived now is neither gone nor changed.
    losses.retain(|path, _| tally.gone_before.contains_key(path) || tally.changed_before.contains(path));
    for step in sent.iter().filter(|step| !approved(&step.item)) {
        for file in &step.files {
            let (path, Some(agreed)) = (&file.path, input.base.get(&file.path)) else { continue };
            if !tally.goes(path) && !tally.changed.contains(path) {
                continue;
            }
            let entry = losses.get(path).map_or(*agreed, |loss| loss.entry);
            losses.insert(path.clone(), Loss { entry, at_ms, place: Place::Free });
        }
    }
    for path in steps
        .iter()
        .filter(|step| step.incoming() || approved(&step.item))
        .flat_map(|step| &step.agreed)
        .map(|(path, _)| path)
    {
        losses.remove(path);
    }
    for (path, entry) in sent.iter().flat_map(|step| &step.agreed) {
        if losses.get(path).is_some_and(|loss| Some(loss.entry) == *entry) {
            losses.remove(path);
        }
    }
    if let Some(brakes) = input.brakes {
        settle(&tally, brakes, &mut losses);
    }
    losses
}

/// True if a person approved a mass, and all of it is sent.
fn approves_run(plan: &Plan, done: &BTreeSet<Item>) -> bool {
    plan.approved.iter().any(|hold| {
        let mass = matches!(hold.reason, Reason::MassDelete | Reason::MassChange);
        mass && hold.direction == Direction::Outgoing && hold.items.is_subset(done)
    })
}

/// Removes losses that new files make up for, and notes the places that they take.
fn settle(tally: &Tally, brakes: Brakes, losses: &mut Losses) {
    for (name, folder) in &tally.folders {
        let gone = |path: &VaultPath| {
            top(path) == *name && (tally.gone_before.contains_key(path) || folder.gone.contains(path))
        };
        for (path, loss) in losses.iter_mut().filter(|(path, _)| gone(path)) {
            loss.place = loss.place.max(folder.place(path, brakes));
        }
        let oldest = |losses: &Losses, place: Place, count: usize| {
            let of = losses.iter().filter(|(path, loss)| loss.place == place && gone(path));
            let mut paths: Vec<_> = of.map(|(path, loss)| (loss.at_ms, path.clone())).collect();
            paths.sort();
            paths.into_iter().take(count).map(|(_, path)| path).collect::<Vec<_>>()
        };
        for path in oldest(losses, Place::Awaited, folder.taking_a_place(brakes)) {
            losses.entry(path).and_modify(|loss| loss.place = Place::Taken);
        }
        for path in oldest(losses, Place::Free, folder.making_up(brakes).count()) {
            losses.remove(&path);
        }
    }
}
