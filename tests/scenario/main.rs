//! Scenario tests: the program from the outside, over real folders and real protocols, without network or account.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod layering;
mod main_path;
mod remote;
