//! What a manifest says of one path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, VaultPath};

/// What a file holds: the only thing that counts as a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Content {
    /// BLAKE3 of the whole file.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
}

/// One file in a manifest.
///
/// Two entries are equal when their *content* is: mtime, mode and rows are carried along but never count as a change, so they
/// take no part in `==`.
#[derive(Debug, Clone, Copy, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// BLAKE3 of the whole file.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// Modification time in milliseconds since the Unix epoch, as the writer's file system told it.
    pub mtime_ms: i64,
    /// Permission bits (`0o777`).
    pub mode: u32,
    /// Entries or rows, where the file is a corpus or an array that was looked into: so that a group that loses most of them is
    /// noticed before its bytes are fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl Entry {
    /// What the file holds.
    #[must_use]
    pub const fn content(&self) -> Content {
        Content { digest: self.digest, size: self.size }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.content() == other.content()
    }
}

/// A manifest: path → entry, sorted.
pub type Tree = BTreeMap<VaultPath, Entry>;

/// Changes a manifest at one path: `None` takes it out.
pub fn set_entry(tree: &mut Tree, path: VaultPath, entry: Option<Entry>) {
    match entry {
        Some(entry) => tree.insert(path, entry),
        None => tree.remove(&path),
    };
}
