//! What a commit says of a pack.

use serde::{Deserialize, Serialize};

use super::{Digest, PackId};

/// How a chunk's bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// As they are.
    Raw,
    /// One zstd frame (RFC 8878).
    Zstd,
    /// Byte planes of elements of two bytes.
    Planes2,
    /// Byte planes of elements of four bytes (float32 embeddings).
    Planes4,
    /// Byte planes of elements of eight bytes.
    Planes8,
}

/// Where one chunk lies in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkSlot {
    /// BLAKE3 of the chunk before compression.
    pub id: Digest,
    /// First byte in the pack.
    pub offset: u32,
    /// Length in the pack, in bytes.
    pub stored: u32,
    /// Length before compression, in bytes.
    pub len: u32,
    /// How the bytes are stored.
    pub codec: Codec,
}

/// One pack, as the commit that adds it names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackInfo {
    /// The pack's random name.
    pub id: PackId,
    /// BLAKE3 of the whole object.
    pub digest: Digest,
    /// Length of the whole object in bytes.
    pub size: u64,
    /// Its chunks, by offset.
    pub chunks: Vec<ChunkSlot>,
}
