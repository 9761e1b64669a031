//! What becomes of the versions that a program replaces by transactions.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use cogzy_vault::local_vault::LocalVault;
use cogzy_vault::remote::{MemoryRemote, Remote};

use crate::support::device::Device;

const PATH: &str = "traces/state.json";

fn save(device: &Device, text: &str) {
    let vault = LocalVault::open(&device.root).unwrap();
    let mut transaction = vault.transaction();
    transaction.file(PATH, text.as_bytes().to_vec()).unwrap();
    transaction.commit().unwrap();
}

/// How many applies have left something in the trash.
fn trashes(device: &Device) -> usize {
    std::fs::read_dir(device.root.join("sync/trash")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_replaces_is_gone_once_it_has_settled_and_what_a_pull_replaces_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    let mut two = Device::joined(folder.path(), "two", Arc::clone(&remote)).await;
    for round in 1..4 {
        save(&one, &format!("saved {round}"));
        assert_eq!(one.sync().await.generation, round);
    }
    one.sync().await;
    assert_eq!(trashes(&one), 0, "an app that saves often fills the disk");
    two.sync().await;
    two.write(PATH, "by the other");
    two.sync().await;
    one.sync().await;
    one.sync().await;
    assert_eq!((one.text(PATH).as_deref(), trashes(&one)), (Some("by the other"), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_write_to_what_a_program_has_replaced_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    save(&one, "first, ");
    one.sync().await;
    let mut open = File::options().append(true).open(one.root.join(PATH)).unwrap();
    save(&one, "second");
    open.write_all(b"and something more").unwrap();
    drop(open);
    one.sync().await;
    one.sync().await;
    let conflicts = one.conflicts();
    assert_eq!(conflicts.len(), 1, "a late write is lost");
    assert_eq!(
        one.conflict_bytes(&conflicts[0], PATH).as_deref(),
        Some(b"first, and something more".as_slice())
    );
    assert_eq!(one.text(PATH).as_deref(), Some("second"));
    assert_eq!(trashes(&one), 0);
}
