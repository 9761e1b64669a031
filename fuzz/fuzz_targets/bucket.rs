//! A header, a checkpoint and a commit of a bucket, as a device that joins reads them.

#![no_main]

#[path = "../../crates/engine/tests/support/joining.rs"]
mod joining;

use std::sync::Arc;

use cogzy_engine::model::Digest;
use cogzy_engine::remote::{MemoryRemote, Remote};
use libfuzzer_sys::fuzz_target;

async fn joins(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let remote = MemoryRemote::default();
    joining::header(&remote).await;
    // The digest that a key holds is that of the plaintext, which may be what follows the frame's
    // head.
    let digest = Digest::of(body.get(9..).unwrap_or_default());
    let key = match kind % 3 {
        0 => joining::another_header(),
        1 => format!("checkpoints/{:016}-{digest}", 1),
        _ => format!("commits/{:016}-{digest}", 1),
    };
    remote.put(&key, body.to_vec().into()).await.unwrap();
    joining::looked_into(&(Arc::new(remote) as Arc<dyn Remote>)).await;
}

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(joins(data));
});
