//! Answers to questions, without a cycle: the state of the vault, the paths that have moved, the
//! changes still to be sent.
//!
//! Nothing here changes the vault or the bucket. A crash leaves nothing behind, but for what
//! [`version`] says.

mod changes;
mod outbox;
mod probe;
mod since;
mod status;
mod tables;
mod version;

pub use changes::{Changes, Moved, News};
pub(crate) use outbox::Unsent;
pub use probe::Probed;
pub use since::{MemoryChanges, Since, SinceError};
pub use status::{Glance, LastKnown};
