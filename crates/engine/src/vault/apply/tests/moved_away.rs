//! A folder of the vault that its user moves away before any effect, with a link in its place.

use std::sync::Mutex;

use super::crash::crashed;
use super::disk::{Disk, Kind, LINUX, NETWORK, STICK};
use super::vault::{Vault, path};
use super::*;

const FOLDERS: [&str; 3] = ["corpus", "indexes", "vectors"];
const EDIT: &str = "an edit!!";

/// Something else that happens: nothing; so many effects later the process ends; or a file of the
/// group is edited, so many effects later or before, and all of it must go back.
#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    Crash(usize),
    Edit(&'static str, usize),
    EditFirst(&'static str, usize),
}

const THENS: [Then; 13] = [
    Then::Nothing,
    Then::Crash(0),
    Then::Crash(1),
    Then::Crash(3),
    Then::Edit("corpus/nodes.json", 1),
    Then::Edit("corpus/nodes.json", 3),
    Then::Edit("vectors/nodes.npy", 1),
    Then::Edit("vectors/nodes.npy", 4),
    Then::EditFirst("corpus/nodes.json", 1),
    Then::EditFirst("vectors/nodes.npy", 1),
    Then::EditFirst("vectors/nodes.npy", 3),
    Then::EditFirst("vectors/nodes.npy", 6),
    Then::EditFirst("indexes/flat", 1),
];

fn move_away(vault: &Vault, folder: &str) {
    std_fs::rename(vault.root().join(folder), vault.root().join("aside")).unwrap();
    std::os::unix::fs::symlink("/nowhere", vault.root().join(folder)).unwrap();
}

fn put_back(vault: &Vault, folder: &str) {
    std_fs::remove_file(vault.root().join(folder)).unwrap();
    std_fs::rename(vault.root().join("aside"), vault.root().join(folder)).unwrap();
}

/// Edits a file of the group where it is, or does nothing if it is not there. Tells its name.
fn edit(vault: &Vault, name: &'static str) -> Option<&'static str> {
    let path = vault.root().join(name);
    path.is_file().then(|| {
        std_fs::write(path, EDIT).unwrap();
        name
    })
}

/// Asserts that the group is of one side, but for the file that was edited. A folder that was moved
/// away still has its files.
fn assert_one_side(vault: &Vault, away: &str, edited: Option<&str>, context: &str) {
    let visible: std::collections::BTreeMap<String, String> = vault
        .visible()
        .into_iter()
        .map(|(name, text)| (name.replace("aside/", &format!("{away}/")), text))
        .collect();
    let is = |name: &str, text: Option<&str>| visible.get(name).map(String::as_str) == text;
    let others = || GROUP.moves.iter().filter(|each| Some(each.0) != edited);
    let (old, new) = (others().all(|each| is(each.0, each.1)), others().all(|each| is(each.0, each.2)));
    assert!(old || new, "{context}: half of one side and half of the other: {visible:?}");
    vault.assert_nothing_lost_but(edited.unwrap_or_default(), context);
    assert!(edited.is_none() || vault.all_texts().contains(EDIT), "{context}: the edit is lost");
}

/// Moves `folder` away before each effect, and gives the number of times that the apply waited for
/// it.
fn moved_away(kind: Kind, folder: &'static str, then: Then, from: usize) -> usize {
    let mut waited = 0;
    for at in moments(from) {
        let vault = Vault::new(&[GROUP]);
        let mut plan = vault.plan();
        if at % 2 == 1 {
            // As a transaction has it.
            plan.items[0].item = Item::File(path("corpus/nodes.json"));
        }
        let edited = Mutex::new(None);
        let event = |after| {
            let (moves, edits) = match then {
                Then::Edit(name, gap) => (0, Some((name, gap))),
                Then::EditFirst(name, gap) => (gap, Some((name, 0))),
                Then::Nothing | Then::Crash(_) => (0, None),
            };
            if let Some((name, _)) = edits.filter(|edits| edits.1 == after) {
                *edited.lock().unwrap() = edit(&vault, name);
            }
            if after == moves && vault.root().join(folder).is_dir() {
                move_away(&vault, folder);
            }
        };
        let mut disk = Disk::disturbed(kind, vault.root(), at, &event);
        if let Then::Crash(later) = then {
            disk = disk.dying(later);
        }
        let ended = apply(&disk, &vault.layout(), plan, None, &mut |_| {}).map(drop);
        if !disk.reached() {
            break;
        }
        let context = format!("{kind:?}, {folder} moved away at {at}, {then:?}: {ended:?}");
        let edited = *edited.lock().unwrap();
        let sound = Disk::sound(kind, vault.root());
        let again = || recover(&sound, &vault.layout(), None).map(drop);
        let mut rests = if matches!(then, Then::Crash(_)) { again() } else { ended };
        if vault.root().join("aside").exists() {
            // As long as it waits, it waits for the folder, and changes no more.
            for _ in 0..2 {
                if let Err(ApplyError::FolderAway(place)) = &rests {
                    assert_eq!(*place, vault.root().join(folder), "{context}");
                    vault.assert_nothing_lost_but(edited.unwrap_or_default(), &context);
                    rests = again();
                }
            }
            if rests.is_ok() {
                assert_one_side(&vault, folder, edited, &context);
            } else {
                waited += 1;
            }
            put_back(&vault, folder);
        }
        if rests.is_err() {
            again().unwrap_or_else(|error| panic!("{context}: {error}"));
        }
        conclude(&sound, &vault.layout()).unwrap();
        assert_one_side(&vault, folder, edited, &context);
    }
    waited
}

fn a_group_is_never_torn_by_a_folder_that_is_moved_away(kind: Kind) {
    let mut waited = 0;
    for (number, folder) in FOLDERS.into_iter().enumerate() {
        for (shift, then) in THENS.into_iter().enumerate() {
            waited += moved_away(kind, folder, then, number + shift);
        }
    }
    assert!(waited > 0, "{kind:?}: it never waited for a folder");
}

/// An apply is cut short; then its user edits a file of the group and moves the folder of another
/// away. The one edit keeps the group from going back, and the folder from going forward.
fn an_edit_and_a_folder_that_is_moved_away_after_a_crash_tear_nothing(kind: Kind) {
    let mut waited = 0;
    let pairs = FOLDERS.iter().flat_map(|folder| GROUP.moves.iter().map(move |each| (*folder, each.0)));
    let pairs = pairs.filter(|(folder, name)| !name.starts_with(folder));
    for (number, (folder, name)) in pairs.enumerate() {
        for at in moments(number) {
            let Some(vault) = crashed(kind, &[GROUP], at) else { break };
            let edited = edit(&vault, name);
            if !vault.root().join(folder).is_dir() {
                continue;
            }
            move_away(&vault, folder);
            let context = format!("{kind:?}, crash at {at}, then {name} edited and {folder} moved away");
            let sound = Disk::sound(kind, vault.root());
            let again = || recover(&sound, &vault.layout(), None).map(drop);
            match again() {
                Ok(()) => assert_one_side(&vault, folder, edited, &context),
                Err(ApplyError::FolderAway(place)) => {
                    assert_eq!(place, vault.root().join(folder), "{context}");
                    waited += 1;
                }
                Err(error) => panic!("{context}: {error}"),
            }
            put_back(&vault, folder);
            again().unwrap_or_else(|error| panic!("{context}: {error}"));
            conclude(&sound, &vault.layout()).unwrap();
            assert_one_side(&vault, folder, edited, &context);
        }
    }
    assert!(waited > 0, "{kind:?}: it never waited for a folder");
}

/// A file that belongs to no others tears nothing: nobody waits for its folder, and what cannot be
/// put back is kept, and told: its user has not deleted it.
#[test]
fn a_single_file_waits_for_no_folder() {
    let mut stranded = 0;
    for (kind, later) in [LINUX, NETWORK, STICK]
        .into_iter()
        .flat_map(|kind| [None, Some(0), Some(1), Some(2)].map(|later| (kind, later)))
    {
        for at in 0.. {
            let vault = Vault::new(&[SINGLE]);
            let event = |after| {
                if after == 0 && vault.root().join("traces").is_dir() {
                    move_away(&vault, "traces");
                }
            };
            let mut disk = Disk::disturbed(kind, vault.root(), at, &event);
            if let Some(later) = later {
                disk = disk.dying(later);
            }
            let context = format!("{kind:?}, moved away at {at}, dying after {later:?}");
            let ended = run(&disk, &vault);
            if !disk.reached() {
                break;
            }
            let sound = Disk::sound(kind, vault.root());
            let again =
                || Ok(recover(&sound, &vault.layout(), None).unwrap().map(|recovered| recovered.applied));
            let applied = match ended {
                Err(ApplyError::Stranded(_)) => again(),
                Err(_) if later.is_some() => again(),
                ended => ended.map(Some),
            };
            let applied = applied.unwrap_or_else(|error: ApplyError| panic!("{context}: {error}"));
            vault.assert_nothing_lost(&context);
            let gone = !vault.visible().keys().any(|name| name.starts_with("aside/"));
            if vault.root().join("aside").exists() && gone {
                stranded += 1;
                let told = applied.unwrap().stranded;
                assert_eq!(told, BTreeSet::from([item(&SINGLE)]), "{context}");
                assert_eq!(again().unwrap().unwrap().stranded, told, "{context}");
            }
            conclude(&sound, &vault.layout()).unwrap();
        }
    }
    assert!(stranded > 0);
}

on_each_disk!(a_group_is_never_torn_by_a_folder_that_is_moved_away);
on_each_disk!(an_edit_and_a_folder_that_is_moved_away_after_a_crash_tear_nothing);
