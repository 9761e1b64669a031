//! Deciding conflicts and going back to the past, with the real engine over the reference store.

use std::path::Path;
use std::sync::Arc;

use cogzy_engine::model::{Conflict, Keep};
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Point, Refusal, Rewritten, SyncError, Target, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::support::device::Device;

async fn pair(folder: &Path) -> (Device, Device) {
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let one = Device::joined(folder, "one", Arc::clone(&remote)).await;
    let two = Device::joined(folder, "two", remote).await;
    (one, two)
}

fn point(generation: &str) -> Point {
    Point::Generation(generation.parse().unwrap())
}

async fn resolve(device: &mut Device, conflict: &Conflict, keep: Keep) -> Result<Rewritten, SyncError> {
    device.pass(std::time::Duration::from_secs(10));
    device.engine().resolve(conflict.id, keep, false, &Unwatched).await
}

async fn restore(device: &mut Device, to: &str, paths: &[&str], yes: bool) -> Result<Rewritten, SyncError> {
    device.pass(std::time::Duration::from_secs(10));
    let paths: Vec<_> = paths.iter().map(|path| path.parse().unwrap()).collect();
    device.engine().restore(&point(to), &paths, yes, &Unwatched).await
}

async fn undo(device: &mut Device, of: &Point, force: bool) -> Result<Rewritten, SyncError> {
    device.pass(std::time::Duration::from_secs(10));
    device.engine().undo(of, force, false, &Unwatched).await
}

fn write_group(device: &Device, version: &str) {
    let long = "memory ".repeat(20_000);
    device.write("corpus/nodes.json", format!(r#"[{{"id":"n","text":"{version}"}},"{long}"]"#));
    device.write("vectors/nodes.npy", format!("vectors of {version} {long}"));
    device.write("indexes/faiss.index", format!("index of {version}"));
}

/// Two devices that both hold `base` and then write their own; two's version loses.
async fn conflict(one: &mut Device, two: &mut Device) -> Conflict {
    write_group(one, "base");
    one.sync().await;
    two.sync().await;
    write_group(one, "one");
    write_group(two, "two");
    one.sync().await;
    let report = two.sync().await;
    assert_eq!(report.conflicts.len(), 1, "{report:?}");
    let listed = two.engine().conflicts().await.unwrap();
    listed[0].conflict.clone()
}

/// A generation in which a file stands where another one needs a folder could not be put in place
/// anywhere.
#[tokio::test]
async fn what_has_no_place_any_more_is_not_put_back() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    one.write("notes/other.txt", "both have it");
    one.sync().await;
    two.sync().await;
    one.write("notes/plan", "a file");
    one.sync().await;
    two.write("notes/plan/a.txt", "in a folder of the same name");
    let report = two.sync().await;
    assert_eq!(report.conflicts.len(), 1, "{report:?}");
    let conflict = two.engine().conflicts().await.unwrap()[0].conflict.clone();
    let refused = resolve(&mut two, &conflict, Keep::Mine).await;
    let Err(SyncError::Refused(Refusal::InTheWay { path, other })) = refused else { panic!("{refused:?}") };
    assert_eq!((path.as_str(), other.as_str()), ("notes/plan/a.txt", "notes/plan"));
    two.delete("notes/plan");
    two.sync().await;
    resolve(&mut two, &conflict, Keep::Mine).await.unwrap();
    assert_eq!(two.read("notes/plan/a.txt").unwrap(), b"in a folder of the same name");
    one.sync().await;
    assert_eq!(one.files(), two.files());
}

#[tokio::test]
async fn keeping_mine_puts_the_whole_group_back_on_every_device() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    let conflict = conflict(&mut one, &mut two).await;
    // Decided on the device where it did not happen.
    one.sync().await;
    let done = resolve(&mut one, &conflict, Keep::Mine).await.unwrap();
    assert!(done.generation.is_some());
    two.sync().await;
    for device in [&mut one, &mut two] {
        for (path, text) in
            [("corpus/nodes.json", "two"), ("vectors/nodes.npy", "of two"), ("indexes/faiss.index", "of two")]
        {
            assert!(device.text(path).unwrap().contains(text), "{}: {path}", device.name);
        }
        assert!(device.engine().conflicts().await.unwrap().is_empty());
        assert!(device.conflicts().is_empty(), "the copy on the disk of {} stays", device.name);
    }
    let again = resolve(&mut two, &conflict, Keep::Remote).await;
    assert!(matches!(again, Err(SyncError::Refused(Refusal::Decided { keep: Keep::Mine, .. }))), "{again:?}");
    assert!(two.verify().await.faults.is_empty());
}

#[tokio::test]
async fn keeping_the_remote_changes_no_file() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    let conflict = conflict(&mut one, &mut two).await;
    let files = two.files();
    let done = resolve(&mut two, &conflict, Keep::Remote).await.unwrap();
    assert_eq!((done.changed, done.deleted), (0, 0));
    assert_eq!(two.files(), files);
    one.sync().await;
    assert!(one.engine().conflicts().await.unwrap().is_empty());
    let quiet = two.sync().await;
    assert!(!quiet.moved(), "{quiet:?}");
}

#[tokio::test]
async fn keeping_both_puts_the_loser_beside_under_a_name_that_says_whence() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    let conflict = conflict(&mut one, &mut two).await;
    let done = resolve(&mut two, &conflict, Keep::Both).await.unwrap();
    assert_eq!(done.beside.len(), 2, "{:?}", done.beside);
    one.sync().await;
    for path in &done.beside {
        assert!(path.as_str().contains("(two "), "{path}");
        assert!(one.text(path.as_str()).unwrap().contains("two"), "{path}");
    }
    assert!(one.text("corpus/nodes.json").unwrap().contains(r#""one""#));
    assert_eq!(one.files(), two.files());
}

#[tokio::test]
async fn a_decision_beats_the_same_conflict_in_a_fork() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    let conflict = conflict(&mut one, &mut two).await;
    one.sync().await;
    resolve(&mut one, &conflict, Keep::Remote).await.unwrap();
    // Two has not seen it and goes on.
    two.write("traces/x.json", "{}");
    two.sync().await;
    one.sync().await;
    for device in [&mut one, &mut two] {
        assert!(device.engine().conflicts().await.unwrap().is_empty(), "{}", device.name);
    }
}

#[tokio::test]
async fn an_edit_that_is_not_sent_yet_survives_a_decision() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    let conflict = conflict(&mut one, &mut two).await;
    write_group(&two, "newest");
    resolve(&mut two, &conflict, Keep::Mine).await.unwrap();
    assert!(two.text("corpus/nodes.json").unwrap().contains("two"));
    let past = two.engine().past().await.unwrap();
    let newest = past.iter().find(|past| past.kind.name() == "sync").unwrap().key.seq;
    restore(&mut two, &newest.to_string(), &["corpus"], false).await.unwrap();
    assert!(two.text("vectors/nodes.npy").unwrap().contains("newest"), "it was not sent before the decision");
    one.sync().await;
    assert_eq!(one.files(), two.files());
}

#[tokio::test]
async fn a_restore_is_a_new_generation_and_brings_the_whole_group() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    for version in ["first", "second", "third"] {
        write_group(&one, version);
        one.write("traces/t.json", version);
        one.write(&format!("traces/{version}.json"), version);
        one.sync().await;
    }
    let all = one.files();
    // Of one member, and nothing else.
    let done = restore(&mut one, "1", &["corpus/nodes.json"], false).await.unwrap();
    assert_eq!((done.generation, done.of, done.changed), (Some(4), Some(1), 3));
    assert!(one.text("indexes/faiss.index").unwrap().contains("first"));
    assert_eq!(one.text("traces/t.json").unwrap(), "third");
    // A folder.
    restore(&mut one, "2", &["traces"], false).await.unwrap();
    assert_eq!(one.text("traces/t.json").unwrap(), "second");
    assert!(one.text("traces/third.json").is_none() && one.text("traces/second.json").is_some());
    // Everything, forward again.
    restore(&mut one, "3", &[], false).await.unwrap();
    assert_eq!(one.files(), all);
    two.sync().await;
    assert_eq!(two.files(), all);
    let nothing = restore(&mut one, "3", &[], false).await.unwrap();
    assert_eq!(nothing.generation, None);
    assert!(two.verify().await.faults.is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_refused_and_changes_nothing() {
    let folder = fresh_folder();
    let (mut one, _two) = pair(folder.path()).await;
    let empty = restore(&mut one, "1", &[], false).await;
    assert!(matches!(empty, Err(SyncError::Refused(Refusal::Empty))), "{empty:?}");
    one.write("traces/t.json", "x");
    one.sync().await;
    // No commit's id begins so: two digits alone would be those of one in 256.
    let foreign = format!("1-{}", "0".repeat(32));
    for (generation, path) in [("2", "traces"), (foreign.as_str(), "traces"), ("1", "elsewhere")] {
        let refused = restore(&mut one, generation, &[path], false).await;
        assert!(matches!(refused, Err(SyncError::Refused(_))), "{refused:?}");
    }
    assert_eq!(one.sync().await.generation, 1);
}

#[tokio::test]
async fn what_looks_like_an_accident_wants_a_yes_and_then_comes_at_once() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    one.write("traces/first.json", "x");
    one.sync().await;
    (0..40).for_each(|number| one.write(&format!("traces/{number}.json"), "y"));
    one.sync().await;
    let braked = restore(&mut one, "1", &[], false).await;
    assert!(matches!(braked, Err(SyncError::Refused(Refusal::Braked(_)))), "{braked:?}");
    assert_eq!(one.files().len(), 41);
    let done = restore(&mut one, "1", &[], true).await.unwrap();
    assert_eq!((done.deleted, done.report.holds.len(), one.files().len()), (40, 0, 1));
    // On another device the user has not approved.
    let report = two.sync().await;
    assert!(two.files().len() <= 1 || !report.holds.is_empty(), "{report:?}");
}

#[tokio::test]
async fn an_undo_takes_back_one_generation_and_no_later_one() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    one.write("traces/a.json", "a1");
    one.write("traces/b.json", "b1");
    one.sync().await;
    one.write("traces/a.json", "a2");
    one.write("traces/new.json", "new");
    one.sync().await;
    one.write("traces/b.json", "b2");
    one.sync().await;
    let done = undo(&mut one, &point("2"), false).await.unwrap();
    assert_eq!((done.of, done.changed, done.deleted), (Some(2), 1, 1));
    assert_eq!(
        (one.text("traces/a.json").as_deref(), one.text("traces/b.json").as_deref()),
        (Some("a1"), Some("b2"))
    );
    // An undo can be undone: it is the newest.
    undo(&mut one, &Point::Newest, false).await.unwrap();
    assert_eq!(one.text("traces/a.json").as_deref(), Some("a2"));
    // The first generation is built upon.
    let refused = undo(&mut one, &point("1"), false).await;
    let Err(SyncError::Refused(Refusal::BuiltUpon { paths, .. })) = refused else { panic!("{refused:?}") };
    assert_eq!(paths.len(), 2);
    undo(&mut one, &point("1"), true).await.unwrap();
    assert!(one.text("traces/a.json").is_none());
    two.sync().await;
    let listed = two.engine().conflicts().await.unwrap();
    assert_eq!(listed.len(), 2, "what stood is kept");
    let kept = listed
        .iter()
        .find(|listed| listed.conflict.item.to_string().contains("a.json"))
        .unwrap()
        .conflict
        .clone();
    resolve(&mut two, &kept, Keep::Mine).await.unwrap();
    assert_eq!(two.text("traces/a.json").as_deref(), Some("a2"));
}

#[tokio::test]
async fn a_generation_is_written_out_without_touching_the_vault() {
    let folder = fresh_folder();
    let (mut one, _two) = pair(folder.path()).await;
    write_group(&one, "first");
    one.sync().await;
    let first = one.files();
    write_group(&one, "second");
    one.sync().await;
    let (second, target) = (one.files(), Target::empty(folder.path().join("out")));
    let exported = one.engine().export(&point("1"), &[], &target, &Unwatched).await.unwrap();
    assert_eq!((exported.files, exported.generation), (3, 1));
    assert_eq!(crate::support::device::synced_files(&target.folder), first);
    assert_eq!(one.files(), second);
    let again = one.engine().export(&point("1"), &[], &target, &Unwatched).await;
    assert!(matches!(again, Err(SyncError::Refused(Refusal::NotEmpty(_)))), "{again:?}");
    let forced = Target { force: true, ..target };
    let again = one.engine().export(&point("1"), &[], &forced, &Unwatched).await;
    assert!(matches!(again, Err(SyncError::Refused(Refusal::Exists(_)))), "{again:?}");
    let inside = Target::empty(one.root.join("copy"));
    let inside = one.engine().export(&point("1"), &[], &inside, &Unwatched).await;
    assert!(matches!(inside, Err(SyncError::Refused(Refusal::InsideVault(_)))), "{inside:?}");
}

#[tokio::test]
async fn plain_objects_become_the_first_generation() {
    let folder = fresh_folder();
    let plain = Arc::new(MemoryRemote::default());
    let vectors = crate::support::process::noise("vectors", 20 << 20);
    let objects: [(&str, &[u8]); 6] = [
        ("corpus/nodes.json", b"[]"),
        ("vectors/nodes.npy", &vectors),
        ("traces/empty.json", b""),
        ("config.json", b"secret"),
        ("packs/00/00000000000000000000000000000000", b"ours"),
        ("traces/", b""),
    ];
    for (key, bytes) in objects {
        plain.put(key, bytes.to_vec().into()).await.unwrap();
    }
    let (mut one, mut two) = pair(folder.path()).await;
    // Here already, and the same; and something of this device's own.
    one.write("corpus/nodes.json", "[]");
    one.write("traces/own.json", "own");
    one.pass(std::time::Duration::from_secs(10));
    let done = one.engine().import(Arc::clone(&plain) as Arc<dyn Remote>, &Unwatched).await.unwrap();
    assert_eq!((done.files, done.skipped.as_slice()), (3, ["config.json".to_owned()].as_slice()));
    assert!(done.report.conflicts.is_empty() && done.report.holds.is_empty(), "{:?}", done.report);
    assert!(one.read("vectors/nodes.npy").unwrap() == vectors);
    two.sync().await;
    assert_eq!(one.files(), two.files());
    assert_eq!(two.files().len(), 4);
    let past = two.engine().past().await.unwrap();
    assert_eq!(past.last().unwrap().made_by(), "import");
    let again = one.engine().import(plain, &Unwatched).await;
    assert!(matches!(again, Err(SyncError::Refused(Refusal::NotNew(_)))), "{again:?}");
    let (mut new, empty) = (
        Device::joined(folder.path(), "new", Arc::new(MemoryRemote::default())).await,
        MemoryRemote::default(),
    );
    empty.put("corpus/a\u{7}b", b"x".to_vec().into()).await.unwrap();
    let bad = new.engine().import(Arc::new(empty), &Unwatched).await;
    assert!(matches!(bad, Err(SyncError::Refused(Refusal::BadObject { .. }))), "{bad:?}");
    assert!(two.verify().await.faults.is_empty());
}

/// Whoever restores has not let through what was edited here while another device's deletion
/// waited: sent as well, the edits would undo the restore at once.
#[tokio::test]
async fn a_restore_is_not_undone_by_edits_that_waited() {
    for edited in [3, 30] {
        let folder = fresh_folder();
        let (mut one, mut two) = pair(folder.path()).await;
        let names: Vec<String> = (0..30).map(|number| format!("notes/{number}.txt")).collect();
        names.iter().for_each(|name| one.write(name, format!("{name} as it was")));
        let made = one.sync().await.generation.to_string();
        let first = one.files();
        two.sync().await;
        names.iter().for_each(|name| two.delete(name));
        let held = two.sync().await.holds;
        two.approve(held[0].id);
        two.sync().await;
        assert_eq!(one.sync().await.holds.len(), 1);
        names.iter().take(edited).for_each(|name| one.write(name, format!("{name}, edited")));
        one.sync().await;
        restore(&mut one, &made, &[], true).await.unwrap();
        one.sync().await;
        assert_eq!(one.files(), first);
        assert_eq!(one.conflicts().len(), edited, "every edit is kept");
        two.sync().await;
        assert_eq!(two.files(), first);
    }
}
