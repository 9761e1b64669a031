//! Items that were written together are sent together.

use super::*;

/// A corpus and two files, changed locally by one transaction.
fn case() -> Case {
    let with =
        |version| tree(&[("nodes.json", version), ("nodes.npy", version), ("a", version), ("b", version)]);
    let mut case = Case { groups: nodes(), ..Case::of(with("1"), with("2"), with("1")) };
    case.together = vec![BTreeSet::from([group("nodes"), file("a")])];
    case
}

fn sent(plan: &Plan) -> Vec<&Item> {
    plan.steps.iter().filter(|step| step.outgoing()).map(|step| &step.item).collect()
}

#[test]
fn a_transaction_is_sent_whole_or_not_at_all() {
    assert_eq!(sent(&case().plan()), [&group("nodes"), &file("a"), &file("b")]);
    let mut invalid = case();
    invalid.unfit.here.insert(group("nodes"), "its counts differ".to_owned());
    let mut unsettled = case();
    unsettled.blocked.add(path("nodes.npy"), "it has not settled");
    let mut other = case();
    other.blocked.add(path("a"), "it has not settled");
    let mut shrunk = case();
    shrunk.brakes = Some(Brakes::default());
    for side in [&mut shrunk.base, &mut shrunk.remote] {
        side.insert(path("nodes.json"), sized("1", 9000));
    }
    for (case, cause, bound) in [
        (invalid, group("nodes"), file("a")),
        (unsettled, group("nodes"), file("a")),
        (other, file("a"), group("nodes")),
        (shrunk, group("nodes"), file("a")),
    ] {
        let plan = case.plan();
        assert_eq!(sent(&plan), [&file("b")], "{plan:#?}");
        assert_eq!(plan.bound, BTreeMap::from([(bound.clone(), cause.clone())]));
        let why = &plan.waiting.iter().find(|waiting| waiting.item == bound).unwrap().why;
        assert!(why.starts_with(&format!("it was written together with {cause}, which waits: ")), "{why}");
    }
}

/// A change of the groups that waits for a person, over the corpus.
fn regrouped(mut case: Case) -> Case {
    let changed = groups_of(&[("nodes", &["nodes.json"], &[])]);
    case.regroup = crate::plan::groups_hold(&case.groups, &changed, case.local.keys());
    assert!(case.regroup.as_ref().unwrap().items.contains(&group("nodes")));
    case
}

#[test]
fn a_transaction_waits_for_a_group_that_waits_for_a_person() {
    let plan = regrouped(case()).plan();
    assert_eq!(sent(&plan), [&file("b")], "{plan:#?}");
    assert_eq!(plan.bound, BTreeMap::from([(file("a"), group("nodes"))]));
    assert_eq!(plan.holds.iter().map(|hold| hold.reason).collect::<Vec<_>>(), [Reason::Groups]);
}

#[test]
fn an_old_name_waits_for_a_new_one_that_waits_for_a_person_or_for_another_item() {
    let mut moved = case();
    moved.together.clear();
    moved.local.insert(path("nodes.npy"), entry("moves"));
    for side in [&mut moved.base, &mut moved.remote] {
        side.insert(path("old"), entry("moves"));
    }
    assert_eq!(sent(&moved.plan()), [&group("nodes"), &file("a"), &file("b"), &file("old")]);
    assert_eq!(sent(&regrouped(moved).plan()), [&file("a"), &file("b")]);

    let mut bound = case();
    bound.unfit.here.insert(group("nodes"), "its counts differ".to_owned());
    bound.local.insert(path("a"), entry("moves"));
    for side in [&mut bound.base, &mut bound.remote] {
        side.insert(path("old"), entry("moves"));
    }
    let plan = bound.plan();
    assert_eq!(sent(&plan), [&file("b")], "{plan:#?}");
}

#[test]
fn items_bound_to_a_kept_back_item_are_kept_back_too() {
    let mut case = case();
    case.together.push(BTreeSet::from([file("a"), file("b")]));
    case.blocked.add(path("nodes.npy"), "it has not settled");
    assert_eq!(sent(&case.plan()), Vec::<&Item>::new());
}

#[test]
fn an_item_that_has_nothing_to_send_keeps_nothing_back() {
    let mut case = case();
    for (name, version) in [("nodes.json", "1"), ("nodes.npy", "1")] {
        case.local.insert(path(name), entry(version));
    }
    assert_eq!(sent(&case.plan()), [&file("a"), &file("b")]);
}

#[test]
fn an_item_that_the_remote_changed_too_is_an_ordinary_conflict() {
    let mut case = case();
    case.remote.insert(path("a"), entry("3"));
    let plan = case.plan();
    assert!(kept(step(&plan, &file("a")).unwrap()).is_some());
    assert_eq!(sent(&plan), [&group("nodes"), &file("b")]);
}
