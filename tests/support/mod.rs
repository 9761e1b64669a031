//! Helpers that several scenario tests share.

pub mod around;
pub mod away;
#[path = "../../crates/engine/tests/support/contract.rs"]
pub mod contract;
pub mod counted;
pub mod daemon;
pub mod device;
pub mod foreign;
pub mod forged;
pub mod history;
pub mod hook;
pub mod moments;
#[path = "../../crates/engine/tests/support/no_cache.rs"]
mod no_cache;
pub mod process;
pub mod s3_server;
pub mod sleeper;
pub mod socket;
pub mod sqlite;
pub mod stick;
