//! Our reader of `.npy` files beside numpy's own, over files that `tests/numpy/make.py` makes up.
//!
//! `COGZY_TEST_NUMPY` names a Python that has numpy; `.ci/run` has one. What numpy cannot read,
//! ours does not; what ours reads, it reads as numpy does; and what ours refuses although numpy
//! reads it is one of the refusals that the reader is meant to have.

use std::path::Path;
use std::process::Command;

use cogzy_engine::fs::{Fs, RealFs};
use cogzy_engine::model::Facts;
use cogzy_engine::vault::validate::{Kind, Search, examine};
use cogzy_testkit::fresh_folder;
use serde_json::{Value, json};

const FILES: u64 = 4000;
/// Part of these that must be files that numpy reads, and that ours does: else nothing was tried.
const SOME: u64 = 10;

/// Refusals of files that numpy reads, by their words: docs/ARCHITECTURE.md tells of each.
const STRICTER: [&str; 4] = [
    "it is longer than its header says",
    "is not one of numbers",
    "its header is not what numpy writes",
    "its header is no text",
];

/// The shape and the type that ours reads, or its refusal.
fn read(folder: &Path, name: &str) -> Result<(Value, String), String> {
    let seen = RealFs.lstat(&folder.join(name)).unwrap();
    match examine(&RealFs, folder, name, &seen, &Kind::Matrix, Search::Full).unwrap().unwrap() {
        Facts::Matrix { shape, dtype, .. } => Ok((json!(shape), dtype)),
        Facts::Broken { why } => Err(why),
        other => panic!("{name}: {other:?}"),
    }
}

/// The type as numpy spells it on a machine whose numbers begin with their low byte.
fn spelled(dtype: &str) -> String {
    match (dtype.split_at(1), dtype.ends_with('1')) {
        ((_, kind), true) => format!("|{kind}"),
        (("|" | "=", kind), false) => format!("<{kind}"),
        _ => dtype.to_owned(),
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says where numpy is")]
fn numpy_reads_what_ours_reads_and_reads_it_alike() {
    let Some(python) = std::env::var_os("COGZY_TEST_NUMPY") else {
        eprintln!("skipped: COGZY_TEST_NUMPY is not set");
        return;
    };
    let folder = fresh_folder();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/numpy/make.py");
    let mut command = Command::new(python);
    let made = command.arg(script).arg(folder.path()).args([FILES.to_string(), "1".to_owned()]).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (mut alike, mut refused, mut stricter) = (0, 0, 0);
    let mut wrong = Vec::new();
    for line in String::from_utf8(made.stdout).unwrap().lines() {
        let numpy: Value = serde_json::from_str(line).unwrap();
        let ours = read(folder.path(), numpy["name"].as_str().unwrap());
        let is_same = |(shape, dtype): &(Value, String)| {
            numpy["numbers"] == true && *shape == numpy["shape"] && numpy["dtype"] == spelled(dtype)
        };
        let is_written = numpy["written"] == true && numpy["numbers"] == true;
        match &ours {
            Ok(read) if is_same(read) => alike += 1,
            Err(_) if numpy["shape"].is_null() => refused += 1,
            Err(why) if !is_written && STRICTER.iter().any(|words| why.contains(words)) => stricter += 1,
            _ => wrong.push(format!("{numpy}: {ours:?}")),
        }
    }
    println!("{alike} read alike, {refused} refused by both, {stricter} by ours alone");
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
    assert_eq!(alike + refused + stricter, FILES);
    assert!(alike > FILES / SOME && refused > FILES / SOME, "too few were tried");
}
