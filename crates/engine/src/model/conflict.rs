//! A conflict: the losing version of an item, kept until someone decides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConflictId, Content, Digest, Entry, Hlc, Item, VaultPath, bounded, limits};

/// Folder of the names that count the losses of one version. No device syncs a file in it.
const COUNTS: &str = "sync/lost-again";

/// One file of the losing side. `entry` is empty if the losing side had deleted the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Path of the file.
    pub path: VaultPath,
    /// Entry of the file on the losing side.
    pub entry: Option<Entry>,
}

impl Kept {
    /// True if this is no file, but tells the conflict from decided ones over the same version: see
    /// [`Conflict::undecided`].
    #[must_use]
    pub fn is_count(&self) -> bool {
        self.entry.is_none() && self.path.folders().any(|folder| folder == COUNTS)
    }
}

/// Origin of a losing version. For display only: it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Name of the device that wrote the losing version.
    pub device: String,
    /// Transaction that wrote the losing version.
    pub txn: Hlc,
}

/// A losing version of an item, kept and listed until it is resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// Id of the conflict: [`Conflict::id_of`] its item and files.
    pub id: ConflictId,
    /// Item in conflict.
    pub item: Item,
    /// Losing version, sorted by path: all members of a group, or the one file.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::CHANGES }>")]
    pub files: Vec<Kept>,
    /// Origin of the losing version, if known.
    pub origin: Option<Origin>,
}

impl Conflict {
    /// Creates a conflict over `item` in which `files` lost.
    #[must_use]
    pub fn new(item: Item, mut files: Vec<Kept>, origin: Option<Origin>) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { id: Self::id_of(&item, &files), item, files, origin }
    }

    /// The same loss under an id that nobody has decided. A version that loses again after its
    /// conflict was decided is a loss of its own, and a decision stays for ever.
    ///
    /// An id follows from the item and its files alone. So a name that no file can have counts the
    /// decided ones, as a file that the losing side had deleted: every reader of the format takes
    /// it for one that is absent on both sides. The same decisions give the same id, and so the same
    /// loss is kept once, also if it is planned again after a crash.
    #[must_use]
    pub fn undecided(mut self, decided: &BTreeMap<ConflictId, Keep>) -> Self {
        let mut before = 0_usize;
        while decided.contains_key(&self.id) {
            before += 1;
            let Ok(path) = VaultPath::new(&format!("{COUNTS}/{before}")) else { break };
            self.files.retain(|file| !file.is_count());
            self.files.push(Kept { path, entry: None });
            self = Self::new(self.item, self.files, self.origin);
        }
        self
    }

    /// The conflict as people are told of it: with the losing side's files alone.
    #[must_use]
    pub fn told(&self) -> Self {
        let mut told = self.clone();
        told.files.retain(|file| !file.is_count());
        told
    }

    /// Id of a conflict: BLAKE3 of the item and of each file's path and content. Devices that find
    /// the same conflict independently list it once.
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

/// Version that a resolution keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The losing version.
    Mine,
    /// The winning version.
    Remote,
    /// Both, side by side.
    Both,
}

/// Decision of a conflict. A resolved conflict stays resolved, even if a fork still lists it as
/// open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// Id of the conflict.
    pub id: ConflictId,
    /// Version that was kept.
    pub keep: Keep,
}
