//! Entries of a manifest.

use serde::{Deserialize, Serialize};

use super::{Digest, SharedMap, VaultPath, bounded, limits};

/// Content of a file. Only a different content counts as a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Content {
    /// BLAKE3 of the whole file.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
}

/// One file in a manifest.
///
/// Two entries are equal if their *contents* are. Modification time, mode and rows are carried
/// along but never count as a change, so `==` ignores them.
#[derive(Debug, Clone, Copy, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// BLAKE3 of the whole file.
    pub digest: Digest,
    /// Length in bytes: at most [`limits::FILE`].
    #[serde(deserialize_with = "bounded::no_more_than::<_, { limits::FILE }>")]
    pub size: u64,
    /// Modification time in milliseconds since the Unix epoch, as the writer's file system gave it.
    pub mtime_ms: i64,
    /// Permission bits (`0o777`).
    pub mode: u32,
    /// Number of entries or rows, if the file is a corpus or an array that was read. It reveals
    /// that a group lost most of its entries before any byte is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "bounded::none_or_no_more_than::<_, { limits::ROWS }>")]
    pub rows: Option<u64>,
}

impl Entry {
    /// Content of the file.
    #[must_use]
    pub const fn content(&self) -> Content {
        Content { digest: self.digest, size: self.size }
    }

    /// True if the entries are equal in everything, also in what never counts as a change.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let rest = |entry: &Self| (entry.mtime_ms, entry.mode, entry.rows);
        self == other && rest(self) == rest(other)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.content() == other.content()
    }
}

/// Manifest: path → entry, sorted. Copies share what they have in common.
pub type Tree = SharedMap<VaultPath, Entry>;

/// Sets the entry of one path. `None` removes the path.
pub fn set_entry(tree: &mut Tree, path: VaultPath, entry: Option<Entry>) {
    match entry {
        Some(entry) => tree.insert(path, entry),
        None => tree.remove(&path),
    };
}
