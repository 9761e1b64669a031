//! The stories that [`crate::crashes`] cuts short.

mod asked;
mod mishaps;
mod synced;

use std::sync::LazyLock;

use crate::scenarios::{Act, Scenario};

const fn story(name: &'static str, devices: usize, actor: usize, before: &'static [Act]) -> Scenario {
    Scenario { name, devices, before, actor, asked: None }
}

const A: &str = "traces/a.json";
const B: &str = "traces/b.json";
const C: &str = "traces/deep/c.json";
const NODES: &str = "nodes";

/// All stories; one is named by its place.
pub static ALL: LazyLock<Vec<&Scenario>> =
    LazyLock::new(|| synced::SYNCED.iter().chain(mishaps::MISHAPS).chain(asked::ASKED).collect());

/// Stories that a quick run follows: their crashes reach every kind of effect that others do.
const TELLING: [&str; 12] = [
    "the first device makes the vault",
    "an empty device joins",
    "pull of a file",
    "pull of a file where a folder was",
    "conflict over a file",
    "conflict over a file on a disk inside the vault",
    "pull of a file on a disk inside the vault",
    "a write to a file that was displaced",
    "a trash whose time is over",
    "a checkpoint",
    "a conflict of which both are kept",
    "a prune that sweeps and deletes",
];

/// The places of all stories.
pub fn every() -> Vec<usize> {
    (0..ALL.len()).collect()
}

/// The places of those stories that together cut short most kinds of effects.
pub fn telling() -> Vec<usize> {
    let place = |name: &&str| ALL.iter().position(|story| story.name == *name).unwrap();
    TELLING.iter().map(place).collect()
}
