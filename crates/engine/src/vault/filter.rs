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
    digest: Digest,
}

impl Filter {
    /// Compiles the settings. An empty `include` includes everything.
    ///
    /// # Errors
    /// If a pattern does not parse. The error names the setting and the pattern.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, FilterError> {
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

    /// Digest of the settings and of the list of paths that are never synced.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        Filter::new(&owned(include), &owned(exclude)).unwrap()
    }

    fn path(text: &str) -> VaultPath {
        VaultPath::new(text).unwrap()
    }

    #[test]
    fn the_default_excludes_cache_and_logs_at_the_root_only() {
        let filter = filter(&[], &["cache/**", "logs/**"]);
        assert_eq!(filter.verdict(&path("cache/a/b")), Verdict::Excluded);
        assert_eq!(filter.verdict(&path("traces/cache/a")), Verdict::Synced);
        assert_eq!(filter.verdict(&path("cache.json")), Verdict::Synced);
        assert_eq!(filter.verdict(&path("config.json")), Verdict::Never);
        assert!(
            filter.prunes(&path("cache")) && filter.prunes(&path("logs")) && filter.prunes(&path("sync"))
        );
        assert!(!filter.prunes(&path("traces")) && !filter.prunes(&path("traces/cache")));
    }

    #[test]
    fn include_and_exclude_work_as_gitignore_does() {
        let filter = filter(&["corpus/", "/vectors", "*.md"], &["*.log", "!keep.log"]);
        for (text, verdict) in [
            ("corpus/nodes.json", Verdict::Synced),
            ("vectors/a/b.npy", Verdict::Synced),
            ("a/vectors/b.npy", Verdict::Excluded),
            ("a/b.md", Verdict::Synced),
            ("traces/t.json", Verdict::Excluded),
            ("corpus/x.log", Verdict::Excluded),
            ("corpus/keep.log", Verdict::Synced),
        ] {
            assert_eq!(filter.verdict(&path(text)), verdict, "{text}");
        }
    }

    #[test]
    fn never_beats_include() {
        let filter = filter(&["**", "config.json", ".env", "sync/**"], &["!config.json", "!.env"]);
        for text in ["config.json", ".env", "sync/x", "a/id_rsa"] {
            assert_eq!(filter.verdict(&path(text)), Verdict::Never, "{text}");
        }
    }

    #[test]
    fn patterns_that_do_nothing_or_do_not_parse_are_refused() {
        for bad in ["", " ", "!", "/", "# cache", "a[", "a{b"] {
            let error = Filter::new(&[], &["ok/".into(), bad.to_owned()]).unwrap_err();
            assert_eq!((error.key, error.pattern.as_str()), ("exclude", bad));
        }
        assert_eq!(Filter::new(&["x[".into()], &[]).unwrap_err().key, "include");
    }

    #[test]
    fn a_pattern_in_nfd_matches_nfc_paths() {
        assert_eq!(filter(&[], &["e\u{301}/"]).verdict(&path("é/a")), Verdict::Excluded);
    }

    #[test]
    fn different_settings_have_different_digests() {
        let digests = [
            filter(&[], &[]),
            filter(&["a"], &[]),
            filter(&[], &["a"]),
            filter(&["a", "b"], &[]),
            filter(&["ab"], &[]),
            filter(&["b", "a"], &[]),
        ]
        .map(|filter| filter.digest());
        for (at, digest) in digests.iter().enumerate() {
            assert_eq!(digests.iter().position(|other| other == digest), Some(at));
        }
        assert_eq!(filter(&["a"], &["b"]).digest(), filter(&["a"], &["b"]).digest());
    }

    fn pattern() -> impl Strategy<Value = String> {
        "!?/?([abc*]|\\*\\*/){1,3}[abc](/|/\\*\\*|/\\*)?"
    }

    proptest! {
        /// The walk must never skip a synced file.
        #[test]
        fn nothing_synced_lies_below_a_pruned_folder(
            include in prop::collection::vec(pattern(), 0..3), exclude in prop::collection::vec(pattern(), 0..4),
            text in "[abc]{1,2}(/[abc]{1,2}){0,4}",
        ) {
            if let Ok(filter) = Filter::new(&include, &exclude) {
                let path = path(&text);
                let pruned = path.folders().find(|&folder| filter.prunes(&VaultPath::new(folder).unwrap()));
                if let Some(folder) = pruned {
                    prop_assert_ne!(filter.verdict(&path), Verdict::Synced, "{} lies below {}", path, folder);
                }
            }
        }

        /// No text makes the filter panic.
        #[test]
        fn any_text_is_a_filter_or_an_error(patterns in prop::collection::vec(any::<String>(), 0..4)) {
            if let Ok(filter) = Filter::new(&patterns, &patterns) {
                prop_assert_ne!(filter.verdict(&path("a/b")), Verdict::Never);
                prop_assert!(filter.prunes(&path("sync")));
            }
        }
    }
}
