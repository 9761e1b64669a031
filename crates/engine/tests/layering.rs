//! The layers of the engine and the size of its parts: docs/ARCHITECTURE.md, as a test.

#![cfg(test)]

use std::path::Path;
use std::sync::LazyLock;

use cogzy_testkit::rules::{Table, assert_holds, effects, imports, sizes};
use cogzy_testkit::source::{Source, sources};

/// Modules, and the modules that each of them may name: only those that stand above it.
const MAY_NAME: Table<'_> = &[
    ("", &[]),
    ("clock", &[]),
    ("model", &[]),
    ("planted", &[]),
    ("fs", &["model"]),
    ("plan", &["model", "planted"]),
    ("content", &["clock", "model"]),
    ("remote", &["clock", "fs"]),
    ("state", &["fs", "model"]),
    ("vault", &["fs", "model", "planted"]),
    ("merge", &["fs", "model", "planted", "vault"]),
    ("memories", &["fs", "merge", "model", "state", "vault"]),
    ("log", &["clock", "content", "model", "plan", "planted", "remote"]),
    (
        "sync",
        &[
            "clock", "content", "fs", "log", "memories", "merge", "model", "plan", "planted", "remote",
            "state", "vault",
        ],
    ),
];

/// Modules that decide: the same input gives the same answer.
const PURE: &[&str] = &[
    "crates/engine/src/model/",
    "crates/engine/src/plan/",
    "crates/engine/src/log/graph.rs",
    "crates/engine/src/log/merge.rs",
    "crates/engine/src/merge/",
];

const EFFECTS: &[&str] = &[
    "crate::clock",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
];

/// Functions that are too large today. This list only shrinks.
const TOO_LARGE: &[&str] = &[];

static ENGINE: LazyLock<Vec<Source>> =
    LazyLock::new(|| sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), "crates/engine"));

#[test]
fn modules_name_only_what_stands_above_them_in_the_table() {
    for (at, (module, named)) in MAY_NAME.iter().enumerate() {
        let above = |name: &&str| MAY_NAME[..at].iter().any(|(module, _)| module == name);
        assert!(named.iter().all(above), "{module} is above what it names");
    }
    assert_holds(&imports(&ENGINE, MAY_NAME), &[]);
}

#[test]
fn modules_that_decide_have_no_effects() {
    assert_holds(&effects(&ENGINE, PURE, EFFECTS), &[]);
}

#[test]
fn files_and_functions_are_one_idea() {
    assert_holds(&sizes(&ENGINE), TOO_LARGE);
}
