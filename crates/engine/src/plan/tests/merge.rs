//! Merges: the loser's changes that clash with nothing, applied to the winner's state.

use proptest::prelude::*;

use super::world::{CONTENTS, PATHS, edit, groups};
use super::*;

/// Plans a merge and computes its result: the winner's state with the pushed changes.
fn merged(base: &Tree, loser: &Tree, winner: &Tree, ages: Ages) -> (Case, Plan, Tree) {
    let ages = ["n", "m"].map(|name| (name.to_owned(), ages)).into();
    let case = Case {
        mode: Mode::Merge,
        groups: groups(),
        ages,
        ..Case::of(base.clone(), loser.clone(), winner.clone())
    };
    let (plan, mut result) = (case.plan(), winner.clone());
    assert!(plan.waiting.is_empty() && plan.holds.is_empty(), "a merge has no one to ask: {plan:#?}");
    for step in plan.steps.iter().filter(|step| step.outgoing()) {
        apply(&mut result, &step.files);
    }
    (case, plan, result)
}

/// An edit on a disk that ignores letter case.
fn edit_folded(tree: &mut Tree, name: &str, content: Option<usize>) {
    let key = path(name).fold_key();
    tree.retain(|other, _| other.fold_key() != key);
    edit(tree, name, content);
}

fn kept_somewhere(plan: &Plan, path: &VaultPath, entry: &Entry) -> bool {
    let files = plan.steps.iter().filter_map(kept).flat_map(|conflict| &conflict.files);
    files.into_iter().any(|file| file.path == *path && file.entry == Some(*entry))
}

fn collides(tree: &Tree, path: &VaultPath) -> bool {
    tree.keys().filter(|other| *other != path).any(|other| {
        let above = |one: &VaultPath, other: &VaultPath| one.folders().any(|folder| folder == other.as_str());
        other.fold_key() == path.fold_key() || above(path, other) || above(other, path)
    })
}

type Edits = Vec<(usize, Option<usize>)>;

fn edits(count: usize) -> impl Strategy<Value = Edits> {
    let content = prop_oneof![3 => (0..CONTENTS.len()).prop_map(Some), 2 => Just(None)];
    prop::collection::vec((0..PATHS.len(), content), 0..count)
}

fn edited(tree: &Tree, edits: Edits) -> Tree {
    let mut tree = tree.clone();
    for (path, content) in edits {
        edit_folded(&mut tree, PATHS[path], content);
    }
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_merge_loses_nothing_and_fits_on_every_disk(
        start in edits(16), mine in edits(8), theirs in edits(8), primary in 0..3_u64, derived in 0..3_u64,
    ) {
        let base = edited(&Tree::new(), start);
        let (loser, winner) = (edited(&base, mine), edited(&base, theirs));
        let (case, plan, result) = merged(&base, &loser, &winner, Ages { primary, derived });

        prop_assert_eq!(file_as_folder(&result), None, "{:#?}", plan);
        prop_assert_eq!(twins(&result), None, "{:#?}", plan);

        for (path, entry) in &loser {
            let stands = result.get(path) == Some(entry);
            let agreed = base.get(path) == Some(entry) || case.groups.is_derived(path);
            prop_assert!(stands || agreed || kept_somewhere(&plan, path, entry), "{path} is lost: {plan:#?}");
        }
        for (path, entry) in &winner {
            let replaceable = base.get(path) == Some(entry) || case.groups.is_derived(path);
            prop_assert!(result.get(path) == Some(entry) || replaceable, "{path} was overruled: {plan:#?}");
        }
    }

    #[test]
    fn a_merge_takes_over_changes_that_clash_with_nothing(start in edits(16), mine in edits(8), theirs in edits(8)) {
        let base = edited(&Tree::new(), start);
        let (loser, winner) = (edited(&base, mine), edited(&base, theirs));
        let (case, plan, result) = merged(&base, &loser, &winner, Ages::default());
        let single = |path: &&VaultPath| matches!(case.groups.item(path), Item::File(_));
        for path in base.keys().chain(loser.keys()).filter(single) {
            let alone = winner.get(path) == base.get(path);
            let taken = result.get(path) == loser.get(path);
            let no_room = loser.contains_key(path) && collides(&result, path);
            prop_assert!(!alone || taken || no_room, "{path} is missing: {plan:#?}");
        }
    }

    #[test]
    fn a_group_is_merged_whole(start in edits(16), mine in edits(8), theirs in edits(8), fresh in any::<bool>()) {
        let base = edited(&Tree::new(), start);
        let (loser, winner) = (edited(&base, mine), edited(&base, theirs));
        let ages = Ages { primary: 1, derived: u64::from(fresh) };
        let (case, plan, result) = merged(&base, &loser, &winner, ages);
        for name in ["n", "m"] {
            let members: Vec<VaultPath> =
                PATHS.map(path).into_iter().filter(|path| case.groups.item(path) == group(name)).collect();
            let is = |side: &Tree| members.iter().all(|path| result.get(path) == side.get(path));
            prop_assert!(is(&loser) || is(&winner), "group {name} is neither the loser's nor the winner's: {plan:#?}");
        }
    }
}

#[test]
fn names_that_differ_in_case_only_cannot_both_come_out_of_a_merge() {
    let (loser, winner) = (tree(&[("T/Note", "mine")]), tree(&[("t/note", "theirs")]));
    let (_, plan, result) = merged(&Tree::new(), &loser, &winner, Ages::default());
    assert_eq!(result, winner);
    assert!(kept_somewhere(&plan, &path("T/Note"), &entry("mine")));
}

#[test]
fn a_loser_with_two_spellings_gives_way_with_both() {
    let (loser, winner) = (tree(&[("NOTE", "1"), ("Note", "2")]), tree(&[("note", "3")]));
    let (_, plan, result) = merged(&Tree::new(), &loser, &winner, Ages::default());
    assert_eq!(result, winner);
    assert_eq!(plan.steps.iter().filter_map(kept).count(), 2);
}

#[test]
fn a_group_that_has_to_give_way_gives_way_whole() {
    let base = tree(&[("u", "1")]);
    let (loser, winner) = (tree(&[("u", "2"), ("s", "2")]), tree(&[("u", "1"), ("s/t", "1")]));
    let (_, plan, result) = merged(&base, &loser, &winner, Ages::default());
    assert_eq!(result, winner);
    let conflict = kept(step(&plan, &group("m")).unwrap()).unwrap();
    assert_eq!(conflict.files.len(), 2, "the whole losing version is kept: {conflict:?}");
}
