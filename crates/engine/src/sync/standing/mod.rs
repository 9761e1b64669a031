//! Answers to questions, without a cycle: the state of the vault, the paths that have moved, the
//! changes still to be sent.
//!
//! Nothing here changes the vault or the bucket. A crash leaves nothing behind.

mod changes;
mod outbox;
mod probe;
mod status;

pub use changes::{Changes, Moved, News};
pub(crate) use outbox::Unsent;
pub use status::{Glance, LastKnown};
