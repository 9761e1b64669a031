//! Content: bytes ⇄ chunks ⇄ packs.
//!
//! On the way in, [`Cutter`] cuts a file at places that its content determines. Each chunk is named
//! by its BLAKE3 and skipped if the vault has it; otherwise [`Encoder`] encodes it and
//! [`PackBuilder`] puts it into a pack. [`Ingest`] does all of this. On the way back,
//! [`Expansion`] lists the chunks of a file, [`ChunkIndex`] finds them, [`join_ranges`] plans the
//! reads, and [`PackRead::open`] decodes the chunks. docs/FORMAT.md describes the bytes.
//!
//! Invariants:
//! - Bytes that do not match their digest are never given out.
//! - Damaged input never causes a panic, nor an allocation of the size that a header claims.
//! - Memory does not grow with the length of a file, except for the ids of its chunks.
//!
//! Everything is pure and synchronous, over readers and closures: no file system, no remote, no
//! clock. Recovery after a crash is the task of the code that stores the packs.

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
pub use pack::{
    FinishedPack, PACK_TARGET, PackBuilder, PackError, check_slot, check_table, open_chunk, read_table,
    stored_in,
};
pub(crate) use pack::{codec_byte, codec_of};
pub use recipe::{Expansion, Next, Placed, RecipeBuilder, RecipeError, check_recipe, read_leaf};
pub use restore::{PackRead, READ_WINDOW, ReadLimits, bring_together, join_ranges};
