//! A second crash, before the effects of the recovery from the first.

use std::collections::BTreeSet;

use super::crash::{assert_no_mixture_in_files, assert_whole, crash};
use super::disk::{Disk, Kind, LINUX, NETWORK, STICK};
use super::vault::{Case, Vault};
use super::*;

/// A vault after a crash and the recovery from it.
struct Twice {
    vault: Vault,
    /// True if the first crash left a journal.
    had_journal: bool,
    /// Answer of the recovery, if it came to its end.
    recovered: Option<Option<Recovered>>,
    context: String,
}

/// Crashes before every effect, recovers, and crashes again at the [`moments`] of this run.
fn crash_twice(kind: Kind, cases: &'static [Case], finish: bool, look: &mut dyn FnMut(Twice)) {
    let (mut effects, mut cut) = (BTreeSet::new(), BTreeSet::new());
    'first: for at in 0.. {
        for again in moments(at) {
            let mut vault = Vault::new(cases);
            vault.finish = finish;
            let Some(vault) = crash(vault, kind, at) else { break 'first };
            let had_journal = vault.layout().applying().exists();
            let disk = Disk::crashing(kind, vault.root(), again);
            let recovered = recover(&disk, &vault.layout(), None);
            effects.extend(disk.effects());
            cut.extend(disk.ended_before());
            let recovered = (!disk.reached()).then(|| recovered.unwrap());
            let was_last = recovered.is_some();
            let context = format!("{kind:?}, crash at {at}, then at {again}");
            look(Twice { vault, had_journal, recovered, context });
            if was_last {
                break;
            }
        }
    }
    assert_eq!(cut, effects, "{kind:?}: an effect before which no recovery was cut short");
}

fn rolls_forward(kind: Kind, cases: &'static [Case]) {
    crash_twice(kind, cases, true, &mut |Twice { vault, had_journal, recovered, context }| {
        if recovered.is_none() {
            assert_no_mixture_in_files(kind, &vault, &context);
            let second = recover(&Disk::sound(kind, vault.root()), &vault.layout(), None).unwrap();
            assert_whole(&vault, second, had_journal, &context);
        }
    });
}

fn a_second_crash_rolls_a_group_forward(kind: Kind) {
    rolls_forward(kind, &[GROUP]);
}

on_each_disk!(a_second_crash_rolls_a_group_forward);

fn a_second_crash_rolls_swapped_names_forward(kind: Kind) {
    rolls_forward(kind, SWAPS);
}

on_each_disk!(a_second_crash_rolls_swapped_names_forward);

/// Asserts the result for items that need not be finished: an item of which nothing had moved is as
/// it was, and planned again; every other one is in place.
fn assert_begun_or_again(vault: &Vault, recovered: &Recovered, context: &str) {
    let visible = vault.visible();
    for case in vault.cases {
        let again = recovered.applied.retry.iter().any(|(of, _)| *of == item(case));
        assert_ne!(again, recovered.applied.done.contains(&item(case)), "{context}: {}", item(case));
        for (name, old, new) in case.moves {
            let text = visible.get(*name).map(String::as_str);
            assert_eq!(text, if again { *old } else { *new }, "{context}: {name}");
        }
    }
    vault.assert_nothing_lost(context);
}

fn what_had_not_begun_is_planned_again(kind: Kind, cases: &'static [Case]) {
    let (mut done, mut again) = (0, 0);
    crash_twice(kind, cases, false, &mut |Twice { vault, recovered, context, .. }| {
        let second = || recover(&Disk::sound(kind, vault.root()), &vault.layout(), None).unwrap();
        if let Some(recovered) = recovered.unwrap_or_else(second) {
            assert_begun_or_again(&vault, &recovered, &context);
            done += recovered.applied.done.len();
            again += recovered.applied.retry.len();
        }
        conclude(&RealFs, &vault.layout()).unwrap();
    });
    assert!(done > 0 && again > 0, "{kind:?}: {done} done, {again} planned again");
}

#[test]
fn what_had_not_begun_when_a_crash_came_is_planned_again() {
    what_had_not_begun_is_planned_again(STICK, MIXED);
}

#[test]
fn swapped_names_that_had_not_begun_are_planned_again() {
    what_had_not_begun_is_planned_again(LINUX, SWAPS);
}
