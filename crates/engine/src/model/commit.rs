//! A commit: one generation of the vault, stored as the difference to its first parent.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    CommitId, Conflict, DeviceId, Digest, Enclosed, Entry, FIRST_FORMAT, FORMAT, Feature, Group, Hlc, Need,
    PackInfo, Prune, Reads, Recipe, Resolution, VaultId, VaultPath, bounded, limits,
};

/// Members that a later version may add and that every reader ignores.
pub type Ext = serde_json::Map<String, serde_json::Value>;

/// Author of a commit. The name is for display only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Id of the device.
    pub id: DeviceId,
    /// Name of the device when it made the commit.
    pub name: String,
    /// Formats and features that the device reads. Absent in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<Reads>,
}

/// Change of one path. `entry` is empty if the path was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Path that changed.
    pub path: VaultPath,
    /// New entry of the path.
    pub entry: Option<Entry>,
}

/// The recipe of a content that has more than one chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeOf {
    /// BLAKE3 of the whole content.
    pub digest: Digest,
    /// Chunks of the content.
    pub recipe: Recipe,
}

/// Kind of an ordinary commit. For display only: it decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommitKind {
    /// Changes that a device found in its vault.
    #[default]
    Sync,
    /// Paths put back to their state in this generation.
    Restore(u64),
    /// The changes of this generation taken back.
    Undo(u64),
    /// Decision of a conflict.
    Resolve,
    /// Import of plain objects.
    Import,
    /// Old data marked or swept. No file changed.
    Prune,
    /// Contents given up that the bucket has lost.
    #[serde(rename = "give-up")]
    GiveUp,
}

impl CommitKind {
    /// Name of the kind: `sync`, `restore`, `undo`, `resolve`, `import`, `prune` or `give-up`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Restore(_) => "restore",
            Self::Undo(_) => "undo",
            Self::Resolve => "resolve",
            Self::Import => "import",
            Self::Prune => "prune",
            Self::GiveUp => "give-up",
        }
    }

    /// Generation that the commit restored or undid.
    #[must_use]
    pub const fn of(self) -> Option<u64> {
        match self {
            Self::Restore(generation) | Self::Undo(generation) => Some(generation),
            Self::Sync | Self::Resolve | Self::Import | Self::Prune | Self::GiveUp => None,
        }
    }

    fn is_sync(&self) -> bool {
        *self == Self::Sync
    }
}

/// One generation of the vault.
///
/// An *ordinary* commit has at most one parent, a transaction and a device. A *merge* has two
/// parents, the winner (the higher key) first. It has no transaction, no device and no time, so two
/// devices that merge at once write the same bytes.
///
/// A commit is the difference to its first parent. A merge repeats the packs, recipes and conflicts
/// that only its second parent brought, so a reader only ever follows the first parent. Lists are
/// sorted (by path, digest or id) and free of duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Lowest format that can hold the commit: 1 without features, else 2.
    pub format: u32,
    /// Vault that the commit belongs to.
    pub vault: VaultId,
    /// Generation: one more than the highest parent's, 1 without parents.
    pub seq: u64,
    /// Commits that this one builds on.
    #[serde(deserialize_with = "bounded::at_most::<_, _, 2>")]
    pub parents: Vec<CommitKey>,
    /// Transaction id of an ordinary commit.
    pub txn: Option<Hlc>,
    /// Author of an ordinary commit.
    pub device: Option<Device>,
    /// Paths whose content changed.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::CHANGES }>")]
    pub changes: Vec<Change>,
    /// Recipes of contents that the first parent lacks.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::RECIPES }>")]
    pub recipes: Vec<RecipeOf>,
    /// Packs that the first parent lacks, as objects. They are uploaded before this commit is written.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::PACKS }>")]
    pub packs: Vec<PackInfo>,
    /// A small pack that stands in this commit itself. Its id follows from the commit's; see
    /// [`PackId::within`](super::PackId::within). Absent in format 1 and in merges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enclosed: Option<Enclosed>,
    /// New group definitions, if they changed.
    pub groups: Option<Vec<Group>>,
    /// Conflicts whose losing versions are kept from this commit on.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::LISTED }>")]
    pub kept: Vec<Conflict>,
    /// Conflicts that this commit decides.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::LISTED }>")]
    pub resolved: Vec<Resolution>,
    /// Kind of the commit. Absent for a sync, in merges, and in all commits older than this field.
    #[serde(default, skip_serializing_if = "CommitKind::is_sync")]
    pub kind: CommitKind,
    /// Marked and swept packs. Absent if there are none.
    #[serde(default, skip_serializing_if = "Prune::is_empty")]
    pub prune: Prune,
    /// Features that a reader must know, sorted. Absent in format 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::NEEDS }>")]
    pub needs: Vec<Need>,
    /// Digest of the sum of the first parent's state, which proves that a checkpoint is that state.
    /// Absent in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// Members that a reader may ignore. Absent in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::ext")]
    pub ext: Option<Ext>,
}

impl Commit {
    /// Fixes the format: the lowest that can hold the commit, with the features that it uses beside
    /// those that it names already.
    pub fn settle_format(&mut self) {
        self.needs.extend(Feature::of(self).into_iter().map(Feature::need));
        self.needs.sort();
        self.needs.dedup();
        let more = !self.needs.is_empty() || self.base.is_some();
        if let Some(device) = self.device.as_mut().filter(|_| more) {
            device.reads = Some(Reads::ours());
        }
        self.format = if self.uses_format_2() { FORMAT } else { FIRST_FORMAT };
    }

    /// True if the commit holds something that format 1 has no room for.
    #[must_use]
    pub fn uses_format_2(&self) -> bool {
        let reads = self.device.as_ref().is_some_and(|device| device.reads.is_some());
        reads || !self.needs.is_empty() || self.base.is_some() || self.ext.is_some()
    }
}

/// Key of a commit in the bucket, and its rank among heads: the higher `(seq, id)` wins. Clocks
/// play no part in the rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitKey {
    /// Generation: at most [`limits::GENERATION`].
    #[serde(deserialize_with = "bounded::no_more_than::<_, { limits::GENERATION }>")]
    pub seq: u64,
    /// Digest of the commit's plaintext.
    pub id: CommitId,
}

impl fmt::Display for CommitKey {
    /// Formats the key as in the bucket: `<seq, 16 digits>-<id>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}-{}", self.seq, self.id)
    }
}

impl CommitKey {
    /// Parses the output of [`fmt::Display`], and rejects every other spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, id) = text.split_once('-')?;
        let plain = seq.len() == 16 && seq.bytes().all(|digit| digit.is_ascii_digit());
        let seq: u64 = plain.then(|| seq.parse().ok())??;
        Some(Self { seq: (seq <= limits::GENERATION).then_some(seq)?, id: id.parse().ok()? })
    }
}

#[cfg(test)]
mod tests;
