//! Groups whose derived members were not computed again: memories are never unsaved for the sake of
//! something that can be computed from them.
//!
//! Decided here: such a group counts as one without derived members, where its primary members have
//! something to send or the agreed state has no derived members anyway. The commit of the primary
//! members then deletes the derived ones, on every device; the stale ones stay here until they are
//! computed again, or until the group changes elsewhere and what comes displaces them. A damaged
//! index beside unchanged primary members is no stale one: the good one stays in the bucket.
//!
//! Nothing is written. What counts as deleted follows from the disk and from the time since which
//! the group is invalid, so a crash changes nothing.

use super::Local;
use super::groups::{Judged, Looked};
use crate::model::{Groups, Tree, VaultPath};
use crate::plan::Plan;
use crate::sync::report::{About, Trouble, Weight};

/// Takes a group out of those that do not fit here, and leaves its derived members out.
pub(super) fn leave_out(
    groups: &Groups,
    looked: &Looked<'_>,
    base: &Tree,
    local: &mut Local,
    judged: &mut Judged,
) {
    let Some(stale) = judged.stale.remove(&looked.item) else { return };
    let primary = |tree| groups.members(looked.name, tree).filter(|(path, _)| !groups.is_derived(path));
    let agreed = groups.members(looked.name, base).any(|(path, _)| groups.is_derived(path));
    if agreed && primary(&local.tree).eq(primary(base)) {
        return;
    }
    judged.unfit.here.remove(&looked.item);
    let derived = groups.members(looked.name, &local.tree).map(|(path, _)| path);
    judged.left_out.extend(derived.filter(|path| groups.is_derived(path)).cloned());
    let about = About::Item(looked.item.clone());
    local.troubles.retain(|trouble| trouble.about != about || trouble.weight != Weight::Overdue);
    local.troubles.push(Trouble::of(&looked.item, message(&stale), Weight::Stale));
}

/// Forgets the troubles of groups whose stale members go now, displaced by what comes.
pub(super) fn forget_displaced(plan: &Plan, local: &mut Local) {
    let comes = |about: &About| {
        plan.steps.iter().any(|step| step.incoming() && *about == About::Item(step.item.clone()))
    };
    local.troubles.retain(|trouble| trouble.weight != Weight::Stale || !comes(&trouble.about));
}

/// The words for these members. Without counts: each save changes those, and nothing is new.
fn message(stale: &[VaultPath]) -> String {
    let names: Vec<&str> = stale.iter().map(VaultPath::as_str).collect();
    let (was, it) = if names.len() == 1 { ("was", "it stays") } else { ("were", "they stay") };
    let names = names.join(", ");
    format!(
        "the memories are saved without {names}, which {was} not computed again for them: {it} on this device alone"
    )
}
