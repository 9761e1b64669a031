//! Spellings of names on this disk.
//!
//! A [`VaultPath`] is always NFC. A disk may hold a name in another form (mostly in files that came
//! from a Mac), and on many file systems only the exact spelling opens it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fs::{At, Fs, IoAt, found};
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

/// Finds the spelling of `path` on disk, for a caller without a scan. The exact spelling wins over
/// another form of it; none if that is the exact one, or nothing stands there in any form.
///
/// # Errors
/// If a folder cannot be listed.
pub(super) fn spelling(fs: &dyn Fs, root: &Path, path: &VaultPath) -> Result<Option<String>, IoAt> {
    if path.as_str().is_ascii() {
        return Ok(None);
    }
    let mut spelled = String::new();
    for name in path.names() {
        let folder = root.join(&spelled);
        let name = match name.is_ascii() || fs.lstat(&folder.join(name)).is_ok() {
            true => name.to_owned(),
            false => other_form(fs, &folder, name)?.unwrap_or_else(|| name.to_owned()),
        };
        if !spelled.is_empty() {
            spelled.push('/');
        }
        spelled.push_str(&name);
    }
    Ok((spelled != path.as_str()).then_some(spelled))
}

/// The name in a folder that is `name` in another Unicode form; the smallest of several.
fn other_form(fs: &dyn Fs, folder: &Path, name: &str) -> Result<Option<String>, IoAt> {
    let listed = match fs.read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        listed => found(listed).at("list", folder)?.unwrap_or_default(),
    };
    let same = |other: &String| VaultPath::new(other).is_ok_and(|path| path.as_str() == name);
    Ok(listed.into_iter().filter_map(|(other, _)| other.into_string().ok()).filter(same).min())
}

#[cfg(test)]
mod tests;
