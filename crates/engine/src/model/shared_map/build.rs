//! Builds a map in the order of its keys, out of entries and of leaves that another map has.

use std::sync::Arc;

use super::{FULL, Leaf, SMALL, SharedMap};

/// A map that is built in order.
pub(super) struct Builder<K, V> {
    leaves: Vec<Leaf<K, V>>,
    open: Vec<(K, V)>,
    len: usize,
}

impl<K, V> Default for Builder<K, V> {
    fn default() -> Self {
        Self { leaves: Vec::new(), open: Vec::new(), len: 0 }
    }
}

impl<K: Clone, V: Clone> Builder<K, V> {
    pub(super) fn entries(&mut self, entries: impl IntoIterator<Item = (K, V)>) {
        for entry in entries {
            self.len += 1;
            self.open.push(entry);
            if self.open.len() == FULL {
                self.close();
            }
        }
    }

    /// Adds a whole leaf, and shares it unless it is small.
    pub(super) fn leaf(&mut self, leaf: &Leaf<K, V>) {
        if leaf.len() < SMALL {
            return self.entries(leaf.iter().cloned());
        }
        self.close();
        self.len += leaf.len();
        self.leaves.push(Arc::clone(leaf));
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let mut entries = std::mem::take(&mut self.open);
            entries.shrink_to_fit();
            self.leaves.push(Arc::new(entries));
        }
    }

    pub(super) fn end(mut self) -> SharedMap<K, V> {
        self.close();
        SharedMap { leaves: Arc::new(self.leaves), len: self.len }
    }
}
