//! A deterministic simulation of the real engine: devices with simulated disks, one simulated bucket, virtual time; docs/TESTING.md
//! tells what is simulated, what is checked and how a failing seed is replayed.
//!
//! `cargo test --test simulation` runs the default seeds and every crash; after `--`: `--seeds N` and `--from N` run others,
//! `--seed N` replays one with its trace, `--crashes` runs only the crashes.

#![cfg(test)]

mod chance;
mod clock;
mod device;
mod disk;
mod fuse;
mod ledger;
mod oracle;
mod rng;
mod run;
mod store;
mod trace;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main(std::env::args().skip(1).collect())
}
