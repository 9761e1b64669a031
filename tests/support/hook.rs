//! Hooks: programs that the daemon starts, and the events that they get.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A program that writes its input into a file beside it: its entry in a configuration, and that
/// file.
pub fn hook(folder: &Path, name: &str, then: &str) -> (String, PathBuf) {
    let (program, told) = (folder.join(name), folder.join(format!("{name}.told")));
    let script = format!("#!/bin/sh\ncat >> '{}'\n{then}\n", told.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (format!("[\"{}\"]", program.display()), told)
}

/// The events that a hook was told.
pub fn told(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
