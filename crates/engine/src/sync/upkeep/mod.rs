//! Care for the stored data: checks that it is whole, repairs it, and frees what is no longer
//! needed.
//!
//! [`verify`] reads and changes nothing, and asks [`recipes`] what the vault would make of the files
//! here; [`repair`] puts right what it found, and [`send_again`] sends what no pack holds; [`give_up`] declares what is [`lost`] for good. [`prune`] frees data
//! that retention no longer needs, in two commits; [`sweep`] then deletes it, and [`repack`] moves
//! the needed rest out of worn packs. Each file's head says what a crash leaves.

mod give_up;
mod lost;
mod pieces;
mod prune;
mod recipes;
mod repack;
mod repair;
mod send_again;
mod sweep;
mod verify;
mod weigh;

pub use lost::Lost;
pub use pieces::PruneRun;
pub use prune::{Objects, PRUNED, Pruned, Retention};
pub use repair::Repaired;
pub use verify::{Fault, Verified};
