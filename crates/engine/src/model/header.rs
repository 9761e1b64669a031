//! Header object of a vault.

use serde::{Deserialize, Serialize};

use super::{Ext, Group, Need, VaultId, bounded, limits};

/// Parameters of content-defined chunking, in bytes. Each is a power of two.
///
/// They are fixed when the vault is created. Other parameters would cut other chunks, and nothing
/// would be deduplicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkParams {
    /// Shortest chunk. Only the last chunk of a file may be shorter.
    pub min: u32,
    /// Expected length of a chunk.
    pub avg: u32,
    /// Longest chunk.
    pub max: u32,
}

impl Default for ChunkParams {
    fn default() -> Self {
        Self { min: 16 << 10, avg: 64 << 10, max: 256 << 10 }
    }
}

impl ChunkParams {
    /// True if a chunker can work with these parameters: powers of two, in order, within the limits
    /// of readers.
    #[must_use]
    pub const fn usable(self) -> bool {
        self.min.is_power_of_two()
            && self.avg.is_power_of_two()
            && self.max.is_power_of_two()
            && self.min >= limits::SHORTEST_CHUNK
            && self.min < self.avg
            && self.avg < self.max
            && self.max <= limits::CHUNK
    }
}

/// Contents of `vault-<id>.json`: the settings that all devices share before the first commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultHeader {
    /// Format version: [`super::FIRST_FORMAT`], as long as a header uses no feature.
    pub format: u32,
    /// Id of the vault.
    pub vault: VaultId,
    /// Parameters of chunking.
    pub chunking: ChunkParams,
    /// First groups. Commits change them later.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::GROUPS }>")]
    pub groups: Vec<Group>,
    /// Features that a reader must know, sorted. Absent in format 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::NEEDS }>")]
    pub needs: Vec<Need>,
    /// Members that a reader may ignore. Absent in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "bounded::ext")]
    pub ext: Option<Ext>,
}
