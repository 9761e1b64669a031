//! Resets: their effect on local files.

use super::super::reset;
use super::*;

#[test]
fn a_reset_keeps_versions_changed_here_as_conflicts_and_no_others() {
    let one = |content: Option<&str>| -> Tree {
        content.map(|text| (path("f"), entry(text))).into_iter().collect()
    };
    let of = |base, local, remote| reset(&Case::of(one(base), one(local), one(remote)).input()).steps;
    let [a, b, c] = [Some("A"), Some("B"), Some("C")];
    assert_eq!(of(a, a, b)[0].action, Action::Pull);
    assert_eq!(of(a, None, b)[0].action, Action::Pull);
    assert!(kept(&of(a, c, b)[0]).is_some());
    assert!(kept(&of(None, c, None)[0]).is_some());
    assert!(of(a, b, b).is_empty());
}

/// The unreadable path may hold a file that the backup lacks. Then the vault would not equal the
/// backup.
#[test]
fn a_reset_waits_for_unreadable_paths_even_if_the_remote_has_nothing_there() {
    let same = tree(&[("a", "1"), ("nodes.json", "1"), ("nodes.npy", "1")]);
    let of = |block: fn(&mut Blocked)| {
        let mut case = Case { groups: nodes(), ..Case::of(same.clone(), same.clone(), same.clone()) };
        block(&mut case.blocked);
        let plan = reset(&case.input());
        assert!(plan.steps.is_empty());
        plan.waiting.into_iter().map(|wait| wait.why).collect::<Vec<_>>()
    };
    assert_eq!(of(|blocked| blocked.add(path("t/new"), "locked")), ["t/new: locked"]);
    assert_eq!(of(|blocked| blocked.add(path("index/new"), "locked")), ["index/new: locked"]);
    assert_eq!(of(|blocked| blocked.add(path("t"), "locked")), ["t: locked"]);
    let two =
        of(|blocked| ["t/new", "u/new"].map(|name| blocked.add(path(name), "locked")).into_iter().collect());
    assert_eq!(two, ["t/new: locked", "u/new: locked"]);
    assert_eq!(of(|blocked| blocked.add(path("a"), "not settled")), [""; 0]);
}

/// A decision stays for ever: under the decided id nobody would list the new loss.
#[test]
fn a_version_that_loses_again_after_its_conflict_was_decided_gets_an_id_of_its_own() {
    let one = |content: &str| -> Tree { [(path("f"), entry(content))].into() };
    let mut case = Case::of(one("A"), one("C"), one("B"));
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let resets = reset(&case.input());
        let plan = case.plan();
        let conflict = kept(&plan.steps[0]).unwrap();
        assert_eq!(kept(&resets.steps[0]), Some(conflict));
        assert_eq!(Conflict::id_of(&conflict.item, &conflict.files), conflict.id);
        assert_eq!(conflict.told().files[0].entry, Some(entry("C")));
        assert_eq!(conflict.told().files.len(), 1);
        assert!(ids.insert(conflict.id), "it was decided");
        assert_eq!(case.plan(), plan, "the same decisions give the same id");
        case.closed.insert(conflict.id, Keep::Remote);
    }
}
