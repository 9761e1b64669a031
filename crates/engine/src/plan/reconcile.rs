//! The table of decisions for one item.
//!
//! | base→local | base→remote | what happens |
//! |---|---|---|
//! | same | same | nothing |
//! | changed | same | push |
//! | same | changed | pull |
//! | changed | changed, equal bytes | adopt |
//! | changed | changed, different | remote wins, local kept |
//! | deleted | changed | remote wins: the file comes back |
//! | changed | deleted | remote wins: deleted here, local kept |
//!
//! A group is judged as one: only primary members make a conflict, and it is the whole group's.

use super::diff::{Member, View};
use super::{Action, Direction, Input, Mode, Step};
use crate::model::{Conflict, Item, Kept, Role};
use crate::planted::{Bug, planted};

/// Decides the step for an item that changed. `None` if both sides are as agreed.
pub(super) fn reconcile(input: &Input, item: &Item, view: &View) -> Option<Step> {
    let here = view.any(Role::Primary, Member::moved_here);
    // A remote version that does not fit together counts as unchanged.
    let fits = !input.unfit.there.contains_key(item);
    let there = fits && view.any(Role::Primary, Member::moved_there);
    let derived_here = view.any(Role::Derived, Member::moved_here);
    let derived_there = fits && view.any(Role::Derived, Member::moved_there);
    let apart = view.any(Role::Primary, Member::differs);
    let derived_apart = view.any(Role::Derived, Member::differs);

    let action = match () {
        () if !(here || there || derived_here || derived_there) => return None,
        // Both sides hold the same bytes, however each came to them.
        () if !apart && !derived_apart && planted(Bug::Echo) => Action::Push,
        () if !apart && !derived_apart => Action::Adopt,
        // Same corpus, different index: an index alone is never a conflict.
        () if !apart => derived_only(input, item, view, derived_there),
        // A rebuilt index for the last good corpus is no reason to undo a newer corpus, even a bad
        // one.
        () if !here && !there => return None,
        // The primary members differ, so at least one side changed them.
        () if !there => Action::Push,
        () if !here => Action::Pull,
        () if planted(Bug::WallClock) && view.any(Role::Primary, Member::newer_here) => Action::Push,
        () => lost(input, item, view).map_or(Action::Pull, |conflict| Action::Conflict(Box::new(conflict))),
    };
    Some(step(item, view, action))
}

/// Action for derived members that differ while the primary ones are equal.
fn derived_only(input: &Input, item: &Item, view: &View, derived_there: bool) -> Action {
    if derived_there {
        return Action::Pull;
    }
    let Item::Group(name) = item else { return Action::Push };
    let fresh = input.ages.get(name).is_some_and(|ages| ages.derived_is_fresh());
    // The first index for a state of the corpus wins. Otherwise two devices with non-deterministic
    // rebuilds would replace each other's index forever.
    let fits = !input.unfit.there.contains_key(item);
    // One that is nowhere replaces none. A merge of forks is made by older devices, too, and alike.
    let is_first = |member: &Member| member.local.is_some() && member.remote.is_none();
    let first = input.mode != Mode::Merge && view.any(Role::Derived, is_first);
    if fresh && fits && !first && !input.push_derived { Action::KeepLocal } else { Action::Push }
}

/// Conflict over the local version that is about to be replaced. `None` if no primary member is
/// left in it: then there is nothing to keep.
pub(super) fn lost(input: &Input, item: &Item, view: &View) -> Option<Conflict> {
    let files = view.members.iter().filter(|(_, member)| member.local.is_some() || member.base.is_some());
    let files: Vec<Kept> =
        files.map(|(path, member)| Kept { path: path.clone(), entry: member.local }).collect();
    let primary_left = view.any(Role::Primary, |member| member.local.is_some());
    primary_left.then(|| Conflict::new(item.clone(), files, None).undecided(input.closed))
}

/// Creates the step that carries out `action`.
pub(super) fn step(item: &Item, view: &View, action: Action) -> Step {
    let (files, agreed) = match action {
        Action::Push => (view.outgoing(), view.side(|member| member.local)),
        Action::Pull | Action::Conflict(_) => (view.incoming(), view.side(|member| member.remote)),
        Action::Adopt | Action::KeepLocal => (Vec::new(), view.side(|member| member.remote)),
    };
    Step { item: item.clone(), action, files, agreed }
}

/// Creates the step that gives the item's names to the remote and keeps the local version, for
/// names that cannot exist side by side.
pub(super) fn yield_to_remote(input: &Input, item: &Item) -> Step {
    let view = View::of(input, item);
    // An index that gives way is computed again, so it is no conflict.
    let lost = lost(input, item, &view).filter(|_| view.any(Role::Primary, Member::differs));
    step(item, &view, lost.map_or(Action::Pull, |conflict| Action::Conflict(Box::new(conflict))))
}

/// Creates the step that decides a held change the other way: an outgoing one is undone locally, an
/// incoming one is overruled by the local version. The step is the same however often this runs,
/// because an item may be held for several reasons.
pub(super) fn reverse(input: &Input, item: &Item, held: Direction) -> Step {
    let action = match held {
        Direction::Outgoing => Action::Pull,
        Direction::Incoming => Action::Push,
    };
    step(item, &View::of(input, item), action)
}

/// True if the two sides of an item have no common past: the remote has a version of it, and a
/// primary member that was never agreed on differs here, or may, where it cannot be seen.
pub(super) fn has_no_past(view: &View, is_blocked: bool) -> bool {
    let differs = |member: &Member| member.differs() && (is_blocked || member.local.is_some());
    let strange = |member: &&Member| member.role == Role::Primary && member.base.is_none();
    let there = view.any(Role::Primary, Member::moved_there);
    there && view.members.values().filter(strange).any(differs)
}

/// True if the two sides have no common past, so that a person must say which is right: a local
/// primary member was never agreed on and the remote has another version of it, or none. A pull
/// would take it away.
pub(super) fn wants_a_person(input: &Input, step_: &Step) -> bool {
    let unrelated =
        |member: &Member| member.role == Role::Primary && member.base.is_none() && member.local.is_some();
    let strangers = || {
        let view = View::of(input, &step_.item);
        view.members.values().any(|member| unrelated(member) && member.differs())
    };
    input.mode == Mode::Joining && matches!(step_.action, Action::Conflict(_)) && strangers()
}
