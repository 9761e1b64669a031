//! Names that differ from a path in letter case only, found in a tree without folding all its
//! names.
//!
//! The search goes down the tree by the characters of the path, in both cases. Only from a place on
//! where a name has a character beyond ASCII, the paths that begin alike are folded one by one:
//! some of those characters fold to several, and some to one of ASCII. Where many paths are asked
//! for, folding every name of the tree once costs less.

use std::collections::HashMap;
use std::ops::Bound;

use super::{Tree, VaultPath, beginning_with};

/// Number of paths that begin alike below which each of them is folded.
const FEW: usize = 4;

/// Share of a tree's paths above which all of them are folded: one in so many.
const MANY: usize = 64;

/// Names of a tree, for looks by letter case.
#[derive(Debug)]
pub struct Alike<'a> {
    tree: &'a Tree,
    /// All of them by their keys, where many are asked for.
    folded: Option<HashMap<String, Vec<&'a VaultPath>>>,
}

impl<'a> Alike<'a> {
    /// The names of `tree`, to be asked for `times` times.
    #[must_use]
    pub fn of(tree: &'a Tree, times: usize) -> Self {
        let folded = (times > tree.len() / MANY).then(|| {
            let mut folded: HashMap<String, Vec<&VaultPath>> = HashMap::new();
            tree.keys().for_each(|path| folded.entry(path.fold_key()).or_default().push(path));
            folded
        });
        Self { tree, folded }
    }

    /// Paths that differ from `path` in letter case only, sorted.
    #[must_use]
    pub fn to(&self, path: &VaultPath) -> Vec<&'a VaultPath> {
        let key = path.fold_key();
        if let Some(folded) = &self.folded {
            let found = folded.get(&key).into_iter().flatten().copied();
            return found.filter(|other| *other != path).collect();
        }
        let mut search = Search { tree: self.tree, text: path.as_str(), key, whole: true, found: Vec::new() };
        search.below(&mut String::with_capacity(path.as_str().len()));
        search.found.sort();
        search.found
    }

    /// A path below a folder that differs from `folder` in letter case only.
    #[must_use]
    pub fn inside(&self, folder: &VaultPath) -> Option<&'a VaultPath> {
        let (text, key) = (format!("{folder}/"), format!("{}/", folder.fold_key()));
        let mut search = Search { tree: self.tree, text: &text, key, whole: false, found: Vec::new() };
        search.below(&mut String::with_capacity(text.len()));
        search.found.into_iter().next()
    }
}

struct Search<'a, 's> {
    tree: &'a Tree,
    text: &'s str,
    key: String,
    /// True to look for a path that is alike as a whole; else for one that begins alike.
    whole: bool,
    found: Vec<&'a VaultPath>,
}

impl<'a> Search<'a, '_> {
    /// Searches among the paths that begin with `start`, an ASCII text that the path begins with
    /// but for letter case.
    fn below(&mut self, start: &mut String) {
        if beginning_with(self.tree, start).nth(FEW).is_none() {
            return self.fold(start, start.len());
        }
        let Some(next) = self.text.get(start.len()..).and_then(|rest| rest.chars().next()) else {
            return self.at_end(start);
        };
        if !next.is_ascii() {
            return self.fold(start, start.len());
        }
        let known = start.len();
        start.push('\u{80}');
        self.fold(start, known);
        start.truncate(known);
        for case in [next.to_ascii_uppercase(), next.to_ascii_lowercase()] {
            start.push(case);
            if beginning_with(self.tree, start).next().is_some() {
                self.below(start);
            }
            start.truncate(known);
            if next.to_ascii_uppercase() == next.to_ascii_lowercase() {
                return;
            }
        }
    }

    /// Folds the paths from `from` on that begin with its first `known` bytes.
    fn fold(&mut self, from: &str, known: usize) {
        let near = self.tree.range::<str, _>((Bound::Included(from), Bound::Unbounded));
        let start = from.get(..known).unwrap_or_default();
        for (other, _) in near.take_while(|(other, _)| other.as_str().starts_with(start)) {
            self.take(other);
        }
    }

    fn at_end(&mut self, text: &str) {
        let from_there = self.tree.range::<str, _>((Bound::Included(text), Bound::Unbounded)).next();
        // Of those that begin alike one tells enough.
        let is_one = |other: &VaultPath| {
            if self.whole { other.as_str() == text } else { other.as_str().starts_with(text) }
        };
        if let Some((other, _)) = from_there.filter(|(other, _)| is_one(other)) {
            self.take(other);
        }
    }

    fn take(&mut self, other: &'a VaultPath) {
        let alike = match self.whole {
            true => other.as_str() != self.text && other.fold_key() == self.key,
            false => !other.as_str().starts_with(self.text) && other.fold_key().starts_with(&self.key),
        };
        if alike {
            self.found.push(other);
        }
    }
}

#[cfg(test)]
mod tests;
