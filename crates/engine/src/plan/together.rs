//! Items that one program wrote together are sent together.
//!
//! This binds outgoing items only. If the remote changed one of the items too, that item is decided
//! as usual, and the losing version is kept.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, Step, Waiting};
use crate::model::Item;

/// Removes outgoing steps whose companions have to wait. True if it removed any.
pub(super) fn keep_back(
    together: &[BTreeSet<Item>],
    steps: &mut BTreeMap<Item, Step>,
    plan: &mut Plan,
) -> bool {
    if together.is_empty() {
        return false;
    }
    let mut any = false;
    // An item kept back here may in turn bind others.
    loop {
        let held =
            plan.holds.iter().flat_map(|hold| hold.items.iter().map(move |item| (item, hold.to_string())));
        let waiting = plan.waiting.iter().map(|waiting| (&waiting.item, waiting.why.clone()));
        let stuck: BTreeMap<&Item, String> = held.chain(waiting).collect();
        let mut kept = Vec::new();
        for items in together {
            let Some((cause, why)) = items.iter().find_map(|item| stuck.get_key_value(item)) else {
                continue;
            };
            let sent = items.iter().filter(|item| steps.get(item).is_some_and(Step::outgoing));
            kept.extend(sent.map(|item| {
                (
                    item.clone(),
                    (*cause).clone(),
                    format!("it was written together with {cause}, which waits: {why}"),
                )
            }));
        }
        if kept.is_empty() {
            return any;
        }
        any = true;
        for (item, cause, why) in kept {
            if steps.remove(&item).is_some() {
                plan.waiting.push(Waiting::of(item.clone(), why));
                plan.bound.insert(item, cause);
            }
        }
    }
}
