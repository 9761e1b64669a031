use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Model = BTreeMap<u16, u8>;
type Map = SharedMap<u16, u8>;

/// Changes of a map: a value, or none where the key goes.
fn changes(most: usize) -> impl Strategy<Value = Vec<(u16, Option<u8>)>> {
    prop::collection::vec((0_u16..1000, prop::option::weighted(0.6, 0_u8..3)), 0..most)
}

fn change(map: &mut Map, model: &mut Model, changes: &[(u16, Option<u8>)]) {
    for (key, value) in changes {
        match value {
            Some(value) => assert_eq!(map.insert(*key, *value), model.insert(*key, *value)),
            None => assert_eq!(map.remove(key), model.remove(key)),
        }
    }
}

fn is_whole(map: &Map) {
    assert!(map.leaves.iter().all(|leaf| (1..=FULL).contains(&leaf.len())));
    assert_eq!(map.len, map.leaves.iter().map(|leaf| leaf.len()).sum::<usize>());
}

/// The differences of two models, one key after the other.
fn differences(one: &Model, other: &Model) -> Vec<(u16, Option<u8>, Option<u8>)> {
    let all = (0..1000).map(|key| (key, one.get(&key).copied(), other.get(&key).copied()));
    all.filter(|(_, one, other)| one != other).collect()
}

fn told(one: &Map, other: &Map) -> Vec<(u16, Option<u8>, Option<u8>)> {
    one.diff(other).map(|(key, one, other)| (*key, one.copied(), other.copied())).collect()
}

proptest! {
    #[test]
    fn it_is_a_sorted_map(first in changes(900), later in changes(60), at in 0_u16..1000, to in 0_u16..1000) {
        let (mut map, mut model) = (Map::new(), Model::new());
        change(&mut map, &mut model, &first);
        is_whole(&map);
        let (before, was) = (map.clone(), model.clone());
        change(&mut map, &mut model, &later);
        is_whole(&map);
        for (map, model) in [(&map, &model), (&before, &was)] {
            prop_assert!(map.iter().eq(model));
            prop_assert!(map.iter().rev().eq(model.iter().rev()));
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.get(&at), model.get(&at));
            prop_assert!(map.range(at..).eq(model.range(at..)));
            let after = (Bound::Excluded(at), Bound::Unbounded);
            prop_assert!(map.range(after).eq(model.range(after)));
            if at <= to {
                prop_assert!(map.range(at..to).rev().eq(model.range(at..to).rev()));
                prop_assert!(map.range(at..=to).eq(model.range(at..=to)));
            }
        }
        prop_assert_eq!(told(&before, &map), differences(&was, &model));
        prop_assert_eq!(before == map, was == model);
        prop_assert!(map.clone().into_iter().eq(model.clone()));
        if let Some(value) = map.get_mut(&at) {
            *value = 9;
        }
        model.entry(at).and_modify(|value| *value = 9);
        map.retain(|key, value| key % 3 != 0 || *value == 1);
        model.retain(|key, value| *key % 3 != 0 || *value == 1);
        is_whole(&map);
        prop_assert!(map.iter().eq(&model), "by what it retains");
    }

    #[test]
    fn a_map_that_was_built_apart_comes_to_share(first in changes(900), later in changes(30)) {
        let (mut known, mut model) = (Map::new(), Model::new());
        change(&mut known, &mut model, &first);
        let was = model.clone();
        change(&mut known.clone(), &mut model, &later);
        let mut apart: Map = model.clone().into_iter().collect();
        apart.share_with(&known);
        is_whole(&apart);
        prop_assert!(apart.iter().eq(&model));
        prop_assert_eq!(told(&known, &apart), differences(&was, &model));
    }
}

#[test]
fn what_is_shared_is_neither_copied_nor_looked_into() {
    /// A value that must not be compared.
    #[derive(Debug, Clone)]
    struct Untouchable(bool);
    impl PartialEq for Untouchable {
        fn eq(&self, other: &Self) -> bool {
            assert!(!self.0 || !other.0, "a leaf that both have was looked into");
            false
        }
    }
    let first: SharedMap<u32, Untouchable> = (0..100_000).map(|key| (key, Untouchable(true))).collect();
    let mut second = first.clone();
    // All of its leaf, which is copied.
    let leaf = u32::try_from(FULL).unwrap();
    second.extend((0..leaf).map(|key| (leaf + key, Untouchable(false))));
    assert_eq!(first.diff(&second).count(), FULL);
    let shared = first.leaves.iter().zip(second.leaves.iter()).filter(|(one, other)| Arc::ptr_eq(one, other));
    assert_eq!(shared.count(), first.leaves.len() - 1);
}
