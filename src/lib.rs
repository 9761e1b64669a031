//! Keeps a local vault folder and an object-store bucket the same.
pub mod clock;
pub mod model;
pub mod plan;
