//! A deterministic simulation of the real engine: devices with simulated disks, one simulated
//! bucket, virtual time; docs/TESTING.md tells what is simulated, what is checked and how a failing
//! seed is replayed.
//!
//! `cargo test --test simulation` runs the default seeds and every crash, and wants everything to
//! have been reached. After `--`: `--seeds N` and `--from N` run others; `--seed N`, with
//! `--without A,B` for the steps to leave out, and `--cut …` replay one with its trace; `--prunes
//! N` runs N worlds in which old data is pruned, `--prune N` replays one; `--adversaries N` and
//! `--adversary N` do so for worlds with an adversary, `--memories N` and `--memory N` for worlds
//! of memories; `--crashes` runs only the crashes, `--deep N` so many one after the other; `--week`
//! and `--decade` live that long; with `--features planted-bugs`, `--planted` looks whether mistakes
//! are found.

#![cfg(test)]

mod adversary;
mod arms;
mod attic;
mod chance;
mod clock;
#[path = "../support/contract.rs"]
mod contract;
mod coverage;
mod crashes;
mod cut;
mod decade;
mod device;
mod disk;
mod drift;
mod entropy;
mod fuse;
mod key;
mod ledger;
mod memories;
#[path = "../support/no_cache.rs"]
mod no_cache;
mod oracle;
mod person;
mod pipeline;
#[cfg(feature = "planted-bugs")]
mod planted;
mod prune;
mod prune_oracle;
mod replayed;
mod rumours;
mod run;
mod scenarios;
mod shrink;
mod store;
mod stories;
mod swaps;
mod trace;
mod work;
mod world;
mod worlds;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main(&std::env::args().skip(1).collect::<Vec<_>>())
}
