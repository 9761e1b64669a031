//! A conflict: the version that lost, kept until somebody decides.

use serde::{Deserialize, Serialize};

use super::{ConflictId, Content, Digest, Entry, Hlc, Item, VaultPath};

/// One file of the losing side. `entry` is empty where the losing side had deleted the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Where the file stood.
    pub path: VaultPath,
    /// What it held.
    pub entry: Option<Entry>,
}

/// Whose version lost. Display only: nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Name of the device that wrote the losing version.
    pub device: String,
    /// Transaction that wrote it.
    pub txn: Hlc,
}

/// A losing version of an item, kept and listed until it is resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// [`Conflict::id_of`] of item and files.
    pub id: ConflictId,
    /// What was in conflict.
    pub item: Item,
    /// The losing version, sorted by path: all members of a group, or the one file.
    pub files: Vec<Kept>,
    /// Whose version it was, where that is known.
    pub origin: Option<Origin>,
}

impl Conflict {
    /// A conflict over `item` that `files` lost.
    #[must_use]
    pub fn new(item: Item, mut files: Vec<Kept>, origin: Option<Origin>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { id: Self::id_of(&item, &files), item, files, origin }
    }

    /// The name of a conflict: BLAKE3 of the item and of each file's path and content, so that devices that find the same
    /// conflict apart list it once.
    #[must_use]
    pub fn id_of(item: &Item, files: &[Kept]) -> ConflictId {
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(item.to_string().as_bytes());
        for file in files {
            field(file.path.as_str().as_bytes());
            match file.entry.map(|entry| entry.content()) {
                Some(Content { digest, size }) => {
                    field(digest.as_bytes());
                    field(&size.to_le_bytes());
                }
                None => field(b""),
            }
        }
        ConflictId::from_bytes(*Digest::from(hasher.finalize()).as_bytes())
    }
}

/// Which version a resolution keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The version that had lost.
    Mine,
    /// The version that stands.
    Remote,
    /// Both, side by side.
    Both,
}

/// A decision on a conflict. A resolved conflict stays resolved: it beats the same conflict listed open by a fork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// Which conflict.
    pub id: ConflictId,
    /// What was kept.
    pub keep: Keep,
}
