//! Mass losses: shares of what stood, however few files there are, and what only moves.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::Direction;
use super::*;

/// Creates the case of an ordinary device with the default brakes.
fn braked(base: &Tree, local: &Tree, remote: &Tree) -> Case {
    Case {
        brakes: Some(Brakes::default()),
        groups: nodes(),
        ..Case::of(base.clone(), local.clone(), remote.clone())
    }
}

/// The same change, once made locally and once on the remote.
fn both_ways(base: &Tree, changed: &Tree) -> [(Direction, Plan); 2] {
    [
        (Direction::Outgoing, braked(base, changed, base).plan()),
        (Direction::Incoming, braked(base, base, changed).plan()),
    ]
}

fn reasons(plan: &Plan) -> Vec<(Reason, Direction)> {
    plan.holds.iter().map(|hold| (hold.reason, hold.direction)).collect()
}

/// Tree of `count` files below a folder, each with a content of its own.
fn distinct(folder: &str, count: usize) -> Tree {
    (0..count).map(|n| (path(&format!("{folder}/{n:03}.json")), entry(&format!("{folder} {n}")))).collect()
}

fn skipping(tree: &Tree, count: usize) -> Tree {
    tree.iter().skip(count).map(|(path, entry)| (path.clone(), *entry)).collect()
}

fn rest(tree: &Tree, count: usize) -> Tree {
    tree.iter().take(count).map(|(path, entry)| (path.clone(), *entry)).collect()
}

/// The tree with its first `count` files rewritten.
fn rewriting(tree: &Tree, count: usize) -> Tree {
    let rewritten = |(n, (path, old)): (usize, (&VaultPath, &Entry))| {
        (path.clone(), if n < count { entry(&format!("rewritten {n}")) } else { *old })
    };
    tree.iter().enumerate().map(rewritten).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Losing everything, or all but a tenth, is held in a vault of any size and in both
    /// directions.
    #[test]
    fn losing_nearly_everything_is_held_however_little_it_is(files in 1..60_usize, left in 0..6_usize) {
        let left = left.min(files / 10);
        let base = distinct("t", files);
        for (direction, plan) in both_ways(&base, &skipping(&base, files - left)) {
            prop_assert_eq!(reasons(&plan), [(Reason::MassDelete, direction)]);
            prop_assert!(plan.steps.is_empty());
        }
    }

    /// Below `min_files`, a loss that leaves more than a tenth is no accident; above it, half is
    /// the limit.
    #[test]
    fn a_loss_is_held_exactly_above_its_share(files in 1..60_usize, deleted in 0..60_usize) {
        let deleted = deleted.min(files);
        let nearly_all = deleted > 0 && deleted * 10 >= files * 9;
        let most = files >= 20 && deleted * 2 > files;
        let base = distinct("t", files);
        for (direction, plan) in both_ways(&base, &skipping(&base, deleted)) {
            let expected = (nearly_all || most).then_some((Reason::MassDelete, direction));
            prop_assert_eq!(reasons(&plan), Vec::from_iter(expected), "{} of {}", deleted, files);
        }
    }

    /// A change of more than two thirds is held; files that stay untouched do not defeat the brake.
    #[test]
    fn a_change_is_held_exactly_above_its_share(files in 1..60_usize, changed in 0..60_usize) {
        let changed = changed.min(files);
        let base = distinct("t", files);
        for (direction, plan) in both_ways(&base, &rewriting(&base, changed)) {
            let expected = (files >= 20 && changed * 3 > files * 2).then_some((Reason::MassChange, direction));
            prop_assert_eq!(reasons(&plan), Vec::from_iter(expected), "{} of {}", changed, files);
        }
    }

    /// Deletions and changes add up: neither alone needs to reach the share.
    #[test]
    fn deletions_and_changes_count_together(deleted in 0..=20_usize, changed in 0..=20_usize) {
        let base = distinct("t", 40);
        let local = skipping(&rewriting(&base, deleted + changed), deleted);
        let plan = braked(&base, &local, &base).plan();
        let held = (deleted + changed) * 3 > 40 * 2;
        prop_assert_eq!(reasons(&plan), Vec::from_iter(held.then_some((Reason::MassChange, Direction::Outgoing))));
        prop_assert_eq!(plan.steps.len(), if held { 0 } else { deleted + changed });
    }
}

#[test]
fn what_is_left_of_a_remote_is_not_emptied_while_its_loss_is_held() {
    // Of 40 files another device deleted 39, which is held here, and the last one goes here.
    let base = distinct("traces", 40);
    let plan = braked(&base, &skipping(&base, 1), &rest(&base, 1)).plan();
    let both = [(Reason::MassDelete, Direction::Outgoing), (Reason::MassDelete, Direction::Incoming)];
    assert_eq!(reasons(&plan).into_iter().collect::<BTreeSet<_>>(), both.into());
    assert_eq!(plan.steps.iter().filter(|step| step.outgoing()).count(), 0);
}

#[test]
fn an_index_that_is_deleted_is_no_loss() {
    let mut base = distinct("index", 30);
    base.extend(tree(&[("nodes.json", "[1]"), ("nodes.npy", "1")]));
    for (_, plan) in both_ways(&base, &tree(&[("nodes.json", "[1]"), ("nodes.npy", "1")])) {
        assert_eq!(plan.holds, [], "an index is computed again");
    }
}

#[test]
fn a_hold_says_how_many_of_how_many_files_in_plain_words() {
    let base = distinct("t", 40);
    let said = |changed: &Tree| {
        both_ways(&base, changed)
            .map(|(_, plan)| plan.holds.first().map(ToString::to_string).unwrap_or_default())
    };
    assert_eq!(
        said(&skipping(&base, 30)),
        [
            "30 of 40 files were deleted on this device: 30 items, first file:t/000.json",
            "30 of 40 files were deleted by another device: 30 items, first file:t/000.json"
        ]
    );
    assert_eq!(
        said(&rewriting(&base, 39)),
        [
            "39 of 40 files were changed on this device: 39 items, first file:t/000.json",
            "39 of 40 files were changed by another device: 39 items, first file:t/000.json"
        ]
    );
    let one = distinct("t", 1);
    let [(_, here), _] = both_ways(&one, &Tree::new());
    assert_eq!(here.holds[0].to_string(), "the only file was deleted on this device: file:t/000.json");
}
