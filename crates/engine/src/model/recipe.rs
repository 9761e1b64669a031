//! How a file is put together from chunks.

use serde::{Deserialize, Serialize};

use super::Digest;

/// One chunk of a recipe: its name and its length before compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// BLAKE3 of the chunk.
    pub id: Digest,
    /// Length in bytes, before compression.
    pub len: u32,
}

/// The chunks of a file, in order.
///
/// At `depth` 0 the parts are the file's own chunks. At depth *n* > 0 each part is a chunk that holds a list of parts
/// (36 bytes each: digest, length as little-endian u32) of depth *n* − 1: the list of a long file is itself chunked, so
/// that one changed row does not rewrite all of it.
///
/// A file of one chunk needs no recipe (the chunk's name is the file's digest), nor does an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// How many levels of lists lie between `parts` and the file's chunks.
    pub depth: u8,
    /// The parts, in order.
    pub parts: Vec<Part>,
}
