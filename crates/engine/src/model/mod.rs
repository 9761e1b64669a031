//! Plain data types: vaults, commits, conflicts, paths and digests.
//!
//! Every newtype validates its input on construction. The rest of the code therefore never meets a
//! path that climbs out of the root or a digest of the wrong length.
//!
//! This module has no I/O, no clock, no randomness and no tokio. Every module may import it, and it
//! imports none. docs/FORMAT.md describes byte for byte what is written to the bucket.

mod alike;
mod bounded;
mod commit;
mod conflict;
mod decisions;
mod digest;
mod entry;
mod facts;
mod feature;
mod group;
mod header;
mod hlc;
mod id;
pub mod limits;
mod losses;
mod merge_rules;
mod pack;
mod path;
mod prune;
mod recipe;
mod shared_map;
pub mod sqlite;
mod stat;
mod texts;

pub use alike::Alike;
pub(crate) use bounded::at_most;
pub use commit::{Change, Commit, CommitKey, CommitKind, Device, Ext, RecipeOf};
pub use conflict::{Conflict, Keep, Kept, Origin, Resolution};
pub use decisions::{Decisions, Direction, Held, Reason};
pub use digest::Digest;
pub use entry::{Content, Entry, Tree, set_entry};
pub use facts::{Embeddings, Facts, Holdings, Index, Unreal, stem};
pub use feature::{Announcement, FIRST_FORMAT, FORMAT, Feature, Keeps, Need, Reads};
pub use group::{Group, GroupError, Groups, Item, Role, Validate, beginning_with, start, starts};
pub use header::{ChunkParams, VaultHeader};
pub use hlc::{Hlc, MAX_AHEAD_MS};
pub use id::{CommitId, ConflictId, DeviceId, HoldId, IdError, PackId, VaultId};
pub use losses::{Loss, Losses, Place};
pub use merge_rules::{Rank, Rules};
pub use pack::{ChunkSlot, Codec, Enclosed, PackInfo, Stored};
pub use path::{MAX_NAME_BYTES, MAX_PATH_BYTES, PathError, VaultPath, in_folder};
pub use prune::Prune;
pub use recipe::{Part, Recipe};
pub use shared_map::SharedMap;
pub use stat::{Cached, FileKind, FileStat, KnownDigests};
pub use texts::{LineMerge, NoPattern, Texts};
