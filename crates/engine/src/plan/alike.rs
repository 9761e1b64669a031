//! Names that differ from a path in letter case only, found in a tree without folding all its names.
//!
//! The search goes down the tree by the characters of the path, in both cases. Only from a place on
//! where a name has a character beyond ASCII, the paths that begin alike are folded one by one: some
//! of those characters fold to several, and some to one of ASCII. Where many paths are asked for,
//! folding every name of the tree once costs less.

use std::collections::HashMap;
use std::ops::Bound;

use crate::model::{Tree, VaultPath, beginning_with};

/// Number of paths that begin alike below which each of them is folded.
const FEW: usize = 4;

/// Share of a tree's paths above which all of them are folded: one in so many.
const MANY: usize = 64;

/// Names of a tree, for looks by letter case.
pub(super) struct Alike<'a> {
    tree: &'a Tree,
    /// All of them by their keys, where many are asked for.
    folded: Option<HashMap<String, Vec<&'a VaultPath>>>,
}

impl<'a> Alike<'a> {
    /// The names of `tree`, to be asked for `times` times.
    pub(super) fn of(tree: &'a Tree, times: usize) -> Self {
        let folded = (times > tree.len() / MANY).then(|| {
            let mut folded: HashMap<String, Vec<&VaultPath>> = HashMap::new();
            tree.keys().for_each(|path| folded.entry(path.fold_key()).or_default().push(path));
            folded
        });
        Self { tree, folded }
    }

    /// Paths that differ from `path` in letter case only, sorted.
    pub(super) fn to(&self, path: &VaultPath) -> Vec<&'a VaultPath> {
        let key = path.fold_key();
        if let Some(folded) = &self.folded {
            let found = folded.get(&key).into_iter().flatten().copied();
            return found.filter(|other| *other != path).collect();
        }
        let mut search = Search { tree: self.tree, path, key, found: Vec::new() };
        search.below(&mut String::with_capacity(path.as_str().len()));
        search.found.sort();
        search.found
    }
}

struct Search<'a, 's> {
    tree: &'a Tree,
    path: &'s VaultPath,
    key: String,
    found: Vec<&'a VaultPath>,
}

impl<'a> Search<'a, '_> {
    /// Searches among the paths that begin with `start`, an ASCII text that the path begins with but
    /// for letter case.
    fn below(&mut self, start: &mut String) {
        if beginning_with(self.tree, start).nth(FEW).is_none() {
            return self.fold(start, start.len());
        }
        let Some(next) = self.path.as_str().get(start.len()..).and_then(|rest| rest.chars().next()) else {
            return self.fold_one(start);
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

    fn fold_one(&mut self, text: &str) {
        if let Some((other, _)) = self.tree.get_key_value(text) {
            self.take(other);
        }
    }

    fn take(&mut self, other: &'a VaultPath) {
        if other != self.path && other.fold_key() == self.key {
            self.found.push(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Digest, Entry};

    proptest! {
        #[test]
        fn it_finds_what_folding_every_name_finds(
            names in prop::collection::vec("[aAkKsSbBéÉßſ\u{212a}ﬁfi/]{1,5}", 1..40),
            wanted in "[aAkKsSbBéÉßſ\u{212a}ﬁfi/]{1,5}",
        ) {
            let entry = Entry { digest: Digest::of(b""), size: 0, mtime_ms: 0, mode: 0, rows: None };
            let tree: Tree =
                names.iter().filter_map(|name| Some((VaultPath::new(name).ok()?, entry))).collect();
            let Ok(wanted) = VaultPath::new(&wanted) else { return Ok(()) };
            let twin = |other: &&VaultPath| **other != wanted && other.fold_key() == wanted.fold_key();
            let expected: Vec<&VaultPath> = tree.keys().filter(twin).collect();
            for times in [0, 1000] {
                prop_assert_eq!(&Alike::of(&tree, times).to(&wanted), &expected);
            }
        }
    }
}
