//! Helpers that the tests of several crates share.
//!
//! - [`whole`] and [`amount`]: how much a run tries. One switch for all of them:
//!   `COGZY_TEST_WHOLE=1`.
//! - [`fresh_folder`]: where a test's files lie.
//! - [`is_left_out`]: for test binaries with a `main` of their own.
//! - [`rng`]: randomness that a seed decides. [`memory`]: the files of an app's memory.
//! - [`source`], [`rules`]: the project's own sources, and the rules for them. [`strings`]: their
//!   texts.
//!
//! It knows no other crate of the project, so all of them can use it, their unit tests too.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod amount;
mod folder;
mod harness;
pub mod memories;
pub mod memory;
pub mod rng;
pub mod rules;
pub mod source;
pub mod strings;

pub use amount::{amount, whole};
pub use folder::{fresh_folder, fresh_folder_in_memory, make_pipe};
pub use harness::is_left_out;
