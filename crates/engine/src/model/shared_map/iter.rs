//! Places in a map, and the ways through it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Leaf;

/// Place of an entry, or of the gap before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) leaf: usize,
    pub(super) at: usize,
}

impl Place {
    pub(super) const START: Self = Self { leaf: 0, at: 0 };
}

/// The entry at a place.
pub(super) fn entry<K, V>(leaves: &[Leaf<K, V>], place: Place) -> Option<(&K, &V)> {
    leaves.get(place.leaf)?.get(place.at).map(|(key, value)| (key, value))
}

/// The place after an entry.
pub(super) fn after<K, V>(leaves: &[Leaf<K, V>], Place { leaf, at }: Place) -> Place {
    let ends = leaves.get(leaf).is_none_or(|entries| at + 1 >= entries.len());
    if ends { Place { leaf: leaf + 1, at: 0 } } else { Place { leaf, at: at + 1 } }
}

/// Entries of a map in order.
#[derive(Debug)]
pub struct Iter<'a, K, V> {
    pub(super) leaves: &'a [Leaf<K, V>],
    pub(super) front: Place,
    /// The place after the last one.
    pub(super) back: Place,
}

impl<K, V> Iter<'_, K, V> {
    fn is_over(&self) -> bool {
        (self.front.leaf, self.front.at) >= (self.back.leaf, self.back.at)
    }
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { leaves: self.leaves, front: self.front, back: self.back }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over() {
            return None;
        }
        let found = entry(self.leaves, self.front);
        self.front = after(self.leaves, self.front);
        found
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.is_over() {
            return None;
        }
        if self.back.at == 0 {
            let leaf = self.back.leaf.checked_sub(1)?;
            self.back = Place { leaf, at: self.leaves.get(leaf)?.len() };
        }
        self.back.at = self.back.at.checked_sub(1)?;
        entry(self.leaves, self.back)
    }
}

/// Differences between two maps; see [`SharedMap::diff`].
#[derive(Debug)]
pub struct Diff<'a, K, V> {
    pub(super) here: &'a [Leaf<K, V>],
    pub(super) there: &'a [Leaf<K, V>],
    pub(super) at: [Place; 2],
    pub(super) same: fn(&V, &V) -> bool,
}

impl<'a, K: Ord, V> Iterator for Diff<'a, K, V> {
    type Item = (&'a K, Option<&'a V>, Option<&'a V>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let [here, there] = &mut self.at;
            if here.at == 0
                && there.at == 0
                && let (Some(one), Some(other)) = (self.here.get(here.leaf), self.there.get(there.leaf))
                && Arc::ptr_eq(one, other)
            {
                here.leaf += 1;
                there.leaf += 1;
                continue;
            }
            let (one, other) = (entry(self.here, *here), entry(self.there, *there));
            let order = match (one, other) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            if order.is_le() {
                *here = after(self.here, *here);
            }
            if order.is_ge() {
                *there = after(self.there, *there);
            }
            match (one.filter(|_| order.is_le()), other.filter(|_| order.is_ge())) {
                (Some((_, one)), Some((_, other))) if (self.same)(one, other) => {}
                (Some((key, one)), other) => return Some((key, Some(one), other.map(|(_, other)| other))),
                (None, Some((key, other))) => return Some((key, None, Some(other))),
                (None, None) => return None,
            }
        }
    }
}
