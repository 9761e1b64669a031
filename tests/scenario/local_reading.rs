//! A program that reads the vault while generations of another device arrive.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cogzy_client::local_vault::LocalVault;
use cogzy_engine::model::Validate;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_testkit::memory::{corpus, matrix};
use cogzy_testkit::{amount, fresh_folder};
use serde_json::Value;

use crate::support::device::Device;

/// Generations that have to arrive while it reads, or it reads on.
const GENERATIONS: usize = 12;

/// Both files say how many entries they have and which generation they are of.
fn write(device: &Device, generation: usize) {
    let count = 3 + generation % 2;
    device.write("corpus/nodes.json", corpus(count, &generation.to_string()));
    device.write("vectors/nodes.npy", matrix(count, 4, generation as f32));
}

/// Loads nodes and vectors, all the time, and tells the generations it has seen.
fn read(root: &Path, arrived: &AtomicUsize) -> BTreeSet<usize> {
    let vault = LocalVault::open(root).unwrap();
    let wanted = amount(1_000, 10_000);
    let (mut reads, mut seen) = (0, BTreeSet::new());
    while reads < wanted || arrived.load(Ordering::Relaxed) < GENERATIONS {
        let reading = vault.reading().unwrap();
        let (nodes, vectors) = (reading.nodes().unwrap(), reading.embeddings("nodes").unwrap());
        drop(reading);
        let first: Value = nodes.get(0).unwrap().unwrap();
        let generation: usize = first["content"].as_str().unwrap().trim_end_matches(" 0").parse().unwrap();
        assert_eq!(
            (nodes.len(), generation as f32),
            (vectors.nrows(), vectors[[0, 0]]),
            "the corpus of generation {generation} was read with other vectors, after {reads} reads"
        );
        seen.insert(generation);
        reads += 1;
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_under_the_lock_never_sees_half_of_a_generation_that_is_pulled() {
    let folder = fresh_folder();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut other = Device::new(folder.path(), "other", Arc::clone(&remote));
    other.validate = Validate::Enforce;
    other.join(false).await.unwrap();
    let mut here = Device::joined(folder.path(), "here", remote).await;
    let arrived = Arc::new(AtomicUsize::new(0));
    let mut reader = None;
    let mut generation = 0;
    while reader.as_ref().is_none_or(|reader: &std::thread::JoinHandle<_>| !reader.is_finished()) {
        generation += 1;
        write(&other, generation);
        other.sync().await;
        assert_eq!(here.sync().await.pulled, 2, "generation {generation} did not arrive");
        arrived.store(generation - 1, Ordering::Relaxed);
        if reader.is_none() {
            let (root, arrived) = (here.root.clone(), Arc::clone(&arrived));
            reader = Some(std::thread::spawn(move || read(&root, &arrived)));
        }
    }
    let seen = reader.unwrap().join().unwrap();
    assert!(seen.len() > GENERATIONS / 2, "of {generation} generations it saw {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_keeps_the_lock_holds_up_no_cycle_that_brings_nothing() {
    let folder = fresh_folder();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut here = Device::joined(folder.path(), "here", remote).await;
    let vault = LocalVault::open(&here.root).unwrap();
    let reading = vault.reading().unwrap();
    here.write("traces/saved.json", "saved");
    let synced = tokio::time::timeout(Duration::from_secs(20), here.try_sync()).await;
    assert_eq!(synced.expect("it waits for the reader").unwrap().pushed, 1);
    drop(reading);
}
