//! Packs as commits describe them.

use serde::{Deserialize, Serialize};

use super::{Digest, PackId, bounded, limits};

/// Encoding of a chunk's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// The bytes as they are.
    Raw,
    /// One zstd frame (RFC 8878).
    Zstd,
    /// Byte planes of two-byte elements.
    Planes2,
    /// Byte planes of four-byte elements (float32 embeddings).
    Planes4,
    /// Byte planes of eight-byte elements.
    Planes8,
}

/// Position of one chunk in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkSlot {
    /// BLAKE3 of the chunk before compression.
    pub id: Digest,
    /// Offset of the first byte in the pack.
    pub offset: u32,
    /// Length in the pack, in bytes.
    pub stored: u32,
    /// Length before compression, in bytes.
    pub len: u32,
    /// Encoding of the bytes.
    pub codec: Codec,
}

/// Pack, as described by the commit that adds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackInfo {
    /// Random id of the pack.
    pub id: PackId,
    /// BLAKE3 of the whole object.
    pub digest: Digest,
    /// Length of the whole object in bytes.
    pub size: u64,
    /// Chunks of the pack, by offset.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::PACK_CHUNKS }>")]
    pub chunks: Vec<ChunkSlot>,
}
