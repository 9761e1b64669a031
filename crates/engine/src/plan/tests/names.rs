//! Names that cannot exist side by side.

use super::super::{Direction, Waiting};
use super::*;

/// State of both sides after a plan is carried out.
fn outcome(case: &Case) -> (Plan, Tree, Tree) {
    let (plan, mut local, mut remote) = (case.plan(), case.local.clone(), case.remote.clone());
    for step in &plan.steps {
        match step.action {
            Action::Push => apply(&mut remote, &step.files),
            _ => apply(&mut local, &step.files),
        }
    }
    assert_eq!(file_as_folder(&remote), None, "the remote has a file where it needs a folder");
    assert_eq!(file_as_folder(&local), None, "the vault has a file where it needs a folder");
    (plan, local, remote)
}

#[test]
fn a_file_here_gives_way_to_a_folder_there_and_the_other_way_round() {
    for (mine, theirs) in [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a"), ("a", "a/b/c")] {
        let (local, remote) = (tree(&[(mine, "mine")]), tree(&[(theirs, "theirs")]));
        let (plan, here, there) = outcome(&Case::of(Tree::new(), local, remote.clone()));
        assert_eq!((&here, &there), (&remote, &remote));
        let conflict = kept(step(&plan, &file(mine)).unwrap()).unwrap();
        assert_eq!(conflict.files[0].entry, Some(entry("mine")));
    }
}

#[test]
fn a_swap_of_file_and_folder_goes_through_if_only_one_side_made_it() {
    for (old, new) in [("a", "a/b"), ("a/b", "a")] {
        let (old, new) = (tree(&[(old, "1")]), tree(&[(new, "2")]));
        for (local, remote) in [(&old, &new), (&new, &old)] {
            let (plan, here, there) = outcome(&Case::of(old.clone(), local.clone(), remote.clone()));
            assert_eq!((&here, &there), (&new, &new));
            assert!(plan.steps.iter().all(|step| kept(step).is_none()));
        }
    }
}

#[test]
fn a_file_blocks_paths_below_it_and_the_folders_above_it() {
    let tree = tree(&[("a/b", "x"), ("c", "x")]);
    for (new, other) in
        [("a", Some("a/b")), ("a/b/c/d", Some("a/b")), ("c/d", Some("c")), ("a/c", None), ("a/b", None)]
    {
        let found = super::super::in_the_way(&tree, &path(new));
        assert_eq!(found, other.map(path).as_ref(), "{new}");
    }
}

/// A locally built index is sent where the remote has none. Where the remote has put a folder in
/// its place, it makes way: it can be computed again.
#[test]
fn a_local_index_makes_way_for_a_folder_in_its_place() {
    let corpus = tree(&[("nodes.json", "1"), ("nodes.npy", "1")]);
    let (mut local, mut remote) = (corpus.clone(), corpus.clone());
    local.insert(path("index/a"), entry("rebuilt"));
    remote.insert(path("index/a/below"), entry("theirs"));
    let mut case = Case { groups: nodes(), ..Case::of(corpus, local, remote.clone()) };
    case.ages.insert("nodes".to_owned(), Ages { primary: 1, derived: 2 });
    let (plan, here, _) = outcome(&case);
    assert_eq!(step(&plan, &group("nodes")).unwrap().action, Action::Pull);
    assert_eq!((plan.waiting.len(), here), (0, remote));
}

#[test]
fn an_incoming_file_waits_for_a_local_name_that_waits_itself() {
    let mut case = Case::of(Tree::new(), tree(&[("name", "mine")]), tree(&[("Name", "theirs")]));
    case.blocked.add(path("name"), "it is being written");
    let plan = case.plan();
    assert_eq!((plan.steps.len(), plan.waiting.len()), (0, 2), "{plan:?}");
}

#[test]
fn a_first_join_does_not_replace_a_file_by_a_folder_unasked() {
    let case = Case {
        mode: Mode::Joining,
        ..Case::of(Tree::new(), tree(&[("a", "mine")]), tree(&[("a/b", "theirs")]))
    };
    let (_, here, _) = outcome(&case);
    assert_eq!(here.get(&path("a")), Some(&entry("mine")));
}

/// More than half of the files are deleted, and a file stands in place of their folder.
#[test]
fn an_item_that_needs_the_name_of_a_held_one_waits_with_it() {
    let base = many("t", 20, "x");
    let changed = tree(&[("t", "a file now")]);
    for (local, remote) in [(&changed, &base), (&base, &changed)] {
        let case =
            Case { brakes: Some(Brakes::default()), ..Case::of(base.clone(), local.clone(), remote.clone()) };
        let (plan, here, there) = outcome(&case);
        assert_eq!(plan.holds.len(), 1);
        assert_eq!((&here, &there), (local, remote), "nothing has happened yet");
        let (_, here, there) = outcome(&case.decided(true));
        assert_eq!((&here, &there), (&changed, &changed));
    }
}

#[test]
fn an_item_in_the_place_of_a_restored_one_gives_way() {
    let (base, local) = (many("t", 20, "x"), tree(&[("t", "a file now")]));
    let case = Case { brakes: Some(Brakes::default()), ..Case::of(base.clone(), local, base.clone()) };
    assert_eq!(case.plan().holds[0].direction, Direction::Outgoing);
    let (plan, here, there) = outcome(&case.decided(false));
    assert_eq!((&here, &there), (&base, &base));
    assert_eq!(kept(step(&plan, &file("t")).unwrap()).unwrap().files[0].entry, Some(entry("a file now")));
}

#[test]
fn an_incoming_file_waits_while_a_blocked_group_stands_in_its_place() {
    let base = tree(&[("s", "1"), ("u", "1")]);
    let remote = tree(&[("s/t", "2"), ("u", "1")]);
    let groups = groups_of(&[("g", &["s", "u"], &[])]);
    let mut case = Case { groups, ..Case::of(base.clone(), base.clone(), remote.clone()) };
    case.blocked.add(path("u"), "it is busy");
    let (_, here, there) = outcome(&case);
    assert_eq!((here, there), (base, remote));
}

/// Of `t/A` and `t/a` a case-sensitive disk holds both, and the scan names one of them: the other
/// is in no tree, but it stands below the folder that a file is to replace.
#[test]
fn an_incoming_file_waits_for_what_stands_in_its_place_and_is_in_no_tree() {
    let base = tree(&[("t/A", "1"), ("t/b", "1"), ("ta", "1")]);
    let remote = tree(&[("t", "2")]);
    let hidden: [fn(&mut Blocked, VaultPath); 2] =
        [|to, name| to.add(name, "rename one of them"), |to, name| to.add_foreign(name, "it is a link")];
    for hide in hidden {
        let mut case = Case::of(base.clone(), base.clone(), remote.clone());
        hide(&mut case.blocked, path("ta"));
        assert!(step(&case.plan(), &file("t")).is_some(), "ta is in no folder t");
        hide(&mut case.blocked, path("t/c/a"));
        let (plan, here, _) = outcome(&case);
        assert_eq!(here, tree(&[("ta", "1")]), "what is deleted there goes, and frees the folder");
        let waiting = plan.waiting.iter().find(|waiting| waiting.item == file("t")).unwrap();
        assert!(waiting.why.starts_with("t: t/c/a stands in its place: "), "{}", waiting.why);
    }
}

#[test]
fn a_file_waits_alone_for_a_folder_with_something_in_it_that_is_not_synced() {
    let (base, remote) = (tree(&[("t/a", "1"), ("t/b", "1")]), tree(&[("t", "2")]));
    for mode in [Mode::Ordinary, Mode::Joining] {
        let mut case = Case { mode, ..Case::of(base.clone(), base.clone(), remote.clone()) };
        case.blocked.occupy(path("t"), "t/c/a~".to_owned());
        let (plan, here, _) = outcome(&case);
        assert_eq!(here, Tree::new(), "what is deleted there goes");
        let [Waiting { item, why, lasts: true, .. }] = plan.waiting.as_slice() else { panic!("{plan:?}") };
        assert_eq!(
            (item, why.as_str()),
            (&file("t"), "t: t/c/a~ stands in its place: it is not synced; move or delete it")
        );
        // A version that was never agreed on gives way all the same: the remote has the name.
        case.local.insert(path("t/new"), entry("3"));
        let plan = case.plan();
        assert!(step(&plan, &file("t")).is_none() && plan.steps.iter().all(Step::incoming), "{plan:?}");
    }
}

#[test]
fn new_names_that_differ_in_case_only_wait_on_either_side() {
    let base = tree(&[("Note", "1")]);
    let more = tree(&[("Note", "1"), ("note", "2")]);
    for (local, remote) in [(&more, &base), (&base, &more)] {
        let plan = Case::of(base.clone(), local.clone(), remote.clone()).plan();
        assert!(plan.steps.is_empty());
        let [Waiting { item, why, .. }] = plan.waiting.as_slice() else { panic!("{:?}", plan.waiting) };
        assert_eq!(*item, file("note"));
        assert!(why.contains("Note") && why.contains("letter case"), "{why}");
    }
}

#[test]
fn a_rename_in_letter_case_goes_through() {
    let (old, new) = (tree(&[("Note", "1")]), tree(&[("note", "1")]));
    for (local, remote) in [(&old, &new), (&new, &old)] {
        let (_, here, there) = outcome(&Case::of(old.clone(), local.clone(), remote.clone()));
        assert_eq!((&here, &there), (&new, &new));
    }
}

#[test]
fn files_that_both_sides_have_may_be_edited_though_their_names_differ_in_case_only() {
    let base = tree(&[("Note", "1"), ("note", "1")]);
    for mode in [Mode::Ordinary, Mode::Merge] {
        // The second edit brings a new file, so that the names stage runs at all.
        let local = tree(&[("Note", "2"), ("note", "1"), ("new", "1")]);
        let (plan, _, there) = outcome(&Case { mode, ..Case::of(base.clone(), local.clone(), base.clone()) });
        assert_eq!(there, local, "{mode:?}: {:?}", plan.steps);
    }
}

/// A whole group waits for one of its names, and so does its deletion that would have freed another
/// item's name.
#[test]
fn the_name_that_a_waiting_item_would_free_is_not_given_away() {
    let groups = groups_of(&[("g", &["Note", "data", "DATA"], &[])]);
    let base = tree(&[("Note", "1"), ("data", "1")]);
    let local = tree(&[("data", "1"), ("DATA", "1"), ("note", "2")]);
    let (plan, _, there) = outcome(&Case { groups, ..Case::of(base.clone(), local, base) });
    assert_eq!(plan.waiting.len(), 2, "{:?}", plan.steps);
    assert_eq!(twins(&there), None);
}

#[test]
fn an_index_that_gives_way_is_no_conflict() {
    let groups = groups_of(&[("g", &["p"], &["index/*"])]);
    let (base, local) = (tree(&[("p", "1")]), tree(&[("p", "1"), ("index/a", "1")]));
    let remote = tree(&[("p", "1"), ("index/a/b", "1")]);
    let (plan, here, _) = outcome(&Case { groups, ..Case::of(base, local, remote.clone()) });
    assert_eq!(here, remote);
    assert_eq!(plan.steps.iter().find_map(kept), None);
}
