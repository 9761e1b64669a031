//! Content that only moves: it is not lost, does not count, and does not go before it arrives.

use proptest::prelude::*;

use super::super::{Direction, Waiting};
use super::*;

fn braked(base: &Tree, local: &Tree, remote: &Tree) -> Case {
    let brakes = Some(Brakes { min_files: 4, ..Brakes::default() });
    Case { brakes, groups: nodes(), ..Case::of(base.clone(), local.clone(), remote.clone()) }
}

/// Tree of `count` files with contents of their own, below a folder.
fn distinct(folder: &str, count: usize) -> Tree {
    (0..count).map(|n| (path(&format!("{folder}/{n:03}.json")), entry(&format!("content {n}")))).collect()
}

/// The tree after its files from `skip` on were moved to another folder.
fn moved(tree: &Tree, skip: usize, folder: &str) -> Tree {
    let name = |(n, (path, entry)): (usize, (&VaultPath, &Entry))| {
        let to = format!("{folder}/{}", path.file_name());
        (if n < skip { path.clone() } else { self::path(&to) }, *entry)
    };
    tree.iter().enumerate().map(name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Renaming a folder, or some of its files, is no loss in either direction, however much of the
    /// vault it is.
    #[test]
    fn a_renamed_folder_is_not_held(files in 1..40_usize, stay in 0..40_usize) {
        let base = distinct("old", files);
        let changed = moved(&base, stay, "new");
        for (local, remote) in [(&changed, &base), (&base, &changed)] {
            let plan = braked(&base, local, remote).plan();
            prop_assert_eq!(&plan.holds, &Vec::new());
            prop_assert_eq!(plan.steps.len(), 2 * files.saturating_sub(stay));
        }
    }

    /// A deletion counts as moved once for each new name: one copy does not excuse many deletions.
    #[test]
    fn one_new_name_excuses_one_deletion(files in 4..40_usize, copies in 0..40_usize) {
        let copies = copies.min(files);
        let plan = braked(&many("old", files, "x"), &many("new", copies, "x"), &many("old", files, "x")).plan();
        let lost = files - copies;
        let held = lost * 2 > files || lost * 10 >= files * 9;
        prop_assert_eq!(plan.holds.len(), usize::from(held), "{} of {}", lost, files);
    }

    /// Whatever has settled: a deletion is not sent before the name that its content moved to.
    #[test]
    fn a_deletion_waits_for_the_name_its_content_moved_to(
        unsettled in prop::collection::vec(any::<bool>(), 1..30)
    ) {
        let base = distinct("old", unsettled.len());
        let local = moved(&base, 0, "new");
        let mut case = braked(&base, &local, &base);
        for (name, _) in local.keys().zip(&unsettled).filter(|(_, unsettled)| **unsettled) {
            case.blocked.add(name.clone(), "it was written a moment ago and has not settled yet");
        }
        let plan = case.plan();
        prop_assert_eq!(&plan.holds, &Vec::new());
        for (old, (new, unsettled)) in base.keys().zip(local.keys().zip(&unsettled)) {
            let [gone, come] = [old, new].map(|name| step(&plan, &Item::File(name.clone())).is_some());
            prop_assert_eq!((gone, come), (!unsettled, !unsettled), "{} to {}", old, new);
        }
    }
}

#[test]
fn a_file_whose_content_stands_in_an_index_alone_is_lost() {
    let base = tree(&[("a.json", "x")]);
    let index = tree(&[("index/a", "x")]);
    for (local, remote) in [(&index, &base), (&base, &index)] {
        let plan = braked(&base, local, remote).plan();
        assert_eq!(plan.holds.iter().map(|hold| hold.reason).collect::<Vec<_>>(), [Reason::MassDelete]);
        assert_eq!(step(&plan, &file("a.json")), None);
    }
    // One index may move to another place.
    let moved = tree(&[("index/b", "x"), ("a.json", "x")]);
    let was = tree(&[("index/a", "x"), ("a.json", "x")]);
    assert_eq!(braked(&was, &moved, &was).plan().holds, []);
}

#[test]
fn a_deletion_that_waits_says_what_for_and_no_more_wait_than_there_are_names() {
    let base = tree(&[("a", "x"), ("b", "x"), ("c", "y")]);
    let mut case = Case::of(base.clone(), tree(&[("d", "x")]), base);
    case.blocked.add(path("d"), "it was written a moment ago and has not settled yet");
    let plan = case.plan();
    assert_eq!(plan.steps.iter().map(|step| &step.item).collect::<Vec<_>>(), [&file("b"), &file("c")]);
    let waits = plan.waiting.iter().find(|Waiting { item, .. }| *item == file("a")).unwrap();
    assert_eq!(waits.why, "a: its content stands under d, which has not settled yet");
    // Once it has settled, both go together.
    case.blocked = Blocked::default();
    assert_eq!(case.plan().steps.len(), 4);
}

#[test]
fn a_deletion_waits_for_a_name_that_cannot_be_sent_and_what_needs_its_name_waits_too() {
    let base = tree(&[("a", "x"), ("n/b", "y")]);
    // The content of `a` moved to a name that another device has in another letter case, and `a` is
    // a folder now.
    let local = tree(&[("n/B", "x"), ("a/c", "z"), ("n/b", "y")]);
    let plan = Case::of(base.clone(), local, base).plan();
    let waiting: Vec<&Item> = plan.waiting.iter().map(|wait| &wait.item).collect();
    assert_eq!(waiting, [&file("a"), &file("a/c"), &file("n/B")], "{plan:#?}");
    assert_eq!(plan.steps, []);
}

#[test]
fn a_file_moved_over_another_one_is_not_lost_and_the_other_one_is_changed() {
    let base = distinct("t", 8);
    let mut local = base.clone();
    // Each odd file takes the place of the even one before it.
    for n in (1..8).step_by(2) {
        let moved = local.remove(&path(&format!("t/{n:03}.json"))).unwrap();
        local.insert(path(&format!("t/{:03}.json", n - 1)), moved);
    }
    assert_eq!(braked(&base, &local, &base).plan().holds, [], "half of the files were changed, none is lost");
}

#[test]
fn moving_most_files_and_deleting_the_rest_counts_the_rest_alone() {
    let base = distinct("old", 20);
    let mut local = moved(&base, 0, "new");
    for n in 0..11 {
        local.remove(&path(&format!("new/{n:03}.json")));
    }
    let plan = braked(&base, &local, &base).plan();
    let held: Vec<_> =
        plan.holds.iter().map(|hold| (hold.reason, hold.direction, hold.items.len())).collect();
    assert_eq!(held, [(Reason::MassDelete, Direction::Outgoing, 11)]);
    assert_eq!(plan.steps.len(), 18, "what moved goes on");
}
