//! The beginnings of a vault: made or joined by [`join()`], or taken over from plain objects by an
//! import.
//!
//! A crash leaves a header without commits, a marker without a record, or packs that the next try
//! uses.

mod import;
mod join;

pub use import::Imported;
pub use join::{Joined, Joining, join};
