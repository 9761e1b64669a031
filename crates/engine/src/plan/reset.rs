//! The plan of a reset: the local side becomes equal to the remote, whatever happened locally.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::{self, Member, View};
use super::reconcile::{lost, step};
use super::{Action, Input, Plan, names};
use crate::model::{Item, Role};

/// Makes the plan of a reset. Every item that differs is pulled; a local version that the remote
/// never had is kept as a conflict. Brakes and decisions do not apply, because the user asked for
/// the reset. Items that cannot be replaced now wait.
#[must_use]
pub fn reset(input: &Input) -> Plan {
    let mut plan = Plan::default();
    let mut decided = BTreeMap::new();
    let differing: BTreeSet<Item> =
        diff::differing(input.local, input.remote).map(|path| input.groups.item(path)).collect();
    let blocked = input.blocked.items(input.groups);
    for item in differing {
        let view = View::of(input, &item);
        if let Some(block) = view.blocked(input.blocked).or_else(|| blocked.get(&item).copied()) {
            plan.waiting.push(block.waiting(item));
            continue;
        }
        let own = |member: &Member| member.moved_here() && member.differs();
        let conflict = if view.any(Role::Primary, own) { lost(input, &item, &view) } else { None };
        let action = conflict.map_or(Action::Pull, |conflict| Action::Conflict(Box::new(conflict)));
        decided.insert(item.clone(), step(&item, &view, action));
    }
    // An unreadable file may be one that the remote lacks.
    for block in input.blocked.unseen(input.local) {
        let item = input.groups.item(block.at);
        if plan.waiting.iter().all(|wait| wait.item != item) {
            decided.remove(&item);
            plan.waiting.push(block.waiting(item));
        }
    }
    names::settle(input, &mut decided, &mut plan.waiting, &[]);
    plan.steps = decided.into_values().collect();
    plan.waiting.sort();
    plan
}
