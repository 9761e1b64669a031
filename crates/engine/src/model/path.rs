//! Paths inside the vault.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::id::OfText;

/// Longest path that is synced, in bytes of UTF-8.
pub const MAX_PATH_BYTES: usize = 1024;
/// Longest name that every file system accepts, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 255;

/// Relative path with `/` between its names, in Unicode NFC, safe to create on Unix.
///
/// It is safe to join to the root: it has no empty name, no `.` or `..`, no root and no control
/// character. Not every platform can store each of its names ([`VaultPath::is_portable`]). Paths
/// are ordered by bytes. Copies share the text: a path stands in many maps at once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VaultPath(Arc<str>);

/// Reason why a text is not a valid path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} cannot be synced: {reason}")]
pub struct PathError {
    path: String,
    reason: &'static str,
}

impl VaultPath {
    /// Validates `text` as a path, after normalising it to NFC.
    ///
    /// # Errors
    /// If the path cannot be created safely.
    pub fn new(text: &str) -> Result<Self, PathError> {
        let nfc: Cow<'_, str> = if is_nfc(text) { text.into() } else { text.nfc().collect() };
        match unsafe_reason(&nfc) {
            None => Ok(Self(nfc.into())),
            Some(reason) => Err(PathError { path: text.chars().take(200).collect(), reason }),
        }
    }

    /// Refuses text that is not NFC, unlike [`VaultPath::new`]: a manifest must not hold two
    /// spellings of one path.
    fn composed(text: &str) -> Result<Self, PathError> {
        if is_nfc(text) {
            Self::new(text)
        } else {
            Err(PathError { path: text.to_owned(), reason: "it is not in Unicode normal form C" })
        }
    }

    /// True if Windows can store every name of the path too: only such paths stand in commits of
    /// format 1.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        self.names().all(|name| foreign_reason(name).is_none())
    }

    /// Text of the path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Path below `root`, in the platform's form.
    #[must_use]
    pub fn below(&self, root: &Path) -> PathBuf {
        let mut path = root.to_owned();
        path.extend(self.names());
        path
    }

    /// Names from the root down. The last is the file's own.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// Last name of the path.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Folders above the path, nearest first: `a/b/c` gives `a/b`, `a`.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.rmatch_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// True if this is `folder` or lies in it at any depth.
    #[must_use]
    pub fn is_at_or_below(&self, folder: &Self) -> bool {
        self == folder || self.folders().any(|above| above == folder.as_str())
    }

    /// Key of the path on a file system that ignores letter case: two paths with equal keys cannot
    /// both exist there.
    #[must_use]
    pub fn fold_key(&self) -> String {
        if self.0.is_ascii() {
            return self.0.to_ascii_lowercase();
        }
        // Upper-casing first also folds characters that lower-casing alone keeps apart (ß, final
        // sigma, long s).
        self.0.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
    }
}

fn unsafe_reason(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.len() > MAX_PATH_BYTES {
        return Some("it is longer than 1024 bytes");
    }
    path.split('/').find_map(unsafe_name)
}

/// Path of a name in a folder; that of the vault itself is empty.
#[must_use]
pub fn in_folder(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn unsafe_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it has an empty name (a leading, trailing or double slash)");
    }
    if name == "." || name == ".." {
        return Some("it climbs (`.` or `..`)");
    }
    if name.len() > MAX_NAME_BYTES {
        return Some("a name in it is longer than 255 bytes");
    }
    name.chars().any(char::is_control).then_some("it has a control character")
}

/// Reason why Windows cannot store a name.
fn foreign_reason(name: &str) -> Option<&'static str> {
    // This is asked of every file of a vault.
    if name.bytes().any(|byte| matches!(byte, b'\\' | b':' | b'*' | b'?' | b'"' | b'<' | b'>' | b'|')) {
        return Some("it has one of \\ : * ? \" < > |");
    }
    if name.ends_with(['.', ' ']) {
        return Some("a name in it ends in a dot or a space, which Windows cuts off");
    }
    let first = name.bytes().next().unwrap_or_default().to_ascii_lowercase();
    if !matches!(first, b'a' | b'c' | b'l' | b'n' | b'p') {
        return None; // No reserved name begins so.
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let reserved = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let numbered = |device: &str| {
        let head = stem.get(..3).filter(|head| head.eq_ignore_ascii_case(device));
        let mut rest = stem.chars().skip(3);
        head.is_some() && matches!(rest.next(), Some('0'..='9' | '¹' | '²' | '³')) && rest.next().is_none()
    };
    if reserved.iter().any(|word| stem.eq_ignore_ascii_case(word)) || numbered("com") || numbered("lpt") {
        return Some("a name in it is reserved on Windows (CON, NUL, COM1 …)");
    }
    None
}

/// Paths are ordered as their texts are, so a tree can be searched by a text that is no path.
impl Borrow<str> for VaultPath {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for VaultPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}

impl Serialize for VaultPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for VaultPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(OfText(Self::composed))
    }
}

#[cfg(test)]
mod tests;
