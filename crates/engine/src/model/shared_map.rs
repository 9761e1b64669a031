//! A sorted map whose copies share what they have in common.
//!
//! The state of a vault stands in many places at once: as agreed, here, in the newest commit and in
//! those before it. A [`SharedMap`] keeps its entries in leaves of some dozens. A copy costs
//! nothing, a change copies one leaf, and [`SharedMap::diff`] passes over each leaf that two maps
//! share. So what a change costs does not follow the size of the vault.

mod build;
mod iter;

use std::borrow::Borrow;
use std::fmt;
use std::ops::{Bound, Index, RangeBounds};
use std::sync::Arc;

use build::Builder;
pub use iter::{Diff, Iter};
use iter::{Place, after, entry};

/// Most entries of a leaf.
const FULL: usize = 128;
/// Number of entries below which a leaf is joined with a neighbour that has room.
const SMALL: usize = FULL / 4;

type Leaf<K, V> = Arc<Vec<(K, V)>>;

/// Sorted map in leaves that copies share. No leaf is empty.
pub struct SharedMap<K, V> {
    leaves: Arc<Vec<Leaf<K, V>>>,
    len: usize,
}

impl<K, V> SharedMap<K, V> {
    /// Creates an empty map.
    #[must_use]
    pub fn new() -> Self {
        Self { leaves: Arc::default(), len: 0 }
    }

    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True if there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter { leaves: &self.leaves, front: Place::START, back: self.end() }
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    fn end(&self) -> Place {
        Place { leaf: self.leaves.len(), at: 0 }
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// Place of a key, or the one where it would stand.
    fn seek<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Place, Place>
    where
        K: Borrow<Q>,
    {
        let begins = |leaf: &Leaf<K, V>| leaf.first().is_some_and(|(first, _)| first.borrow() <= key);
        let leaf = self.leaves.partition_point(begins).saturating_sub(1);
        let Some(entries) = self.leaves.get(leaf) else { return Err(Place::START) };
        let found = entries.binary_search_by(|(known, _)| known.borrow().cmp(key));
        found.map(|at| Place { leaf, at }).map_err(|at| Place { leaf, at })
    }

    /// The place at the end, for a key beyond all others. Most maps are filled in order.
    fn beyond(&self, key: &K) -> Option<Place> {
        let last = self.leaves.last()?;
        let is_beyond = last.last().is_some_and(|(last, _)| last < key);
        is_beyond.then(|| Place { leaf: self.leaves.len() - 1, at: last.len() })
    }

    /// Entry of a key.
    #[must_use]
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        entry(&self.leaves, self.seek(key).ok()?)
    }

    /// Value of a key.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// True if the key has a value.
    #[must_use]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.seek(key).is_ok()
    }

    /// Entries whose keys lie in a range, in order.
    pub fn range<Q: Ord + ?Sized, R: RangeBounds<Q>>(&self, range: R) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let gap = |key: &Q, beyond: bool| match self.seek(key) {
            Ok(place) if beyond => after(&self.leaves, place),
            Ok(place) => place,
            Err(gap) if self.leaves.get(gap.leaf).is_some_and(|leaf| gap.at < leaf.len()) => gap,
            Err(gap) if self.leaves.is_empty() => gap,
            Err(gap) => Place { leaf: gap.leaf + 1, at: 0 },
        };
        let front = match range.start_bound() {
            Bound::Included(key) => gap(key, false),
            Bound::Excluded(key) => gap(key, true),
            Bound::Unbounded => Place::START,
        };
        let back = match range.end_bound() {
            Bound::Included(key) => gap(key, true),
            Bound::Excluded(key) => gap(key, false),
            Bound::Unbounded => self.end(),
        };
        Iter { leaves: &self.leaves, front, back }
    }

    /// Differences to `other`, in order: each key with its value here and there. Leaves that both
    /// maps share are not looked into.
    pub fn diff<'a>(&'a self, other: &'a Self) -> Diff<'a, K, V>
    where
        V: PartialEq,
    {
        self.diff_by(other, V::eq)
    }

    /// Like [`SharedMap::diff`], where `same` tells which values are no difference.
    pub fn diff_by<'a>(&'a self, other: &'a Self, same: fn(&V, &V) -> bool) -> Diff<'a, K, V> {
        Diff { here: &self.leaves, there: &other.leaves, at: [Place::START; 2], same }
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// Sets the value of a key. Returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = self.beyond(&key).map_or_else(|| self.seek(&key), Err);
        let leaves = Arc::make_mut(&mut self.leaves);
        let at = match place {
            Ok(Place { leaf, at }) => {
                let slot = leaves.get_mut(leaf).and_then(|leaf| Arc::make_mut(leaf).get_mut(at));
                return slot.map(|(_, old)| std::mem::replace(old, value));
            }
            Err(place) => place,
        };
        self.len += 1;
        let Some(leaf) = leaves.get_mut(at.leaf) else {
            leaves.push(Arc::new(vec![(key, value)]));
            return None;
        };
        if leaf.len() < FULL {
            Arc::make_mut(leaf).insert(at.at, (key, value));
            return None;
        }
        // Keys that come in order fill their leaves.
        let half = if at.at == FULL { FULL } else { FULL / 2 };
        let entries = Arc::make_mut(leaf);
        let mut later = entries.split_off(half);
        if at.at > half || half == FULL {
            later.insert(at.at - half, (key, value));
        } else {
            entries.insert(at.at, (key, value));
        }
        leaves.insert(at.leaf + 1, Arc::new(later));
        None
    }

    /// Removes a key. Returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.seek(key).ok()?;
        let leaves = Arc::make_mut(&mut self.leaves);
        let leaf = Arc::make_mut(leaves.get_mut(place.leaf)?);
        let (_, value) = leaf.remove(place.at);
        self.len -= 1;
        let left = leaf.len();
        let next = leaves.get(place.leaf + 1).map_or(usize::MAX, |next| next.len());
        if left == 0 {
            leaves.remove(place.leaf);
        } else if left < SMALL && next <= FULL / 2 {
            let next = Arc::unwrap_or_clone(leaves.remove(place.leaf + 1));
            if let Some(leaf) = leaves.get_mut(place.leaf) {
                Arc::make_mut(leaf).extend(next);
            }
        }
        Some(value)
    }

    /// Value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let Place { leaf, at } = self.seek(key).ok()?;
        let leaf = Arc::make_mut(&mut self.leaves).get_mut(leaf)?;
        Arc::make_mut(leaf).get_mut(at).map(|(_, value)| value)
    }

    /// Keeps the entries for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let mut kept = Builder::default();
        for leaf in self.leaves.iter() {
            match leaf.iter().position(|(key, value)| !keep(key, value)) {
                None => kept.leaf(leaf),
                Some(first) => {
                    let rest = leaf.get(first + 1..).unwrap_or_default();
                    kept.entries(leaf.get(..first).unwrap_or_default().iter().cloned());
                    kept.entries(rest.iter().filter(|(key, value)| keep(key, value)).cloned());
                }
            }
        }
        *self = kept.end();
    }

    /// Takes over the leaves of `known` whose entries are equal to those here, so that the two maps
    /// share them.
    pub fn share_with(&mut self, known: &Self)
    where
        V: PartialEq,
    {
        self.share_by(known, V::eq);
    }

    /// [`SharedMap::share_with`], where `same` says which values are equal.
    pub fn share_by(&mut self, known: &Self, same: fn(&V, &V) -> bool) {
        let mut shared = Builder::default();
        let mut any = false;
        let mut own = self.iter();
        for leaf in known.leaves.iter() {
            let Some((first, _)) = leaf.first() else { continue };
            if own.front.at == 0 && self.leaves.get(own.front.leaf).is_some_and(|own| Arc::ptr_eq(own, leaf))
            {
                shared.leaf(leaf);
                own.front.leaf += 1;
                any = true;
                continue;
            }
            while let Some((key, value)) = own.clone().next().filter(|(key, _)| *key < first) {
                shared.entries([(key.clone(), value.clone())]);
                own.next();
            }
            let mut ahead = own.clone();
            let is_own = |(key, value): &(K, V)| {
                ahead.next().is_some_and(|(own, other)| own == key && same(other, value))
            };
            if leaf.iter().all(is_own) {
                shared.leaf(leaf);
                own = ahead;
                any = true;
            }
        }
        if !any {
            return; // A copy would share nothing with anybody.
        }
        shared.entries(own.map(|(key, value)| (key.clone(), value.clone())));
        *self = shared.end();
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        Self { leaves: Arc::clone(&self.leaves), len: self.len }
    }
}

impl<K: Ord, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.diff(other).next().is_none()
    }
}

impl<K: Ord, V: Eq> Eq for SharedMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for SharedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord + Clone, V: Clone, const N: usize> From<[(K, V); N]> for SharedMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<'a, K, V> IntoIterator for &'a SharedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Clone, V: Clone> IntoIterator for SharedMap<K, V> {
    type Item = (K, V);
    type IntoIter =
        std::iter::FlatMap<std::vec::IntoIter<Leaf<K, V>>, Vec<(K, V)>, fn(Leaf<K, V>) -> Vec<(K, V)>>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.leaves).into_iter().flat_map(Arc::unwrap_or_clone)
    }
}

impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> Index<&Q> for SharedMap<K, V> {
    type Output = V;

    /// # Panics
    /// If the key has no value.
    #[expect(clippy::expect_used, reason = "the contract of `Index`")]
    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the key has a value")
    }
}

#[cfg(test)]
mod tests;
