//! Packs as commits describe them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::{OfText, from_hex, to_hex};
use super::{CommitId, Digest, PackId, bounded, limits};

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

impl PackInfo {
    /// The same pack with those of its chunks that `is_in` picks.
    #[must_use]
    pub fn only(&self, is_in: impl Fn(&ChunkSlot) -> bool) -> Self {
        let chunks = self.chunks.iter().filter(|slot| is_in(slot)).copied().collect();
        Self { chunks, ..*self }
    }
}

/// A small pack that stands in the commit which adds it, and not in an object of its own: its
/// chunks, and their stored bytes. Head, table and foot of a pack follow from the chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enclosed {
    /// Chunks of the pack, by offset.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::ENCLOSED_CHUNKS }>")]
    pub chunks: Vec<ChunkSlot>,
    /// Stored bytes of the chunks, one after the other.
    pub bytes: Stored,
}

impl PackId {
    /// Id of the pack that stands in a commit: the first half of the commit's own.
    #[must_use]
    pub fn within(commit: CommitId) -> Self {
        let (half, _) = commit.as_bytes().split_at(Self::LEN);
        Self::from_bytes(half.try_into().unwrap_or_default())
    }
}

/// Bytes that stand in JSON as lower-case hex digits: packed commits take half a byte for each.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored(pub Vec<u8>);

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(OfText(|text| {
            let bytes = from_hex(text).filter(|bytes| bytes.len() as u64 <= limits::ENCLOSED);
            bytes.map(Self).ok_or("stored bytes are no hex digits, or too many")
        }))
    }
}
