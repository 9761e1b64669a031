//! Single files that merge line by line or key by key, by the patterns that name them.

use globset::GlobSet;

use super::VaultPath;
use super::group::glob;

/// How two versions of a single file become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineMerge {
    /// A log that only grows: what is new there, then what is new here (`merge::append`).
    Append,
    /// A JSON object, key by key (`merge::join_keys`).
    Keys,
    /// A text that people edit anywhere: three-way, by lines (`merge::weave`).
    Weave,
}

/// Patterns of the single files that merge. `*` stops at a slash, `**` does not.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    appended: GlobSet,
    keyed: GlobSet,
    woven: GlobSet,
}

/// A pattern that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {why}")]
pub struct NoPattern {
    /// The pattern.
    pub pattern: String,
    /// Cause.
    pub why: String,
}

impl Texts {
    /// Compiles the patterns of logs, of JSON objects and of texts.
    ///
    /// # Errors
    /// The first that is none.
    pub fn new([appended, keyed, woven]: [&[String]; 3]) -> Result<Self, NoPattern> {
        Ok(Self { appended: compiled(appended)?, keyed: compiled(keyed)?, woven: compiled(woven)? })
    }

    /// How a file merges. None for one that does not. A log is nothing else, whatever its name, and
    /// an object is no text.
    #[must_use]
    pub fn of(&self, path: &VaultPath) -> Option<LineMerge> {
        if self.appended.is_match(path.as_str()) {
            return Some(LineMerge::Append);
        }
        if self.keyed.is_match(path.as_str()) {
            return Some(LineMerge::Keys);
        }
        self.woven.is_match(path.as_str()).then_some(LineMerge::Weave)
    }
}

fn compiled(patterns: &[String]) -> Result<GlobSet, NoPattern> {
    let no_pattern = |pattern: &str, error: &globset::Error| NoPattern {
        pattern: pattern.to_owned(),
        why: error.kind().to_string(),
    };
    let mut set = GlobSet::builder();
    for pattern in patterns {
        set.add(glob(pattern).map_err(|error| no_pattern(pattern, &error))?);
    }
    set.build().map_err(|error| no_pattern(error.glob().unwrap_or_default(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_merges_by_the_first_kind_that_names_it() {
        let of = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let texts =
            Texts::new([&of(&["traces/**/*.jsonl"]), &of(&["**/*.json"]), &of(&["**/*.md", "traces/**"])])
                .unwrap();
        let how = |path: &str| texts.of(&VaultPath::new(path).unwrap());
        assert_eq!(how("traces/day.jsonl"), Some(LineMerge::Append));
        assert_eq!(how("traces/deep/er/day.jsonl"), Some(LineMerge::Append));
        assert_eq!(how("readme.md"), Some(LineMerge::Weave));
        assert_eq!(how("notes/a.md"), Some(LineMerge::Weave));
        assert_eq!(how("traces/a.json"), Some(LineMerge::Keys));
        assert_eq!(how("notes/a.mdx"), None);
        assert_eq!(Texts::default().of(&VaultPath::new("a.md").unwrap()), None);
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        let error = Texts::new([&[], &[], &["a{".to_owned()]]).unwrap_err().to_string();
        assert!(error.starts_with("\"a{\" is no pattern: "), "{error}");
    }
}
