//! Merges of corpora in memory, written out and read again.

mod begun;
mod edits;
mod indexes;
mod random;
mod ranks;
mod sequences;

use std::collections::{BTreeMap, BTreeSet};

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
    merge_all(base, here, there, |merged| {
        let (mut corpus, mut matrix) = (Vec::new(), Vec::new());
        merged.write_corpus(&mut corpus).unwrap();
        merged.write_rows(0, &mut matrix).unwrap();
        assert_eq!(lost(merged), merged.clashes().iter().filter_map(|clash| clash.id.clone()).collect());
        (Vault { corpus: String::from_utf8(corpus).unwrap(), matrix }, merged.clashes().to_vec())
    })
}

fn merge_all<T>(
    base: Option<&Vault>,
    here: &Vault,
    there: &Vault,
    told: impl FnOnce(&Merged<'_>) -> T,
) -> Result<T, Unmerged> {
    merge_by(&names(), [base, Some(here), Some(there)], told)
}

fn names() -> Names {
    let rows = vec![(Kind::Matrix, "nodes.npy".to_owned())];
    Names {
        key: "nodes".to_owned(),
        rows,
        rules: Rules { quiet: ["seen".to_owned()].into(), ..Rules::default() },
        seen: BTreeMap::new(),
    }
}

fn merge_by<T>(
    names: &Names,
    versions: [Option<&Vault>; 3],
    told: impl FnOnce(&Merged<'_>) -> T,
) -> Result<T, Unmerged> {
    let base = versions[0];
    let files: Vec<[Bytes<Vec<u8>>; 2]> = versions
        .into_iter()
        .flatten()
        .map(|one| [Bytes(one.corpus.clone().into_bytes()), Bytes(one.matrix.clone())])
        .collect();
    let sides: Vec<Side<'_>> =
        files.iter().map(|[corpus, rows]| Side { corpus: file(corpus), rows: vec![file(rows)] }).collect();
    let [.., here, there] = sides.as_slice() else { unreachable!() };
    Ok(told(&merge(names, base.and(sides.first()), here, there)?))
}

#[test]
fn what_one_side_has_deleted_as_it_stands_goes_whatever_the_base_says() {
    let corpus = |content: &str| format!(r#"{{"nodes":[{{"id":"a","content":"{content}"}},{{"id":"b"}}]}}"#);
    let (old, new) = (vault(&corpus("old"), &[1.0, 2.0]), vault(&corpus("new"), &[1.0, 2.0]));
    let without = vault(r#"{"nodes":[{"id":"b"}]}"#, &[2.0]);
    let merged = |base: &Vault, [here, there]: [&Vault; 2], seen: &[&Vault]| {
        let mut names = names();
        for seen in seen {
            let all = essences(&names, file(&Bytes(seen.corpus.clone().into_bytes()))).unwrap();
            for (id, essence) in all.into_iter().filter(|(id, _)| *id == Id::text("a")) {
                names.seen.entry(id).or_default().insert(essence);
            }
        }
        let mut corpus = Vec::new();
        let clashes = merge_by(&names, [Some(base), Some(here), Some(there)], |merged| {
            merged.write_corpus(&mut corpus).unwrap();
            merged.clashes().len()
        })
        .unwrap();
        (String::from_utf8(corpus).unwrap().contains("new"), clashes)
    };
    let deleted_here = [&without, &new];
    assert_eq!(merged(&old, deleted_here, &[]), (true, 0), "it was changed there");
    assert_eq!(merged(&old, deleted_here, &[&old]), (true, 0), "the change was not seen");
    assert_eq!(merged(&old, deleted_here, &[&old, &new]), (false, 0));
    let nothing = vault(r#"{"nodes":[{"id":"c"}]}"#, &[3.0]);
    let deleted_there = [&new, &without];
    assert_eq!(merged(&nothing, deleted_there, &[]), (true, 0), "it is new here");
    assert_eq!(merged(&nothing, deleted_there, &[&old]), (true, 0), "and was not seen so");
    assert_eq!(merged(&nothing, deleted_there, &[&old, &new]), (false, 0));
    assert_eq!(merged(&old, deleted_there, &[]), (false, 1), "it was changed here");
    assert_eq!(merged(&old, deleted_there, &[&new]), (false, 0));
}

/// Large versions are read by several threads: the result is that of small ones, and of several
/// faults the same one is told.
#[test]
fn the_size_of_a_version_changes_nothing_of_its_merge() {
    let padding = " ".repeat(usize::try_from(versions::LARGE).unwrap());
    let entry = |id: &str, content: &str| format!(r#"{{"id":"{id}","content":"{content}"}}"#);
    let corpus = |entries: &[String]| format!("[{}]", entries.join(","));
    let base = vault(&corpus(&[entry("a", "1"), entry("b", "1")]), &[1.0, 2.0]);
    let here = vault(&corpus(&[entry("a", "2"), entry("b", "1"), entry("c", "1")]), &[3.0, 2.0, 4.0]);
    let there = vault(&corpus(&[entry("a", "1"), entry("b", "3")]), &[1.0, 5.0]);
    let large = |small: &Vault| Vault { corpus: format!("{}{padding}", small.corpus), ..small.clone() };
    let broken = |small: &Vault| Vault { corpus: small.corpus.replace("\"b\"", "\"a\""), ..small.clone() };
    let (small, _) = merged(Some(&base), &here, &there).unwrap();
    let (padded, _) = merged(Some(&large(&base)), &large(&here), &large(&there)).unwrap();
    assert_eq!((padded.corpus.trim_end(), &padded.matrix), (small.corpus.as_str(), &small.matrix));
    for faulty in [[true, true, true], [false, true, true], [false, false, true]] {
        let [base, here, there] = [(&base, faulty[0]), (&here, faulty[1]), (&there, faulty[2])]
            .map(|(one, is_faulty)| if is_faulty { broken(one) } else { one.clone() });
        let small = merged(Some(&base), &here, &there).unwrap_err();
        let padded = merged(Some(&large(&base)), &large(&here), &large(&there)).unwrap_err();
        assert_eq!(padded.to_string(), small.to_string());
    }
}

/// Ids of the entries that a merge writes out because they lost a clash.
fn lost(merged: &Merged<'_>) -> BTreeSet<String> {
    let mut written = Vec::new();
    merged.write_lost(Version::Here, &mut written).unwrap();
    let id = |id: &serde_json::Value| id.as_str().map_or_else(|| id.to_string(), ToOwned::to_owned);
    let mut written: serde_json::Value = serde_json::from_slice(&written).unwrap();
    let nested = written.get_mut("nodes").map(serde_json::Value::take);
    match nested.unwrap_or(written) {
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
fn a_quiet_member_makes_no_clash_and_keeps_nothing_from_being_deleted() {
    let base = vault(
        r#"{"seen": 1, "by": "x", "nodes": [{"id":"a","t":1,"seen":1},{"id":"b","t":2},{"id":"c","t":3}]}"#,
        &[1.0, 2.0, 3.0],
    );
    // a: read on both sides; b: read here, deleted there; c: deleted here, read there; d: added on
    // both, read more often here.
    let here = vault(
        r#"{"seen": 2, "by": "y", "nodes": [{"id":"a","t":2,"seen":2},{"id":"b","t":2,"seen":2},{"id":"d","t":1,"seen":2}]}"#,
        &[1.0, 2.0, 4.0],
    );
    let there = vault(
        r#"{"seen": 3, "by": "x", "nodes": [{"id":"a","t":1,"seen":3},{"id":"c","t":3,"seen":3},{"id":"d","t":1}]}"#,
        &[1.0, 3.0, 4.0],
    );
    let (corpus, rows, clashes) = told(&base, &here, &there);
    let expected = r#"{"seen": 3, "by": "y", "nodes": [{"id":"a","t":2,"seen":3},{"id":"d","t":1}]}"#;
    assert_eq!((corpus.as_str(), rows, clashes.len()), (expected, vec![1.0, 4.0], 0));
    // A counter that happens to be the row number is none.
    let counted = vault(r#"[{"id":"a","seen":0},{"id":"b","seen":1}]"#, &[1.0, 2.0]);
    merged(None, &counted, &counted).unwrap();
}

#[test]
fn what_lost_around_the_list_is_written_with_the_entries_that_lost() {
    let base = vault(r#"{"by": "x", "nodes": [{"id":"a","t":1}]}"#, &[1.0]);
    let here = vault(r#"{"by": "y", "nodes": [{"id":"a","t":2}]}"#, &[1.0]);
    let there = vault(r#"{"by": "z", "nodes": [{"id":"a","t":3}]}"#, &[1.0]);
    let lost = |here: &Vault, there: &Vault| {
        let written = merge_all(Some(&base), here, there, |merged| {
            assert!(merged.loses(Version::Here));
            let mut written = Vec::new();
            merged.write_lost(Version::Here, &mut written).unwrap();
            written
        });
        serde_json::from_slice::<serde_json::Value>(&written.unwrap()).unwrap()
    };
    let all = serde_json::json!({"by": "y", "nodes": [{"id": "a", "t": 2}]});
    assert_eq!(lost(&here, &there), all);
    let only_around = vault(r#"{"by": "y", "nodes": [{"id":"a","t":1}]}"#, &[1.0]);
    assert_eq!(lost(&only_around, &there), serde_json::json!({"by": "y", "nodes": []}));
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
