//! Commits that name a pack which is there already, with other chunks in it: the true pack stays.

use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::content::PackBuilder;
use cogzy_engine::log::pack_key;
use cogzy_engine::model::{ChunkSlot, Codec, Digest, PackId, PackInfo};
use cogzy_engine::remote::Remote;
use cogzy_engine::sync::Unwatched;
use cogzy_testkit::fresh_folder;

use crate::prune::{Bucket, DAY, assert_sound, edits, prune, version};
use crate::prune_forged::forge;
use crate::support::device::Device;
use crate::support::history;
use crate::support::process::noise;

/// A table for the pack `id` that claims just this chunk.
fn lie(id: PackId, chunk: &[u8]) -> PackInfo {
    let len = u32::try_from(chunk.len()).unwrap();
    let slot = ChunkSlot { id: Digest::of(chunk), offset: 8, stored: len, len, codec: Codec::Raw };
    PackInfo { id, digest: Digest::of(b"a lie"), size: u64::from(len) + 8 + 41 + 44, chunks: vec![slot] }
}

async fn repair(device: &mut Device) {
    device.pass(Duration::from_secs(10));
    device.engine().repair(&Unwatched).await.unwrap();
}

#[tokio::test]
async fn a_pack_that_is_named_again_with_another_table_is_found_as_before() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    one.enclose_nothing();
    edits(&mut one, "traces/a.json", &["a1", "a2"]).await;
    one.write("traces/small.json", noise("small", 3000));
    one.sync().await;
    let state = history::Bucket::of(Arc::new(bucket.remote.clone())).head().await;
    let packs: Vec<PackId> = state.packs.keys().copied().collect();
    assert!(packs.len() > 1);
    let before = bucket.remote.dump();
    forge(&bucket, |commit| {
        commit.packs = packs.iter().map(|id| lie(*id, &noise("small", 3000))).collect();
    })
    .await;
    one.sync().await;
    let mut two = bucket.device(folder.path(), "two").await;
    two.sync().await;
    assert_eq!(two.files(), one.files());
    for device in [&mut one, &mut two] {
        assert_sound(device).await;
        repair(device).await;
    }
    let after = bucket.remote.dump();
    assert!(packs.iter().map(|id| pack_key(*id)).all(|key| before[&key] == after[&key]));
    for _ in 0..3 {
        bucket.pass(8 * DAY);
        prune(&mut one).await;
    }
    let mut three = bucket.device(folder.path(), "three").await;
    three.sync().await;
    assert_eq!(three.read("traces/a.json"), Some(version("a2")));
}

#[tokio::test]
async fn a_repair_writes_over_no_sound_pack_that_the_commits_have_another_table_of() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    one.write("traces/small.json", noise("small", 3000));
    one.sync().await;
    // Somebody has seen the pack of another device, and names it before that one's commit does.
    let id = PackId::from_bytes([9; PackId::LEN]);
    let only = noise("of another device", 3000);
    let mut builder = PackBuilder::new(id);
    builder.push(Digest::of(&only), only.len(), Codec::Raw, &only).unwrap();
    let pack = builder.finish().unwrap().bytes;
    bucket.remote.put(&pack_key(id), pack.clone()).await.unwrap();
    forge(&bucket, |commit| commit.packs = vec![lie(id, &noise("small", 3000))]).await;
    one.sync().await;
    repair(&mut one).await;
    assert_eq!(bucket.remote.dump()[&pack_key(id)], pack);
    let mut two = bucket.device(folder.path(), "two").await;
    two.sync().await;
    assert_eq!(two.files(), one.files());
}
