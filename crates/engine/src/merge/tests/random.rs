//! Random memories, changed on both sides.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A memory of a random vault: its two fields and its vector.
type Memory = (u8, u8, u8);
type Memories = BTreeMap<u8, Memory>;

fn memory() -> impl Strategy<Value = Memory> {
    (0..3_u8, 0..3_u8, 0..40_u8)
}

/// An act of a user on a memory.
#[derive(Debug, Clone)]
enum Edit {
    Put(u8, Memory),
    Delete(u8),
    /// One field, the vector left as it is.
    Touch(u8, u8),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (0..12_u8, memory()).prop_map(|(id, memory)| Edit::Put(id, memory)),
        (0..12_u8).prop_map(Edit::Delete),
        (0..12_u8, 0..3_u8).prop_map(|(id, value)| Edit::Touch(id, value)),
    ];
    prop::collection::vec(edit, 0..5)
}

fn edited(base: &Memories, edits: &[Edit]) -> Memories {
    let mut memories = base.clone();
    for edit in edits {
        match edit {
            Edit::Put(id, memory) => drop(memories.insert(*id, *memory)),
            Edit::Delete(id) => drop(memories.remove(id)),
            Edit::Touch(id, value) => {
                memories.entry(*id).and_modify(|memory| memory.1 = *value);
            }
        }
    }
    memories
}

/// Writes memories in an order that depends on `turn`.
fn written(memories: &Memories, turn: u8) -> Vault {
    let mut ids: Vec<&u8> = memories.keys().collect();
    ids.sort_by_key(|id| id.wrapping_mul(turn | 1));
    let text = |id: &&u8| {
        let (a, b, _) = memories[*id];
        format!("{{\"id\":\"m{id}\",\"a\":{a},\"b\":{b}}}")
    };
    let texts: Vec<String> = ids.iter().map(text).collect();
    let rows: Vec<f32> = ids.iter().map(|id| f32::from(memories[*id].2)).collect();
    vault(&format!("[{}]", texts.join(", ")), &rows)
}

fn read(vault: &Vault) -> Memories {
    let list: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_str(&vault.corpus).unwrap();
    let rows = numbers(vault);
    assert_eq!(rows.len(), list.len());
    let memories: Memories = list
        .iter()
        .zip(&rows)
        .map(|(entry, row)| {
            let number = |name: &str| u8::try_from(entry[name].as_u64().unwrap()).unwrap();
            let id = entry["id"].as_str().unwrap()[1..].parse().unwrap();
            (id, (number("a"), number("b"), *row as u8))
        })
        .collect();
    assert_eq!(memories.len(), list.len(), "an id stands there twice");
    memories
}

fn clashing(clashes: &[Clash]) -> BTreeSet<u8> {
    clashes.iter().map(|clash| clash.id.as_deref().unwrap()[1..].parse().unwrap()).collect()
}

proptest! {
    #[test]
    fn random_memories_merge(
        memories in prop::collection::btree_map(0..12_u8, memory(), 0..10),
        here in edits(),
        there in edits(),
        turns in any::<[u8; 3]>(),
    ) {
        let (ours, theirs) = (edited(&memories, &here), edited(&memories, &there));
        let [base, here, there] = [(&memories, turns[0]), (&ours, turns[1]), (&theirs, turns[2])]
            .map(|(memories, turn)| written(memories, turn));
        let Ok((result, clashes)) = merged(Some(&base), &here, &there) else {
            // Numbers that happen to be the row's, or most vectors new: said elsewhere.
            return Ok(());
        };
        let found = read(&result);
        prop_assert_eq!(merged(Some(&base), &here, &there).unwrap(), (result.clone(), clashes.clone()));
        // Nothing that nobody deleted is missing, and every vector is that of a side's own entry.
        let lost = clashing(&clashes);
        for (id, (a, b, row)) in &found {
            let (from_here, from_there) = (ours.get(id), theirs.get(id));
            prop_assert!(from_here.is_some() || from_there.is_some());
            let of = |one: &dyn Fn(&Memory) -> bool| [from_here, from_there].into_iter().flatten().any(one);
            prop_assert!(of(&|one| one.0 == *a) && of(&|one| one.1 == *b) && of(&|one| one.2 == *row));
        }
        for id in memories.keys().chain(ours.keys()).chain(theirs.keys()) {
            let sides = (ours.get(id), theirs.get(id));
            match (memories.get(id), sides) {
                (_, (Some(one), Some(other))) if one == other => prop_assert_eq!(found.get(id), Some(one)),
                (_, (Some(_), Some(_))) => prop_assert!(found.contains_key(id)),
                (None, (Some(one), None) | (None, Some(one))) => prop_assert_eq!(found.get(id), Some(one)),
                (Some(old), (Some(one), None)) => {
                    prop_assert!(!found.contains_key(id));
                    prop_assert_eq!(lost.contains(id), (old.0, old.1) != (one.0, one.1));
                }
                _ => {}
            }
        }
        // Only one side changed: that one, byte by byte.
        prop_assert_eq!(&merged(Some(&base), &base, &there).unwrap().0, &there);
        if let Ok((alone, clashes)) = merged(Some(&base), &here, &base) {
            prop_assert_eq!((&alone, clashes.len()), (&here, 0));
        }
        // Merging the result again changes nothing.
        if let Ok((again, _)) = merged(Some(&base), &here, &result) {
            prop_assert_eq!(read(&again), found.clone());
        }
        // The other way round it is the same but for order and clashes.
        if let Ok((turned, other)) = merged(Some(&base), &there, &here) {
            let turned = read(&turned);
            let clear = |memories: &Memories| -> Memories {
                let clashes: BTreeSet<u8> = lost.union(&clashing(&other)).copied().collect();
                memories.iter().filter(|(id, _)| !clashes.contains(id)).map(|(id, one)| (*id, *one)).collect()
            };
            let (one, two) = (clear(&found), clear(&turned));
            let fields = |memories: &Memories| -> BTreeMap<u8, (u8, u8)> {
                memories.iter().map(|(id, one)| (*id, (one.0, one.1))).collect()
            };
            // Of two equal memories one stays, and which depends on the side.
            let kinds = |memories: &Memories| -> Vec<(u8, u8)> {
                let mut kinds: Vec<(u8, u8)> = fields(memories).into_values().collect();
                kinds.sort_unstable();
                kinds
            };
            prop_assert_eq!(kinds(&one), kinds(&two));
        }
    }
}
