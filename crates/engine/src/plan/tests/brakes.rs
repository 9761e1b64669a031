//! The brakes: apparent accidents wait for a person, whichever side they come from, and nothing
//! else does.

use super::super::{Direction, agreed, filter_hold};
use super::*;

/// Creates the case of an ordinary device with the default brakes.
fn braked(base: Tree, local: Tree, remote: Tree) -> Case {
    Case { brakes: Some(Brakes::default()), groups: nodes(), ..Case::of(base, local, remote) }
}

/// The same change, once made locally and once on the remote.
fn both_ways(base: &Tree, changed: &Tree) -> [(Direction, Case); 2] {
    [
        (Direction::Outgoing, braked(base.clone(), changed.clone(), base.clone())),
        (Direction::Incoming, braked(base.clone(), base.clone(), changed.clone())),
    ]
}

fn held(plan: &Plan) -> Vec<(Reason, Direction)> {
    plan.holds.iter().map(|hold| (hold.reason, hold.direction)).collect()
}

fn corpus(json: u64, npy: u64) -> Tree {
    let files = [("nodes.json", json), ("nodes.npy", npy), ("index/faiss", 9000)];
    files.map(|(name, size)| (path(name), sized(&format!("{name} {size}"), size))).into()
}

fn without(tree: &Tree, gone: impl Fn(usize) -> bool) -> Tree {
    let left = tree.iter().enumerate().filter(|(n, _)| !gone(*n));
    left.map(|(_, (path, entry))| (path.clone(), *entry)).collect()
}

fn rewritten(tree: &Tree, changed: impl Fn(usize) -> bool) -> Tree {
    let content = |(n, (path, entry)): (usize, (&VaultPath, &Entry))| {
        (path.clone(), if changed(n) { self::entry("rewritten") } else { *entry })
    };
    tree.iter().enumerate().map(content).collect()
}

#[test]
fn a_group_that_loses_a_primary_member_is_held() {
    let base = corpus(1000, 4000);
    let gone = |name: &str| without(&base, |n| base.keys().nth(n) == Some(&path(name)));
    for changed in [gone("nodes.json"), gone("nodes.npy"), Tree::new()] {
        for (direction, case) in both_ways(&base, &changed) {
            let plan = case.plan();
            assert_eq!(held(&plan), [(Reason::GroupLoss, direction)]);
            assert_eq!(plan.holds[0].items, BTreeSet::from([group("nodes")]));
            assert!(plan.steps.is_empty());
        }
    }
    for (_, case) in both_ways(&base, &gone("index/faiss")) {
        assert_eq!(case.plan().holds, [], "an index is computed again");
    }
}

#[test]
fn a_primary_member_may_shrink_by_half_but_no_more() {
    let base = corpus(1000, 4000);
    for (json, npy, expected) in [
        (2, 4000, true),
        (499, 4000, true),
        (500, 4000, false),
        (1000, 1999, true),
        (1000, 2000, false),
        (9999, 4000, false),
    ] {
        for (direction, case) in both_ways(&base, &corpus(json, npy)) {
            let hold = expected.then_some((Reason::GroupLoss, direction));
            assert_eq!(held(&case.plan()), Vec::from_iter(hold), "{json} {npy}");
        }
    }
    for (_, case) in both_ways(&corpus(100, 200), &corpus(2, 2)) {
        assert_eq!(case.plan().holds, [], "half of next to nothing is no loss");
    }
}

#[test]
fn a_loss_that_meets_an_edit_is_judged_against_the_agreed_version() {
    // The local vectors grew, and the remote JSON was emptied. The remote would win and empty the
    // local JSON.
    let case = braked(corpus(1000, 4000), corpus(1000, 4100), corpus(2, 4000));
    assert_eq!(held(&case.plan()), [(Reason::GroupLoss, Direction::Incoming)]);
}

#[test]
fn deleting_more_than_half_of_twenty_files_is_held_in_either_direction() {
    for (files, deleted, expected) in [
        (20, 11, true),
        (20, 10, false),
        (20, 20, true),
        (21, 11, true),
        (21, 10, false),
        (19, 17, false),
        (19, 18, true),
        (19, 19, true),
        (200, 100, false),
    ] {
        let base = many("t", files, "x");
        for (direction, case) in both_ways(&base, &without(&base, |n| n < deleted)) {
            let plan = case.plan();
            let what = format!("{deleted} of {files} {direction:?}");
            assert_eq!(
                held(&plan),
                Vec::from_iter(expected.then_some((Reason::MassDelete, direction))),
                "{what}"
            );
            let (in_holds, in_steps) = if expected { (deleted, 0) } else { (0, deleted) };
            assert_eq!(plan.holds.iter().map(|hold| hold.items.len()).sum::<usize>(), in_holds, "{what}");
            assert_eq!(plan.steps.len(), in_steps, "{what}");
        }
    }
}

#[test]
fn changing_more_than_two_thirds_of_twenty_files_is_held() {
    for (files, spared, expected) in
        [(20, 0, true), (20, 1, true), (20, 6, true), (20, 7, false), (19, 0, false), (40, 13, true)]
    {
        let base = many("t", files, "x");
        for (direction, case) in both_ways(&base, &rewritten(&base, |n| n >= spared)) {
            let hold = expected.then_some((Reason::MassChange, direction));
            assert_eq!(held(&case.plan()), Vec::from_iter(hold), "{files} files, {spared} spared");
        }
    }
}

#[test]
fn thresholds_come_from_the_settings() {
    let base = many("t", 10, "x");
    let brakes = Brakes { max_delete_percent: 20, max_shrink_percent: 10, min_files: 10 };
    for (deleted, expected) in [(2, 0), (3, 1)] {
        let local = without(&base, |n| n < deleted);
        let case = Case { brakes: Some(brakes), ..braked(base.clone(), local, base.clone()) };
        assert_eq!(case.plan().holds.len(), expected);
    }
    for (json, expected) in [(900, 0), (899, 1)] {
        let (base, local) = (corpus(1000, 4000), corpus(json, 4000));
        let case = Case { brakes: Some(brakes), ..braked(base.clone(), local, base) };
        assert_eq!(case.plan().holds.len(), expected);
    }
}

#[test]
fn an_empty_vault_holds_nothing() {
    let brakes = Some(Brakes { min_files: 0, ..Brakes::default() });
    let none = Case { brakes, ..Case::of(Tree::new(), Tree::new(), Tree::new()) };
    assert_eq!(none.plan().holds, []);
    let first = Case { brakes, ..Case::of(Tree::new(), many("t", 3, "x"), Tree::new()) };
    assert_eq!(first.plan().holds, [], "the first files of a vault change no existing ones");
}

#[test]
fn other_items_go_on_while_a_hold_is_open() {
    let base = many("t", 20, "x");
    let mut local = without(&base, |n| n < 15);
    local.insert(path("new.json"), entry("new"));
    local.insert(path("t/019.json"), entry("edited"));
    let plan = braked(base.clone(), local, base).plan();
    assert_eq!(held(&plan), [(Reason::MassDelete, Direction::Outgoing)]);
    assert_eq!(
        plan.steps.iter().map(|step| &step.item).collect::<Vec<_>>(),
        [&file("new.json"), &file("t/019.json")]
    );
}

/// Files that arrive meanwhile count towards the vault, but the held change stays undecided.
#[test]
fn a_hold_outlives_unrelated_changes() {
    let base = many("t", 20, "x");
    for changed in [without(&base, |n| n < 11), rewritten(&base, |_| true)] {
        let mut local = changed;
        local.extend(many("new", 3, "new"));
        let mut case = braked(base.clone(), local, base.clone());
        let first = case.plan();
        assert_eq!((first.holds.len(), first.steps.len()), (1, 3));
        first.steps.iter().for_each(|step| apply(&mut case.remote, &step.files));
        let done = first.steps.iter().map(|step| step.item.clone()).collect();
        case.base = agreed(&first, &case.base, &done);
        case.held = first.holds.iter().map(Hold::held).collect();
        let second = case.plan();
        assert_eq!((second.holds, second.steps), (first.holds, Vec::new()));
    }
}

#[test]
fn the_rest_of_a_rejected_mass_stays_held() {
    let mut base = many("t", 18, "x");
    base.extend([(path("n"), entry("x")), (path("N"), entry("x"))]);
    let local = without(&many("t", 18, "x"), |n| n < 10);
    let mut case = braked(base.clone(), local, base).decided(false);
    let first = case.plan();
    // Two of the files to bring back differ only in letter case, so they have to wait.
    assert_eq!((first.holds.len(), first.steps.len(), first.waiting.len()), (0, 10, 2));
    let done: BTreeSet<Item> = first.steps.iter().map(|step| step.item.clone()).collect();
    first.steps.iter().for_each(|step| apply(&mut case.local, &step.files));
    case.base = agreed(&first, &case.base, &done);
    case.held = first.to_remember(&done);
    let second = case.plan();
    assert!(second.steps.is_empty() && second.holds.len() == 1, "a rejected deletion was sent: {second:#?}");
}

/// The tree after every file was encrypted under another name.
fn renamed(tree: &Tree) -> Tree {
    tree.keys().map(|name| (path(&format!("{name}.locked")), entry(&format!("noise {name}")))).collect()
}

/// One case for every kind of hold, each with an unrelated file that may be saved.
fn each_hold() -> Vec<Case> {
    let base = many("t", 20, "x");
    vec![
        braked(base.clone(), without(&base, |n| n < 11), base.clone()),
        braked(base.clone(), base.clone(), without(&base, |n| n < 11)),
        braked(base.clone(), rewritten(&base, |_| true), base.clone()),
        braked(base.clone(), base.clone(), rewritten(&base, |_| true)),
        braked(corpus(1000, 1000), corpus(2, 1000), corpus(1000, 1000)),
        braked(corpus(1000, 1000), corpus(1000, 1000), corpus(2, 1000)),
        braked(base.clone(), renamed(&base), base.clone()),
        braked(base.clone(), base.clone(), renamed(&base)),
        Case { mode: Mode::Joining, ..braked(Tree::new(), tree(&[("f", "A")]), tree(&[("f", "B")])) },
    ]
}

#[test]
fn a_hold_says_what_happened_on_which_side_and_to_what() {
    let said: Vec<String> = each_hold().iter().map(|case| case.plan().holds[0].to_string()).collect();
    assert_eq!(said[0], "11 of 20 files were deleted on this device: 11 items, first file:t/000.json");
    assert_eq!(said[3], "20 of 20 files were changed by another device: 20 items, first file:t/000.json");
    assert_eq!(said[5], "group:nodes was deleted, or shrunk by more than half, by another device");
}

fn ids(case: &Case) -> Vec<crate::model::HoldId> {
    case.plan().holds.iter().map(|hold| hold.id).collect()
}

#[test]
fn the_id_of_a_hold_does_not_change_with_unrelated_saves() {
    for mut case in each_hold() {
        let before = ids(&case);
        assert_eq!(before.len(), 1);
        case.local.insert(path("unrelated-here"), entry("new"));
        case.remote.insert(path("unrelated-there"), entry("new"));
        assert_eq!(ids(&case), before, "after a save beside {}", case.plan().holds[0]);
        let items = &case.plan().holds[0].items;
        assert!(!items.contains(&file("unrelated-here")) && !items.contains(&file("unrelated-there")));
    }
}

#[test]
fn the_id_of_a_hold_changes_with_its_contents() {
    let mut seen = BTreeSet::new();
    for case in each_hold() {
        let before = ids(&case);
        assert!(seen.insert(before.clone()), "two holds have the same id");
        let sides: [fn(&mut Case) -> &mut Tree; 2] = [|case| &mut case.local, |case| &mut case.remote];
        for side in sides {
            let mut case = case.clone();
            let Some(path) = side(&mut case).keys().next_back().cloned() else { continue };
            if !case.plan().holds[0].items.contains(&case.groups.item(&path)) {
                continue;
            }
            let size = side(&mut case)[&path].size;
            side(&mut case).insert(path, sized("moved on", size));
            assert_ne!(ids(&case), before, "another state has the old id");
        }
    }
}

#[test]
fn an_approved_hold_passes_as_if_there_were_no_brake() {
    for case in each_hold() {
        let unbraked = Case { brakes: None, ..case.clone() };
        let unbraked =
            if case.mode == Mode::Joining { Case { mode: Mode::Ordinary, ..unbraked } } else { unbraked };
        let (open, approved) = (case.plan().holds, case.decided(true).plan());
        assert_eq!(approved.steps, unbraked.plan().steps);
        assert_eq!((approved.holds, approved.approved), (Vec::new(), open));
    }
}

#[test]
fn a_rejected_hold_is_decided_the_other_way() {
    for case in each_hold() {
        let open = case.plan().holds;
        let case = case.decided(false);
        let plan = case.plan();
        assert_eq!((&plan.holds, &plan.rejected), (&Vec::new(), &open));
        let (mut local, mut remote) = (case.local.clone(), case.remote.clone());
        for step in &plan.steps {
            let incoming = open[0].direction == Direction::Incoming;
            assert_eq!(step.action, if incoming { Action::Push } else { Action::Pull });
            apply(if incoming { &mut remote } else { &mut local }, &step.files);
        }
        assert_eq!(local, remote);
        // The version that would have been lost stays in place.
        let spared = if open[0].direction == Direction::Incoming { &case.local } else { &case.remote };
        assert_eq!(local, *spared);
    }
}

#[test]
fn an_item_in_two_holds_that_are_both_rejected_is_decided_the_other_way_once() {
    let mut base = many("t", 20, "x");
    base.extend(corpus(1000, 1000));
    for (direction, case) in both_ways(&base, &Tree::new()) {
        assert_eq!(case.plan().holds.len(), 2, "the group's and the mass deletion's");
        let case = case.decided(false);
        let other = if direction == Direction::Outgoing { Action::Pull } else { Action::Push };
        assert_eq!(step(&case.plan(), &group("nodes")).unwrap().action, other);
    }
}

#[test]
fn an_item_in_two_holds_waits_until_both_are_decided() {
    let mut base = many("t", 20, "x");
    base.extend(corpus(1000, 1000));
    let mut case = braked(base.clone(), Tree::new(), base);
    let holds = case.plan().holds;
    let mass = holds.iter().find(|hold| hold.reason == Reason::MassDelete).unwrap();
    case.decisions.approved.insert(mass.id);
    let plan = case.plan();
    assert_eq!(plan.steps.len(), 20);
    assert_eq!(step(&plan, &group("nodes")), None);
}

#[test]
fn a_filter_hold_names_the_hidden_files_and_needs_at_least_one() {
    assert_eq!(filter_hold(&Tree::new()), None);
    let hidden = tree(&[("a", "1"), ("b", "2")]);
    let hold = filter_hold(&hidden).unwrap();
    assert_eq!((hold.reason, &hold.items), (Reason::Filter, &BTreeSet::from([file("a"), file("b")])));
    assert_eq!(filter_hold(&hidden).unwrap().id, hold.id);
    for other in [tree(&[("a", "1")]), tree(&[("a", "1"), ("b", "3")]), tree(&[("a", "1"), ("c", "2")])] {
        assert_ne!(filter_hold(&other).unwrap().id, hold.id);
    }
}

#[test]
fn a_mass_that_is_still_being_written_is_held_from_its_first_part() {
    let base: Tree = (0..30).map(|n| (path(&format!("t/{n:02}")), entry("old"))).collect();
    for unsettled in [1, 15, 29] {
        let mut case = braked(base.clone(), rewritten(&base, |_| true), base.clone());
        for name in base.keys().take(unsettled) {
            case.blocked.add(name.clone(), "it has not settled yet");
        }
        let plan = case.plan();
        assert_eq!(held(&plan), [(Reason::MassChange, Direction::Outgoing)], "{unsettled} of 30 wait");
        assert!(plan.steps.is_empty());
    }
    // With half of the files unchanged it is no mass.
    let mut case = braked(base.clone(), rewritten(&base, |n| n >= 15), base.clone());
    case.blocked.add(path("t/20"), "it has not settled yet");
    assert_eq!(held(&case.plan()), []);
}
