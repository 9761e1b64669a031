//! Recipes: the chunks that make up a file.

use serde::{Deserialize, Serialize};

use super::{Digest, bounded, limits};

/// One chunk of a recipe: its digest and its length before compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// BLAKE3 of the chunk.
    pub id: Digest,
    /// Length in bytes, before compression.
    pub len: u32,
}

/// Chunks of a file, in order.
///
/// At `depth` 0 the parts are the file's own chunks. At depth *n* > 0 each part is a chunk that
/// holds a list of parts of depth *n* − 1 (36 bytes each: digest, length as little-endian u32). The
/// list of a long file is itself chunked, so that one changed row does not rewrite all of it.
///
/// An empty file needs no recipe. Nor does a file of one chunk: its digest is the chunk's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Number of list levels between `parts` and the file's chunks.
    pub depth: u8,
    /// Parts, in order.
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::RECIPE_PARTS }>")]
    pub parts: Vec<Part>,
}
