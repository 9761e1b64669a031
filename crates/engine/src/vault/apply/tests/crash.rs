//! A crash before every single effect.

use super::disk::{Disk, Kind, LINUX, MAC, NETWORK, STICK};
use super::vault::{Case, Vault};
use super::*;

/// The apply cut short before effect `at`. None if it has fewer effects.
pub(super) fn crashed(kind: Kind, cases: &'static [Case], at: usize) -> Option<Vault> {
    crash(Vault::new(cases), kind, at)
}

pub(super) fn crash(vault: Vault, kind: Kind, at: usize) -> Option<Vault> {
    let disk = Disk::crashing(kind, vault.root(), at);
    let result = run(&disk, &vault).and_then(|_| conclude(&disk, &vault.layout()));
    assert_eq!(result.is_err(), disk.reached(), "effect {at} failed for another reason: {result:?}");
    result.is_err().then_some(vault)
}

pub(super) fn assert_whole(vault: &Vault, recovered: Option<Recovered>, had_journal: bool, context: &str) {
    let visible = vault.visible();
    if let Some(recovered) = recovered {
        assert_eq!(recovered.purpose, Purpose::Transaction("t".into()));
        assert_eq!(recovered.applied.retry, [], "{context}");
        assert_eq!(visible, vault.all_new(), "{context}");
    } else if had_journal {
        assert_eq!(visible, vault.all_new(), "{context}: the journal was dropped too early");
    } else {
        assert!(visible == vault.all_old() || visible == vault.all_new(), "{context}: {visible:?}");
    }
    vault.assert_nothing_lost(context);
    conclude(&Disk::sound(LINUX, vault.root()), &vault.layout()).unwrap();
    assert!(!vault.layout().applying().exists());
    vault.assert_nothing_lost(context);
    let left: Vec<_> = std_fs::read_dir(vault.layout().staging()).into_iter().flatten().collect();
    assert!(left.is_empty(), "{context}: {left:?} is left in the stage");
    let mut once: Vec<&str> = vault.moves().filter_map(|each| each.1).collect();
    once.sort_unstable();
    assert!(
        vault.visible() == vault.all_old() || vault.displaced() == once,
        "{context}: {:?}",
        vault.displaced()
    );
}

/// Every visible file is wholly old or wholly new at any moment.
pub(super) fn assert_no_mixture_in_files(kind: Kind, vault: &Vault, context: &str) {
    let visible = vault.visible();
    for (name, ..) in vault.moves().filter(|each| each.1.is_some() && each.2.is_some()) {
        // Without exchange and links there is no other way.
        assert!(kind == STICK || visible.contains_key(name), "{context}: {name} is away");
    }
    for (name, text) in visible {
        let mut known =
            vault.moves().filter(|each| each.0.eq_ignore_ascii_case(&name)).flat_map(|each| [each.1, each.2]);
        assert!(known.any(|known| known == Some(&text)), "{context}: {name} holds {text:?}");
    }
    vault.assert_nothing_lost(context);
}

fn recovers_from_every_crash(kind: Kind, cases: &'static [Case]) {
    for at in 0.. {
        let Some(vault) = crashed(kind, cases, at) else { return };
        let context = format!("{kind:?}, crash at {at}");
        assert_no_mixture_in_files(kind, &vault, &context);
        let had_journal = vault.layout().applying().exists();
        let recovered = recover(&Disk::sound(kind, vault.root()), &vault.layout(), None).unwrap();
        assert_eq!(recovered.is_some(), had_journal);
        assert_whole(&vault, recovered, had_journal, &context);
    }
}

fn a_crash_anywhere_rolls_forward(kind: Kind) {
    recovers_from_every_crash(kind, MIXED);
    recovers_from_every_crash(kind, SWAPS);
    recovers_from_every_crash(kind, RESPELLED);
}

on_each_disk!(a_crash_anywhere_rolls_forward);

#[test]
fn a_crash_anywhere_rolls_forward_where_letter_case_does_not_count() {
    recovers_from_every_crash(MAC, MIXED);
}

/// A disk may remember that a name came and forget that another one went that differs in letter
/// case alone.
#[test]
fn a_delete_that_a_power_cut_undid_is_done_again() {
    const RECASE: &[Case] = &[
        Case { lost: false, moves: &[("x/Name", Some("by case"), None)] },
        Case { lost: false, moves: &[("x/name", None, Some("by case"))] },
    ];
    let begun = |at| crashed(LINUX, RECASE, at).filter(|vault| vault.layout().applying().exists());
    let vault = (0..100).find_map(begun).unwrap();
    std_fs::rename(vault.layout().staging_of(&Vault::id()).join("1"), vault.root().join("x/name")).unwrap();
    recover(&Disk::sound(LINUX, vault.root()), &vault.layout(), None).unwrap();
    assert_eq!((vault.visible(), vault.displaced()), (vault.all_new(), vec!["by case".into()]));
}

/// A group that is deleted between a crash and the recovery never comes back by half.
#[test]
fn what_is_deleted_after_a_crash_stays_deleted() {
    const PAIR: &[Case] = &[Case {
        lost: false,
        moves: &[
            ("corpus/nodes.json", Some("old nodes"), Some("new nodes")),
            ("vectors/nodes.npy", Some("old rows!"), Some("new rows!")),
        ],
    }];
    // Without exchange and links a file is away for a moment, and cannot be deleted then.
    for kind in [LINUX, NETWORK, MAC] {
        for at in 0.. {
            let Some(vault) = crashed(kind, PAIR, at) else { break };
            vault.moves().for_each(|each| std_fs::remove_file(vault.root().join(each.0)).unwrap());
            let disk = Disk::sound(kind, vault.root());
            recover(&disk, &vault.layout(), None).unwrap();
            conclude(&disk, &vault.layout()).unwrap();
            let visible = vault.visible();
            let whole = visible.is_empty() || visible == vault.all_new();
            assert!(whole, "{kind:?}, deleted after a crash at {at}: {visible:?}");
        }
    }
}

/// The caller may have recorded the new base by then: whatever changes now is an edit of it.
#[test]
fn what_came_to_rest_is_never_judged_by_the_disk_again() {
    for kind in [LINUX, NETWORK, STICK, MAC] {
        for cases in [MIXED, SWAPS] {
            let names: Vec<&str> =
                Vault::new(cases).moves().filter_map(|each| each.2.map(|_| each.0)).collect();
            for name in names {
                let vault = Vault::new(cases);
                let disk = Disk::sound(kind, vault.root());
                let applied = run(&disk, &vault).unwrap();
                std_fs::remove_file(vault.root().join(name)).unwrap();
                let mut expected = vault.visible();
                let recovered = recover(&disk, &vault.layout(), None).unwrap().unwrap();
                assert_eq!(
                    (recovered.applied, vault.visible()),
                    (applied, expected.clone()),
                    "{kind:?} {name}"
                );
                vault.put(name, "an edit");
                expected.insert(name.to_owned(), "an edit".to_owned());
                recover(&disk, &vault.layout(), None).unwrap();
                conclude(&disk, &vault.layout()).unwrap();
                assert_eq!(vault.visible(), expected, "{kind:?} {name}");
            }
        }
    }
    let vault = Vault::new(MIXED);
    let plan = vault.plan();
    vault.put("corpus/nodes.json", "an edit!!");
    let applied = apply(&RealFs, &vault.layout(), plan, None, &mut |_| {}).unwrap();
    std_fs::remove_file(vault.root().join("traces/a.json")).unwrap();
    let recovered = recover(&RealFs, &vault.layout(), None).unwrap().unwrap();
    assert_eq!((recovered.applied.retry.len(), recovered.applied), (1, applied));
}

/// An error that goes away: nothing is half done, and nothing is lost.
#[test]
fn a_stage_that_was_removed_leaves_everything_old() {
    let vault = Vault::new(MIXED);
    std_fs::remove_file(vault.layout().staging_of(&Vault::id()).join("3")).unwrap();
    let applied = run(&RealFs, &vault).unwrap();
    assert_eq!(applied.done, [item(&SINGLE)]);
    let mut visible = vault.visible();
    visible.insert("traces/a.json".into(), "old trace".into());
    assert_eq!(visible, vault.all_old());
    vault.assert_nothing_lost("a slot was missing");
}
