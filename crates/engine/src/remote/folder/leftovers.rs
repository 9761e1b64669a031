//! Temporary files of PUTs that were cut short.

use std::fs;
use std::io;
use std::path::Path;

use super::{TEMPORARY, object_at};

/// Age from which on nobody is still writing a temporary file, in milliseconds.
const OLD_MS: i64 = 24 * 3600 * 1000;

/// Removes temporary files below `folder` that are old at `now_ms` by the clock of the file system.
/// Returns their number. What cannot be removed stays: it may belong to another user.
pub(super) fn clear(folder: &Path, now_ms: i64) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            // One that is unreadable or has just gone hides nothing of ours.
            removed += clear(&path, now_ms).unwrap_or_default();
        } else if kind.is_file() && entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let is_old = object_at(&path)?.is_some_and(|(_, written_ms)| written_ms + OLD_MS <= now_ms);
            removed += usize::from(is_old && fs::remove_file(&path).is_ok());
        }
    }
    Ok(removed)
}
