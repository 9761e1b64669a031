//! The layers of the program and the size of its parts: docs/ARCHITECTURE.md, as a test. The
//! compiler holds the layers between crates; `crates/engine/tests/layering.rs` looks at the engine.

use std::path::Path;

use cogzy_testkit::rules::{Table, assert_holds, effects, imports, sizes, usual_sizes};
use cogzy_testkit::source::{Source, sources};

/// Modules of the program, and what each of them may name. `cli` is the top; `assemble` puts
/// together what it runs.
const PROGRAM: Table<'_> = &[
    ("", &["cli", "config", "memory", "telemetry"]),
    ("memory", &[]),
    ("telemetry", &["cogzy_engine::fs"]),
    ("config", &["cogzy_client::paths", "cogzy_engine::fs", "cogzy_engine::model", "cogzy_s3"]),
    ("service", &["cogzy_engine::clock"]),
    (
        "control",
        &[
            "cogzy_client::documents",
            "cogzy_engine::clock",
            "cogzy_engine::model",
            "cogzy_engine::remote",
            "cogzy_engine::state",
            "cogzy_engine::sync",
        ],
    ),
    (
        "daemon",
        &[
            "cogzy_client::documents",
            "cogzy_engine::clock",
            "cogzy_engine::fs",
            "cogzy_engine::model",
            "cogzy_engine::state",
            "cogzy_engine::sync",
            "cogzy_engine::vault",
            "control",
            "memory",
            "service",
            "telemetry",
        ],
    ),
    (
        "assemble",
        &[
            "cogzy_client::documents",
            "cogzy_client::paths",
            "cogzy_engine::clock",
            "cogzy_engine::fs",
            "cogzy_engine::model",
            "cogzy_engine::plan",
            "cogzy_engine::remote",
            "cogzy_engine::state",
            "cogzy_engine::sync",
            "cogzy_engine::vault",
            "cogzy_s3",
            "config",
            "control",
            "daemon",
            "service",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "assemble",
            "cogzy_client::documents",
            "cogzy_client::follow",
            "cogzy_client::paths",
            "cogzy_client::socket",
            "cogzy_engine::clock",
            "cogzy_engine::fs",
            "cogzy_engine::model",
            "cogzy_engine::remote",
            "cogzy_engine::state",
            "cogzy_engine::sync",
            "cogzy_engine::vault",
            "config",
            "control",
            "daemon",
            "service",
            "telemetry",
        ],
    ),
];

/// Modules of the client, likewise.
const CLIENT: Table<'_> = &[
    ("", &[]),
    ("paths", &[]),
    (
        "documents",
        &["cogzy_engine::model", "cogzy_engine::plan", "cogzy_engine::remote", "cogzy_engine::sync"],
    ),
    ("socket", &["cogzy_engine::vault", "documents", "paths"]),
    ("follow", &["documents", "socket"]),
    ("changes", &["documents", "socket"]),
    (
        "local_vault",
        &[
            "cogzy_engine::clock",
            "cogzy_engine::fs",
            "cogzy_engine::memories",
            "cogzy_engine::model",
            "cogzy_engine::vault",
            "documents",
            "paths",
            "socket",
        ],
    ),
];

/// The scheduler decides: the same events give the same steps.
const PURE: &[&str] = &["src/daemon/scheduler.rs"];

const EFFECTS: &[&str] = &[
    "cogzy_engine::clock",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
];

/// Most files and functions are small.
const USUAL_FILE: usize = 130;
const NINE_IN_TEN_FUNCTIONS: usize = 25;

fn of(folder: &str) -> Vec<Source> {
    sources(Path::new(env!("CARGO_MANIFEST_DIR")), folder)
}

#[test]
fn modules_name_only_what_stands_below_them() {
    assert_holds(&imports(&of(""), PROGRAM), &[]);
    assert_holds(&imports(&of("crates/client"), CLIENT), &[]);
}

#[test]
fn the_scheduler_has_no_effects() {
    assert_holds(&effects(&of(""), PURE, EFFECTS), &[]);
}

#[test]
fn files_and_functions_are_one_idea() {
    let edge = ["", "crates/client", "crates/s3", "crates/testkit"].map(of).concat();
    assert_holds(&sizes(&edge), &[]);
}

#[test]
fn most_files_and_functions_are_small() {
    let all = ["", "crates/client", "crates/engine", "crates/s3", "crates/testkit"].map(of).concat();
    let (file, function) = usual_sizes(&all);
    assert!(file <= USUAL_FILE, "half of the files have {file} lines or more");
    assert!(function <= NINE_IN_TEN_FUNCTIONS, "one in ten functions has more than {function} lines");
}
