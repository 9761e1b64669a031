//! Ways back: to earlier states, to the backup, and out of conflicts.
//!
//! [`restore`], an undo and [`resolve`] are commits made of contents that the bucket holds already,
//! by [`rewrite`]. So are [`merge`] and [`merge_file`], whose contents are new. [`validate`]
//! refuses those after which the files of a group would not fit together. [`reset`] makes no
//! commit: the vault becomes equal to the backup. [`export`] only reads; [`point`] finds the
//! requested state, [`put_back`] mends files of this disk, and [`compare`] tells two versions of a
//! JSON file apart.
//!
//! A crash leaves everything as it was, or a commit that the next cycle finishes. A reset leaves
//! the vault as it was, or a journal that the next start finishes.

mod compare;
mod export;
mod laid;
mod merge;
mod merge_file;
mod point;
mod put_back;
mod reset;
mod resolve;
mod restore;
mod rewrite;
mod sets;
mod target;
mod validate;

pub use compare::{Difference, differences};
pub use export::{Exported, Versions};
pub(crate) use merge::Clashes;
pub(super) use merge::{NO_BASE, STANDS};
pub(crate) use merge_file::MergedFiles;
pub use point::{Generation, GenerationError, Point};
pub use reset::Reset;
pub(super) use resolve::part_of;
pub use rewrite::Rewritten;
pub(crate) use rewrite::{Rewrite, Stand};
pub use target::Target;
