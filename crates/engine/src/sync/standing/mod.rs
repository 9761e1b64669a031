//! Answers to questions, without a cycle: how things stand, what has moved, what is still to be sent.
//!
//! Nothing here changes the vault or the bucket. A crash leaves nothing behind.

mod changes;
mod outbox;
mod probe;
mod status;

pub use changes::{Changes, Moved, News};
pub(crate) use outbox::Unsent;
pub use status::{Glance, LastKnown};
