//! Documents of the cache, which other programs of the user may change: notes, copies of headers
//! and commits, and the lines of a state that was proved, which are those of a checkpoint.

#![no_main]

#[path = "../../crates/engine/tests/support/joining.rs"]
mod joining;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cogzy_engine::log::{Depth, Log, ObjectCache};
use cogzy_engine::model::Digest;
use cogzy_engine::remote::{MemoryRemote, Remote};
use libfuzzer_sys::fuzz_target;

/// Bytes of a state's sum.
const SUM: usize = 2048;

#[derive(Debug, Default)]
struct Cache(Mutex<BTreeMap<String, Vec<u8>>>);

impl ObjectCache for Cache {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().get(key).cloned()
    }
    fn put(&self, key: &str, bytes: &[u8]) {
        self.0.lock().unwrap().insert(key.to_owned(), bytes.to_vec());
    }
    fn keys(&self, prefix: &str) -> Vec<String> {
        self.0.lock().unwrap().keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }
    fn remove(&self, key: &str) {
        self.0.lock().unwrap().remove(key);
    }
    fn now_ms(&self) -> u64 {
        1 << 40
    }
}

/// The proof of a state, as the log keeps it. `form` says what its bytes are.
fn proof(state: &[u8], form: u8) -> Vec<u8> {
    let mut proof = vec![0; SUM];
    proof.extend(1_u32.to_le_bytes());
    proof.extend(Digest::of(state).as_bytes());
    proof.push(form);
    proof.extend(b"checkpoints/x");
    [Digest::of(&proof).as_bytes().as_slice(), &proof].concat()
}

async fn opens(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let (remote, cache) = (MemoryRemote::default(), Cache::default());
    joining::header(&remote).await;
    let header = format!("vault-{}.json", joining::VAULT);
    cache.put(&header, &remote.dump()[&header]);
    // The name of a commit is the digest of its plaintext, behind the frame's head.
    let commit = format!("{:016}-{}", 1, Digest::of(bytes.get(9..).unwrap_or_default()));
    match kind % 6 {
        0 => cache.put("aside", bytes),
        1 => cache.put(&header, bytes),
        2 => {
            cache.put(&format!("commits/{commit}"), bytes);
            remote.put(&format!("commits/{commit}"), bytes.to_vec().into()).await.unwrap();
        }
        3 => cache.put("claim/packs/x", bytes),
        kind => {
            // Lines of a checkpoint, or the compact form.
            let form = if kind == 4 { 1 } else { 3 };
            // A state ends with the line of its own commit, whatever that is.
            let of = "0000000000000001-0101010101010101010101010101010101010101010101010101010101010101";
            cache.put(&format!("proved/{of}"), &proof(bytes, form));
            cache.put(&format!("proved-part/{of}/000000"), bytes);
        }
    }
    let remote: Arc<dyn Remote> = Arc::new(remote);
    let Ok(Some(mut log)) = Log::open(remote, Arc::new(cache)).await else { return };
    if log.refresh(Depth::Whole).await.is_ok() {
        let head = log.settle().await.ok().flatten();
        let _refused_or_empty = log.snapshot(head).await;
    }
    let (_told, _dismissed) = (log.aside(), log.dismiss());
}

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(opens(data));
});
