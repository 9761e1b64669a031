//! Corpora and vectors as a program reads them: the same number of entries as we count, and
//! whatever we take for an array can be read or is refused with a reason.

#![no_main]

use cogzy_client::local_vault::LocalVault;
use cogzy_engine::fs::RootedFs;
use cogzy_engine::model::{DeviceId, VaultId};
use cogzy_engine::vault::{Layout, MARKER_FORMAT, Marker};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    for folder in [layout.sync(), layout.root().join("corpus"), layout.root().join("vectors")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let (vault, device) = (VaultId::from_bytes([1; 16]), DeviceId::from_bytes([2; 8]));
    let marker = Marker { format: MARKER_FORMAT, vault, device, machine: String::new() };
    marker.write(&RootedFs::open(layout.root(), layout.sync()), &layout).unwrap();
    let name = if kind % 2 == 0 { "corpus/nodes.json" } else { "vectors/nodes.npy" };
    std::fs::write(layout.root().join(name), bytes).unwrap();
    let vault = LocalVault::open(layout.root()).unwrap();
    if kind % 2 == 0 {
        // A program may meet what the count does not look into: two entries of one id, numbers that
        // are too large. What it can read has as many entries as were counted.
        if let (Ok(nodes), Ok(count)) = (vault.read_nodes(), vault.node_count()) {
            assert_eq!(nodes.len() as u64, count);
        }
    } else if let Ok(vectors) = vault.read_embeddings("nodes") {
        assert!(vectors.len() * 2 <= bytes.len());
    }
});
