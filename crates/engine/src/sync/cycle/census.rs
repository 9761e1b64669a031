//! Facts of whole trees that every cycle asks for, kept between cycles and brought up to date by
//! what has changed.
//!
//! All of it follows from the trees: a process that begins computes it once. Nothing is written; a
//! crash leaves nothing.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::model::sqlite::main_of;
use crate::model::{Entry, Tree, VaultPath, set_entry};
use crate::sync::Amount;
use crate::vault::{Filter, Verdict};

/// The last manifest that was looked at through the present filters.
#[derive(Debug, Default)]
pub(crate) struct Visible(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    whole: Tree,
    seen: Tree,
    /// Number of paths that are not seen.
    hidden: usize,
}

impl Visible {
    /// Takes a tree whose paths are all visible for the last manifest, if there was none yet: of
    /// the first one, only what differs from it is to be judged.
    pub(crate) fn begin_with(&self, tree: &Tree) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.whole.is_empty() {
            *shown = Shown { whole: tree.clone(), seen: tree.clone(), hidden: 0 };
        }
    }

    /// The part of a manifest that `filter` lets be synced. It must be the same filter each time.
    pub(crate) fn of(&self, filter: &Filter, manifest: &Tree) -> Tree {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Shown { whole, seen, hidden } = &mut *shown;
        let mut unseen = BTreeSet::new();
        for (path, was, now) in whole.diff_by(manifest, Entry::is_same) {
            if filter.verdict(path) != Verdict::Synced {
                *hidden = *hidden + usize::from(now.is_some()) - usize::from(was.is_some());
                unseen.insert(path);
            }
        }
        if *hidden > 0 {
            let differs = whole.diff_by(manifest, Entry::is_same);
            for (path, _, now) in differs.filter(|(path, ..)| !unseen.contains(path)) {
                set_entry(seen, path.clone(), now.copied());
            }
        }
        // Where nothing is hidden, both are one, and so are their memory and whatever is compared
        // with them.
        if *hidden == 0 {
            *seen = manifest.clone();
        } else if whole.is_empty() {
            seen.share_with(manifest);
        }
        *whole = manifest.clone();
        seen.clone()
    }
}

/// Facts of a tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Census {
    tree: Tree,
    bytes: u64,
    /// Paths that Windows cannot store.
    unportable: BTreeSet<VaultPath>,
    /// Paths that may be parts of databases.
    parts: BTreeSet<VaultPath>,
}

impl Census {
    /// Brings the facts up to date: they are those of `tree` from now on. The first time it goes on
    /// from those of `other`, a tree that is mostly the same.
    pub(crate) fn take(&mut self, tree: &Tree, other: &Self) -> &Self {
        if self.tree.is_empty() {
            *self = other.clone();
        }
        for (path, was, now) in self.tree.diff(tree) {
            self.bytes += now.map_or(0, |entry| entry.size);
            self.bytes = self.bytes.saturating_sub(was.map_or(0, |entry| entry.size));
            let (is, odd, part) = (now.is_some(), !path.is_portable(), main_of(path.as_str()).is_some());
            for names in [odd.then_some(&mut self.unportable), part.then_some(&mut self.parts)] {
                match names {
                    Some(names) if is => drop(names.insert(path.clone())),
                    Some(names) => drop(names.remove(path)),
                    None => {}
                }
            }
        }
        self.tree = tree.clone();
        self
    }

    /// Number of files, and their bytes.
    pub(crate) fn amount(&self) -> Amount {
        Amount { files: self.tree.len(), bytes: self.bytes }
    }

    /// Paths that Windows cannot store.
    pub(crate) const fn unportable(&self) -> &BTreeSet<VaultPath> {
        &self.unportable
    }

    /// Paths that may be parts of databases.
    pub(crate) const fn parts(&self) -> &BTreeSet<VaultPath> {
        &self.parts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Digest;

    /// Paths that the filter hides, and others.
    const PATHS: [&str; 4] = ["a.json", "b.json", "hidden/a", "hidden/b"];

    fn tree(files: &[Option<u8>; 4]) -> Tree {
        let files = PATHS.iter().zip(files).filter_map(|(path, content)| Some((path, (*content)?)));
        let entry = |content: u8| Entry {
            digest: Digest::of(&[content]),
            size: 1,
            mtime_ms: i64::from(content),
            mode: 0o600,
            rows: None,
        };
        files.map(|(path, content)| (VaultPath::new(path).unwrap(), entry(content))).collect()
    }

    proptest! {
        #[test]
        fn whatever_came_before_the_visible_part_of_a_manifest_is_what_the_filter_lets_pass(
            here in any::<[Option<u8>; 2]>(),
            manifests in prop::collection::vec(any::<[Option<u8>; 4]>(), 1..5),
        ) {
            let filter = Filter::new(&[], &["hidden/**".to_owned()]).unwrap();
            let visible = Visible::default();
            visible.begin_with(&tree(&[here[0], here[1], None, None]));
            for manifest in manifests {
                let seen = visible.of(&filter, &tree(&manifest));
                let expected = tree(&[manifest[0], manifest[1], None, None]);
                let differs: Vec<&VaultPath> =
                    seen.diff_by(&expected, Entry::is_same).map(|(path, ..)| path).collect();
                prop_assert_eq!(differs, Vec::<&VaultPath>::new());
            }
        }
    }
}
