//! The engine of `cogzy-vault`: it keeps a local vault folder and an object store the same.
//!
//! It knows no network library, no web server and no terminal: disk, store, time and randomness are
//! ports ([`fs::Fs`], [`remote::Remote`], [`clock::Clock`], [`clock::Entropy`]) that its owner
//! fills. Start at [`sync`]; docs/ARCHITECTURE.md follows a saved file through the modules.
//!
//! The modules, from the ground up. Each imports only what stands above it here, and `vault` and
//! `state` never each other; `tests/layering.rs` holds that.

pub mod clock;
pub mod model;
pub mod planted;

pub mod fs;
pub mod plan;

pub mod content;
pub mod remote;
pub mod state;
pub mod vault;

pub mod log;
pub mod memories;
pub mod merge;

pub mod sync;
