/// A test of its own for each of three kinds of disk, so that they run side by side.
macro_rules! on_each_disk {
    ($test:ident) => {
        mod $test {
            use super::{LINUX, NETWORK, STICK};

            #[test]
            fn on_linux() {
                super::$test(LINUX);
            }

            #[test]
            fn on_a_network_disk() {
                super::$test(NETWORK);
            }

            #[test]
            fn on_a_stick() {
                super::$test(STICK);
            }
        }
    };
}

mod crash;
mod databases;
pub(crate) mod disk;
mod edits;
mod failing;
mod moved_away;
mod stands;
mod twice;
mod vault;
mod watched;

use std::fs as std_fs;

use cogzy_testkit::amount;

use super::*;
use crate::fs::RealFs;
use crate::vault::{FileLock, Purpose, Stage};
use disk::{Disk, LINUX, MAC, NETWORK, STICK};
use vault::{CONFLICT, Case, Vault, item, path};

const GROUP: Case = Case {
    lost: true,
    moves: &[
        ("corpus/nodes.json", Some("old nodes"), Some("new nodes")),
        ("indexes/deep/er/faiss", Some("old index"), None),
        ("indexes/flat", None, Some("new index")),
        ("vectors/nodes.npy", Some("old rows!"), Some("new rows!")),
    ],
};
const SINGLE: Case = Case { lost: false, moves: &[("traces/a.json", Some("old trace"), Some("new trace"))] };
const MIXED: &[Case] = &[GROUP, SINGLE];

/// A file becomes a folder, a folder a file, and a name changes its case.
const SWAPS: &[Case] = &[
    Case { lost: false, moves: &[("a", Some("file a"), None)] },
    Case { lost: false, moves: &[("a/b/c", None, Some("below a"))] },
    Case { lost: false, moves: &[("d/e/f", Some("below d"), None)] },
    Case { lost: false, moves: &[("d", None, Some("file d"))] },
    Case { lost: false, moves: &[("x/Name", Some("by case"), None)] },
    Case { lost: false, moves: &[("x/name", None, Some("by case"))] },
];

/// The names of folders change their case.
const RESPELLED: &[Case] = &[
    Case { lost: false, moves: &[("N/in/one", Some("one"), None)] },
    Case { lost: false, moves: &[("N/in/two", Some("two"), None)] },
    Case { lost: false, moves: &[("n/In/one", None, Some("one"))] },
    Case { lost: false, moves: &[("n/In/two", None, Some("new"))] },
];

/// Moments at which something happens, in the order of effects: every one in a whole run. A quick
/// run takes every seventh and begins at another one where `from` differs, so that many of them
/// together reach all.
fn moments(from: usize) -> impl Iterator<Item = usize> {
    let stride = amount(7, 1);
    (from % stride..).step_by(stride)
}

fn run(fs: &dyn Fs, vault: &Vault) -> Result<Applied, ApplyError> {
    apply(fs, &vault.layout(), vault.plan(), None, &mut |_| {})
}

#[test]
fn everything_is_put_in_place_and_what_it_displaced_is_kept() {
    for kind in [LINUX, NETWORK, STICK, MAC] {
        let vault = Vault::new(MIXED);
        let disk = Disk::sound(kind, vault.root());
        let mut steps = Vec::new();
        let applied =
            apply(&disk, &vault.layout(), vault.plan(), None, &mut |path| steps.push(path.to_string()));
        let applied = applied.unwrap();
        assert_eq!(applied.done, MIXED.iter().map(item).collect::<Vec<_>>(), "{kind:?}");
        assert_eq!(applied.retry, []);
        assert_eq!((applied.placed, applied.removed), (4, 1));
        assert_eq!(vault.visible(), vault.all_new());
        assert_eq!(steps.len(), vault.moves().count());
        assert!(!vault.root().join("indexes/deep").exists() && vault.root().join("indexes").exists());
        let layout = vault.layout();
        let kept = layout.conflict_file(CONFLICT, &path("corpus/nodes.json"));
        assert_eq!(std_fs::read_to_string(kept).unwrap(), "old nodes");
        assert_eq!(std_fs::read_to_string(layout.conflict_record(CONFLICT)).unwrap(), "record");
        let places: Vec<_> = applied
            .displaced
            .iter()
            .map(|displaced| std_fs::read_to_string(&displaced.place).unwrap())
            .collect();
        assert_eq!(places, ["old nodes", "old index", "old rows!", "old trace"]);
        let id = ApplyId::new(2000, [2; 4]);
        let next = ApplyPlan { id, purpose: Purpose::Repair, finish: false, items: Vec::new() };
        let too_early = apply(&disk, &layout, next, None, &mut |_| {});
        assert!(matches!(too_early, Err(ApplyError::Unfinished(_))));
        conclude(&disk, &layout).unwrap();
        assert!(!layout.staging_of(&Vault::id()).exists() && !layout.applying().exists());
        assert_eq!(trash::list(&disk, &layout).unwrap(), [Vault::id()]);
    }
}

#[test]
fn names_that_are_in_each_others_way_are_swapped() {
    for kind in [LINUX, NETWORK, STICK, MAC] {
        let vault = Vault::new(SWAPS);
        let applied = run(&Disk::sound(kind, vault.root()), &vault).unwrap();
        assert_eq!(applied.retry, [], "{kind:?}");
        assert_eq!(vault.visible(), vault.all_new(), "{kind:?}");
    }
}

/// Where the folder kept its spelling, the next scan would send its files under that one again, and
/// two such devices would rename it back and forth for ever.
#[test]
fn a_folder_is_spelled_as_the_files_that_move_to_it() {
    for kind in [LINUX, NETWORK, STICK, MAC] {
        let vault = Vault::new(RESPELLED);
        let applied = run(&Disk::sound(kind, vault.root()), &vault).unwrap();
        assert_eq!(applied.retry, [], "{kind:?}");
        assert_eq!(vault.visible(), vault.all_new(), "{kind:?}");
    }
}

#[test]
fn the_real_disk_does_the_same() {
    let vault = Vault::new(MIXED);
    let lock = FileLock::try_take(&RealFs, &vault.layout().apply_lock()).unwrap();
    let applied = apply(&RealFs, &vault.layout(), vault.plan(), lock.as_ref(), &mut |_| {}).unwrap();
    assert_eq!(applied.retry, []);
    assert!(vault.all_new().iter().all(|(name, text)| vault.visible().get(name) == Some(text)));
}

/// Edits before the apply: the item that is not as the plan saw it is left alone, the others go on.
#[test]
fn an_item_that_changed_is_left_as_it_is() {
    type Edit = fn(&Vault);
    let edits: [(Edit, &str); 6] = [
        (|vault| vault.put("corpus/nodes.json", "an edit!!"), "changed"),
        (|vault| std_fs::remove_file(vault.root().join("vectors/nodes.npy")).unwrap(), "deleted"),
        (|vault| vault.put("indexes/deep/er/faiss", "edited"), "changed"),
        (|vault| vault.put("indexes/flat", "mine"), "appeared"),
        (|vault| vault.put("indexes/flat/mine", "not synced"), "move it away"),
        (
            |vault| {
                std_fs::rename(vault.root().join("vectors"), vault.root().join("moved")).unwrap();
                std::os::unix::fs::symlink("moved", vault.root().join("vectors")).unwrap();
            },
            "symbolic link",
        ),
    ];
    for (edit, why) in edits {
        let vault = Vault::new(MIXED);
        let plan = vault.plan();
        edit(&vault);
        let before = vault.visible();
        let applied = apply(&RealFs, &vault.layout(), plan, None, &mut |_| {}).unwrap();
        assert_eq!(applied.done, [item(&SINGLE)]);
        assert!(applied.retry[0].1.contains(why), "{:?} does not say {why:?}", applied.retry);
        let mut after = vault.visible();
        assert_eq!(after.insert("traces/a.json".into(), "old trace".into()).unwrap(), "new trace");
        assert_eq!(after, before);
        assert!(!vault.layout().conflicts().exists());
    }
}

#[test]
fn an_item_of_which_the_caller_knows_more_is_left_as_it_is() {
    let vault = Vault::new(MIXED);
    let moved = |of: &Item| Ok((*of == item(&GROUP)).then(|| "somebody writes to it".to_owned()));
    let applied = apply_unless(&RealFs, &vault.layout(), vault.plan(), None, &moved, &mut |_| {}).unwrap();
    assert_eq!(applied.done, [item(&SINGLE)]);
    assert_eq!(applied.retry, [(item(&GROUP), "somebody writes to it".to_owned())]);
    assert_eq!(vault.visible()["corpus/nodes.json"], "old nodes");
}

#[test]
fn empty_folders_are_not_in_the_way_of_a_file() {
    for empty in ["indexes/flat", "indexes/flat/once", "indexes/flat/once/more"] {
        let vault = Vault::new(MIXED);
        let plan = vault.plan();
        std_fs::create_dir_all(vault.root().join(empty)).unwrap();
        let applied = apply(&RealFs, &vault.layout(), plan, None, &mut |_| {}).unwrap();
        assert_eq!(applied.retry, [], "{empty}");
        assert_eq!(vault.visible(), vault.all_new());
    }
}

#[test]
fn a_file_that_was_only_touched_is_replaced() {
    let vault = Vault::new(MIXED);
    let plan = vault.plan();
    std_fs::write(vault.root().join("corpus/nodes.json"), "old nodes").unwrap();
    let applied = apply(&RealFs, &vault.layout(), plan, None, &mut |_| {}).unwrap();
    assert_eq!(applied.retry, []);
}

#[test]
fn what_is_never_synced_is_never_written() {
    const EVIL: &[Case] = &[
        Case { lost: false, moves: &[("config.json", Some("keys"), Some("stolen"))] },
        Case { lost: false, moves: &[("sync/last_sync.json", None, Some("forged"))] },
    ];
    let vault = Vault::new(EVIL);
    let applied = run(&RealFs, &vault).unwrap();
    assert_eq!(applied.retry.len(), 2);
    assert_eq!(vault.visible(), vault.all_old());
    assert!(!vault.layout().last_sync().exists());
}

#[test]
fn our_own_folders_are_not_followed_out_of_the_vault() {
    let vault = Vault::new(&[SINGLE]);
    std::os::unix::fs::symlink("/tmp", vault.layout().trash()).unwrap();
    assert!(matches!(run(&RealFs, &vault), Err(ApplyError::NotAFolder(_))));
    assert!(matches!(recover(&RealFs, &vault.layout(), None), Err(ApplyError::NotAFolder(_))));
}

#[test]
fn a_decomposed_name_is_replaced_where_it_stands() {
    const ACCENT: &[Case] = &[Case { lost: false, moves: &[("e\u{301}/x", Some("old"), Some("new"))] }];
    let vault = Vault::new(ACCENT);
    let mut plan = vault.plan();
    plan.items[0].steps[0].on_disk = Some("e\u{301}/x".into());
    let applied = apply(&RealFs, &vault.layout(), plan, None, &mut |_| {}).unwrap();
    assert_eq!(applied.retry, []);
    assert_eq!(vault.visible(), vault.all_new());
}

#[test]
fn a_stage_that_no_journal_speaks_of_is_removed() {
    let vault = Vault::new(&[SINGLE]);
    let id = ApplyId::new(5, [5; 4]);
    Stage::create(std::sync::Arc::new(RealFs), &vault.layout(), &id).unwrap();
    assert_eq!(recover(&RealFs, &vault.layout(), None).unwrap(), None);
    assert!(!vault.layout().staging_of(&id).exists());
    assert_eq!(vault.visible(), vault.all_old());
    conclude(&RealFs, &vault.layout()).unwrap();
}

#[test]
fn the_end_of_a_pull_leaves_the_journal_of_a_transaction_whose_command_has_died() {
    let vault = Vault::new(&[SINGLE]);
    let layout = vault.layout();
    apply(&RealFs, &layout, vault.plan(), None, &mut |_| {}).unwrap();
    conclude_pull(&RealFs, &layout).unwrap();
    assert!(layout.applying().exists(), "its next recovery ends it");
    assert!(recover(&RealFs, &layout, None).unwrap().is_some());
    conclude(&RealFs, &layout).unwrap();
    let pulled = Vault::new(&[SINGLE]);
    let plan = ApplyPlan { purpose: Purpose::Repair, ..pulled.plan() };
    apply(&RealFs, &pulled.layout(), plan, None, &mut |_| {}).unwrap();
    conclude_pull(&RealFs, &pulled.layout()).unwrap();
    assert!(!pulled.layout().applying().exists());
}

#[test]
fn an_item_without_steps_is_done_without_a_unit() {
    let vault = Vault::new(&[SINGLE]);
    let mut plan = vault.plan();
    let idle = Item::File(crate::model::VaultPath::new("idle").unwrap());
    plan.items.insert(0, ApplyItem { item: idle.clone(), keep: None, steps: Vec::new() });
    let journal = split(plan.clone(), &Mounts::none()).0;
    assert_eq!(unit::Units::of(&journal.items).iter().count(), 1);
    let applied = apply(&RealFs, &vault.layout(), plan, None, &mut |_| {}).unwrap();
    assert!(applied.done.contains(&idle), "{:?}", applied.done);
    assert_eq!(applied.retry, []);
}
