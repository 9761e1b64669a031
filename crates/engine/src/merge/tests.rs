//! Merges of corpora in memory, written out and read again.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::vault::validate::tests::Bytes;

/// A corpus and its matrix of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Vault {
    corpus: String,
    matrix: Vec<u8>,
}

fn matrix(dtype: &str, columns: usize, rows: &[f32]) -> Vec<u8> {
    let mut bytes = rows::matrix_head(dtype, rows.len() as u64, columns as u64);
    for row in rows {
        (0..columns).for_each(|_| bytes.extend(row.to_le_bytes()));
    }
    bytes
}

fn vault(corpus: &str, rows: &[f32]) -> Vault {
    Vault { corpus: corpus.to_owned(), matrix: matrix("<f4", 2, rows) }
}

fn merged(base: Option<&Vault>, here: &Vault, there: &Vault) -> Result<(Vault, Vec<Clash>), Unmerged> {
    let names = Names { key: "nodes".to_owned(), rows: vec![(Kind::Matrix, "nodes.npy".to_owned())] };
    let files: Vec<[Bytes<Vec<u8>>; 2]> = [base, Some(here), Some(there)]
        .into_iter()
        .flatten()
        .map(|one| [Bytes(one.corpus.clone().into_bytes()), Bytes(one.matrix.clone())])
        .collect();
    let sides: Vec<Side<'_>> =
        files.iter().map(|[corpus, rows]| Side { corpus: file(corpus), rows: vec![file(rows)] }).collect();
    let [.., here, there] = sides.as_slice() else { unreachable!() };
    let merged = merge(&names, base.and(sides.first()), here, there)?;
    let (mut corpus, mut matrix) = (Vec::new(), Vec::new());
    merged.write_corpus(&mut corpus)?;
    merged.write_rows(0, &mut matrix)?;
    assert_eq!(lost(&merged), merged.clashes().iter().filter_map(|clash| clash.id.clone()).collect());
    Ok((Vault { corpus: String::from_utf8(corpus).unwrap(), matrix }, merged.clashes().to_vec()))
}

/// Ids of the entries that a merge writes out because they lost a clash.
fn lost(merged: &Merged<'_>) -> BTreeSet<String> {
    let mut written = Vec::new();
    merged.write_lost(&mut written).unwrap();
    let id = |id: &serde_json::Value| id.as_str().map_or_else(|| id.to_string(), ToOwned::to_owned);
    match serde_json::from_slice(&written).unwrap() {
        serde_json::Value::Array(entries) => entries.iter().map(|entry| id(&entry["id"])).collect(),
        serde_json::Value::Object(entries) => entries.keys().cloned().collect(),
        other => panic!("{other}"),
    }
}

fn file(file: &Bytes<Vec<u8>>) -> File<'_> {
    File { file, len: file.0.len() as u64 }
}

/// Rows of a matrix as one number each.
fn numbers(vault: &Vault) -> Vec<f32> {
    let start = usize::from(u16::from_le_bytes([vault.matrix[8], vault.matrix[9]])) + 10;
    let rows = vault.matrix[start..].chunks(8);
    rows.map(|row| f32::from_le_bytes(row[..4].try_into().unwrap())).collect()
}

/// A merge that must be possible: the corpus, the rows and the clashes as `id.field`.
fn told(base: &Vault, here: &Vault, there: &Vault) -> (String, Vec<f32>, Vec<String>) {
    let (result, clashes) = merged(Some(base), here, there).unwrap();
    let clash = |clash: &Clash| {
        format!("{}.{}", clash.id.as_deref().unwrap_or_default(), clash.field.as_deref().unwrap_or("*"))
    };
    let rows = numbers(&result);
    (result.corpus, rows, clashes.iter().map(clash).collect())
}

#[test]
fn entries_of_both_sides_come_together_each_with_its_vector() {
    let base = vault(r#"{"version": 1, "nodes": [{"id":"a","t":"1"}, {"id":"b","t":"2"}]}"#, &[1.0, 2.0]);
    // Here: a changed, b deleted, c new; in another order.
    let here = vault(r#"{"version": 1, "nodes": [{"id":"c","t":"3"}, {"id":"a","t":"9"}]}"#, &[3.0, 1.5]);
    let there = vault(
        "{\"version\": 2,\n \"nodes\": [ {\"id\":\"d\",\"t\":\"4\"},\n  {\"id\":\"b\",\"t\":\"2\"},\n  {\"id\": \"a\",\"t\":\"1\"} ]}\n",
        &[4.0, 2.0, 1.0],
    );
    let (corpus, rows, clashes) = told(&base, &here, &there);
    let expected = "{\"version\": 2,\n \"nodes\": [ {\"id\":\"d\",\"t\":\"4\"},\n  {\"id\":\"a\",\"t\":\"9\"},\n  {\"id\":\"c\",\"t\":\"3\"} ]}\n";
    assert_eq!((corpus.as_str(), rows, clashes.len()), (expected, vec![4.0, 1.5, 3.0], 0));
}

#[test]
fn a_map_by_id_and_a_bare_list_are_corpora_too() {
    let (base, here) =
        (vault(r#"{"a": {"t":1}}"#, &[1.0]), vault(r#"{"a": {"t":1}, "b": {"t":2}}"#, &[1.0, 2.0]));
    let there = vault("{\n  \"c\": {\"t\":3},\n  \"a\": {\"t\":1}\n}", &[3.0, 1.0]);
    let (corpus, rows, _) = told(&base, &here, &there);
    assert_eq!(corpus, "{\n  \"c\": {\"t\":3},\n  \"a\": {\"t\":1},\n  \"b\": {\"t\":2}\n}");
    assert_eq!(rows, [3.0, 1.0, 2.0]);
    let (empty, one) = (vault("[]", &[]), vault("[\n  {\"id\": 7}\n]\n", &[7.0]));
    let (corpus, rows, _) = told(&empty, &one, &vault("[ ]", &[]));
    assert_eq!((corpus.as_str(), rows), ("[\n  {\"id\": 7}\n]", vec![7.0]));
    let both = vault(r#"{"nodes": {"a": 1}}"#, &[1.0]);
    let (corpus, ..) = told(
        &both,
        &vault(r#"{"nodes": {"a": 1,"b":2}}"#, &[1.0, 2.0]),
        &vault(r#"{"nodes": {"a": 3}}"#, &[1.0]),
    );
    assert_eq!(corpus, r#"{"nodes": {"a": 3,"b":2}}"#);
}

#[test]
fn clashes_are_named_and_what_stands_wins() {
    let base = vault(r#"[{"id":"a","t":1,"u":1},{"id":"b","t":1},{"id":"c","t":1}]"#, &[1.0, 2.0, 3.0]);
    // a: one field clashes, one merges; b: changed here, deleted there; c: deleted here, changed
    // there; d: added on both.
    let here = vault(r#"[{"id":"a","t":2,"u":2},{"id":"b","t":2},{"id":"d","t":"x"}]"#, &[1.0, 2.0, 4.0]);
    let there = vault(r#"[{"id":"a","t":3,"u":1},{"id":"c","t":3},{"id":"d","t":"y"}]"#, &[1.0, 3.0, 5.0]);
    let (corpus, rows, clashes) = told(&base, &here, &there);
    assert_eq!(corpus, r#"[{"id":"a","t":3,"u":2},{"id":"c","t":3},{"id":"d","t":"y"}]"#);
    assert_eq!((rows, clashes), (vec![1.0, 3.0, 5.0], vec!["a.t".to_owned(), "d.*".into(), "b.*".into()]));
    let (_, clashes) = merged(None, &here, &there).unwrap();
    assert_eq!(clashes.len(), 2, "without a base: {clashes:?}");
    let (result, _) = merged(None, &here, &there).unwrap();
    assert_eq!(numbers(&result), [1.0, 3.0, 5.0, 2.0], "without a base nothing was deleted");
}

#[test]
fn of_two_equal_memories_of_which_each_side_deleted_another_one_stays() {
    let base = vault(r#"[{"id":"a","t":1},{"id":"b","t":1}]"#, &[1.0, 1.0]);
    let (here, there) = (vault(r#"[{"id":"a","t":1}]"#, &[1.0]), vault(r#"[{"id":"b","t":1}]"#, &[1.0]));
    assert_eq!(told(&base, &here, &there).0, there.corpus);
}

#[test]
fn members_around_the_list_merge_and_counters_are_counted_anew() {
    let base = vault(r#"{"count": 1, "by": "x", "nodes": [{"id":"a"}], "n": 1}"#, &[1.0]);
    let here = vault(r#"{"count": 2, "by": "y", "nodes": [{"id":"a"},{"id":"b"}], "n": 2}"#, &[1.0, 2.0]);
    let there = vault(
        r#"{"count": 2, "by": "x", "nodes": [{"id":"a"},{"id":"c"}], "n": 2, "more": []}"#,
        &[1.0, 3.0],
    );
    let (corpus, _, clashes) = told(&base, &here, &there);
    let expected =
        r#"{"count": 3, "by": "y", "nodes": [{"id":"a"},{"id":"c"},{"id":"b"}], "n": 3, "more": []}"#;
    assert_eq!((corpus.as_str(), clashes.len()), (expected, 0));
}

#[test]
fn what_is_not_understood_is_not_merged() {
    let one = vault(r#"[{"id":"a"}]"#, &[1.0]);
    let refused = |base: Option<&Vault>, here: &Vault| merged(base, here, &one).unwrap_err().to_string();
    for (corpus, rows, words) in [
        (r#"[{"ID":"a"}]"#, &[1.0][..], "no `id`"),
        (r#"[{"id":1.5}]"#, &[1.0], "no `id`"),
        (r#"["a"]"#, &[1.0], "no `id`"),
        (r#"[{"id":"a"},{"id":"\u0061"}]"#, &[1.0, 2.0], "two memories have the id \"a\""),
        (r#"[{"id":"a","t":1,"t":2}]"#, &[1.0], "two members named \"t\""),
        (r#"[{"id":"a"},{"id":"b"}]"#, &[1.0], "1 rows for 2 memories"),
        (r#"[{"id":"x","row":0},{"id":"y","row":1}]"#, &[1.0, 2.0], "the field \"row\" is the row number"),
        (r#"[{"id":0},{"id":1}]"#, &[1.0, 2.0], "the field \"id\" is the row number"),
        (r#"{"a":{}}"#, &[1.0], "as a list"),
        (r#"[{"id":"a"}"#, &[1.0], "cannot be read"),
        (r#"{"nodes":[],"nodes":[]}"#, &[], "two members named \"nodes\""),
        (r#"[{"id":"a","t":"\udc00"}]"#, &[1.0], "cannot be read"),
    ] {
        let why = refused(None, &vault(corpus, rows));
        assert!(
            why.contains(words) && (why.contains("set aside") || words == "as a list"),
            "{corpus}: {why}"
        );
    }
    for (matrix, words) in [
        (matrix("<f4", 3, &[1.0]), "2 columns of <f4"),
        (matrix("<i4", 2, &[1.0]), "2 columns of <i4"),
        (matrix("<f4", 0, &[1.0]), "no whole rows"),
        (b"\x93NUMPY".to_vec(), "cannot be read"),
    ] {
        let why = refused(None, &Vault { matrix, ..one.clone() });
        assert!(why.contains(words), "{why}");
    }
    let mut by_columns = one.clone();
    let at = by_columns.matrix.windows(5).position(|part| part == b"False").unwrap();
    by_columns.matrix[at..at + 5].copy_from_slice(b"True ");
    assert!(refused(None, &by_columns).contains("Fortran"));
    let (anew, more) = (vault(&one.corpus, &[8.0]), vault(r#"[{"id":"a"},{"id":"b"}]"#, &[1.0, 2.0]));
    let why = merged(Some(&one), &anew, &more).unwrap_err().to_string();
    assert!(why.contains("embedded anew"), "{why}");
    assert!(refused(None, &anew).contains("embedded anew"));
}

/// An index as faiss writes it, of one column: flat, alone or in a map with these ids.
fn index(rows: &[f32], ids: Option<&[i64]>) -> Vec<u8> {
    let mut flat = cogzy_testkit::memory::index(rows.len(), 1, 0.0);
    flat.truncate(flat.len() - rows.len() * 4);
    rows.iter().for_each(|row| flat.extend(row.to_le_bytes()));
    let Some(ids) = ids else { return flat };
    let mut map = b"IxMp".to_vec();
    map.extend(&flat[4..37]);
    map.extend(flat);
    map.extend((ids.len() as u64).to_le_bytes());
    ids.iter().for_each(|id| map.extend(id.to_le_bytes()));
    map
}

/// Merges two vaults with an index each, and returns that of the result.
fn merged_index(sides: [(&Vault, Vec<u8>); 2]) -> Result<Vec<u8>, Unmerged> {
    let rows = vec![(Kind::Matrix, "nodes.npy".to_owned()), (Kind::Index, "nodes.index".to_owned())];
    let names = Names { key: "nodes".to_owned(), rows };
    let files = sides.map(|(vault, index)| {
        [Bytes(vault.corpus.clone().into_bytes()), Bytes(vault.matrix.clone()), Bytes(index)]
    });
    let [here, there] = files
        .each_ref()
        .map(|[corpus, matrix, index]| Side { corpus: file(corpus), rows: vec![file(matrix), file(index)] });
    let mut written = Vec::new();
    merge(&names, None, &here, &there)?.write_rows(1, &mut written)?;
    Ok(written)
}

#[test]
fn a_flat_index_follows_row_by_row_and_ids_that_are_row_numbers_stay_that() {
    let here = vault(r#"[{"id":"a"},{"id":"b"}]"#, &[1.0, 2.0]);
    let there = vault(r#"[{"id":"c"},{"id":"a"}]"#, &[3.0, 1.0]);
    let merged = |ours: Option<&[i64]>, theirs: Option<&[i64]>| {
        merged_index([(&here, index(&[1.0, 2.0], ours)), (&there, index(&[3.0, 1.0], theirs))])
    };
    let rows = [3.0, 1.0, 2.0];
    assert_eq!(merged(None, None).unwrap(), index(&rows, None));
    assert_eq!(merged(Some(&[0, 1]), Some(&[0, 1])).unwrap(), index(&rows, Some(&[0, 1, 2])));
    assert_eq!(merged(Some(&[7, 8]), Some(&[-9, 7])).unwrap(), index(&rows, Some(&[-9, 7, 8])));
    for (ours, theirs) in [(Some(&[7, 8][..]), Some(&[8, 7][..])), (Some(&[0, 1]), None)] {
        let why = merged(ours, theirs).unwrap_err().to_string();
        assert!(why.contains("built anew") || why.contains("different kinds"), "{why}");
    }
    let stale = merged_index([(&here, index(&[1.0], None)), (&there, index(&[3.0, 1.0], None))]);
    assert!(stale.unwrap_err().to_string().contains("1 rows for 2 memories"));
}

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
