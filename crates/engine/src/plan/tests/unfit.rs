//! Groups whose files do not fit together: held back locally, treated as unchanged on the remote.

use super::*;

fn corpus(version: &str) -> Tree {
    tree(&[("nodes.json", version), ("nodes.npy", version), ("index/a", version)])
}

fn case(base: &str, local: &str, remote: &str) -> Case {
    Case { groups: nodes(), ..Case::of(corpus(base), corpus(local), corpus(remote)) }
}

fn unfit_here(mut case: Case) -> Case {
    case.unfit.here.insert(group("nodes"), "its counts differ".to_owned());
    case
}

fn unfit_there(mut case: Case) -> Case {
    case.unfit.there.insert(group("nodes"), "its counts differ".to_owned());
    case
}

#[test]
fn a_group_that_does_not_fit_here_is_neither_sent_nor_overwritten() {
    for (local, remote) in [("2", "1"), ("1", "2"), ("2", "3")] {
        let plan = unfit_here(case("1", local, remote)).plan();
        assert!(plan.steps.is_empty(), "{local} {remote}: {:?}", plan.steps);
        assert_eq!(plan.waiting.len(), 1);
        assert_eq!(plan.waiting[0].why, "its counts differ");
    }
    // A group without changes does not wait.
    assert!(unfit_here(case("1", "1", "1")).plan().waiting.is_empty());
}

#[test]
fn a_group_that_is_hidden_in_part_is_brought_and_not_sent() {
    for (local, remote, comes) in [("2", "1", false), ("1", "2", true), ("2", "3", true)] {
        let mut case = case("1", local, remote);
        case.unfit.partial.insert(group("nodes"), "the filters hide a part".to_owned());
        let plan = case.plan();
        let steps: Vec<bool> = plan.steps.iter().map(Step::incoming).collect();
        assert_eq!(steps, vec![true; usize::from(comes)], "{local} {remote}: {:?}", plan.steps);
        assert_eq!(
            plan.waiting.iter().map(|wait| wait.lasts).collect::<Vec<_>>(),
            vec![true; usize::from(!comes)]
        );
    }
}

#[test]
fn a_group_held_back_frees_no_names() {
    let mut case = case("1", "2", "1");
    case.local.remove(&path("index/a"));
    case.local.insert(path("index/a/below"), entry("a file where the index stood"));
    assert_eq!(case.plan().steps.len(), 2);
    let plan = unfit_here(case).plan();
    let waiting: Vec<&Item> = plan.waiting.iter().map(|wait| &wait.item).collect();
    assert_eq!((plan.steps.len(), waiting), (0, vec![&group("nodes"), &file("index/a/below")]));
}

#[test]
fn a_group_that_does_not_fit_there_counts_as_unchanged_and_can_be_committed_over() {
    let plan = unfit_there(case("1", "1", "2")).plan();
    assert_eq!((plan.steps.len(), plan.waiting.len()), (0, 0));
    let plan = unfit_there(case("1", "3", "2")).plan();
    let step = step(&plan, &group("nodes")).unwrap();
    assert_eq!(step.action, Action::Push);
    let mut remote = corpus("2");
    apply(&mut remote, &step.files);
    assert_eq!(remote, corpus("3"), "the commit is a difference to the remote's real state");
}

#[test]
fn while_joining_a_group_that_does_not_fit_there_waits_only_without_a_common_past() {
    let mut case = unfit_there(Case { mode: Mode::Joining, ..case("1", "3", "2") });
    assert_eq!(step(&case.plan(), &group("nodes")).unwrap().action, Action::Push);
    case.base = Tree::new();
    let plan = case.plan();
    assert_eq!((plan.steps.len(), plan.waiting.len(), plan.strangers.len()), (0, 1, 0));
}

#[test]
fn an_index_rebuilt_here_does_not_undo_a_newer_corpus_that_does_not_fit() {
    let mut case = unfit_there(case("1", "1", "2"));
    case.local.insert(path("index/a"), entry("rebuilt"));
    assert!(case.plan().steps.is_empty());
    // An index that does not fit on the remote changes nothing locally either.
    let mut there = unfit_there(self::case("1", "1", "1"));
    there.remote.insert(path("index/a"), entry("cut off"));
    assert!(there.plan().steps.is_empty());
    // Over the same corpus, a good local index replaces one that does not fit.
    case.remote = corpus("1");
    case.remote.insert(path("index/a"), entry("cut off"));
    case.ages.insert("nodes".to_owned(), Ages { primary: 1, derived: 2 });
    assert_eq!(step(&case.plan(), &group("nodes")).unwrap().action, Action::Push);
}

#[test]
fn a_group_that_also_shrank_is_held_and_once_approved_is_still_held_back() {
    let long = |content: &str| sized(content, 9000);
    let mut case = unfit_here(case("1", "2", "1"));
    case.brakes = Some(Brakes::default());
    case.base.insert(path("nodes.json"), long("1"));
    case.remote.insert(path("nodes.json"), long("1"));
    assert_eq!(case.plan().holds.len(), 1);
    let plan = case.decided(true).plan();
    assert_eq!((plan.steps.len(), plan.waiting.len(), plan.holds.len()), (0, 1, 0));
}

#[test]
fn a_group_that_loses_most_of_its_rows_is_held_whatever_its_bytes() {
    let rows = |rows, size| Entry { rows, ..sized(&format!("{rows:?}"), size) };
    let held = |was, left| {
        let mut case = case("1", "1", "1");
        case.brakes = Some(Brakes::default());
        case.base.insert(path("nodes.json"), rows(was, 5000));
        case.remote = case.base.clone();
        case.local.insert(path("nodes.json"), rows(left, 4999));
        case.local.insert(path("nodes.npy"), entry("other"));
        let outgoing = case.plan().holds.len();
        std::mem::swap(&mut case.local, &mut case.remote);
        assert_eq!(case.plan().holds.len(), outgoing, "in either direction");
        outgoing == 1
    };
    assert!(held(Some(100), Some(49)));
    assert!(!held(Some(100), Some(50)));
    assert!(!held(Some(9), Some(1)), "a few rows may go");
    assert!(!held(None, Some(1)) && !held(Some(100), None), "commits of older versions know no rows");
}
