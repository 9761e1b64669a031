//! Names that a disk cannot hold: written in the escape there, and nowhere else.

use std::collections::BTreeMap;

use cogzy_engine::fs::{escape, unescape};
use cogzy_engine::model::Digest;

use crate::main_path::{World, world};
use crate::support::device::Device;

const TIME: &str = "traces/16:51.json";
const NAMES: [&str; 6] = [TIME, "traces/a?/b*.json", "notes/a.", "notes/a", "notes/b ", "notes/literal：.md"];

/// Two devices, the second of which has its vault on a disk that holds no signs in names.
async fn with_a_stick() -> World {
    let mut world = world().await;
    put_on_a_stick(&mut world.two, true);
    world
}

/// Moves a vault to such a disk, or from it.
fn put_on_a_stick(device: &mut Device, stick: bool) {
    device.stick = stick;
    device.restart();
}

/// A path as that disk spells it.
fn spelled(path: &str) -> String {
    path.split('/').map(escape).collect::<Vec<_>>().join("/")
}

/// The files on that disk, by the names that are meant.
fn meant(device: &Device) -> BTreeMap<String, Digest> {
    let name = |path: String| path.split('/').map(unescape).collect::<Vec<_>>().join("/");
    device.files().into_iter().map(|(path, digest)| (name(path), digest)).collect()
}

/// Brings what was done on either device to the other one.
async fn meet(world: &mut World) {
    world.two.sync().await;
    world.one.sync().await;
    world.two.sync().await;
    assert_eq!(world.one.files(), meant(&world.two));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_travels_to_a_disk_that_cannot_hold_it_and_back() {
    let mut world = with_a_stick().await;
    for name in NAMES {
        world.one.write(name, format!("of one: {name}"));
    }
    world.one.sync().await;
    meet(&mut world).await;
    let World { one, two, .. } = &world;
    assert_eq!(two.text("traces/16：51.json").as_deref(), Some("of one: traces/16:51.json"));
    assert_eq!(two.text("notes/a．").as_deref(), Some("of one: notes/a."), "two names became one");
    assert_eq!(two.text("notes/literal‛：.md").as_deref(), Some("of one: notes/literal：.md"));
    // Edits, new files, renamed and deleted ones, on either side.
    two.write("traces/16：51.json", "edited on the disk");
    two.write("traces/17：00｜.json", "new on the disk");
    std::fs::rename(two.root.join("notes/literal‛：.md"), two.root.join("notes/moved‛：.md")).unwrap();
    one.delete("notes/a.");
    std::fs::rename(one.root.join("traces/a?"), one.root.join("traces/c:")).unwrap();
    meet(&mut world).await;
    let World { one, two, .. } = &world;
    assert_eq!(one.text(TIME).as_deref(), Some("edited on the disk"));
    assert_eq!(one.text("traces/17:00|.json").as_deref(), Some("new on the disk"));
    assert!(one.read("notes/moved：.md").is_some() && one.read("notes/literal：.md").is_none());
    assert!(two.read("notes/a．").is_none() && two.read("notes/a").is_some(), "the wrong file was deleted");
    assert!(two.read("traces/c：/b＊.json").is_some() && !two.root.join("traces/a？").exists());
    // What went is in the trash, on that disk, too.
    let trash = two.root.join("sync/trash");
    let mut kept = BTreeMap::new();
    crate::support::device::collect(&trash, &trash, &mut kept);
    assert!(kept.keys().any(|path| path.ends_with("files/notes/a．")), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_about_such_a_name_keeps_both_versions() {
    let mut world = with_a_stick().await;
    world.one.write(TIME, "first");
    world.one.sync().await;
    meet(&mut world).await;
    world.one.write(TIME, "of one");
    world.two.write(&spelled(TIME), "of two");
    world.one.sync().await;
    meet(&mut world).await;
    let two = &mut world.two;
    assert_eq!(two.text(&spelled(TIME)).as_deref(), Some("of one"), "the remote does not win");
    let [conflict] = two.conflicts().try_into().unwrap();
    assert_eq!(two.conflict_bytes(&conflict, &spelled(TIME)).as_deref(), Some(&b"of two"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn agreed_names_are_not_read_anew_where_the_disk_is_found_to_hold_less() {
    let mut world = world().await;
    world.two.write("notes/meeting：1.md", "full-width");
    world.two.sync().await;
    put_on_a_stick(&mut world.two, true);
    world.one.write(TIME, "at a time");
    world.one.write("notes/a.", "with a dot");
    world.one.write("notes/a", "without");
    world.one.write("new/a:b", "with a colon");
    world.one.write("new/b", "in the same new folder");
    world.one.sync().await;
    let report = world.two.sync().await;
    for path in [TIME, "notes/a.", "new/a:b"] {
        let about = report.problems.iter().find(|problem| problem.path == path);
        let about = about.unwrap_or_else(|| panic!("nothing is said of {path}: {:?}", report.problems));
        assert!(about.message.contains("cannot hold such a name"), "{}", about.message);
    }
    assert_eq!(world.two.text("notes/a").as_deref(), Some("without"), "another name was cut to this one");
    assert!(world.two.read("new/b").is_some(), "a file was left out for another one's name");
    world.one.sync().await;
    assert!(world.one.read("notes/meeting：1.md").is_some(), "it was read as another name");
    assert!(world.one.read(TIME).is_some(), "what the other disk cannot hold was deleted");
    // Whoever renames those files has the others written.
    world.one.delete("notes/meeting：1.md");
    world.one.sync().await;
    world.two.sync().await;
    world.two.restart();
    meet(&mut world).await;
    assert_eq!(world.two.text(&spelled(TIME)).as_deref(), Some("at a time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_moves_to_a_better_disk_keeps_its_names() {
    let mut world = with_a_stick().await;
    world.one.write(TIME, "on the stick");
    world.one.sync().await;
    meet(&mut world).await;
    put_on_a_stick(&mut world.two, false);
    world.two.write("traces/17:00.json", "on the better disk");
    world.one.write("traces/18:00.json", "from elsewhere");
    world.one.sync().await;
    meet(&mut world).await;
    assert_eq!(world.one.text(TIME).as_deref(), Some("on the stick"));
    assert_eq!(world.one.text("traces/17:00.json").as_deref(), Some("on the better disk"));
    assert_eq!(world.two.text("traces/18:00.json").as_deref(), Some("from elsewhere"));
}
