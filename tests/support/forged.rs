//! Commits that no device made, as somebody with a key to the bucket can write them.

use std::sync::Arc;

use cogzy_engine::log::Prepared;
use cogzy_engine::model::{
    Commit, CommitId, CommitKey, CommitKind, Device, DeviceId, Digest, FIRST_FORMAT, Hlc, Prune, VaultId,
};

/// A commit on `parents` that is well made and changes nothing but what `change` does.
pub fn commit(vault: VaultId, parents: &[CommitKey], change: impl FnOnce(&mut Commit)) -> Prepared {
    let id = DeviceId::from_bytes([7; 8]);
    let seq = parents.iter().map(|parent| parent.seq).max().unwrap_or(0) + 1;
    let ordinary = parents.len() < 2;
    let mut commit = Commit {
        enclosed: None,
        format: FIRST_FORMAT,
        vault,
        seq,
        parents: parents.to_vec(),
        txn: ordinary.then_some(Hlc { wall_ms: 1, logical: 0, device: id }),
        device: ordinary.then(|| Device { id, name: "stranger".into(), reads: None }),
        changes: vec![],
        recipes: vec![],
        packs: vec![],
        groups: None,
        kept: vec![],
        resolved: vec![],
        kind: CommitKind::Sync,
        prune: Prune::default(),
        needs: vec![],
        base: None,
        ext: None,
    };
    change(&mut commit);
    commit.settle_format();
    // By hand: the engine makes none that it would refuse.
    let plain = serde_json::to_vec(&commit).unwrap();
    let id = CommitId::from_bytes(*Digest::of(&plain).as_bytes());
    let format = u16::try_from(commit.format).unwrap().to_le_bytes();
    let bytes = [b"CGZcmt".as_slice(), &format, &[0], &plain].concat();
    Prepared { key: CommitKey { seq: commit.seq, id }, bytes: bytes.into(), commit: Arc::new(commit) }
}
