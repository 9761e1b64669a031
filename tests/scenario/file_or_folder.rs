//! A name that is a file on one device and a folder on the other: the newer version of the backup
//! comes at once, the local one gives way and is kept, and only a file in the way waits.

use std::sync::Arc;

use cogzy_engine::remote::Remote;
use cogzy_engine::sync::{Report, Unwatched};

use crate::main_path::{World, group_of, world};
use crate::support::device::Device;

/// Two devices with two files in the folder `d`.
async fn with_a_folder() -> World {
    let mut world = world().await;
    for path in ["d/a.txt", "d/b.txt", "stays"] {
        world.one.write(path, format!("{path} at first"));
    }
    world.one.sync().await;
    world.two.sync().await;
    world
}

/// The folder `d` becomes a file.
fn fold(device: &Device) {
    std::fs::remove_dir_all(device.root.join("d")).unwrap();
    device.write("d", format!("a file of {}", device.name));
}

/// Troubles of a report, by path.
fn told(report: &Report) -> Vec<(&str, &str)> {
    report.problems.iter().map(|trouble| (trouble.path.as_str(), trouble.message.as_str())).collect()
}

/// Both devices are the same, and nothing is left to be told.
async fn meet(world: &mut World) {
    for _ in 0..2 {
        assert_eq!(told(&world.two.sync().await), []);
        assert_eq!(told(&world.one.sync().await), []);
    }
    assert_eq!(world.one.files(), world.two.files());
    assert!(!world.two.sync().await.moved());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_a_group_that_became_a_folder_arrives_with_its_group() {
    let mut world = world().await;
    group_of(&world.one, "first");
    world.one.write("indexes/hnsw", "one part");
    world.one.sync().await;
    world.two.sync().await;
    group_of(&world.one, "second");
    world.one.delete("indexes/hnsw");
    world.one.write("indexes/hnsw/part0", "many parts");
    world.one.sync().await;
    let report = world.two.sync().await;
    assert_eq!((told(&report), report.pulled, report.deleted_local), (vec![], 4, 1));
    meet(&mut world).await;
    // And back, by a reset.
    group_of(&world.one, "third");
    std::fs::remove_dir_all(world.one.root.join("indexes/hnsw")).unwrap();
    world.one.write("indexes/hnsw", "one part");
    world.one.sync().await;
    world.two.pass(std::time::Duration::from_secs(10));
    world.two.engine().reset(false, &Unwatched).await.unwrap();
    assert_eq!(world.two.text("indexes/hnsw").as_deref(), Some("one part"));
    meet(&mut world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_place_of_a_folder_gives_way_to_what_was_changed_there() {
    for change in ["edit", "rename"] {
        let mut world = with_a_folder().await;
        world.one.write("d/a.txt", "edited there");
        if change == "rename" {
            std::fs::rename(world.one.root.join("d/a.txt"), world.one.root.join("d/x.txt")).unwrap();
        }
        world.one.sync().await;
        fold(&world.two);
        let report = world.two.sync().await;
        assert_eq!((told(&report), report.conflicts.len()), (vec![], 1), "{change}");
        let [conflict] = world.two.conflicts().try_into().unwrap();
        assert_eq!(world.two.conflict_bytes(&conflict, "d").as_deref(), Some(&b"a file of two"[..]));
        let path = if change == "rename" { "d/x.txt" } else { "d/a.txt" };
        assert_eq!(world.two.text(path).as_deref(), Some("edited there"));
        meet(&mut world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_joins_with_a_file_in_the_place_of_a_folder_keeps_it_aside() {
    let mut world = with_a_folder().await;
    let remote: Arc<dyn Remote> = Arc::new(world.bucket.clone());
    let mut three = Device::new(world.folder.path(), "three", remote);
    three.write("d", "a file of three");
    three.pass(std::time::Duration::from_secs(10));
    three.join(true).await.unwrap();
    let report = three.sync().await;
    assert_eq!((told(&report), report.conflicts.len()), (vec![], 1));
    assert_eq!(three.files(), world.one.files());
    meet(&mut world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_a_folder_in_one_sync() {
    let mut world = with_a_folder().await;
    world.one.delete("d/a.txt");
    world.one.write("d/a.txt/inner.txt", "inner");
    world.one.sync().await;
    let report = world.two.sync().await;
    assert_eq!((told(&report), report.pulled, report.deleted_local), (vec![], 1, 1));
    assert_eq!(world.two.text("d/a.txt/inner.txt").as_deref(), Some("inner"));
    meet(&mut world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_synced_keeps_only_the_file_away_that_needs_its_folder() {
    for kept in ["d/a.txt~", "d/deep/mine.bin"] {
        let mut world = with_a_folder().await;
        world.two.exclude.push("*.bin".to_owned());
        world.two.restart();
        world.two.write(kept, "nobody else's");
        fold(&world.one);
        world.one.sync().await;
        let why = format!("d: {kept} stands in its place: it is not synced; move or delete it");
        for round in 0..2 {
            let report = world.two.sync().await;
            assert_eq!(told(&report), [("d", why.as_str())], "{kept}, {round}");
            assert_eq!((report.deleted_local, report.pulled), (if round == 0 { 2 } else { 0 }, 0));
            assert!(!report.again(), "it waits for the user");
        }
        world.two.pass(std::time::Duration::from_secs(10));
        let refused = world.two.engine().reset(false, &Unwatched).await.unwrap_err();
        assert!(refused.to_string().contains(&why), "{refused}");
        world.two.delete(kept);
        assert_eq!(told(&world.two.sync().await), []);
        assert_eq!(world.two.text("d").as_deref(), Some("a file of one"));
        meet(&mut world).await;
    }
}
