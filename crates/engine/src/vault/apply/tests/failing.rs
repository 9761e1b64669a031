//! Durable names at each failure; no error passes for another one.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use super::disk::Kind;
use super::watched::{Fault, Watched};
use super::*;
use crate::vault::apply::hand::Halt;
use crate::vault::apply::look::What;

/// A plan of creates alone: nothing is displaced.
const FRESH: &[Case] = &[Case { lost: false, moves: &[("new/deep/er", None, Some("new"))] }];

fn watched(kind: Kind, vault: &Vault, faults: Vec<Fault>) -> Watched<'static> {
    Watched::new(Disk::sound(kind, vault.root()), faults)
}

#[test]
fn all_names_are_durable_when_an_apply_returns_and_a_folder_goes_only_after_what_left_it() {
    for kind in [LINUX, NETWORK, STICK, MAC] {
        for cases in [MIXED, SWAPS, FRESH] {
            let vault = Vault::new(cases);
            let fs = watched(kind, &vault, vec![]);
            assert_eq!(run(&fs, &vault).unwrap().retry, []);
            assert_eq!(fs.volatile(), Vec::<PathBuf>::new(), "{kind:?}");
            assert_eq!(fs.torn(), Vec::<PathBuf>::new(), "{kind:?}");
        }
    }
}

#[test]
fn a_recovery_makes_durable_what_the_process_before_it_moved() {
    let vault = Vault::new(MIXED);
    run(&Disk::sound(LINUX, vault.root()), &vault).unwrap();
    // It ended before it noted that all had come to rest.
    std_fs::remove_file(vault.layout().staging_of(&Vault::id()).join("done")).unwrap();
    let fs = watched(LINUX, &vault, vec![]);
    assert_eq!(recover(&fs, &vault.layout(), None).unwrap().unwrap().applied.retry, []);
    let layout = vault.layout();
    let aside = layout.trash_files(&Vault::id());
    let kept = layout.conflict_file(CONFLICT, &path("corpus/nodes.json"));
    let ours = [aside.join("traces"), aside.clone(), layout.trash(), kept.parent().unwrap().to_owned()];
    let visible = ["corpus", "vectors", "traces", "indexes", ""].map(|folder| vault.root().join(folder));
    for folder in ours.iter().chain(&visible) {
        assert!(fs.has_synced(folder), "{} was not synced", folder.display());
    }
}

/// An apply that meets one failure: the reasons it gives for items that it left, or the error with
/// which it stopped.
fn meet(kind: Kind, fault: Fault) -> (Vault, Result<Vec<String>, String>) {
    let vault = Vault::new(MIXED);
    let ended = run(&watched(kind, &vault, vec![fault]), &vault);
    let ended = ended.map(|applied| applied.retry.into_iter().map(|(_, why)| why).collect());
    (vault, ended.map_err(|error| error.to_string()))
}

#[test]
fn a_disk_that_fails_is_not_taken_for_one_that_lacks_a_call_or_for_a_name_that_is_taken() {
    let failures = [
        (LINUX, "exchange", "corpus/nodes.json", "put in place"),
        (NETWORK, "hard_link", "corpus/nodes.json", "link to the trash"),
        (LINUX, "rename_new", "indexes/flat", "put in place"),
        (LINUX, "rename_new", "indexes/deep/er/faiss", "move to the trash"),
    ];
    for (kind, call, name, why) in failures {
        let (vault, ended) = meet(kind, Fault(call, name, 0, ErrorKind::StorageFull));
        let reasons = ended.unwrap();
        assert!(reasons.len() == 1 && reasons[0].contains(why), "{call} of {name}: {reasons:?}");
        let mut visible = vault.visible();
        visible.insert("traces/a.json".into(), "old trace".into());
        assert_eq!(visible, vault.all_old(), "{call} of {name}: the group is as it was");
    }
    let (_, taken) = meet(LINUX, Fault("rename_new", "indexes/flat", 0, ErrorKind::AlreadyExists));
    assert_eq!(taken.unwrap(), ["indexes/flat appeared after the scan"]);
}

#[test]
fn a_failure_on_the_way_back_or_after_the_moves_stops_the_apply_and_the_recovery_ends_it() {
    let taken = || Fault("rename_new", "indexes/flat", 0, ErrorKind::AlreadyExists);
    let failures = [
        // On the way back: the second exchange, and the second name that the deleted file gets.
        (vec![taken(), Fault("exchange", "corpus/nodes.json", 1, ErrorKind::StorageFull)], "take back"),
        (vec![taken(), Fault("rename_new", "deep/er/faiss", 1, ErrorKind::StorageFull)], "put back"),
        (vec![Fault("rename_new", "corpus/nodes.json", 1, ErrorKind::StorageFull)], "keep for the conflict"),
        (vec![Fault("sync_dir", "traces", 0, ErrorKind::StorageFull)], "sync"),
        (vec![Fault("remove_dir", "deep/er", 0, ErrorKind::StorageFull)], "remove"),
    ];
    for (faults, why) in failures {
        let vault = Vault::new(MIXED);
        let error = run(&watched(LINUX, &vault, faults), &vault).expect_err(why);
        assert!(error.to_string().contains(why), "{error}, expected: {why}");
        vault.assert_nothing_lost(why);
        recover(&RealFs, &vault.layout(), None).unwrap();
        conclude(&RealFs, &vault.layout()).unwrap();
        assert_eq!(vault.visible(), vault.all_new(), "{why}");
    }
    for stays in [ErrorKind::PermissionDenied, ErrorKind::ResourceBusy] {
        let (vault, ended) = meet(LINUX, Fault("remove_dir", "deep/er", 0, stays));
        assert_eq!(ended, Ok(vec![]));
        assert!(vault.root().join("indexes/deep/er").is_dir(), "a folder that cannot go simply stays");
    }
}

#[test]
fn the_apps_own_folders_stay_when_they_are_empty_and_so_do_those_that_nobody_wants_gone() {
    const LAST: &[Case] = &[
        Case { lost: false, moves: &[("corpus/nodes.json", Some("nodes"), None)] },
        Case { lost: false, moves: &[("notes/a/b", Some("note"), None)] },
    ];
    let vault = Vault::new(LAST);
    let journal = split(vault.plan(), &Mounts::none()).0;
    let (layout, id) = (vault.layout(), Vault::id());
    let mut hand = Hand::new(&RealFs, &layout, &id);
    std_fs::remove_file(vault.root().join("notes/a/b")).unwrap();
    hand.remove_emptied(&journal.items[1].steps[0], &|folder| folder == "notes/a").unwrap();
    assert!(vault.root().join("notes").is_dir() && !vault.root().join("notes/a").exists());
    vault.put("notes/a/b", "note");
    run(&RealFs, &vault).unwrap();
    assert!(vault.root().join("corpus").is_dir() && !vault.root().join("notes").exists());
}

#[test]
fn a_file_or_a_hidden_file_in_the_way_is_named() {
    const GROUPED: &[Case] =
        &[Case { lost: false, moves: &[("other", Some("old"), None), ("z/x", None, Some("new"))] }];
    let vault = Vault::new(GROUPED);
    let plan = vault.plan();
    vault.put("z", "a file");
    let applied = apply(&RealFs, &vault.layout(), plan, None, &mut |_| {}).unwrap();
    assert_eq!(applied.retry[0].1, "z is no folder: nothing is written through it");
    let (layout, id) = (vault.layout(), Vault::id());
    let step = Step { path: path("z/x"), on_disk: None, home: None, old: None, new: None };
    let blocked = Hand::new(&RealFs, &layout, &id).make_folders(&step);
    assert!(matches!(blocked, Err(Halt::Moved(why)) if why == "z is in the way of z/x"));
    // Somewhere below there is something after all.
    for hidden in ["indexes/flat/once/mine", "indexes/flat/once/more/mine"] {
        let vault = Vault::new(MIXED);
        let plan = vault.plan();
        vault.put(hidden, "not synced");
        let applied = apply(&RealFs, &vault.layout(), plan, None, &mut |_| {}).unwrap();
        assert!(applied.retry[0].1.contains("move it away"), "{hidden}: {:?}", applied.retry);
    }
}

#[test]
fn the_record_of_a_conflict_that_was_there_before_stays() {
    let vault = Vault::new(MIXED);
    let record = vault.layout().conflict_record(CONFLICT);
    std_fs::create_dir_all(record.parent().unwrap()).unwrap();
    std_fs::write(&record, "an earlier record").unwrap();
    run(&RealFs, &vault).unwrap();
    assert_eq!(std_fs::read_to_string(&record).unwrap(), "an earlier record");
}

#[test]
fn a_link_or_a_file_that_its_user_has_locked_is_something_else_and_a_failing_disk_is_an_error() {
    let vault = Vault::new(&[SINGLE]);
    let journal = split(vault.plan(), &Mounts::none()).0;
    let step = &journal.items[0].steps[0];
    let (layout, id) = (vault.layout(), Vault::id());
    let link = vault.root().join("link");
    std::os::unix::fs::symlink("x".repeat("old trace".len()), &link).unwrap();
    assert_eq!(Hand::new(&RealFs, &layout, &id).what(&link, step).unwrap(), What::Other);
    let file = vault.root().join("traces/a.json");
    for (mode, kind, other) in [
        (0o200, ErrorKind::PermissionDenied, true),
        // A disk that fails so for a moment must not pass for an edit.
        (0o644, ErrorKind::PermissionDenied, false),
        (0o200, ErrorKind::StorageFull, false),
    ] {
        std_fs::set_permissions(&file, std_fs::Permissions::from_mode(mode)).unwrap();
        let fs = watched(LINUX, &vault, vec![Fault("open", "traces/a.json", 0, kind)]);
        let what = Hand::new(&fs, &layout, &id).what(&file, step);
        assert_eq!(what.ok(), other.then_some(What::Other), "mode {mode:o}, {kind}");
    }
}

/// A touch between any two effects: the bytes are those that the plan saw, so nothing has to be
/// planned again.
#[test]
fn a_file_that_is_touched_meanwhile_is_replaced() {
    for kind in [LINUX, NETWORK, STICK] {
        for at in 0.. {
            let vault = Vault::new(MIXED);
            let event = |after| {
                if after == 0 {
                    for (name, ..) in vault.moves().filter(|each| each.1.is_some()) {
                        if let Ok(file) = std_fs::File::options().write(true).open(vault.root().join(name)) {
                            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
                        }
                    }
                }
            };
            let disk = Disk::disturbed(kind, vault.root(), at, &event);
            assert_eq!(run(&disk, &vault).unwrap().retry, [], "{kind:?}, touched at {at}");
            if !disk.reached() {
                break;
            }
        }
    }
}

#[test]
fn a_file_that_its_user_has_deleted_is_not_put_back_because_an_old_copy_lies_in_the_trash() {
    const DELETE: &[Case] = &[Case { lost: false, moves: &[("traces/a.json", Some("old trace"), None)] }];
    for cases in [&[SINGLE], DELETE] {
        let vault = Vault::new(cases);
        let journal = split(vault.plan(), &Mounts::none()).0;
        let aside = vault.layout().trash_files(&Vault::id()).join("traces/a.json");
        std_fs::create_dir_all(aside.parent().unwrap()).unwrap();
        std_fs::rename(vault.root().join("traces/a.json"), aside).unwrap();
        let (layout, id) = (vault.layout(), Vault::id());
        let mut first = unit::Units::of(&journal.items).iter().next().unwrap();
        let ended = Hand::new(&RealFs, &layout, &id).forward(&mut first, &mut |_| {});
        let why = ended.unwrap_err().to_string();
        assert_eq!(why, "traces/a.json was deleted after the scan");
        assert!(vault.visible().is_empty());
    }
}

#[test]
fn a_file_in_the_state_that_the_scan_saw_is_not_read_again() {
    for kind in [LINUX, NETWORK, STICK] {
        let vault = Vault::new(MIXED);
        let faults = vault.moves().map(|each| Fault("open", each.0, 0, ErrorKind::StorageFull)).collect();
        assert_eq!(run(&watched(kind, &vault, faults), &vault).unwrap().retry, [], "{kind:?}");
        assert_eq!(vault.visible(), vault.all_new());
    }
}
