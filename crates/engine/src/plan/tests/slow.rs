//! Slow losses: the losses of a day's commits count together, and files that come and go do not.

use proptest::prelude::*;

use super::super::{Direction, losses};
use super::*;
use crate::model::Losses;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// A device that commits its plans.
struct Slow {
    case: Case,
    losses: Losses,
    now: u64,
}

impl Slow {
    fn new(start: &Tree, min_files: usize) -> Self {
        let brakes = Some(Brakes { min_files, ..Brakes::default() });
        let case = Case { brakes, groups: nodes(), ..Case::of(start.clone(), start.clone(), start.clone()) };
        Self { case, losses: Losses::new(), now: 1000 * DAY }
    }

    /// Plans and commits; the changes of pulls are agreed, too.
    fn cycle(&mut self) -> Plan {
        self.losses.retain(|_, loss| loss.at_ms + DAY > self.now);
        self.case.losses = self.losses.clone();
        let plan = self.case.plan();
        let done: BTreeSet<Item> = plan.steps.iter().map(|step| step.item.clone()).collect();
        self.losses = losses(&self.case.input(), &plan, &done, self.now);
        for step in &plan.steps {
            apply(if step.outgoing() { &mut self.case.remote } else { &mut self.case.local }, &step.files);
        }
        self.case.base = super::super::agreed(&plan, &self.case.base, &done);
        self.case.held = plan.to_remember(&done);
        self.case.decisions = Decisions::default();
        plan
    }

    fn delete(&mut self, count: usize) {
        for _ in 0..count {
            remove_first(&mut self.case.local);
        }
    }

    fn add(&mut self, name: &str) {
        self.case.local.insert(path(name), entry(name));
    }
}

fn remove_first(tree: &mut Tree) {
    let first = tree.keys().next().cloned();
    first.map(|first| tree.remove(&first));
}

fn distinct(folder: &str, count: usize) -> Tree {
    (0..count).map(|n| (path(&format!("{folder}/{n:03}.json")), entry(&format!("{folder} {n}")))).collect()
}

#[test]
fn four_hundred_files_deleted_in_batches_are_held_as_one_run() {
    let mut slow = Slow::new(&distinct("t", 400), 20);
    let mut sent = 0;
    for batch in 1..=4 {
        slow.delete(100);
        slow.now += 10_000;
        sent += slow.cycle().steps.len();
        assert_eq!(sent, 100 * batch.min(2), "after batch {batch}");
    }
    let plan = slow.cycle();
    assert_eq!(
        plan.holds[0].to_string(),
        "400 of 400 files were deleted on this device within a day: 200 items, first file:t/200.json"
    );
}

#[test]
fn what_comes_after_a_run_has_begun_is_held_too_until_a_day_has_passed() {
    let mut slow = Slow::new(&distinct("t", 100), 20);
    for _ in 0..50 {
        slow.delete(1);
        slow.now += 60_000;
        assert_eq!(slow.cycle().holds, []);
    }
    slow.delete(1);
    assert_eq!(slow.cycle().holds.len(), 1);
    slow.case.local = slow.case.remote.clone();
    assert_eq!(slow.cycle().holds, [], "the user put it back");
    slow.now += DAY;
    slow.delete(20);
    assert_eq!(slow.cycle().holds, [], "yesterday's losses count no more");
}

#[test]
fn a_small_vault_emptied_file_by_file_keeps_its_last_files() {
    let mut slow = Slow::new(&distinct("t", 15), 20);
    for _ in 0..15 {
        slow.delete(1);
        slow.now += 60_000;
        slow.cycle();
    }
    assert_eq!(slow.case.remote.len(), 2, "13 of 15 are not nearly all of them, 14 are");
}

#[test]
fn a_slow_loss_counts_against_what_the_remote_still_has_while_its_own_loss_is_held() {
    let mut slow = Slow::new(&distinct("t", 40), 10);
    let kept: Tree = slow.case.remote.iter().take(16).map(|(path, entry)| (path.clone(), *entry)).collect();
    slow.case.remote = kept;
    let mut sent = 0;
    for _ in 0..8 {
        slow.delete(2);
        slow.now += 60_000;
        sent += slow.cycle().steps.len();
    }
    assert_eq!(sent, 8, "of the 16 files there, half may go, and not 16 of the 40 that stand here");
}

#[test]
fn files_changed_in_batches_are_held_as_one_run() {
    let mut slow = Slow::new(&distinct("t", 400), 20);
    let mut sent = 0;
    for batch in 0..4 {
        let names: Vec<VaultPath> = slow.case.local.keys().skip(100 * batch).take(100).cloned().collect();
        for name in names {
            slow.case.local.insert(name, entry(&format!("noise {batch}")));
        }
        slow.now += 10_000;
        sent += slow.cycle().steps.len();
    }
    assert_eq!(sent, 200);
}

#[test]
fn files_renamed_and_encrypted_in_batches_are_held_as_one_run_with_the_new_names() {
    // More in one batch than a person does by hand; and fewer, which their names give away.
    for (files, batch) in [(400, 100), (60, 5)] {
        let mut slow = Slow::new(&distinct("t", files), 20);
        for from in (0..files).step_by(batch) {
            let names: Vec<VaultPath> = slow.case.base.keys().cloned().collect();
            let plain = names.iter().filter(|name| !name.as_str().contains("locked"));
            for name in plain.skip(from.saturating_sub(files / 2)).take(batch) {
                slow.case.local.remove(name);
                slow.case.local.insert(path(&format!("{name}.locked")), entry(&format!("noise {name}")));
            }
            slow.now += 10_000;
            slow.cycle();
        }
        let locked = slow.case.remote.keys().filter(|name| name.as_str().contains("locked")).count();
        assert_eq!((slow.case.remote.len(), locked), (files, files / 2), "{batch} at a time");
    }
}

#[test]
fn other_new_files_do_not_make_up_for_files_that_are_replaced() {
    let mut slow = Slow::new(&distinct("t", 60), 20);
    let lock = |slow: &mut Slow, from: usize, to: usize| {
        for n in from..to {
            slow.case.local.remove(&path(&format!("t/{n:03}.json")));
            slow.add(&format!("t/{n:03}.json.locked"));
        }
    };
    for from in (0..30).step_by(5) {
        lock(&mut slow, from, from + 5);
        assert_eq!(slow.cycle().holds, []);
    }
    lock(&mut slow, 30, 35);
    (0..5).for_each(|n| slow.add(&format!("t/saved-{n}.json")));
    let plan = slow.cycle();
    assert_eq!((plan.holds.len(), plan.steps.len()), (1, 5));
}

#[test]
fn an_app_that_saves_the_same_few_files_all_day_is_not_held() {
    let mut start = distinct("t", 30);
    start.extend(tree(&[("nodes.json", "0"), ("nodes.npy", "0"), ("index/a", "0")]));
    let mut slow = Slow::new(&start, 20);
    for n in 0..3 * 24 {
        for name in ["nodes.json", "nodes.npy", "index/a", "t/000.json"] {
            slow.case.local.insert(path(name), entry(&format!("{name} {n}")));
        }
        slow.now += HOUR;
        assert_eq!(slow.cycle().holds, []);
    }
}

#[test]
fn approved_losses_count_no_more() {
    let mut slow = Slow::new(&distinct("t", 100), 20);
    for _ in 0..2 {
        slow.delete(40);
        slow.cycle();
    }
    let open = slow.cycle().holds;
    slow.case.decisions.approved.extend(open.iter().map(|hold| hold.id));
    assert_eq!(slow.cycle().approved.len(), 1);
    // 20 are left of 100. The run was approved as a whole, so it is 5 of 20 now.
    slow.delete(5);
    assert_eq!(slow.cycle().holds, []);
    assert_eq!(slow.case.remote.len(), 15);
}

#[test]
fn what_another_device_deleted_does_not_count() {
    let mut slow = Slow::new(&distinct("t", 100), 20);
    slow.delete(20);
    slow.cycle();
    for _ in 0..30 {
        remove_first(&mut slow.case.remote);
    }
    assert_eq!(slow.cycle().holds, []);
    // 64 of 100 are gone by then, and 34 of them by this device, of the 70 that the other one left.
    slow.delete(14);
    assert_eq!(slow.cycle().holds, []);
    slow.delete(2);
    assert_eq!(slow.cycle().holds.len(), 1);
}

#[test]
fn what_overrules_another_device_does_not_count() {
    // Another device replaced all files by others, and a person here wants the old ones back.
    let start = distinct("t", 40);
    let mut slow = Slow::new(&start, 20);
    slow.case.remote = distinct("t/u", 40);
    let open = slow.cycle().holds;
    slow.case.decisions.rejected.extend(open.iter().map(|hold| hold.id));
    assert_eq!(slow.cycle().rejected.len(), 1);
    assert_eq!((slow.case.remote == start, slow.losses.len()), (true, 0));
}

#[test]
fn what_comes_in_the_place_of_held_files_is_held_and_what_came_before_is_not() {
    let mut slow = Slow::new(&distinct("t", 30), 20);
    let lock = |slow: &mut Slow, from: usize, to: usize| {
        for n in from..to {
            slow.case.local.remove(&path(&format!("t/{n:03}.json")));
            slow.add(&format!("t/{n:03}.json.locked"));
        }
    };
    // The first six are seen to go before the files in their place have settled.
    lock(&mut slow, 0, 6);
    for n in 0..6 {
        slow.case.blocked.add(path(&format!("t/{n:03}.json.locked")), "it has not settled yet");
    }
    assert_eq!(slow.cycle().steps.len(), 6);
    slow.case.blocked = Blocked::default();
    lock(&mut slow, 6, 26);
    let plan = slow.cycle();
    let sent: Vec<String> = plan.steps.iter().map(|step| step.item.to_string()).collect();
    assert_eq!(sent, (0..6).map(|n| format!("file:t/{n:03}.json.locked")).collect::<Vec<_>>());
    assert_eq!(plan.holds[0].items.len(), 40);
    assert!(plan.holds[0].to_string().starts_with("26 of 30 files were replaced"), "{}", plan.holds[0]);
}

#[test]
fn a_file_that_is_put_back_is_not_lost() {
    let start = distinct("t", 40);
    let mut slow = Slow::new(&start, 20);
    for _ in 0..10 {
        slow.delete(15);
        slow.cycle();
        slow.case.local = start.clone();
        slow.now += 60_000;
        assert_eq!(slow.cycle().holds, []);
        assert!(slow.losses.is_empty(), "{:?}", slow.losses);
    }
}

#[test]
fn a_folder_moved_file_by_file_and_seen_half_way_is_not_lost() {
    let start = distinct("t", 30);
    let mut slow = Slow::new(&start, 20);
    for (name, entry) in &start {
        // The deletion is committed before the new name is seen.
        slow.case.local.remove(name);
        assert_eq!(slow.cycle().holds, []);
        slow.case.local.insert(path(&format!("u/{}", name.file_name())), *entry);
        assert_eq!(slow.cycle().holds, []);
    }
}

/// Traces of which each day's go when the next day's are there, in one sweep at night.
#[test]
fn a_daily_rotation_is_not_held() {
    let mut slow = Slow::new(&tree(&[("nodes.json", "1"), ("nodes.npy", "1")]), 20);
    for day in 0..20 {
        for n in 0..100 {
            slow.add(&format!("traces/{day:02}/{n:03}.json"));
            slow.now += DAY / 100;
            if n % 10 == 9 {
                assert_eq!(slow.cycle().holds, [], "day {day}");
            }
        }
        if day > 0 {
            let old = format!("traces/{:02}/", day - 1);
            slow.case.local.retain(|name, _| !name.as_str().starts_with(&old));
            let plan = slow.cycle();
            assert_eq!((plan.holds.len(), plan.steps.len()), (0, 100), "day {day}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// An app that keeps the last so many files and deletes the oldest with each new one, however
    /// fast it goes round.
    #[test]
    fn a_ring_of_files_is_not_held(
        ring in 3..60_usize, at_once in 1..6_usize, minutes in 1..200_u64, folders in any::<bool>()
    ) {
        let at_once = at_once.min(ring / 3);
        let name = |n: usize| format!("traces/{}trace-{n}.json", if folders { format!("{}/", n / 7) } else { String::new() });
        let mut slow = Slow::new(&Tree::new(), 20);
        (0..ring).for_each(|n| slow.add(&name(n)));
        slow.cycle();
        for round in 0..100 {
            for n in (0..at_once).map(|n| round * at_once + n) {
                slow.case.local.remove(&path(&name(n)));
                slow.add(&name(n + ring));
            }
            slow.now += minutes * 60_000;
            prop_assert_eq!(&slow.cycle().holds, &Vec::new(), "round {}", round);
        }
    }

    /// However the deletions are spread over a day's commits, no more than the share goes unasked;
    /// and files that come in another folder excuse none of them.
    #[test]
    fn no_more_than_the_share_goes_in_a_day(
        files in 20..120_usize, batches in prop::collection::vec((1..20_usize, 0..4_usize), 1..60)
    ) {
        let mut slow = Slow::new(&distinct("a", files), 20);
        for (n, (deleted, added)) in batches.into_iter().enumerate() {
            let left = slow.case.local.keys().filter(|name| name.as_str().starts_with("a/")).count();
            slow.delete(deleted.min(left));
            (0..added).for_each(|m| slow.add(&format!("b/{n}-{m}.json")));
            slow.now += 60_000;
            let stood = slow.case.base.len() + slow.losses.len();
            slow.cycle();
            let gone = files - slow.case.remote.keys().filter(|name| name.as_str().starts_with("a/")).count();
            prop_assert!(gone * 2 <= stood, "{} of {} went", gone, stood);
        }
    }

    /// The record never says that a file is lost that stands as it was.
    #[test]
    fn what_stands_as_it_was_is_in_no_record(edits in prop::collection::vec((0..8_usize, 0..4_usize), 1..40)) {
        let mut slow = Slow::new(&distinct("t", 8), usize::MAX);
        for (name, content) in edits {
            let name = path(&format!("t/{name:03}.json"));
            match content {
                0 => drop(slow.case.local.remove(&name)),
                _ => drop(slow.case.local.insert(name, entry(&format!("t {content}")))),
            }
            let plan = slow.cycle();
            prop_assert!(plan.holds.iter().all(|hold| hold.direction == Direction::Outgoing));
            for (name, loss) in &slow.losses {
                prop_assert!(slow.case.base.get(name) != Some(&loss.entry), "{} stands", name);
            }
        }
    }
}
