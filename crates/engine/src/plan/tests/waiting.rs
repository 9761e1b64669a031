//! Blocked items are neither pushed nor pulled over. A blocked member blocks its whole group.

use super::super::Waiting;
use super::*;

fn waiting(plan: &Plan) -> Vec<&Item> {
    plan.waiting.iter().map(|Waiting { item, .. }| item).collect()
}

#[test]
fn a_blocked_file_always_waits_and_its_neighbours_go_on() {
    let states = [None, Some("A"), Some("B")];
    for (local, remote) in states.iter().flat_map(|local| states.map(|remote| (*local, remote))) {
        let side = |state: Option<&str>, other: &str| {
            let f = state.map(|content| (path("f"), entry(content)));
            f.into_iter().chain([(path("other"), entry(other))]).collect()
        };
        let mut case = Case::of(side(Some("A"), "1"), side(local, "2"), side(remote, "1"));
        case.blocked.add(path("f"), "it is being written");
        let plan = case.plan();
        assert_eq!(plan.steps.iter().map(|step| &step.item).collect::<Vec<_>>(), [&file("other")]);
        let moved = local != Some("A") || remote != Some("A");
        assert_eq!(waiting(&plan), Vec::from_iter(moved.then_some(&file("f"))), "{local:?} {remote:?}");
        assert!(plan.waiting.iter().all(|wait| wait.why == "f: it is being written"));
    }
}

#[test]
fn a_blocked_member_blocks_its_group_in_both_directions() {
    let base = tree(&[("nodes.json", "1"), ("nodes.npy", "1"), ("index/a", "1")]);
    let changed = tree(&[("nodes.json", "2"), ("nodes.npy", "1"), ("index/a", "1")]);
    for member in ["nodes.json", "nodes.npy", "index/a"] {
        for (local, remote) in [(&changed, &base), (&base, &changed)] {
            let mut case = Case { groups: nodes(), ..Case::of(base.clone(), local.clone(), remote.clone()) };
            case.blocked.add(path(member), "it is busy");
            let plan = case.plan();
            assert_eq!((plan.steps.as_slice(), waiting(&plan)), (&[][..], vec![&group("nodes")]), "{member}");
        }
    }
}

/// The first half of a transaction has settled. The second is being written, and no tree has ever
/// held it.
#[test]
fn a_member_that_is_new_and_busy_blocks_its_group_too() {
    let mut case =
        Case { groups: nodes(), ..Case::of(Tree::new(), tree(&[("nodes.json", "1")]), Tree::new()) };
    case.blocked.add(path("nodes.npy"), "it is being written");
    let plan = case.plan();
    assert_eq!((plan.steps.as_slice(), waiting(&plan)), (&[][..], vec![&group("nodes")]));
}

/// Like the case above, but the whole folder is unreadable.
#[test]
fn an_unreadable_folder_blocks_the_groups_that_may_have_members_there() {
    let mut case = Case {
        groups: nodes(),
        ..Case::of(Tree::new(), tree(&[("nodes.json", "1"), ("t", "1")]), Tree::new())
    };
    case.blocked.add(path("index"), "it cannot be read");
    let plan = case.plan();
    assert_eq!(waiting(&plan), [&group("nodes")]);
    assert_eq!(plan.steps.iter().map(|step| &step.item).collect::<Vec<_>>(), [&file("t")]);
}

#[test]
fn a_blocked_folder_covers_paths_below_it_and_none_beside_it() {
    let base = tree(&[("t/a", "1"), ("t/u/b", "1"), ("t2", "1"), ("tt/c", "1")]);
    let mut case = Case::of(base.clone(), Tree::new(), base);
    case.blocked.add(path("t"), "it cannot be read");
    let plan = case.plan();
    assert_eq!(waiting(&plan), [&file("t/a"), &file("t/u/b")]);
    assert_eq!(plan.steps.len(), 2);
}

#[test]
fn a_blocked_path_covers_the_files_it_held_as_a_folder() {
    let mut case = Case::of(tree(&[("t/a", "1")]), Tree::new(), tree(&[("t/a", "1")]));
    case.blocked.add(path("t"), "it is a symbolic link");
    assert_eq!(waiting(&case.plan()), [&file("t/a")]);
    assert_eq!(case.blocked.reason(&path("t")), Some("it is a symbolic link"));
    assert_eq!(case.blocked.reason(&path("tt")), None);
}

#[test]
fn a_link_covers_its_path_and_paths_below_but_is_a_member_of_nothing() {
    let base = tree(&[("t/a", "1"), ("nodes.json", "1")]);
    let remote = tree(&[("t/a", "2"), ("nodes.json", "2")]);
    let mut case = Case { groups: nodes(), ..Case::of(base.clone(), base, remote) };
    case.blocked.add_foreign(path("t"), "it is a symbolic link");
    case.blocked.add_foreign(path("index/a"), "it is a symbolic link");
    let plan = case.plan();
    assert_eq!(waiting(&plan), [&file("t/a")]);
    assert_eq!(plan.steps.iter().map(|step| &step.item).collect::<Vec<_>>(), [&group("nodes")]);
    assert_eq!(case.blocked.reason(&path("index/a")), Some("it is a symbolic link"));
}

#[test]
fn blocked_files_are_no_part_of_a_mass_deletion() {
    let base = many("t", 20, "x");
    let mut case = Case { brakes: Some(Brakes::default()), ..Case::of(base.clone(), Tree::new(), base) };
    case.blocked.add(path("t"), "it cannot be read");
    let plan = case.plan();
    assert_eq!((plan.steps.len(), plan.holds.len(), plan.waiting.len()), (0, 0, 20));
}

#[test]
fn whoever_joins_remembers_what_waits_and_differs_without_a_common_past() {
    let local = tree(&[("edited", "here"), ("own", "1"), ("same", "1"), ("based", "here")]);
    let remote = tree(&[("edited", "there"), ("hidden", "1"), ("same", "1"), ("based", "there")]);
    let base = tree(&[("based", "1")]);
    let mut case = Case { mode: Mode::Joining, ..Case::of(base, local, remote) };
    ["edited", "own", "hidden", "same", "based"].iter().for_each(|name| {
        case.blocked.add(path(name), "it cannot be read");
    });
    assert_eq!(case.plan().strangers, BTreeSet::from([file("edited"), file("hidden")]));
    // An item that no longer waits is a question, until it is decided.
    case.blocked = Blocked::default();
    let plan = case.plan();
    assert_eq!((plan.holds.len(), &plan.strangers), (1, &plan.holds[0].items));
    assert_eq!(plan.strangers, BTreeSet::from([file("edited")]));
    assert_eq!(case.clone().decided(false).plan().strangers, plan.strangers, "it is not sent yet");
    case.mode = Mode::Ordinary;
    assert!(case.plan().strangers.is_empty());
}
