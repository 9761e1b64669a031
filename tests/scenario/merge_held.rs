//! An app that has read the memories, and saves them after several pulls: it knows the first ones,
//! and takes nothing back of the later ones.

use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::Memories;

use super::merge_again::saved_and_merged;
use super::merge_by_hand::{put, read, ten, write};
use super::merge_unasked::{agreed, bucket, open, sync};
use crate::support::device::Device;

/// The other device's app adds a memory, changes `n1` and deletes another one, and all is pulled.
async fn another_pull(devices: &mut [Device; 2], round: u32, all: &mut Memories) {
    put(all, &format!("there {round}"), "from the other device", 60.0);
    put(all, "n1", &format!("changed there, {round}"), 61.0);
    all.remove(&format!("n{}", 2 + round));
    write(&devices[0], all);
    sync(devices).await;
    assert_eq!(&read(&devices[1]), all);
}

#[tokio::test]
async fn an_app_that_read_between_two_pulls_takes_back_nothing_of_the_later_one() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let mut all = ten();
    another_pull(&mut devices, 0, &mut all).await;
    let mut held = read(&devices[1]);
    another_pull(&mut devices, 1, &mut all).await;
    another_pull(&mut devices, 2, &mut all).await;
    // It may delete a memory that it knows.
    for memories in [&mut held, &mut all] {
        memories.remove("n7");
    }
    for id in ["here", "here again"] {
        saved_and_merged(&mut devices, &mut held, &mut all, id).await;
    }
    assert_eq!(open(&mut devices[1]).await, 0);
}

/// A program of the other device that counts reads writes the corpus anew.
#[tokio::test]
async fn a_pull_in_which_no_memory_differs_lets_nothing_be_taken_back() {
    let folder = fresh_folder();
    let mut devices = agreed(folder.path(), bucket()).await;
    let (mut held, mut all) = (ten(), ten());
    another_pull(&mut devices, 0, &mut all).await;
    let spelled = devices[0].text("corpus/nodes.json").unwrap().replace("\":", "\" : ");
    devices[0].write("corpus/nodes.json", spelled);
    sync(&mut devices).await;
    saved_and_merged(&mut devices, &mut held, &mut all, "here").await;
}
