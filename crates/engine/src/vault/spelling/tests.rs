use std::sync::Arc;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::fs::Escaping;
use crate::vault::abilities;
use crate::vault::apply::tests::disk::{Disk, Kind, LINUX, STICK};

/// A vault; true if something was agreed already.
fn vault(agreed: bool) -> (tempfile::TempDir, Layout) {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    std::fs::create_dir_all(layout.root().join("traces")).unwrap();
    std::fs::create_dir(layout.sync()).unwrap();
    if agreed {
        std::fs::write(layout.last_sync(), "{}").unwrap();
    }
    (dir, layout)
}

/// The spelling of the vault's own disk after a start on a disk of this kind.
fn started(layout: &Layout, kind: Kind) -> Spelling {
    let disk = Disk::sound(kind, layout.root());
    let mut spellings = Spellings::load(&disk, layout).unwrap();
    spellings
        .learn(&disk, layout, &abilities(&disk, layout, &|| SystemClock::new().now_ns()).unwrap())
        .unwrap();
    assert_eq!(Spellings::load(&disk, layout).unwrap().of(""), spellings.of(""), "it is not durable");
    spellings.of("")
}

#[test]
fn a_disk_that_holds_every_name_has_no_record() {
    let (_dir, layout) = vault(true);
    assert_eq!(started(&layout, LINUX), Spelling::Plain);
    assert!(!layout.names().exists());
}

#[test]
fn a_lesser_disk_has_the_escape_and_keeps_it_when_the_vault_moves() {
    for agreed in [false, true] {
        let (_dir, layout) = vault(agreed);
        let on_start = |kind| started(&layout, kind);
        assert_eq!(on_start(STICK), Spelling::Escaped);
        std::fs::write(layout.root().join("traces/16：51.json"), "").unwrap();
        std::fs::write(layout.last_sync(), "{}").unwrap();
        assert_eq!(
            [STICK, LINUX, LINUX, STICK].map(on_start),
            [Spelling::Escaped, Spelling::Mixed, Spelling::Mixed, Spelling::Escaped]
        );
    }
}

#[test]
fn agreed_names_with_characters_of_the_escape_are_never_taken_for_others() {
    let (_dir, layout) = vault(true);
    let meeting = layout.root().join("traces/meeting：1.md");
    std::fs::write(&meeting, "").unwrap();
    assert_eq!(started(&layout, STICK), Spelling::Refused);
    assert_eq!(started(&layout, LINUX), Spelling::Plain);
    std::fs::remove_file(&meeting).unwrap();
    assert_eq!(started(&layout, STICK), Spelling::Escaped);
    let (_dir, layout) = vault(false);
    std::fs::write(layout.root().join("a：b"), "").unwrap();
    assert_eq!(started(&layout, STICK), Spelling::Escaped, "nothing was agreed yet");
}

#[test]
fn a_disk_that_could_not_be_tried_stays_as_it_was() {
    let (_dir, layout) = vault(true);
    started(&layout, STICK);
    let disk = Disk::sound(STICK, layout.root());
    let mut disks = abilities(&disk, &layout, &|| SystemClock::new().now_ns()).unwrap();
    disks[0].1.names = None;
    let mut spellings = Spellings::load(&disk, &layout).unwrap();
    spellings.learn(&disk, &layout, &disks).unwrap();
    assert_eq!(spellings.of(""), Spelling::Escaped);
}

#[test]
fn a_folder_whose_disk_was_given_up_goes_by_the_disk_above() {
    let (_dir, layout) = vault(true);
    let disk = Disk::sound(LINUX, layout.root());
    let mut spellings = Spellings::load(&disk, &layout).unwrap();
    spellings.learn_new(&disk, &layout, "traces", Holds::Escaped).unwrap();
    assert_eq!((spellings.of("traces"), spellings.of("")), (Spelling::Escaped, Spelling::Plain));
    spellings
        .learn(&disk, &layout, &abilities(&disk, &layout, &|| SystemClock::new().now_ns()).unwrap())
        .unwrap();
    assert_eq!(spellings.of("traces"), Spelling::Mixed);
}

#[test]
fn a_record_that_cannot_be_read_is_an_error() {
    let (_dir, layout) = vault(true);
    let disk = Disk::sound(LINUX, layout.root());
    for text in ["", "{}", r#"{"format":2,"folders":{}}"#, r#"{"format":1,"folders":{"":"odd"}}"#] {
        std::fs::write(layout.names(), text).unwrap();
        assert!(Spellings::load(&disk, &layout).is_err(), "{text}");
    }
}

#[test]
fn a_lesser_disk_holds_every_name_through_the_escape() {
    let (_dir, layout) = vault(false);
    let fs = Escaping::new(Arc::new(Disk::sound(STICK, layout.root())), layout.root());
    started(&layout, STICK);
    Spellings::load(&fs, &layout).unwrap().apply(&fs);
    for name in ["traces/16:51.json", "a.", "a", "it：s", "q? "] {
        fs.create(&layout.root().join(name)).unwrap();
    }
    let mut names: Vec<_> = fs.read_dir(layout.root()).unwrap().into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["a", "a.", "it：s", "q? ", "sync", "traces"]);
}
