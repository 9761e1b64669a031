//! Who may import whom: docs/ARCHITECTURE.md, as a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Each module of `src/`, and the modules that it may name.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let engine = ["clock", "content", "fs", "log", "model", "plan", "planted", "remote", "state", "vault"];
    let edge =
        [&engine[..], &["sync", "control", "config", "paths", "telemetry", "service", "daemon", "cli"]]
            .concat();
    BTreeMap::from([
        ("clock", vec![]),
        ("model", vec![]),
        ("fs", vec!["model"]),
        ("planted", vec![]),
        ("plan", vec!["model", "planted"]),
        ("content", vec!["clock", "model"]),
        ("remote", vec!["clock"]),
        ("state", vec!["fs", "model"]),
        ("vault", vec!["fs", "model", "planted"]),
        ("log", vec!["clock", "content", "model", "plan", "planted", "remote"]),
        ("sync", engine.to_vec()),
        ("config", vec!["fs", "model", "paths", "remote"]),
        ("paths", vec![]),
        ("telemetry", vec![]),
        ("service", vec!["clock"]),
        ("control", vec!["clock", "model", "plan", "remote", "state", "sync"]),
        ("local_vault", vec!["clock", "control", "fs", "model", "paths", "vault"]),
        ("daemon", [&engine[..], &["sync", "control", "service"]].concat()),
        ("cli", edge.clone()),
        ("memory", vec![]),
        ("main", edge),
    ])
}

fn sources() -> Vec<(String, PathBuf)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![src.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let first = path.strip_prefix(&src).unwrap().components().next().unwrap();
                let module = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
                found.push((module, path));
            }
        }
    }
    found.retain(|(module, _)| module != "lib");
    found
}

/// The part of a file that is not test code: from `#[cfg(test)]` on it may import what it likes.
fn product(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let is_test = path.components().any(|part| part.as_os_str().to_string_lossy().contains("test"));
    let code = if is_test { "" } else { text.split("#[cfg(test)]").next().unwrap_or_default() };
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn modules_import_only_what_stands_below_them() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (module, path) in sources() {
        let may = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} is not in the table"));
        for used in product(&path).split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if used != module && allowed.contains_key(used.as_str()) && !may.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_decides_has_no_effects() {
    let pure = ["src/plan/", "src/model/", "src/sync/scheduler.rs", "src/log/merge.rs", "src/log/graph.rs"];
    for (_, path) in sources() {
        let name = path.to_string_lossy().into_owned();
        if pure.iter().any(|part| name.contains(part)) {
            let text = product(&path);
            for effect in ["tokio", "std::fs", "std::time::Instant", "SystemTime", "crate::clock", "std::env"]
            {
                assert!(!text.contains(effect), "{name} uses {effect}");
            }
        }
    }
}

#[test]
fn files_are_one_idea() {
    for (_, path) in sources() {
        let lines = product(&path).lines().count();
        assert!(lines <= 400, "{} has {lines} lines without its tests: at most 400", path.display());
    }
}
