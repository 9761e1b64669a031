//! A group of two primary members and a derived one: invariants for every base, local and remote
//! state over {absent, A, B}.

use super::super::Direction;
use super::*;

/// Two primary members, then the derived one.
const MEMBERS: [&str; 3] = ["p", "q", "d"];
const STATES: [Option<&str>; 3] = [None, Some("A"), Some("B")];

type Side = [Option<&'static str>; 3];

fn sides() -> Vec<Side> {
    let with = |so_far: Vec<Vec<_>>| -> Vec<Vec<_>> {
        so_far.iter().flat_map(|side| STATES.map(|state| [side.as_slice(), &[state]].concat())).collect()
    };
    with(with(with(vec![Vec::new()]))).into_iter().map(|side| side.try_into().unwrap()).collect()
}

fn tree_of(side: Side) -> Tree {
    let there = MEMBERS.iter().zip(side).filter_map(|(name, state)| Some((path(name), entry(state?))));
    there.collect()
}

fn case(base: Side, local: Side, remote: Side) -> Case {
    let groups = groups_of(&[("g", &["p", "q"], &["d"])]);
    Case { groups, ..Case::of(tree_of(base), tree_of(local), tree_of(remote)) }
}

fn primary(side: Side) -> [Option<&'static str>; 2] {
    [side[0], side[1]]
}

/// Ages of the remote's group. `fresh` is true if its index belongs to its corpus.
fn ages(fresh: bool) -> BTreeMap<String, Ages> {
    BTreeMap::from([("g".to_owned(), Ages { primary: 7, derived: if fresh { 7 } else { 6 } })])
}

/// Checks that one step moves the whole group: its files make the receiving side equal to the other
/// one, and the agreed state is one of the two.
fn check_whole(case: &Case, step: &Step, what: &str) {
    let members: BTreeSet<&VaultPath> =
        case.base.keys().chain(case.local.keys()).chain(case.remote.keys()).collect();
    assert_eq!(
        step.agreed.iter().map(|(path, _)| path).collect::<BTreeSet<_>>(),
        members,
        "{what}: a member is left out"
    );
    let agreed: Tree =
        step.agreed.iter().filter_map(|(path, entry)| Some((path.clone(), (*entry)?))).collect();
    let (mut receiver, giver) = match step.action {
        Action::Push => (case.remote.clone(), &case.local),
        Action::Pull | Action::Conflict(_) => (case.local.clone(), &case.remote),
        Action::Adopt | Action::KeepLocal => (case.remote.clone(), &case.remote),
    };
    apply(&mut receiver, &step.files);
    assert_eq!(receiver, *giver, "{what}: half of one side and half of the other");
    assert_eq!(agreed, *giver, "{what}: the record is not what both sides hold");
}

/// Checks the kept version: all local files, and the files that were deleted locally.
fn check_kept(case: &Case, conflict: &Conflict, what: &str) {
    let lost: BTreeMap<&VaultPath, Option<&Entry>> =
        case.base.keys().chain(case.local.keys()).map(|path| (path, case.local.get(path))).collect();
    let kept: BTreeMap<&VaultPath, Option<&Entry>> =
        conflict.files.iter().map(|kept| (&kept.path, kept.entry.as_ref())).collect();
    assert_eq!(kept, lost, "{what}: the kept version is not the losing one");
    assert_eq!(conflict.item, group("g"));
}

fn check(case: &mut Case, [base, local, remote]: [Side; 3], fresh: bool, push_derived: bool) {
    (case.base, case.local, case.remote) = (tree_of(base), tree_of(local), tree_of(remote));
    (case.ages, case.push_derived) = (ages(fresh), push_derived);
    let what = format!("base {base:?} local {local:?} remote {remote:?} fresh {fresh} all {push_derived}");
    let plan = case.plan();
    assert!(plan.waiting.is_empty() && plan.holds.is_empty(), "{what}");
    if base == local && base == remote {
        return assert!(plan.steps.is_empty(), "{what}");
    }
    let [step] = plan.steps.as_slice() else { panic!("{what}: {} steps", plan.steps.len()) };
    check_whole(case, step, &what);

    let here = primary(base) != primary(local);
    let there = primary(base) != primary(remote);
    let apart = primary(local) != primary(remote);
    let something_here = primary(local) != [None; 2];
    assert_eq!(kept(step).is_some(), here && there && apart && something_here, "{what}");
    if let Some(conflict) = kept(step) {
        return check_kept(case, conflict, &what);
    }
    let expected = if apart {
        // The side that changed the corpus wins, whatever happened to the index meanwhile.
        if there { Action::Pull } else { Action::Push }
    } else if local[2] == remote[2] {
        Action::Adopt
    } else if remote[2] != base[2] {
        Action::Pull
    } else if fresh && !push_derived && !(local[2].is_some() && remote[2].is_none()) {
        Action::KeepLocal
    } else {
        Action::Push
    };
    assert_eq!(step.action, expected, "{what}");
}

#[test]
fn every_case_of_a_group_keeps_it_whole() {
    let sides = sides();
    assert_eq!(sides.len(), 27);
    // One set of groups for all cases: compiling patterns takes longer than planning.
    let mut case = case([None; 3], [None; 3], [None; 3]);
    for &base in &sides {
        for &local in &sides {
            for &remote in &sides {
                for (fresh, push_derived) in [(false, false), (true, false), (true, true)] {
                    check(&mut case, [base, local, remote], fresh, push_derived);
                }
            }
        }
    }
}

/// A device without a past and a remote: the result is the union, and no local file is replaced
/// unasked.
#[test]
fn a_first_join_takes_nothing_primary_away_unasked() {
    for local in sides() {
        for remote in sides() {
            let case = Case { mode: Mode::Joining, ..case([None; 3], local, remote) };
            let plan = case.plan();
            let what = format!("local {local:?} remote {remote:?}");
            for step in &plan.steps {
                let taken = step.files.iter().find(|file| file.path != path("d") && file.from.is_some());
                assert_eq!(taken, None, "{what}: {:?}", step.action);
            }
            for hold in &plan.holds {
                assert_eq!((hold.reason, hold.direction), (Reason::Differs, Direction::Incoming), "{what}");
                assert_ne!(primary(local), primary(remote), "{what}: an index alone needs no approval");
            }
        }
    }
}

#[test]
fn an_approved_join_gives_way_to_the_remote_and_keeps_the_local_version() {
    for local in sides() {
        for remote in sides() {
            let mut case = Case { mode: Mode::Joining, ..case([None; 3], local, remote) };
            case.decisions.join = true;
            let (plan, what) = (case.plan(), format!("local {local:?} remote {remote:?}"));
            assert!(plan.holds.is_empty(), "{what}");
            let Some(step) = step(&plan, &group("g")) else { continue };
            check_whole(&case, step, &what);
            if step.files.iter().any(|file| file.path != path("d") && step.incoming() && file.from.is_some())
            {
                check_kept(&case, kept(step).unwrap(), &what);
            }
        }
    }
}

#[test]
fn an_index_is_fresh_if_it_changed_with_or_since_the_corpus() {
    for (primary, derived, fresh) in
        [(0, 0, false), (3, 0, false), (3, 2, false), (3, 3, true), (3, 4, true), (0, 1, true)]
    {
        assert_eq!(Ages { primary, derived }.derived_is_fresh(), fresh, "{primary} {derived}");
    }
    // A group that no commit has touched has no index yet: the first one is sent.
    let case = case([Some("A"), None, None], [Some("A"), None, Some("A")], [Some("A"), None, None]);
    assert_eq!(case.plan().steps[0].action, Action::Push);
}
