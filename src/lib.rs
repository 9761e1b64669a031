//! The program around the engine. docs/ARCHITECTURE.md has the picture.
//!
//! `cli` reads the command line, [`assemble`] puts engine, store and daemon together, [`daemon`]
//! runs cycles, [`control`] answers the socket. [`config`] reads settings, [`service`] talks to the
//! service manager, [`telemetry`] writes the log, [`memory`] keeps the process small.

pub mod assemble;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod memory;
pub mod service;
pub mod telemetry;
