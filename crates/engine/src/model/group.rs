//! Groups: files that belong together and move together or not at all.

use std::collections::BTreeSet;
use std::fmt;

use globset::{Glob, GlobBuilder, GlobSet};
use serde::{Deserialize, Serialize};

use super::VaultPath;

/// What happens to a group that does not validate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validate {
    /// It is held back.
    Enforce,
    /// It is synced, and the fault reported.
    Warn,
    /// It is not looked at.
    #[default]
    Off,
}

/// A group as the vault's header, or a later commit, defines it. The same on every device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// Globs of the members whose change makes a conflict (corpus, vectors).
    pub primary: Vec<String>,
    /// Globs of the members that are computed from the primary ones (indexes).
    #[serde(default)]
    pub derived: Vec<String>,
    /// What happens when its members do not fit together.
    #[serde(default)]
    pub validate: Validate,
}

/// A definition of groups that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The name is unusable.
    #[error("group name {0:?}: expected 1 to 64 letters, digits, `-` or `_`")]
    Name(String),
    /// Two groups have one name.
    #[error("two groups are named {0:?}")]
    Twice(String),
    /// The group has no primary member.
    #[error("group {0:?} has no primary member")]
    Empty(String),
    /// A pattern does not parse.
    #[error("group {group:?}: pattern {pattern:?}: {why}")]
    Pattern {
        /// Which group.
        group: String,
        /// Which pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What a file is to its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Its change is the group's change.
    Primary,
    /// It is computed from the primary members.
    Derived,
}

/// The unit of planning: a group, or a file that is in none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Item {
    /// All members of the group of this name.
    Group(String),
    /// One file.
    File(VaultPath),
}

impl fmt::Display for Item {
    /// `group:nodes` or `file:traces/t1.json`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

/// Groups, ready to tell which one a path is in. The first pattern that matches wins, in the order of definition, primary
/// patterns of all groups before derived ones.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    groups: Vec<Group>,
    patterns: GlobSet,
    /// What a path is that matches the pattern of the same place.
    rules: Vec<(usize, Role)>,
}

impl Groups {
    /// Checks and compiles definitions.
    ///
    /// # Errors
    /// Where a name or a pattern is unusable.
    pub fn new(groups: Vec<Group>) -> Result<Self, GroupError> {
        let mut names = BTreeSet::new();
        let (mut set, mut rules) = (GlobSet::builder(), Vec::new());
        for group in &groups {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if group.name.is_empty() || group.name.len() > 64 || !group.name.chars().all(legal) {
                return Err(GroupError::Name(group.name.clone()));
            }
            if !names.insert(group.name.clone()) {
                return Err(GroupError::Twice(group.name.clone()));
            }
            if group.primary.is_empty() {
                return Err(GroupError::Empty(group.name.clone()));
            }
        }
        for role in [Role::Primary, Role::Derived] {
            for (index, group) in groups.iter().enumerate() {
                let patterns = if role == Role::Primary { &group.primary } else { &group.derived };
                for pattern in patterns {
                    set.add(glob(pattern).map_err(|error| unusable(&group.name, pattern, &error))?);
                    rules.push((index, role));
                }
            }
        }
        let patterns = set.build().map_err(|error| {
            let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
            unusable(&names.join(", "), error.glob().unwrap_or_default(), &error)
        })?;
        Ok(Self { groups, patterns, rules })
    }

    /// The definitions, as given.
    #[must_use]
    pub fn definitions(&self) -> &[Group] {
        &self.groups
    }

    /// The group that `path` is in, and what it is there.
    #[must_use]
    pub fn find(&self, path: &VaultPath) -> Option<(&Group, Role)> {
        let first = self.patterns.matches(path.as_str()).into_iter().min()?;
        let (index, role) = self.rules.get(first)?;
        self.groups.get(*index).map(|group| (group, *role))
    }

    /// Whether members of the group `name` may lie below `folder`.
    #[must_use]
    pub fn reaches(&self, name: &str, folder: &VaultPath) -> bool {
        let below = format!("{folder}/");
        let patterns = self.groups.iter().filter(|group| group.name == name);
        patterns.flat_map(|group| group.primary.iter().chain(&group.derived)).any(|pattern| {
            // Up to here a pattern means itself.
            let fixed = pattern.split(['*', '?', '[', '{', '\\']).next().unwrap_or_default();
            fixed.starts_with(&below) || below.starts_with(fixed)
        })
    }

    /// The item that `path` belongs to.
    #[must_use]
    pub fn item(&self, path: &VaultPath) -> Item {
        match self.find(path) {
            Some((group, _)) => Item::Group(group.name.clone()),
            None => Item::File(path.clone()),
        }
    }

    /// Whether `path` is a derived member of a group.
    #[must_use]
    pub fn is_derived(&self, path: &VaultPath) -> bool {
        self.find(path).is_some_and(|(_, role)| role == Role::Derived)
    }
}

fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    // `*` stops at a slash, as in .gitignore; `**` does not.
    GlobBuilder::new(pattern).literal_separator(true).build()
}

fn unusable(group: &str, pattern: &str, error: &globset::Error) -> GroupError {
    GroupError::Pattern {
        group: group.to_owned(),
        pattern: pattern.to_owned(),
        why: error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, primary: &[&str], derived: &[&str]) -> Group {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        Group { name: name.into(), primary: owned(primary), derived: owned(derived), validate: Validate::Off }
    }

    #[test]
    fn paths_find_their_group() {
        let nodes = group("nodes", &["corpus/nodes.json", "vectors/nodes.npy"], &["indexes/**"]);
        let groups =
            Groups::new(vec![nodes, group("episodes", &["corpus/episodes.json", "*.npy"], &[])]).unwrap();
        let item = |path: &str| groups.item(&VaultPath::new(path).unwrap()).to_string();
        assert_eq!(item("corpus/nodes.json"), "group:nodes");
        assert_eq!(item("indexes/a/b.index"), "group:nodes");
        assert_eq!(item("corpus/episodes.json"), "group:episodes");
        assert_eq!(item("vectors/x.npy"), "file:vectors/x.npy", "* must stop at a slash");
        assert!(groups.is_derived(&VaultPath::new("indexes/x").unwrap()));
    }

    #[test]
    fn unusable_definitions_are_refused() {
        assert!(Groups::new(vec![group("", &["a"], &[])]).is_err());
        assert!(Groups::new(vec![group("a b", &["a"], &[])]).is_err());
        assert!(Groups::new(vec![group("a", &[], &["x"])]).is_err());
        assert!(Groups::new(vec![group("a", &["x[", "y"], &[])]).is_err());
        assert!(Groups::new(vec![group("a", &["x"], &[]), group("a", &["y"], &[])]).is_err());
    }
}
