//! The vault's header object.

use serde::{Deserialize, Serialize};

use super::{Group, VaultId};

/// Parameters of content-defined chunking, in bytes; each a power of two.
///
/// Fixed when the vault is made: other parameters would cut other chunks, and nothing would be deduplicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkParams {
    /// No chunk but a file's last is shorter.
    pub min: u32,
    /// The expected length.
    pub avg: u32,
    /// No chunk is longer.
    pub max: u32,
}

impl Default for ChunkParams {
    fn default() -> Self {
        Self { min: 16 << 10, avg: 64 << 10, max: 256 << 10 }
    }
}

impl ChunkParams {
    /// Whether a chunker can work with these: powers of two, in order, within what readers accept.
    #[must_use]
    pub const fn usable(self) -> bool {
        self.min.is_power_of_two()
            && self.avg.is_power_of_two()
            && self.max.is_power_of_two()
            && self.min >= 1 << 8
            && self.min < self.avg
            && self.avg < self.max
            && self.max <= 4 << 20
    }
}

/// What `vault-<id>.json` says: everything that must be the same for all devices before the first commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultHeader {
    /// Format version, [`super::FORMAT`].
    pub format: u32,
    /// The vault's name.
    pub vault: VaultId,
    /// How files are cut.
    pub chunking: ChunkParams,
    /// The first groups; later ones come by commits.
    pub groups: Vec<Group>,
}
