//! Keeps a local vault folder and an object-store bucket the same.
//!
//! The modules, from the ground up; docs/ARCHITECTURE.md has the picture and the path of a saved file through them. Each
//! imports only what stands above it here, and `vault` and `state` never each other.

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

pub mod sync;

pub mod control;

pub mod config;
pub mod paths;
pub mod telemetry;

pub mod service;

pub mod local_vault;

pub mod cli;
pub mod daemon;
