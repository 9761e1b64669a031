//! Looking after what is stored: is it whole, what can be put right, what is no longer needed.
//!
//! [`verify`] reads and changes nothing; [`repair`] puts right what it found. [`prune`] frees what retention
//! no longer needs, and [`repack`] moves what is left in worn packs. Each head says what a crash leaves.

mod prune;
mod repack;
mod repair;
mod verify;
mod weigh;

pub use prune::{Objects, PRUNED, Pruned, Retention};
pub use repair::{Lost, Repaired};
pub use verify::{Fault, Verified};
