//! A prune in pieces, with other work in between; and one after the store's clock was wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::clock::Clock;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{PruneRun, Pruned, Retention, Unwatched};

use crate::support::device::{Device, ShiftedClock};

const HOUR: Duration = Duration::from_secs(3600);
/// More than are deleted at once.
const ORPHANS: usize = 1900;

async fn device(folder: &Path, bucket: &MemoryRemote) -> Device {
    let mut device = Device::joined(folder, "one", Arc::new(bucket.clone()) as Arc<dyn Remote>).await;
    device.retention = Retention { generations: 1, age: Duration::ZERO, grace: HOUR };
    device.enclose_nothing();
    device
}

fn packs(bucket: &MemoryRemote) -> usize {
    bucket.dump().keys().filter(|key| key.starts_with("packs/")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_in_pieces_lets_saves_pass_and_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ShiftedClock::now();
    let bucket = MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let mut one = device(folder.path(), &bucket).await;
    one.write("notes/a.txt", "one");
    one.sync().await;
    for number in 0..ORPHANS {
        let key = format!("packs/{:02x}/{:02x}{number:030x}", number % 256, number % 256);
        bucket.put(&key, Bytes::from_static(b"of an upload that was cut off")).await.unwrap();
    }
    // Marked, and a grace period later swept and deleted.
    clock.pass(2 * HOUR);
    assert_eq!(one.engine().prune(false, &Unwatched).await.unwrap().marked.objects, ORPHANS);
    let there = packs(&bucket);
    assert!(there > ORPHANS);
    clock.pass(2 * HOUR);
    let mut run = PruneRun::in_pieces(Duration::ZERO);
    let (mut pieces, mut left) = (1, there);
    while one.engine().prune_piece(&mut run, &Unwatched).await.unwrap() {
        pieces += 1;
        assert!(packs(&bucket) < left, "each piece frees something");
        one.write("notes/between.txt", format!("saved before piece {pieces}"));
        assert_eq!(one.sync().await.pushed, 1);
        left = packs(&bucket);
    }
    let Pruned { freed, .. } = run.result();
    assert!(pieces > 2, "{pieces} pieces");
    assert_eq!(freed.objects, ORPHANS);
    assert!(packs(&bucket) <= there - ORPHANS + pieces);
    let verified = one.verify().await;
    assert!(verified.faults.is_empty(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_once_set_forward_puts_off_no_prune() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ShiftedClock::now();
    let bucket = MemoryRemote::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let mut one = device(folder.path(), &bucket).await;
    let ahead = 400 * 24 * HOUR;
    clock.pass(ahead);
    for version in ["first", "second"] {
        one.write("notes/a.txt", version.repeat(9));
        one.sync().await;
    }
    // What is marked now was seen to go in the future.
    clock.pass(2 * HOUR);
    assert_eq!(one.engine().prune(false, &Unwatched).await.unwrap().marked.objects, 1);
    clock.set_back(ahead);
    one.write("notes/b.txt", "saved since the clock is right");
    one.sync().await;
    let before = packs(&bucket);
    let mut freed = 0;
    for _ in 0..4 {
        clock.pass(2 * HOUR);
        freed += one.engine().prune(false, &Unwatched).await.unwrap().freed.objects;
    }
    assert_eq!((freed, packs(&bucket)), (1, before - 1), "a few grace periods suffice");
    // A pack that comes from that day can be marked, too.
    clock.pass(ahead);
    one.write("notes/a.txt", "third");
    one.sync().await;
    clock.set_back(ahead);
    one.write("notes/a.txt", "fourth");
    one.sync().await;
    clock.pass(2 * HOUR);
    let pruned = one.engine().prune(false, &Unwatched).await.unwrap();
    assert!(pruned.marked.objects > 0, "{pruned:?}");
}
