//! Keeps a local vault folder and an object-store bucket the same.
pub mod clock;
pub mod content;
pub mod fs;
pub mod log;
pub mod model;
pub mod plan;
pub mod remote;
pub mod state;
pub mod sync;
pub mod vault;
