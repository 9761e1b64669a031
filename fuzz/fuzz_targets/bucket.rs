//! A header, a checkpoint and a commit of a bucket, as a device that joins reads them.

#![no_main]

use std::sync::Arc;

use cogzy_engine::log::{Depth, Log, ObjectCache, create_vault};
use cogzy_engine::model::{ChunkParams, Digest, VaultHeader, VaultId};
use cogzy_engine::remote::{MemoryRemote, Remote};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct NoCache;

impl ObjectCache for NoCache {
    fn get(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
    fn put(&self, _: &str, _: &[u8]) {}
    fn keys(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn remove(&self, _: &str) {}
    fn now_ms(&self) -> u64 {
        0
    }
}

async fn joins(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let remote = MemoryRemote::default();
    let vault = VaultId::from_bytes([1; 16]);
    let chunking = ChunkParams::default();
    let header = VaultHeader { format: 1, vault, chunking, groups: vec![], needs: vec![], ext: None };
    create_vault(&remote, &header).await.unwrap();
    // The digest that a key holds is that of the plaintext, which may be what follows the frame's head.
    let digest = Digest::of(body.get(9..).unwrap_or_default());
    let key = match kind % 3 {
        0 => format!("vault-{}.json", VaultId::from_bytes([2; 16])),
        1 => format!("checkpoints/{:016}-{digest}", 1),
        _ => format!("commits/{:016}-{digest}", 1),
    };
    remote.put(&key, body.to_vec().into()).await.unwrap();
    let Ok(Some(mut log)) = Log::open(Arc::new(remote), Arc::new(NoCache)).await else { return };
    if log.refresh(Depth::Whole).await.is_ok() {
        let head = log.settle().await.ok().flatten();
        let _state = log.snapshot(head).await;
        let _faults = log.check_objects().await;
    }
}

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(joins(data));
});
