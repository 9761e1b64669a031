//! Groups: files that belong together, and move together or not at all.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;

use globset::{Glob, GlobBuilder, GlobSet};
use serde::{Deserialize, Serialize};

use super::{SharedMap, VaultPath, bounded, limits};

/// Treatment of a group that fails validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validate {
    /// The group is held back.
    Enforce,
    /// The group is synced and the fault reported.
    Warn,
    /// The group is not validated.
    #[default]
    Off,
}

/// Definition of a group, from the vault's header or a later commit. Every device has the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Name of the group: letters, digits, `-` and `_`.
    pub name: String,
    /// Globs of the primary members: a change of one can conflict (corpus, vectors).
    #[serde(deserialize_with = "bounded::at_most::<_, _, { limits::PATTERNS }>")]
    pub primary: Vec<String>,
    /// Globs of the derived members, which are computed from the primary ones (indexes).
    #[serde(default, deserialize_with = "bounded::at_most::<_, _, { limits::PATTERNS }>")]
    pub derived: Vec<String>,
    /// Treatment of the group if its members do not fit together.
    #[serde(default)]
    pub validate: Validate,
}

/// Error in a definition of groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// A name is not allowed.
    #[error("group name {0:?}: expected 1 to 64 letters, digits, `-` or `_`")]
    Name(String),
    /// Two groups have the same name.
    #[error("two groups are named {0:?}")]
    Twice(String),
    /// A group has no primary member.
    #[error("group {0:?} has no primary member")]
    Empty(String),
    /// There are too many groups or patterns, or a pattern is too long.
    #[error("the groups have {what}: expected at most {most}")]
    TooMuch {
        /// Number and name of what there is too much of.
        what: String,
        /// The limit.
        most: usize,
    },
    /// A pattern does not parse.
    #[error("group {group:?}: pattern {pattern:?}: {why}")]
    Pattern {
        /// Name of the group.
        group: String,
        /// The pattern.
        pattern: String,
        /// Cause.
        why: String,
    },
}

/// Role of a file in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A change of the file is a change of the group.
    Primary,
    /// The file is computed from the primary members.
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
    /// Formats the item as `group:nodes` or `file:traces/t1.json`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

/// Compiled groups, which find the group of a path. The first matching pattern wins, in the order
/// of definition. The primary patterns of all groups come before the derived ones.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    groups: Vec<Group>,
    patterns: GlobSet,
    /// Group and role of the pattern at the same index.
    rules: Vec<(usize, Role)>,
    /// For each group, the texts that its members' paths begin with. None begins with another one.
    starts: Vec<Vec<String>>,
}

impl Groups {
    /// Checks and compiles definitions.
    ///
    /// # Errors
    /// If a name or a pattern is not allowed.
    pub fn new(groups: Vec<Group>) -> Result<Self, GroupError> {
        check_amounts(&groups)?;
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
        let starts = groups.iter().map(|group| starts(group.primary.iter().chain(&group.derived))).collect();
        Ok(Self { groups, patterns, rules, starts })
    }

    /// Definitions as given.
    #[must_use]
    pub fn definitions(&self) -> &[Group] {
        &self.groups
    }

    /// Group of `path`, and the path's role in it.
    #[must_use]
    pub fn find(&self, path: &VaultPath) -> Option<(&Group, Role)> {
        let first = self.patterns.matches(path.as_str()).into_iter().min()?;
        let (index, role) = self.rules.get(first)?;
        self.groups.get(*index).map(|group| (group, *role))
    }

    /// Members of the group `name` in a tree, in order. Only paths that begin as the group's
    /// patterns do are looked at.
    pub fn members<'a, V>(
        &'a self,
        name: &'a str,
        tree: &'a SharedMap<VaultPath, V>,
    ) -> impl Iterator<Item = (&'a VaultPath, &'a V)> {
        let index = self.groups.iter().position(|group| group.name == name);
        let starts = index.and_then(|index| self.starts.get(index)).into_iter().flatten();
        let near = starts.flat_map(|start| beginning_with(tree, start));
        near.filter(move |(path, _)| self.find(path).is_some_and(|(group, _)| group.name == name))
    }

    /// Files of an item in a tree, in order.
    pub fn files_of<'a, V>(
        &'a self,
        item: &'a Item,
        tree: &'a SharedMap<VaultPath, V>,
    ) -> impl Iterator<Item = (&'a VaultPath, &'a V)> {
        let (group, file) = match item {
            Item::Group(name) => (Some(self.members(name, tree)), None),
            Item::File(path) => (None, tree.get(path).map(|value| (path, value))),
        };
        group.into_iter().flatten().chain(file)
    }

    /// True if members of the group `name` may lie below `folder`.
    #[must_use]
    pub fn reaches(&self, name: &str, folder: &VaultPath) -> bool {
        let below = format!("{folder}/");
        let patterns = self.groups.iter().filter(|group| group.name == name);
        patterns.flat_map(|group| group.primary.iter().chain(&group.derived)).any(|pattern| {
            let fixed = start(pattern);
            fixed.starts_with(&below) || below.starts_with(fixed)
        })
    }

    /// Item that `path` belongs to.
    #[must_use]
    pub fn item(&self, path: &VaultPath) -> Item {
        match self.find(path) {
            Some((group, _)) => Item::Group(group.name.clone()),
            None => Item::File(path.clone()),
        }
    }

    /// True if `path` is a derived member of a group.
    #[must_use]
    pub fn is_derived(&self, path: &VaultPath) -> bool {
        self.find(path).is_some_and(|(_, role)| role == Role::Derived)
    }
}

/// Entries of a tree whose paths begin with `start`, in order.
pub fn beginning_with<'a, V>(
    tree: &'a SharedMap<VaultPath, V>,
    start: &'a str,
) -> impl Iterator<Item = (&'a VaultPath, &'a V)> {
    let from_there = tree.range::<str, _>((Bound::Included(start), Bound::Unbounded));
    from_there.take_while(move |(path, _)| path.as_str().starts_with(start))
}

/// The part of a pattern before its first wildcard, which matches literally.
#[must_use]
pub fn start(pattern: &str) -> &str {
    pattern.split(['*', '?', '[', '{', '\\']).next().unwrap_or_default()
}

/// The texts that what these patterns match begins with, sorted; none begins with another one.
pub fn starts<'a>(patterns: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut starts: Vec<String> = patterns.map(|pattern| start(pattern).to_owned()).collect();
    starts.sort();
    starts.dedup_by(|next, kept| next.starts_with(kept.as_str()));
    starts
}

/// Refuses definitions that would take much memory to compile.
fn check_amounts(groups: &[Group]) -> Result<(), GroupError> {
    let patterns = || groups.iter().flat_map(|group| group.primary.iter().chain(&group.derived));
    let longest = patterns().map(String::len).max().unwrap_or_default();
    let bytes = patterns().map(String::len).sum();
    for (found, what, most) in [
        (groups.len(), "groups", limits::GROUPS),
        (patterns().count(), "patterns", limits::PATTERNS),
        (longest, "bytes in one pattern", limits::PATTERN),
        (bytes, "bytes of patterns", limits::PATTERN_BYTES),
    ] {
        if found > most {
            return Err(GroupError::TooMuch { what: format!("{found} {what}"), most });
        }
    }
    Ok(())
}

/// Compiles a pattern.
pub(super) fn glob(pattern: &str) -> Result<Glob, globset::Error> {
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
mod tests;
