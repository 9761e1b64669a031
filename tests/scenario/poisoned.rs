//! Packs whose tables lie: what others say to have sent is not believed.

use std::path::Path;
use std::sync::Arc;

use cogzy_engine::log::pack_key;
use cogzy_engine::model::{ChunkSlot, Codec, Digest, PackId, PackInfo, Part, Recipe, RecipeOf};
use cogzy_engine::remote::Remote;
use cogzy_engine::sync::Unwatched;
use cogzy_testkit::fresh_folder;

use crate::prune::{Bucket, DAY, edits, point, prune, version};
use crate::prune_forged::forge;
use crate::support::device::Device;
use crate::support::history;

/// Bytes of a pack around the chunks and a row of its table.
const HEAD: u32 = 8;
const ROW: u64 = 41;
const FOOT: u64 = 44;

/// Puts a pack of garbage, first in every order, whose table claims these chunks, and commits it.
async fn poison(bucket: &Bucket, chunks: &[(Digest, u32)]) {
    let (mut slots, mut offset) = (Vec::new(), HEAD);
    for (id, len) in chunks {
        slots.push(ChunkSlot { id: *id, offset, stored: *len, len: *len, codec: Codec::Raw });
        offset += len;
    }
    let size = u64::from(offset) + ROW * slots.len() as u64 + FOOT;
    let bytes = vec![7; usize::try_from(size).unwrap()];
    let id = PackId::from_bytes([0; PackId::LEN]);
    let pack = PackInfo { id, digest: Digest::of(&bytes), size, chunks: slots };
    bucket.remote.put(&pack_key(id), bytes.into()).await.unwrap();
    forge(bucket, |commit| commit.packs = vec![pack]).await;
}

/// All chunks of the newest state.
async fn all_chunks(bucket: &Bucket) -> Vec<(Digest, u32)> {
    let state = history::Bucket::of(Arc::new(bucket.remote.clone())).head().await;
    let slots = state.packs.values().flat_map(|pack| pack.chunks.iter());
    slots.map(|slot| (slot.id, slot.len)).collect()
}

async fn new_device(bucket: &Bucket, folder: &Path, name: &str) -> Device {
    let mut new = bucket.device(folder, name).await;
    new.sync().await;
    new
}

#[tokio::test]
async fn a_pack_that_claims_every_chunk_takes_none_of_them() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    edits(&mut one, "traces/a.json", &["a1", "a2", "a3"]).await;
    edits(&mut one, "traces/b.json", &["b1"]).await;
    let chunks = all_chunks(&bucket).await;
    poison(&bucket, &chunks).await;
    let mut two = new_device(&bucket, folder.path(), "two").await;
    assert_eq!(two.files(), one.files(), "what is not in the first place is in the next");
    one.sync().await;
    one.engine().restore(&point(1), &[], true, &Unwatched).await.unwrap();
    assert_eq!(one.read("traces/a.json"), Some(version("a1")));
    two.sync().await;
    assert_eq!(two.files(), one.files());

    // What is true seems to be a second copy, and goes in the end; not before the first is looked
    // at.
    for _ in 0..6 {
        bucket.pass(8 * DAY);
        prune(&mut one).await;
        prune(&mut two).await;
    }
    assert_sound_but_for_the_lie(&mut one).await;
    let three = new_device(&bucket, folder.path(), "three").await;
    assert_eq!(three.files(), one.files());
}

/// The garbage itself is damaged, and nothing else is.
async fn assert_sound_but_for_the_lie(device: &mut Device) {
    let verified = device.verify().await;
    let lie = pack_key(PackId::from_bytes([0; PackId::LEN]));
    let others: Vec<_> = verified.faults.iter().filter(|fault| fault.path != lie).collect();
    assert!(others.is_empty() && verified.lost.is_empty(), "{verified:?}");
}

#[tokio::test]
async fn a_damaged_chunk_that_a_lie_claims_too_keeps_its_place_until_it_is_repaired() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    one.enclose_nothing();
    one.write("traces/a.json", b"a file of one chunk".as_slice());
    one.sync().await;
    let true_copy = bucket.packs().into_iter().next().unwrap();
    poison(&bucket, &all_chunks(&bucket).await).await;
    let mut bytes = bucket.remote.dump()[&true_copy].to_vec();
    bytes[HEAD as usize] ^= 1;
    assert!(bucket.remote.damage(&true_copy, bytes.into()));
    // It has never read the chunk, so that it knows neither place; the other one has sent it.
    let mut two = new_device(&bucket, folder.path(), "two").await;
    assert_eq!(two.read("traces/a.json"), None);

    for at in 0..6 {
        bucket.pass(8 * DAY);
        let pruned = prune(if at == 1 { &mut one } else { &mut two }).await;
        assert_eq!((pruned.stopped, pruned.freed.objects), (at != 1, 0), "{pruned:?}");
    }
    // A bucket in memory takes no other bytes under a key that it has.
    bucket.packs().iter().for_each(|pack| drop(bucket.remote.remove(pack)));
    one.engine().repair(&Unwatched).await.unwrap();
    two.sync().await;
    assert_eq!(two.files(), one.files(), "what a device still has comes back");
}

#[tokio::test]
async fn what_another_one_says_to_have_sent_is_sent_all_the_same() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    edits(&mut one, "traces/a.json", &["a1"]).await;
    // A second vault tells which chunks the coming file has.
    let elsewhere = Bucket::new();
    let mut other = elsewhere.device(folder.path(), "other").await;
    edits(&mut other, "traces/b.json", &["b1"]).await;
    let small = b"a file of one chunk".as_slice();
    let mut chunks = all_chunks(&elsewhere).await;
    chunks.push((Digest::of(small), u32::try_from(small.len()).unwrap()));
    poison(&bucket, &chunks).await;
    one.sync().await;

    one.write("traces/b.json", version("b1"));
    one.write("traces/small.json", small);
    let report = one.sync().await;
    assert_eq!(report.pushed, 2);
    let mut two = new_device(&bucket, folder.path(), "two").await;
    assert_eq!(two.files(), one.files(), "a device can read what was sent");
    assert_sound_but_for_the_lie(&mut one).await;

    // What this device has read it relies on without another look.
    two.write("traces/copy.json", version("b1"));
    let packs = bucket.packs();
    assert_eq!((two.sync().await.pushed, bucket.packs()), (1, packs));
    one.sync().await;
    assert_eq!(one.read("traces/copy.json"), Some(version("b1")));
}

#[tokio::test]
async fn a_recipe_that_somebody_claims_for_a_file_of_one_chunk_keeps_nobody_from_it() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    let (mine, another) = (b"a file of one chunk".as_slice(), b"a file of 1 chunk !".as_slice());
    one.write("traces/a.json", mine);
    one.write("traces/b.json", another);
    one.sync().await;
    let part = Part { id: Digest::of(another), len: u32::try_from(mine.len()).unwrap() };
    let recipe = Recipe { depth: 0, parts: vec![part] };
    forge(&bucket, |commit| commit.recipes = vec![RecipeOf { digest: Digest::of(mine), recipe }]).await;

    let two = new_device(&bucket, folder.path(), "two").await;
    assert_eq!(two.files(), one.files(), "the chunk is the file, whatever a recipe says");
    one.sync().await;
    one.write("traces/copy.json", mine);
    assert_eq!(one.sync().await.pushed, 1);
    let three = new_device(&bucket, folder.path(), "three").await;
    assert_eq!(three.files(), one.files());
    let verified = one.verify().await;
    assert!(verified.faults.is_empty() && verified.lost.is_empty(), "{verified:?}");
}
