//! A crash, or somebody else's edit, before every single effect.

use std::fs as std_fs;

use super::disk::{Disk, Kind, LINUX, MAC, NETWORK, STICK};
use super::vault::{Case, Vault};
use super::*;

/// The apply cut short before effect `at`; none where it does not come so far.
fn crashed(kind: Kind, cases: &'static [Case], at: usize) -> Option<Vault> {
    crash(Vault::new(cases), kind, at)
}

fn crash(vault: Vault, kind: Kind, at: usize) -> Option<Vault> {
    let disk = Disk::crashing(kind, vault.root(), at);
    let result = run(&disk, &vault).and_then(|_| conclude(&disk, &vault.layout()));
    assert_eq!(result.is_err(), disk.reached(), "effect {at} failed for another reason: {result:?}");
    result.is_err().then_some(vault)
}

fn assert_whole(vault: &Vault, recovered: Option<Recovered>, had_journal: bool, context: &str) {
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
fn assert_no_mixture_in_files(kind: Kind, vault: &Vault, context: &str) {
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

/// The same with a second crash before every effect of the recovery.
fn recovers_from_every_second_crash(kind: Kind, cases: &'static [Case]) {
    for at in 0.. {
        for again in 0.. {
            let Some(vault) = crashed(kind, cases, at) else { return };
            let context = format!("{kind:?}, crash at {at}, then at {again}");
            let had_journal = vault.layout().applying().exists();
            let disk = Disk::crashing(kind, vault.root(), again);
            let first = recover(&disk, &vault.layout(), None);
            if !disk.reached() {
                first.unwrap();
                break;
            }
            assert_no_mixture_in_files(kind, &vault, &context);
            let second = recover(&Disk::sound(kind, vault.root()), &vault.layout(), None).unwrap();
            assert_whole(&vault, second, had_journal, &context);
        }
    }
}

#[test]
fn a_crash_anywhere_rolls_forward() {
    for kind in [LINUX, NETWORK, STICK, MAC] {
        recovers_from_every_crash(kind, MIXED);
    }
}

#[test]
fn a_crash_among_swaps_rolls_forward() {
    for kind in [LINUX, NETWORK, STICK] {
        recovers_from_every_crash(kind, SWAPS);
    }
}

#[test]
fn so_does_a_second_crash_during_the_recovery() {
    for kind in [LINUX, NETWORK, STICK] {
        recovers_from_every_second_crash(kind, &[GROUP]);
        recovers_from_every_second_crash(kind, SWAPS);
    }
}

/// What a recovery makes of items that need not be finished: those of which nothing had moved are as they were, and planned
/// again; all others are in place.
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

/// The recovery is cut short before every effect as well.
#[test]
fn what_had_not_begun_when_a_crash_came_is_planned_again() {
    'cases: for (kind, cases) in [(STICK, MIXED), (LINUX, SWAPS)] {
        let (mut done, mut again) = (0, 0);
        for at in 0.. {
            for second in 0.. {
                let mut vault = Vault::new(cases);
                vault.finish = false;
                let Some(vault) = crash(vault, kind, at) else {
                    assert!(done > 0 && again > 0, "{kind:?}: {done} done, {again} planned again");
                    continue 'cases;
                };
                let disk = Disk::crashing(kind, vault.root(), second);
                let mut recovered = recover(&disk, &vault.layout(), None);
                if disk.reached() {
                    recovered = recover(&Disk::sound(kind, vault.root()), &vault.layout(), None);
                }
                if let Some(recovered) = recovered.unwrap() {
                    assert_begun_or_again(
                        &vault,
                        &recovered,
                        &format!("{kind:?}, crash at {at}, then at {second}"),
                    );
                    done += recovered.applied.done.len();
                    again += recovered.applied.retry.len();
                }
                conclude(&RealFs, &vault.layout()).unwrap();
                if !disk.reached() {
                    break;
                }
            }
        }
    }
}

/// Whoever reads the vault after an edit: the edit is there, and what belongs together is of one side.
fn assert_edit_survives(vault: &Vault, name: &str, edit: &str, context: &str) {
    let texts = vault.all_texts();
    assert!(texts.contains(edit), "{context}: the edit is lost; there are {texts:?}");
    vault.assert_nothing_lost_but(name, context);
    assert!(!vault.shares_files(), "{context}: a visible file is also in the trash");
    let visible = vault.visible();
    for case in vault.cases {
        let others = || case.moves.iter().filter(|each| each.0 != name);
        let is = |name: &str, text: Option<&str>| visible.get(name).map(String::as_str) == text;
        let old = others().all(|each| is(each.0, each.1));
        let new = others().all(|each| is(each.0, each.2));
        assert!(old || new, "{context}: half of one side and half of the other: {visible:?}");
    }
}

/// Edits as programs make them: in place, or by a rename over it.
fn edit(vault: &Vault, name: &str, how: usize) {
    let path = vault.root().join(name);
    match how {
        0 => std_fs::write(path, "an edit!!").unwrap(),
        _ => {
            let fresh = vault.root().join("fresh");
            std_fs::write(&fresh, "an edit!!").unwrap();
            std_fs::rename(fresh, path).unwrap();
        }
    }
}

const EDITED: &[&str] = &["corpus/nodes.json", "vectors/nodes.npy", "indexes/flat", "indexes/deep/er/faiss"];

#[test]
fn an_edit_after_a_crash_is_not_destroyed() {
    for kind in [LINUX, NETWORK, STICK] {
        for name in EDITED {
            for how in 0..2 {
                for at in 0.. {
                    let Some(vault) = crashed(kind, MIXED, at) else { break };
                    if !vault.root().join(name).parent().unwrap().exists() {
                        continue;
                    }
                    edit(&vault, name, how);
                    let context = format!("{kind:?}, crash at {at}, then edit {how} of {name}");
                    let disk = Disk::sound(kind, vault.root());
                    recover(&disk, &vault.layout(), None).unwrap();
                    conclude(&disk, &vault.layout()).unwrap();
                    assert_eq!(vault.visible()[*name], "an edit!!", "{context}");
                    assert_edit_survives(&vault, name, "an edit!!", &context);
                }
            }
        }
    }
}

/// One file was edited before it was replaced, another one after: nothing is moved any more, and what was displaced is kept.
#[test]
fn edits_on_both_sides_of_a_crash_stay_both() {
    let mut left = 0;
    for at in 0.. {
        let Some(vault) = crashed(LINUX, MIXED, at) else { break };
        let edited = [EDITED[0], EDITED[1]];
        edited.iter().for_each(|name| edit(&vault, name, 1));
        let disk = Disk::sound(LINUX, vault.root());
        let recovered = recover(&disk, &vault.layout(), None).unwrap();
        let retry = recovered.map(|recovered| recovered.applied.retry).unwrap_or_default();
        edited.iter().for_each(|name| assert_eq!(vault.visible()[*name], "an edit!!", "crash at {at}"));
        if retry.iter().any(|(_, why)| why.contains("changed during a crash")) {
            left += 1;
            let kept = vault.layout().conflict_file(CONFLICT, &path(EDITED[0]));
            assert_eq!(std_fs::read_to_string(kept).unwrap(), "old nodes", "crash at {at}");
        }
    }
    assert!(left > 0);
}

/// Edits `name` where its folder exists; tells which file it wrote.
fn edit_somewhere(vault: &Vault, name: &'static str, how: usize) -> &'static str {
    let name = if vault.root().join(name).parent().unwrap().exists() { name } else { "traces/b" };
    edit(vault, name, how);
    name
}

#[test]
fn an_edit_between_any_two_effects_stays_where_it_was_made() {
    for kind in [LINUX, NETWORK, STICK] {
        for name in EDITED {
            for how in 0..2 {
                for at in 0.. {
                    let vault = Vault::new(MIXED);
                    let edited = std::sync::Mutex::new("");
                    let event = |after| {
                        if after == 0 {
                            *edited.lock().unwrap() = edit_somewhere(&vault, name, how);
                        }
                    };
                    let disk = Disk::disturbed(kind, vault.root(), at, &event);
                    run(&disk, &vault).unwrap();
                    if !disk.reached() {
                        break;
                    }
                    conclude(&disk, &vault.layout()).unwrap();
                    let context = format!("{kind:?}, edit {how} of {name} at {at}");
                    assert_edit_survives(&vault, name, "an edit!!", &context);
                    assert_eq!(vault.visible()[*edited.lock().unwrap()], "an edit!!", "{context}");
                }
            }
        }
    }
}

#[test]
fn an_edit_between_any_two_effects_stays_where_it_was_made_if_a_crash_follows() {
    for kind in [LINUX, NETWORK, STICK] {
        for name in EDITED {
            for (how, gap) in [(0, 1), (0, 2), (1, 1), (1, 2), (1, 4)] {
                for at in 0.. {
                    let vault = Vault::new(MIXED);
                    let edited = std::sync::Mutex::new("");
                    let event = |after| {
                        if after == 0 {
                            *edited.lock().unwrap() = edit_somewhere(&vault, name, how);
                        }
                    };
                    let disk = Disk::disturbed(kind, vault.root(), at, &event).dying(gap);
                    let ended = run(&disk, &vault);
                    if !disk.reached() {
                        break;
                    }
                    let context =
                        format!("{kind:?}, edit {how} of {name} at {at}, crash {gap} later: {ended:?}");
                    let disk = Disk::sound(kind, vault.root());
                    recover(&disk, &vault.layout(), None).unwrap();
                    conclude(&disk, &vault.layout()).unwrap();
                    assert_edit_survives(&vault, name, "an edit!!", &context);
                    assert_eq!(vault.visible()[*edited.lock().unwrap()], "an edit!!", "{context}");
                }
            }
        }
    }
}

/// One edit that makes the unit go back, and another one while it does.
#[test]
fn of_two_edits_none_is_destroyed() {
    for kind in [LINUX, STICK] {
        for (first, second) in [(EDITED[0], EDITED[0]), (EDITED[1], EDITED[2]), (EDITED[1], EDITED[0])] {
            for (gap, at) in (1..4).flat_map(|gap| (0..40).map(move |at| (gap, at))) {
                let vault = Vault::new(MIXED);
                let (first_path, second_path) = (vault.root().join(first), vault.root().join(second));
                let wrote = std::sync::Mutex::new((false, false));
                let event = |after| {
                    let mut wrote = wrote.lock().unwrap();
                    if after == 0 {
                        std_fs::write(&first_path, "edit one!").unwrap();
                        wrote.0 = true;
                    } else if after == gap {
                        let overwrites =
                            std_fs::read_to_string(&second_path).is_ok_and(|text| text == "edit one!");
                        std_fs::write(&second_path, "edit two!").unwrap();
                        *wrote = (!overwrites, true);
                    }
                };
                run(&Disk::disturbed(kind, vault.root(), at, &event), &vault).unwrap();
                conclude(&Disk::sound(kind, vault.root()), &vault.layout()).unwrap();
                let (texts, wrote) = (vault.all_texts(), wrote.into_inner().unwrap());
                let context =
                    format!("{kind:?}, edits of {first} at {at}, of {second} {gap} later: {texts:?}");
                assert!(!wrote.0 || texts.contains("edit one!"), "{context}");
                assert!(!wrote.1 || texts.contains("edit two!"), "{context}");
                let stays = wrote.1 && second == "indexes/flat";
                assert!(!stays || vault.visible()[second] == "edit two!", "{context}");
            }
        }
    }
}

/// A disk may remember that a name came and forget that another one went, of which it differs in letter case only.
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

/// Whoever deletes a group between a crash and the recovery never finds half of it again.
#[test]
fn what_is_deleted_after_a_crash_stays_deleted() {
    const PAIR: &[Case] = &[Case {
        lost: false,
        moves: &[
            ("corpus/nodes.json", Some("old nodes"), Some("new nodes")),
            ("vectors/nodes.npy", Some("old rows!"), Some("new rows!")),
        ],
    }];
    // Without exchange and links a file is away for a moment, and nobody can delete it.
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
