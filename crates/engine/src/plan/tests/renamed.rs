//! Files that go while as many come under new names: ransomware that renames. It is one change, and
//! it is held with all that came.

use proptest::prelude::*;

use super::super::Direction;
use super::*;

fn braked(base: &Tree, local: &Tree, remote: &Tree) -> Case {
    let brakes = Some(Brakes::default());
    Case { brakes, groups: nodes(), ..Case::of(base.clone(), local.clone(), remote.clone()) }
}

/// Tree of `count` files in three folders.
fn vault(count: usize) -> Tree {
    let folder = |n: usize| ["notes", "traces/2026", "traces/2027"][n % 3];
    (0..count).map(|n| (path(&format!("{}/{n:03}.json", folder(n))), entry(&format!("plain {n}")))).collect()
}

/// The tree after its first `count` files were encrypted under other names.
fn encrypted(tree: &Tree, count: usize, rename: &dyn Fn(usize, &VaultPath) -> String) -> Tree {
    let one = |(n, (path, old)): (usize, (&VaultPath, &Entry))| match n < count {
        true => (self::path(&rename(n, path)), entry(&format!("noise {n}"))),
        false => (path.clone(), *old),
    };
    tree.iter().enumerate().map(one).collect()
}

/// New name of a file, by its number.
type Rename = &'static dyn Fn(usize, &VaultPath) -> String;

/// Ways in which names change: with an ending more, with another one, to something else in the same
/// folder.
fn renames() -> [Rename; 3] {
    let folder = |path: &VaultPath| path.as_str().rsplit_once('/').unwrap().0.to_owned();
    fn leak(f: impl Fn(usize, &VaultPath) -> String + 'static) -> Rename {
        Box::leak(Box::new(f))
    }
    [
        leak(|_, path| format!("{path}.locked")),
        leak(|_, path| path.as_str().replace(".json", ".crypt")),
        leak(move |n, path| format!("{}/{:x}", folder(path), n * 7919)),
    ]
}

/// A new name that settles late is held with the file whose name it carries, however many files
/// came to the vault meanwhile.
#[test]
fn a_new_name_that_settles_late_is_held_with_what_it_replaces() {
    for how in &renames()[..2] {
        let base = vault(30);
        let mut case = braked(&base, &encrypted(&base, 20, how), &base);
        let late = case.local.keys().find(|path| !base.contains_key(*path)).unwrap().clone();
        case.blocked.add(late.clone(), "it was written a moment ago and has not settled yet");
        let first = case.plan();
        assert_eq!(first.holds.len(), 1);
        case.held = first.to_remember(&BTreeSet::new());
        case.blocked = Blocked::default();
        for tree in [&mut case.base, &mut case.local, &mut case.remote] {
            tree.extend(
                (0..40).map(|n| (path(&format!("notes/more {n}.json")), entry(&format!("more {n}")))),
            );
        }
        let plan = case.plan();
        assert_eq!(plan.steps, [], "something of it goes alone");
        assert!(plan.holds.iter().any(|hold| hold.items.contains(&Item::File(late.clone()))));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_wave_of_renamed_files_is_held_with_all_that_came(
        files in 1..60_usize, share in 0..=100_usize, how in 0..3_usize
    ) {
        let base = vault(files);
        let count = files * share / 100;
        let changed = encrypted(&base, count, renames()[how]);
        let everything = count > 0 && count * 10 >= files * 9;
        let expected = everything || (files >= 20 && count * 2 > files);
        for (direction, case) in [
            (Direction::Outgoing, braked(&base, &changed, &base)),
            (Direction::Incoming, braked(&base, &base, &changed)),
        ] {
            let plan = case.plan();
            let held: Vec<_> = plan.holds.iter().map(|hold| (hold.reason, hold.direction)).collect();
            prop_assert_eq!(held, Vec::from_iter(expected.then_some((Reason::MassChange, direction))));
            prop_assert_eq!(plan.steps.len(), if expected { 0 } else { 2 * count }, "nothing goes before it");
        }
    }

    /// While it is still being written: what has not settled counts, so that it is one change from
    /// its first part on.
    #[test]
    fn names_that_have_not_settled_count(unsettled in 0..30_usize, how in 0..3_usize) {
        let base = vault(30);
        let mut case = braked(&base, &encrypted(&base, 30, renames()[how]), &base);
        let names: Vec<VaultPath> = case.local.keys().take(unsettled).cloned().collect();
        for name in names {
            case.blocked.add(name, "it was written a moment ago and has not settled yet");
        }
        let plan = case.plan();
        prop_assert_eq!(plan.holds.len(), 1);
        prop_assert_eq!(plan.holds[0].reason, Reason::MassChange);
        prop_assert!(plan.steps.is_empty());
        prop_assert_eq!(plan.holds[0].items.len(), 60 - unsettled);
    }
}

#[test]
fn what_is_written_while_the_wave_is_held_goes_on() {
    let base = vault(30);
    for rename in renames() {
        let mut case = braked(&base, &encrypted(&base, 30, rename), &base);
        let first = case.plan();
        case.held = first.holds.iter().map(Hold::held).collect();
        case.local.insert(path("notes/000-new.json"), entry("a note of today"));
        let second = case.plan();
        assert_eq!(
            second.steps.iter().map(|step| &step.item).collect::<Vec<_>>(),
            [&file("notes/000-new.json")]
        );
        assert_eq!(second.holds[0].id, first.holds[0].id, "the same hold");
    }
}

#[test]
fn a_deletion_with_a_few_new_files_beside_it_is_a_deletion() {
    let base = vault(30);
    let mut local: Tree = base.iter().skip(20).map(|(path, entry)| (path.clone(), *entry)).collect();
    local.extend(tree(&[("notes/today.json", "1"), ("traces/2026/today.json", "2"), ("other/a", "3")]));
    let plan = braked(&base, &local, &base).plan();
    let held: Vec<_> = plan.holds.iter().map(|hold| (hold.reason, hold.items.len())).collect();
    assert_eq!(held, [(Reason::MassDelete, 20)]);
    assert_eq!(plan.steps.len(), 3, "what is new goes on");
}

#[test]
fn the_hold_says_that_files_came_under_other_names() {
    let base = vault(64);
    let plan = braked(&base, &encrypted(&base, 64, renames()[0]), &base).plan();
    assert_eq!(
        plan.holds[0].to_string(),
        "64 of 64 files were replaced by files of other names on this device: 128 items, first file:notes/000.json"
    );
}

#[test]
fn rejected_all_comes_back_and_approved_all_goes() {
    let base = vault(30);
    for rename in renames() {
        let case = braked(&base, &encrypted(&base, 30, rename), &base);
        let rejected = case.clone().decided(false);
        let (mut local, mut remote) = (rejected.local.clone(), base.clone());
        rejected.plan().steps.iter().for_each(|step| apply(&mut local, &step.files));
        assert_eq!(local, base);
        let approved = case.decided(true);
        approved.plan().steps.iter().for_each(|step| apply(&mut remote, &step.files));
        assert_eq!(remote, approved.local);
    }
}
