//! A device whose filters hide files of a group: what it has is never sent beside files that it
//! does not see.

use std::time::Duration;

use cogzy_engine::model::Validate;
use cogzy_testkit::memory::{corpus, entries, index, matrix, rows};

use crate::support::device::Device;
use crate::validation::{World, invalid, world, write_group};

/// Two devices with 30 memories, the second of which then excludes some files.
async fn filtered(exclude: &str) -> World {
    let mut world = world(Validate::Enforce).await;
    write_group(&world.one, 30, "first");
    world.one.sync().await;
    world.two.exclude.push(exclude.to_owned());
    world.two.restart();
    world.two.sync().await;
    world
}

/// Memories and rows here, which must agree.
fn count(device: &Device) -> usize {
    let count = entries(&device.read("corpus/nodes.json").unwrap());
    assert_eq!(rows(&device.read("vectors/nodes.npy").unwrap()), count);
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn memories_are_not_sent_beside_vectors_that_the_filters_hide() {
    let World { mut one, mut two, .. } = filtered("vectors/**").await;
    assert!(two.read("corpus/nodes.json").is_some() && two.read("vectors/nodes.npy").is_none());
    assert_eq!(invalid(&two.sync().await), vec![], "nothing is to be sent");
    two.write("corpus/nodes.json", corpus(31, "one more"));
    two.write("indexes/faiss.index", index(31, 8, 0.5));
    two.write("traces/other.json", "goes on");
    for round in 0..2 {
        let report = two.sync().await;
        let told = invalid(&report);
        let [(weight, why)] = told.as_slice() else { panic!("{told:?}") };
        assert!(weight.left_out() && why.contains("vectors/nodes.npy") && why.contains("filter"), "{why}");
        assert_eq!((report.pushed, report.again()), (usize::from(round == 0), false));
    }
    let report = one.sync().await;
    assert_eq!((invalid(&report), report.pulled, count(&one)), (vec![], 1, 30));
    // What comes still comes, and what was written here is kept.
    write_group(&one, 40, "from elsewhere");
    one.sync().await;
    let report = two.sync().await;
    assert_eq!((invalid(&report), report.conflicts.len()), (vec![], 1));
    assert_eq!(entries(&two.read("corpus/nodes.json").unwrap()), 40);
    // With all of its files taken in, it is sent.
    two.exclude.pop();
    two.restart();
    two.sync().await;
    two.write("corpus/nodes.json", corpus(41, "all of it"));
    two.write("vectors/nodes.npy", matrix(41, 8, 0.5));
    two.delete("indexes/faiss.index");
    two.pass(Duration::from_secs(10));
    assert_eq!(invalid(&two.sync().await), vec![]);
    one.sync().await;
    assert_eq!(count(&one), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_the_filters_hide_as_a_whole_is_not_told_of() {
    let World { mut two, .. } = filtered("corpus/nodes.json").await;
    two.exclude.extend(["vectors/nodes.npy".to_owned(), "indexes/**".to_owned()]);
    two.restart();
    let held = two.sync().await.holds;
    held.iter().for_each(|hold| two.approve(hold.id));
    two.write("corpus/nodes.json", corpus(31, "of this device alone"));
    let report = two.sync().await;
    assert_eq!((invalid(&report), report.moved(), report.holds.len()), (vec![], false, 0));
}
