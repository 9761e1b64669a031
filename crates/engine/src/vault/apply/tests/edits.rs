//! An edit by another program before every single effect, and before and after a crash.

use std::sync::Mutex;

use super::crash::crashed;
use super::disk::{Disk, Kind, LINUX, NETWORK, STICK};
use super::vault::{CONFLICT, Vault, path};
use super::*;

const EDITED: &[&str] = &["corpus/nodes.json", "vectors/nodes.npy", "indexes/flat", "indexes/deep/er/faiss"];
const EDIT: &str = "an edit!!";

/// Ways in which programs edit.
#[derive(Debug, Clone, Copy)]
enum How {
    InPlace,
    ByARename,
}

/// Asserts that the edit is in the vault, and that files which belong together are of one side.
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

fn edit(vault: &Vault, name: &str, how: How) {
    let path = vault.root().join(name);
    match how {
        How::InPlace => std_fs::write(path, EDIT).unwrap(),
        How::ByARename => {
            let fresh = vault.root().join("fresh");
            std_fs::write(&fresh, EDIT).unwrap();
            std_fs::rename(fresh, path).unwrap();
        }
    }
}

fn has_folder(vault: &Vault, name: &str) -> bool {
    vault.root().join(name).parent().unwrap().exists()
}

fn an_edit_after_a_crash_is_not_destroyed(kind: Kind) {
    for (number, name) in EDITED.iter().enumerate() {
        for (shift, how) in [How::InPlace, How::ByARename].into_iter().enumerate() {
            for at in moments(2 * number + shift) {
                let Some(vault) = crashed(kind, MIXED, at) else { break };
                if !has_folder(&vault, name) {
                    continue;
                }
                edit(&vault, name, how);
                let context = format!("{kind:?}, crash at {at}, then edit of {name}, {how:?}");
                let disk = Disk::sound(kind, vault.root());
                recover(&disk, &vault.layout(), None).unwrap();
                conclude(&disk, &vault.layout()).unwrap();
                assert_eq!(vault.visible()[*name], EDIT, "{context}");
                assert_edit_survives(&vault, name, EDIT, &context);
            }
        }
    }
}

on_each_disk!(an_edit_after_a_crash_is_not_destroyed);

/// One file is edited before it is replaced, another one after: nothing is moved any more, and what
/// was displaced is kept.
#[test]
fn edits_on_both_sides_of_a_crash_stay_both() {
    let mut left = 0;
    for at in 0.. {
        let Some(vault) = crashed(LINUX, MIXED, at) else { break };
        let edited = [EDITED[0], EDITED[1]];
        edited.iter().for_each(|name| edit(&vault, name, How::ByARename));
        let disk = Disk::sound(LINUX, vault.root());
        let recovered = recover(&disk, &vault.layout(), None).unwrap();
        let retry = recovered.map(|recovered| recovered.applied.retry).unwrap_or_default();
        edited.iter().for_each(|name| assert_eq!(vault.visible()[*name], EDIT, "crash at {at}"));
        if retry.iter().any(|(_, why)| why.contains("changed during a crash")) {
            left += 1;
            let kept = vault.layout().conflict_file(CONFLICT, &path(EDITED[0]));
            assert_eq!(std_fs::read_to_string(kept).unwrap(), "old nodes", "crash at {at}");
        }
    }
    assert!(left > 0);
}

/// Edits `name` where its folder exists, else another file, and tells which.
fn edit_somewhere(vault: &Vault, name: &'static str, how: How) -> &'static str {
    let name = if has_folder(vault, name) { name } else { "traces/b" };
    edit(vault, name, how);
    name
}

/// An edit before the effects of an apply stays where it was made, whether or not a crash follows
/// so many effects later.
fn edits_stay(kind: Kind, name: &'static str, how: How, crash: Option<usize>, from: usize) {
    for at in moments(from) {
        let vault = Vault::new(MIXED);
        let edited = Mutex::new("");
        let event = |after| {
            if after == 0 {
                *edited.lock().unwrap() = edit_somewhere(&vault, name, how);
            }
        };
        let mut disk = Disk::disturbed(kind, vault.root(), at, &event);
        if let Some(later) = crash {
            disk = disk.dying(later);
        }
        let ended = run(&disk, &vault);
        if !disk.reached() {
            break;
        }
        let context = format!("{kind:?}, edit of {name} at {at}, {how:?}, crash {crash:?} later: {ended:?}");
        let sound = Disk::sound(kind, vault.root());
        if crash.is_some() {
            recover(&sound, &vault.layout(), None).unwrap();
        } else {
            ended.unwrap();
        }
        conclude(&sound, &vault.layout()).unwrap();
        assert_edit_survives(&vault, name, EDIT, &context);
        assert_eq!(vault.visible()[*edited.lock().unwrap()], EDIT, "{context}");
    }
}

fn an_edit_between_any_two_effects_stays_where_it_was_made(kind: Kind) {
    for (number, name) in EDITED.iter().enumerate() {
        edits_stay(kind, name, How::InPlace, None, 2 * number);
        edits_stay(kind, name, How::ByARename, None, 2 * number + 1);
    }
}

on_each_disk!(an_edit_between_any_two_effects_stays_where_it_was_made);

fn an_edit_stays_where_it_was_made_if_a_crash_follows(kind: Kind) {
    const CRASHES: [(How, usize); 5] =
        [(How::InPlace, 1), (How::InPlace, 2), (How::ByARename, 1), (How::ByARename, 2), (How::ByARename, 4)];
    for (number, name) in EDITED.iter().enumerate() {
        for (shift, (how, later)) in CRASHES.into_iter().enumerate() {
            edits_stay(kind, name, how, Some(later), number + shift);
        }
    }
}

on_each_disk!(an_edit_stays_where_it_was_made_if_a_crash_follows);

/// One edit that makes the unit go back, and another one while it does.
#[test]
fn of_two_edits_none_is_destroyed() {
    for kind in [LINUX, STICK] {
        for (first, second) in [(EDITED[0], EDITED[0]), (EDITED[1], EDITED[2]), (EDITED[1], EDITED[0])] {
            for (gap, at) in (1..4).flat_map(|gap| (0..40).map(move |at| (gap, at))) {
                let vault = Vault::new(MIXED);
                let (first_path, second_path) = (vault.root().join(first), vault.root().join(second));
                let wrote = Mutex::new((false, false));
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
