//! The parts of `cogzy-vault` for other programs: the vault's memories, and the daemon's socket.
//!
//! - [`local_vault`] reads and writes memories without a daemon or a network.
//! - [`documents`] are what the socket and `--json` answer; [`socket`] asks, [`follow`] listens, and
//!   [`changes`] tells what has changed among the memories.
//! - [`paths`] says where the platform keeps vault, configuration and socket.

pub mod changes;
pub mod documents;
pub mod follow;
pub mod local_vault;
pub mod paths;
pub mod socket;
