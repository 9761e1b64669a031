//! Spellings of names on this disk.
//!
//! A [`VaultPath`] is always NFC. A disk may hold a name in another form (mostly in files that came
//! from a Mac), and on many file systems only the exact spelling opens it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::VaultPath;

/// Files and folders whose name on disk differs from their path, relative to the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    differing: BTreeMap<String, String>,
}

impl Names {
    /// Records that `path` (a file or a folder) is spelled `on_disk`. Record folders first, from
    /// the top, and then files. If two folders have the same path, the first one keeps it.
    pub(super) fn note(&mut self, path: &VaultPath, on_disk: &str) {
        let expected = self.on_disk(path);
        if expected.as_deref().unwrap_or(path.as_str()) != on_disk {
            self.differing.entry(path.as_str().to_owned()).or_insert_with(|| on_disk.to_owned());
        }
    }

    /// Spelling of `path` on disk if it differs, because of its own name or a folder above it.
    #[must_use]
    pub fn on_disk(&self, path: &VaultPath) -> Option<String> {
        if let Some(spelling) = self.differing.get(path.as_str()) {
            return Some(spelling.clone());
        }
        path.folders().find_map(|folder| {
            let rest = path.as_str().strip_prefix(folder)?;
            self.differing.get(folder).map(|spelling| format!("{spelling}{rest}"))
        })
    }

    /// Location of `path` on disk, present or future.
    #[must_use]
    pub fn locate(&self, root: &Path, path: &VaultPath) -> PathBuf {
        self.on_disk(path).map_or_else(|| path.below(root), |spelling| root.join(spelling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_spelling_counts() {
        let path = |text| VaultPath::new(text).unwrap();
        let mut names = Names::default();
        names.note(&path("é"), "e\u{301}");
        names.note(&path("é/ü"), "e\u{301}/u\u{308}");
        names.note(&path("é"), "é");
        names.note(&path("é/x"), "é/x");
        assert_eq!(
            names.on_disk(&path("é/x")).as_deref(),
            Some("é/x"),
            "two folders with the same path were mixed up"
        );
        assert_eq!(names.on_disk(&path("é/ü")).as_deref(), Some("e\u{301}/u\u{308}"));
        assert_eq!(names.on_disk(&path("é/new/file")).as_deref(), Some("e\u{301}/new/file"));
        assert_eq!(names.on_disk(&path("a/é")), None);
        assert_eq!(names.locate(Path::new("/v"), &path("a")), Path::new("/v/a"));
    }
}
