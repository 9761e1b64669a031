//! How calls on a disk are told in traces and marks.

use std::path::Path;
use std::{fmt, io};

use cogzy_engine::fs::Linked;

/// The paths of a call.
pub(super) struct Paths<'a>(pub &'a [&'a Path]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut arrow = "";
        self.0
            .iter()
            .try_for_each(|path| write!(f, "{}{}", std::mem::replace(&mut arrow, " → "), path.display()))
    }
}

/// The kind of place that a path is, for the marks.
pub(super) fn place(path: &Path) -> &'static str {
    const OURS: [&str; 9] = [
        "sync/applying",
        "sync/conflicts",
        "sync/last_sync.json",
        "sync/manifest.json",
        "sync/pending",
        "sync/staging",
        "sync/trash",
        "sync",
        ".cogzy-vault",
    ];
    let relative = path.strip_prefix(super::ROOT).unwrap_or(path).to_string_lossy();
    OURS.iter().find(|ours| relative.starts_with(**ours)).copied().unwrap_or("visible")
}

/// Errors as the port has them: nothing is below a file.
pub(super) fn absent_below_files<T>(found: io::Result<T>) -> io::Result<T> {
    found.map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory if !Linked::is(&error) => io::ErrorKind::NotFound.into(),
        _ => error,
    })
}

/// The error of every call of a process that has ended.
pub(super) fn crashed() -> io::Error {
    io::Error::other("the process has ended")
}
