//! Content: bytes ⇄ chunks ⇄ packs.
//!
//! Going in, a file is cut where its content says so ([`Cutter`]), each chunk is named by its BLAKE3, left out if the vault
//! has it, encoded ([`Encoder`]) and put into a pack ([`PackBuilder`]); [`Ingest`] does all of it. Coming back,
//! [`parts_of`] tells the chunks of a file, [`ChunkIndex`] where they lie, [`join_ranges`] what to read, and
//! [`PackRead::open`] gives them. docs/FORMAT.md has the bytes.
//!
//! Invariants: no byte leaves here that does not hash to what named it; no input, however damaged, makes this panic or
//! allocate by what a header claims; memory does not grow with the length of a file, save for the ids of its chunks.
//!
//! Everything is pure and synchronous, over readers and closures: no file system, no remote, no clock. What a crash leaves
//! behind is the business of those who store the packs.

mod choose;
mod chunk;
mod codec;
mod error;
mod index;
mod ingest;
mod pack;
mod recipe;
mod restore;

#[cfg(test)]
mod test_data;

pub use chunk::{BadChunkParams, Chunks, Cutter};
pub use codec::{CodecError, Encoder, MAX_CHUNK, decode};
pub use error::ContentError;
pub use index::ChunkIndex;
pub use ingest::{BeginError, Ingest, IngestError, Ingested};
pub use pack::{FinishedPack, PACK_TARGET, PackBuilder, PackError, open_chunk, read_table, stored_in};
pub use recipe::{Placed, RecipeBuilder, RecipeError, expand, read_leaf};
pub use restore::{PackRead, READ_GAP, READ_MAX, join_ranges, parts_of};
