//! Files of a group that merge together: a corpus, its vectors and its index. Pure.
//!
//! Arrays and indexes follow the corpus of their stem. Every other primary member is taken from the
//! one side that changed it, or nothing is merged. Every other derived member is left out: it was
//! computed from what one side had, and can be computed again.

use std::collections::{BTreeMap, BTreeSet};

use crate::merge::{Unmerged, Version};
use crate::model::{Entry, Groups, VaultPath, stem};
use crate::sync::bases::Gone;
use crate::sync::cycle::kind;
use crate::vault::validate::Kind;

/// Members of a group in one version.
pub(super) type Files = BTreeMap<VaultPath, Entry>;

/// A group in all its versions.
#[derive(Debug, Clone)]
pub(super) struct Versions {
    pub(super) base: Option<Files>,
    pub(super) here: Files,
    pub(super) there: Files,
    /// Memories that were deleted here although the base does not have them, by corpus.
    pub(super) gone: Gone,
    /// Other versions that are in both sides.
    pub(super) seen: Vec<Files>,
}

/// A corpus that merges with the files that follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) corpus: VaultPath,
    /// Member of the corpus that holds its entries.
    pub(super) key: String,
    /// Arrays, then indexes.
    pub(super) rows: Vec<(Kind, VaultPath)>,
}

impl Set {
    /// Its files in a version: the corpus, then those of rows. Without all arrays the corpus alone,
    /// and nothing without that.
    pub(super) fn files_in<'f>(&self, files: &'f Files) -> Vec<&'f Entry> {
        let Some(corpus) = files.get(&self.corpus) else { return Vec::new() };
        let is_there = |(kind, path): &(Kind, VaultPath)| *kind != Kind::Matrix || files.contains_key(path);
        let rows = self.rows.iter().filter(|_| self.rows.iter().all(is_there));
        std::iter::once(corpus).chain(rows.filter_map(|(_, path)| files.get(path))).collect()
    }
}

/// Fate of the members of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Division {
    pub(super) sets: Vec<Set>,
    /// Members that are taken from here as they are. None if they go.
    pub(super) taken: BTreeMap<VaultPath, Option<Entry>>,
    /// Derived members of the version that stands which do not belong to the result, unless that is
    /// one of both versions.
    pub(super) left_out: BTreeSet<VaultPath>,
}

impl Versions {
    /// Divides the members of a group.
    ///
    /// # Errors
    /// If some cannot be merged.
    pub(super) fn divide(&self, groups: &Groups) -> Result<Division, Unmerged> {
        let mut division = Division::default();
        let all: BTreeSet<&VaultPath> = self.here.keys().chain(self.there.keys()).collect();
        let primary: BTreeSet<&VaultPath> =
            all.iter().copied().filter(|path| !groups.is_derived(path)).collect();
        match self.side_of(&primary) {
            Some(Version::Here) => {
                division.taken =
                    all.iter().map(|path| ((*path).clone(), self.here.get(*path).copied())).collect();
                return Ok(division);
            }
            Some(_) => return Ok(division),
            None => {}
        }
        let corpora: Vec<(&VaultPath, String)> = primary
            .iter()
            .filter_map(|path| match kind(groups, path)? {
                Kind::Corpus(key) => Some((*path, key)),
                _ => None,
            })
            .collect();
        let mut followers = BTreeSet::new();
        for (corpus, key) in &corpora {
            let rows = self.rows_of(corpus, corpora.len() == 1, groups, &all);
            let names = || std::iter::once(*corpus).chain(rows.iter().map(|(_, path)| path));
            let its_primary = names().filter(|path| primary.contains(path)).collect();
            followers.extend(names().cloned());
            match self.side_of(&its_primary) {
                Some(Version::Here) => {
                    let taken = names().map(|path| (path.clone(), self.here.get(path).copied()));
                    division.taken.extend(taken);
                }
                Some(_) => {}
                None => {
                    // An index of one side alone is not rewritten.
                    let both = |(kind, path): &(Kind, VaultPath)| {
                        *kind == Kind::Matrix || self.here.contains_key(path)
                    };
                    let (rows, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(both);
                    division.left_out.extend(others.into_iter().map(|(_, path)| path));
                    division.sets.push(self.set(corpus, key, rows)?);
                }
            }
        }
        for path in all.into_iter().filter(|path| !followers.contains(*path)) {
            if !primary.contains(path) {
                division.left_out.extend(self.there.contains_key(path).then(|| path.clone()));
                continue;
            }
            match self.side_of(&BTreeSet::from([path])) {
                Some(Version::Here) => {
                    division.taken.extend([(path.clone(), self.here.get(path).copied())]);
                }
                Some(_) => {}
                None => return Err(Unmerged::ChangedByBoth { name: path.to_string() }),
            }
        }
        Ok(division)
    }

    /// The side whose version of these files stands because only that one changed any. None if both
    /// did.
    fn side_of(&self, paths: &BTreeSet<&VaultPath>) -> Option<Version> {
        let alike = |one: &Files, other: &Files| paths.iter().all(|path| one.get(*path) == other.get(*path));
        let is_base = |side: &Files| self.base.as_ref().is_some_and(|base| alike(base, side));
        if alike(&self.here, &self.there) || is_base(&self.here) {
            return Some(Version::There);
        }
        is_base(&self.there).then_some(Version::Here)
    }

    /// True if the primary members of a result have the contents of this side: then what was
    /// computed for that side belongs to it.
    fn is_of(&self, side: &Files, result: &BTreeMap<VaultPath, Option<Entry>>, groups: &Groups) -> bool {
        let all: BTreeSet<&VaultPath> = self.here.keys().chain(self.there.keys()).collect();
        let content = |entry: Option<&Entry>| entry.map(Entry::content);
        all.into_iter().filter(|path| !groups.is_derived(path)).all(|path| {
            let stands = result.get(path).map_or_else(|| self.there.get(path), Option::as_ref);
            content(stands) == content(side.get(path))
        })
    }

    /// Decides about the derived members of a result: where it is one of both versions, they are
    /// those of that version; else some are left out.
    pub(super) fn settle_derived(
        &self,
        result: &mut BTreeMap<VaultPath, Option<Entry>>,
        left_out: BTreeSet<VaultPath>,
        groups: &Groups,
    ) {
        let derived = |side: &Files| -> Vec<VaultPath> {
            side.keys().filter(|path| groups.is_derived(path)).cloned().collect()
        };
        if self.is_of(&self.there, result, groups) {
            result.retain(|path, _| !groups.is_derived(path));
        } else if self.is_of(&self.here, result, groups) {
            let all = derived(&self.there).into_iter().chain(derived(&self.here));
            result.extend(all.map(|path| (path.clone(), self.here.get(&path).copied())));
        } else {
            result.extend(left_out.into_iter().map(|path| (path, None)));
        }
    }

    fn rows_of(
        &self,
        corpus: &VaultPath,
        is_only: bool,
        groups: &Groups,
        all: &BTreeSet<&VaultPath>,
    ) -> Vec<(Kind, VaultPath)> {
        let (mut arrays, mut indexes) = (Vec::new(), Vec::new());
        for path in all {
            match kind(groups, path) {
                Some(Kind::Matrix) if stem(path) == stem(corpus) => {
                    arrays.push((Kind::Matrix, (*path).clone()));
                }
                // An index that stands nowhere is none that could go wrong.
                Some(Kind::Index)
                    if (is_only || stem(path) == stem(corpus)) && self.there.contains_key(*path) =>
                {
                    indexes.push((Kind::Index, (*path).clone()));
                }
                _ => {}
            }
        }
        arrays.extend(indexes);
        arrays
    }

    fn set(&self, corpus: &VaultPath, key: &str, rows: Vec<(Kind, VaultPath)>) -> Result<Set, Unmerged> {
        for (version, files) in [(Version::Here, &self.here), (Version::There, &self.there)] {
            let arrays = rows.iter().filter(|(kind, _)| *kind == Kind::Matrix).map(|(_, path)| path);
            if let Some(path) = arrays.chain([corpus]).find(|path| !files.contains_key(*path)) {
                return Err(Unmerged::Missing { version, name: path.to_string() });
            }
        }
        Ok(Set { corpus: corpus.clone(), key: key.to_owned(), rows })
    }
}

#[cfg(test)]
mod tests;
