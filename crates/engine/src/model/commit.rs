//! A commit: one generation of the vault, as the difference to its first parent.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    CommitId, Conflict, DeviceId, Digest, Entry, Group, Hlc, PackInfo, Prune, Recipe, Resolution, VaultId,
    VaultPath,
};

/// The format this program writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// Who made a commit. The name is for display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The device.
    pub id: DeviceId,
    /// Its name at that time.
    pub name: String,
}

/// What became of one path. `entry` is empty where the path was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Which path.
    pub path: VaultPath,
    /// What it holds now.
    pub entry: Option<Entry>,
}

/// The recipe of a content that has more than one chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeOf {
    /// BLAKE3 of the whole content.
    pub digest: Digest,
    /// How it is put together.
    pub recipe: Recipe,
}

/// What made an ordinary commit. For people: nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommitKind {
    /// What was found changed on a device.
    #[default]
    Sync,
    /// Paths were put back to what they were in this generation.
    Restore(u64),
    /// What this generation changed was taken back.
    Undo(u64),
    /// Somebody decided a conflict.
    Resolve,
    /// Plain objects were taken over.
    Import,
    /// Old data was marked or swept; no file has changed.
    Prune,
}

impl CommitKind {
    /// Its name: `sync`, `restore`, `undo`, `resolve`, `import` or `prune`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Restore(_) => "restore",
            Self::Undo(_) => "undo",
            Self::Resolve => "resolve",
            Self::Import => "import",
            Self::Prune => "prune",
        }
    }

    /// The generation that it went back to or took back.
    #[must_use]
    pub const fn of(self) -> Option<u64> {
        match self {
            Self::Restore(generation) | Self::Undo(generation) => Some(generation),
            Self::Sync | Self::Resolve | Self::Import | Self::Prune => None,
        }
    }

    fn is_sync(&self) -> bool {
        *self == Self::Sync
    }
}

/// One generation.
///
/// An *ordinary* commit has at most one parent, and a transaction and a device. A *merge* has two parents, the winner
/// (the higher key) first, and neither transaction nor device nor time: two devices that merge at once write the same
/// bytes. Everything is a difference to the first parent; a merge therefore repeats what only its second parent brought
/// (packs, recipes, conflicts), and reading never follows any parent but the first. Lists are sorted (by path, digest, id)
/// and free of duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Format version, [`FORMAT`].
    pub format: u32,
    /// Which vault.
    pub vault: VaultId,
    /// Generation: one more than the highest parent's, 1 without parents.
    pub seq: u64,
    /// What it builds on.
    pub parents: Vec<CommitKey>,
    /// Transaction id of an ordinary commit.
    pub txn: Option<Hlc>,
    /// Who made an ordinary commit.
    pub device: Option<Device>,
    /// Paths whose content changed.
    pub changes: Vec<Change>,
    /// Recipes of contents that the first parent did not have.
    pub recipes: Vec<RecipeOf>,
    /// Packs that the first parent did not have. They exist before this commit is written.
    pub packs: Vec<PackInfo>,
    /// New group definitions, where they changed.
    pub groups: Option<Vec<Group>>,
    /// Conflicts whose losing versions are kept from now on.
    pub kept: Vec<Conflict>,
    /// Conflicts decided.
    pub resolved: Vec<Resolution>,
    /// What made it. Absent for a sync and in merges, as in all commits before there was a choice.
    #[serde(default, skip_serializing_if = "CommitKind::is_sync")]
    pub kind: CommitKind,
    /// What becomes of old data. Absent where nothing does.
    #[serde(default, skip_serializing_if = "Prune::is_empty")]
    pub prune: Prune,
}

/// Where a commit stands in the bucket, and its rank among heads: the higher `(seq, id)` wins. Clocks have no part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitKey {
    /// Generation.
    pub seq: u64,
    /// Digest of the commit's plaintext.
    pub id: CommitId,
}

impl fmt::Display for CommitKey {
    /// As in the object's key: `<seq, 16 digits>-<id>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}-{}", self.seq, self.id)
    }
}

impl CommitKey {
    /// Reads what [`fmt::Display`] wrote; nothing else is taken.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, id) = text.split_once('-')?;
        let plain = seq.len() == 16 && seq.bytes().all(|digit| digit.is_ascii_digit());
        Some(Self { seq: plain.then(|| seq.parse().ok())??, id: id.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_text_as_they_rank() {
        let key = |seq, byte| CommitKey { seq, id: CommitId::from_bytes([byte; 32]) };
        let mut keys = [key(10, 1), key(9, 255), key(10, 0), key(100, 3)];
        keys.sort();
        let mut texts = keys.map(|key| key.to_string());
        texts.sort();
        assert_eq!(texts, keys.map(|key| key.to_string()));
        assert_eq!(CommitKey::parse(&texts[0]), Some(keys[0]));
        assert_eq!(CommitKey::parse("9-00"), None);
    }
}
