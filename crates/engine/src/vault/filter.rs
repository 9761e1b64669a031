//! Filters: the selection of synced paths.
//!
//! Three rules apply in order: the list of paths that are never synced ([`super::never`]), then
//! `include`, then `exclude`. The verdict depends on the path alone, never on the disk, and is the
//! same in both directions: an excluded file is neither sent nor written here.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use unicode_normalization::UnicodeNormalization;

use super::never::{AT_ROOT, SECRETS, TEMPORARY, never};
use crate::model::{Digest, VaultPath};

/// Verdict of a filter on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The path is synced.
    Synced,
    /// The path is on the list of those that are never synced.
    Never,
    /// The settings exclude the path.
    Excluded,
}

/// Pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: pattern {pattern:?}: {why}")]
pub struct FilterError {
    /// Setting of the pattern: `include` or `exclude`.
    pub key: &'static str,
    /// The pattern.
    pub pattern: String,
    /// Cause.
    pub why: String,
}

/// Compiled settings `include` and `exclude`. Patterns are those of `.gitignore`, relative to the
/// root. Unlike in git, a pattern with `!` includes a file even if a folder above it is excluded.
#[derive(Debug, Clone)]
pub struct Filter {
    include: Gitignore,
    exclude: Gitignore,
    /// Folders in which `exclude` leaves no file.
    closed: Gitignore,
    /// Starts of the paths that `include` matches. None where a path may begin in any way.
    starts: Option<Vec<Start>>,
    digest: Digest,
}

/// Start of the paths that a pattern matches, name by name.
#[derive(Debug, Clone)]
struct Start {
    /// None for a name that may be any.
    names: Vec<Option<String>>,
}

impl Filter {
    /// Compiles the settings. An empty `include` includes everything.
    ///
    /// # Errors
    /// If a pattern does not parse, or matches no path of any vault. The error names the setting
    /// and the pattern.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, FilterError> {
        let filter = Self::as_agreed(include, exclude)?;
        for (key, patterns) in [("include", include), ("exclude", exclude)] {
            for pattern in patterns {
                if let Some(why) = matches_nothing(pattern) {
                    return Err(FilterError { key, pattern: pattern.clone(), why: why.to_owned() });
                }
            }
        }
        Ok(filter)
    }

    /// Compiles settings under which a device has agreed. Patterns that match nothing are refused
    /// today, and were not always.
    ///
    /// # Errors
    /// If a pattern does not parse.
    pub fn as_agreed(include: &[String], exclude: &[String]) -> Result<Self, FilterError> {
        let compiled = compile("exclude", exclude.iter().map(String::as_str))?;
        // `cache/**` matches everything in the folder but not the folder itself. For the walk, both
        // are the same.
        let whole: Vec<String> = exclude
            .iter()
            .filter_map(|pattern| pattern.strip_suffix("/**"))
            .map(|folder| format!("/{}/", folder.trim_start_matches('/')))
            .collect();
        let folders = exclude.iter().chain(&whole).map(String::as_str);
        // With a pattern that includes files again, any folder may hold one.
        let closed =
            if compiled.num_whitelists() > 0 { Gitignore::empty() } else { compile("exclude", folders)? };
        Ok(Self {
            include: compile("include", include.iter().map(String::as_str))?,
            exclude: compiled,
            closed,
            starts: (!include.is_empty())
                .then(|| include.iter().map(|pattern| Start::of(pattern)).collect())
                .flatten(),
            digest: digest(include, exclude),
        })
    }

    /// Verdict on `path`, a file.
    #[must_use]
    pub fn verdict(&self, path: &VaultPath) -> Verdict {
        let hit = |list: &Gitignore| list.matched_path_or_any_parents(path.as_str(), false).is_ignore();
        if never(path) {
            Verdict::Never
        } else if (!self.include.is_empty() && !hit(&self.include)) || hit(&self.exclude) {
            Verdict::Excluded
        } else {
            Verdict::Synced
        }
    }

    /// True if no file below `folder` can be synced, so that the walk may skip it.
    #[must_use]
    pub fn prunes(&self, folder: &VaultPath) -> bool {
        never(folder) || self.closed.matched_path_or_any_parents(folder.as_str(), true).is_ignore()
    }

    /// True if an `include` leads to `place`, or below it. Where one may match in any folder, none
    /// leads anywhere: every link of a vault would be one that matters.
    #[must_use]
    pub fn leads_to(&self, place: &VaultPath) -> bool {
        let begins = |starts: &Vec<Start>| starts.iter().any(|start| start.leads_to(place));
        !self.prunes(place) && self.starts.as_ref().is_some_and(begins)
    }

    /// Digest of the settings and of the list of paths that are never synced.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl Start {
    /// The start of a pattern's paths. None where it may match in any folder.
    fn of(pattern: &str) -> Option<Self> {
        let nfc: String = pattern.nfc().collect();
        let pattern = nfc.trim_end().trim_start_matches('!');
        let (anchored, whole) = (pattern.trim_end_matches('/').contains('/'), pattern.trim_matches('/'));
        let mut names = Vec::new();
        // A set of letters, or of words, may have a slash in it: nothing is told after its start.
        for name in whole.split('/').take_while(|name| !name.contains("**") && !name.contains(['[', '{'])) {
            names.push((!name.contains(['*', '?', '\\'])).then(|| name.to_owned()));
        }
        anchored.then_some(Self { names })
    }

    /// True if a path that begins so may be `place`, or lie below or above it.
    fn leads_to(&self, place: &VaultPath) -> bool {
        let mut both = self.names.iter().zip(place.names());
        both.all(|(wanted, name)| wanted.as_ref().is_none_or(|wanted| wanted == name))
    }
}

fn compile<'a>(key: &'static str, patterns: impl Iterator<Item = &'a str>) -> Result<Gitignore, FilterError> {
    let mut builder = GitignoreBuilder::new(Path::new(""));
    builder.allow_unclosed_class(false);
    for pattern in patterns {
        let fault = |why: String| FilterError { key, pattern: pattern.to_owned(), why };
        // The library would ignore these silently.
        if pattern.trim().trim_start_matches('!').trim_matches('/').is_empty() {
            return Err(fault("it is empty".into()));
        }
        if pattern.starts_with('#') {
            return Err(fault("it is a comment; for a name that starts with # write \\#".into()));
        }
        // Paths are in NFC, but a pattern typed on a Mac may not be.
        let nfc: String = pattern.nfc().collect();
        builder.add_line(None, &nfc).map_err(|error| fault(error.to_string()))?;
    }
    builder.build().map_err(|error| FilterError { key, pattern: String::new(), why: error.to_string() })
}

/// The cause for which a pattern matches no path of any vault: the files that it is to keep back
/// would be sent.
fn matches_nothing(pattern: &str) -> Option<&'static str> {
    let pattern = pattern.trim_end().trim_start_matches('!');
    let inner = pattern.strip_prefix('/').unwrap_or(pattern);
    let mut names = inner.strip_suffix('/').unwrap_or(inner).split('/');
    if names.clone().any(str::is_empty) {
        return Some("it matches nothing: two slashes follow each other");
    }
    if names.clone().any(|name| matches!(name, "." | "..")) {
        return Some("it matches nothing: paths begin in the vault's folder, without ./ or ../");
    }
    let home = pattern.starts_with("~/") && names.next() == Some("~");
    home.then_some("it matches nothing: paths begin in the vault's folder, and ~ is no home there")
}

fn digest(include: &[String], exclude: &[String]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let mut list = |patterns: &mut dyn ExactSizeIterator<Item = &str>| {
        hasher.update(&(patterns.len() as u64).to_le_bytes());
        for pattern in patterns {
            hasher.update(&(pattern.len() as u64).to_le_bytes());
            hasher.update(pattern.as_bytes());
        }
    };
    for patterns in [include, exclude] {
        list(&mut patterns.iter().map(String::as_str));
    }
    for patterns in [AT_ROOT, SECRETS, TEMPORARY] {
        list(&mut patterns.iter().copied());
    }
    Digest::from(hasher.finalize())
}

#[cfg(test)]
mod tests;
