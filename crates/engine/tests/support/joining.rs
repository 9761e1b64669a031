//! A device that joins a bucket and reads whatever is in it, for whoever made that up.

use std::sync::Arc;

use cogzy_engine::log::{Depth, Log, LogError, create_vault};
use cogzy_engine::model::{ChunkParams, VaultHeader, VaultId};
use cogzy_engine::remote::Remote;

#[path = "no_cache.rs"]
mod no_cache;

use no_cache::NoCache;

/// The vault of the bucket.
pub const VAULT: VaultId = VaultId::from_bytes([1; 16]);

/// Puts the header of a vault without groups.
pub async fn header(remote: &dyn Remote) {
    let chunking = ChunkParams::default();
    let header = VaultHeader { format: 1, vault: VAULT, chunking, groups: vec![], needs: vec![], ext: None };
    create_vault(remote, &header).await.unwrap();
}

/// Key of a header that is not there.
pub fn another_header() -> String {
    format!("vault-{}.json", VaultId::from_bytes([2; 16]))
}

pub async fn opened(remote: &Arc<dyn Remote>) -> Result<Log, LogError> {
    let mut log = Log::open(Arc::clone(remote), Arc::new(NoCache)).await?.expect("there is a vault");
    log.refresh(Depth::Whole).await?;
    Ok(log)
}

/// Reads all that a device reads that joins, and that verifies.
pub async fn looked_into(remote: &Arc<dyn Remote>) {
    if let Ok(mut log) = opened(remote).await {
        let head = log.settle().await.ok().flatten();
        let _refused_or_empty = log.snapshot(head).await;
        let _faults = log.check_objects().await;
    }
}
