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

/// What is to be done with an item that moved; none where both sides stand as agreed.
pub(super) fn reconcile(input: &Input, item: &Item, view: &View) -> Option<Step> {
    let here = view.any(Role::Primary, Member::moved_here);
    // What does not fit together there counts as unchanged.
    let fits = !input.unfit.there.contains_key(item);
    let there = fits && view.any(Role::Primary, Member::moved_there);
    let derived_here = view.any(Role::Derived, Member::moved_here);
    let derived_there = fits && view.any(Role::Derived, Member::moved_there);
    let apart = view.any(Role::Primary, Member::differs);
    let derived_apart = view.any(Role::Derived, Member::differs);

    let action = match () {
        () if !(here || there || derived_here || derived_there) => return None,
        // Both sides hold the same, however each came to it.
        () if !apart && !derived_apart && planted(Bug::Echo) => Action::Push,
        () if !apart && !derived_apart => Action::Adopt,
        // The same corpus, another index: an index alone is never a conflict.
        () if !apart => derived_only(input, item, derived_there),
        // An index that was rebuilt over the last good corpus is no reason to undo the newer one, however bad.
        () if !here && !there => return None,
        // The primary members differ, so at least one side moved them.
        () if !there => Action::Push,
        () if !here => Action::Pull,
        () if planted(Bug::WallClock) && view.any(Role::Primary, Member::newer_here) => Action::Push,
        () => lost(item, view).map_or(Action::Pull, |conflict| Action::Conflict(Box::new(conflict))),
    };
    Some(step(item, view, action))
}

/// Derived members differ over equal primary ones.
fn derived_only(input: &Input, item: &Item, derived_there: bool) -> Action {
    if derived_there {
        return Action::Pull;
    }
    let Item::Group(name) = item else { return Action::Push };
    let fresh = input.ages.get(name).is_some_and(|ages| ages.derived_is_fresh());
    // The first index for a state of the corpus wins: non-deterministic rebuilds on two devices must not chase each other.
    let fits = !input.unfit.there.contains_key(item);
    if fresh && fits && !input.push_derived { Action::KeepLocal } else { Action::Push }
}

/// The conflict over the version that is about to be replaced here; none where that version is a deletion of everything,
/// which leaves nothing to keep.
pub(super) fn lost(item: &Item, view: &View) -> Option<Conflict> {
    let files = view.members.iter().filter(|(_, member)| member.local.is_some() || member.base.is_some());
    let files: Vec<Kept> =
        files.map(|(path, member)| Kept { path: path.clone(), entry: member.local }).collect();
    let primary_left = view.any(Role::Primary, |member| member.local.is_some());
    primary_left.then(|| Conflict::new(item.clone(), files, None))
}

/// The step that carries out `action`.
pub(super) fn step(item: &Item, view: &View, action: Action) -> Step {
    let (files, agreed) = match action {
        Action::Push => (view.outgoing(), view.side(|member| member.local)),
        Action::Pull | Action::Conflict(_) => (view.incoming(), view.side(|member| member.remote)),
        Action::Adopt | Action::KeepLocal => (Vec::new(), view.side(|member| member.remote)),
    };
    Step { item: item.clone(), action, files, agreed }
}

/// The step that gives the item to the remote, keeping what is here: for names that cannot stand side by side.
pub(super) fn yield_to_remote(input: &Input, item: &Item) -> Step {
    let view = View::of(input, item);
    // An index that has to give way is computed again.
    let lost = lost(item, &view).filter(|_| view.any(Role::Primary, Member::differs));
    step(item, &view, lost.map_or(Action::Pull, |conflict| Action::Conflict(Box::new(conflict))))
}

/// The step that decides a held change the other way: an outgoing one is undone here, an incoming one is overruled by what is
/// here. The same however often it is applied, for an item may be held for several reasons.
pub(super) fn reverse(input: &Input, item: &Item, held: Direction) -> Step {
    let action = match held {
        Direction::Outgoing => Action::Pull,
        Direction::Incoming => Action::Push,
    };
    step(item, &View::of(input, item), action)
}

/// Whether the two sides meet without a common past, so that somebody has to say which is right: a primary member that both
/// have, differently, and that was never agreed on. A member that only this side has counts too: it would be taken away.
pub(super) fn wants_a_person(input: &Input, step_: &Step) -> bool {
    let unrelated =
        |member: &Member| member.role == Role::Primary && member.base.is_none() && member.local.is_some();
    let strangers = || {
        let view = View::of(input, &step_.item);
        view.members.values().any(|member| unrelated(member) && member.differs())
    };
    input.mode == Mode::Joining && matches!(step_.action, Action::Conflict(_)) && strangers()
}
