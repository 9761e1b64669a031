//! Indexes that follow a merge.

use super::*;

/// An index as faiss writes it, of two columns: flat, alone or in a map with these ids.
pub(super) fn index(rows: &[f32], ids: Option<&[i64]>) -> Vec<u8> {
    let flat = cogzy_testkit::memories::index(rows);
    ids.map_or(flat.clone(), |ids| in_map(&flat, ids))
}

/// A flat index in a map with these ids.
fn in_map(flat: &[u8], ids: &[i64]) -> Vec<u8> {
    let mut map = b"IxMp".to_vec();
    map.extend(&flat[4..37]);
    map.extend(flat);
    map.extend((ids.len() as u64).to_le_bytes());
    ids.iter().for_each(|id| map.extend(id.to_le_bytes()));
    map
}

/// Merges two vaults with an index each, and returns that of the result. None if it is left out.
fn merged_index(sides: [(&Vault, Vec<u8>); 2]) -> Option<Vec<u8>> {
    let rows = vec![(Kind::Matrix, "nodes.npy".to_owned()), (Kind::Index, "nodes.index".to_owned())];
    let names = Names { key: "nodes".to_owned(), rows, rules: Rules::default(), seen: BTreeMap::new() };
    let files = sides.map(|(vault, index)| {
        [Bytes(vault.corpus.clone().into_bytes()), Bytes(vault.matrix.clone()), Bytes(index)]
    });
    let [here, there] = files
        .each_ref()
        .map(|[corpus, matrix, index]| Side { corpus: file(corpus), rows: vec![file(matrix), file(index)] });
    let merged = merge(&names, None, &here, &there).unwrap();
    let mut written = Vec::new();
    merged.write_rows(1, &mut written).unwrap();
    assert_eq!((merged.leaves_out(0), merged.leaves_out(1)), (false, written.is_empty()));
    (!written.is_empty()).then_some(written)
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
}

#[test]
fn an_index_of_which_nobody_knows_the_result_is_left_out_and_the_memories_are_merged() {
    let here = vault(r#"[{"id":"a"},{"id":"b"}]"#, &[1.0, 2.0]);
    let there = vault(r#"[{"id":"c"},{"id":"a"}]"#, &[3.0, 1.0]);
    let ours = |ids| index(&[1.0, 2.0], ids);
    let theirs = |ids| index(&[3.0, 1.0], ids);
    let left_out = [
        // Two vectors would have one id, or only some have one.
        (ours(Some(&[7, 8])), theirs(Some(&[8, 7]))),
        (ours(Some(&[0, 1])), theirs(None)),
        // Of other vectors than the corpus, or of another family.
        (index(&[1.0], None), theirs(None)),
        (ours(None), index(&[1.0], None)),
        (ours(None), b"IxHO of some other kind".to_vec()),
    ];
    for (ours, theirs) in left_out {
        assert_eq!(merged_index([(&here, ours), (&there, theirs)]), None);
    }
}

/// An app changes a vector by its id: faiss takes the old row out and puts the new one at the end.
#[test]
fn an_index_with_ids_in_another_order_than_the_corpus_is_left_out() {
    let here = vault(r#"[{"id":"a"},{"id":"b"},{"id":"c"}]"#, &[1.0, 2.5, 3.0]);
    let there = vault(r#"[{"id":"a"},{"id":"b"}]"#, &[1.0, 2.0]);
    let merged =
        |ours: Vec<u8>, ids: &[i64]| merged_index([(&here, ours), (&there, index(&[1.0, 2.0], Some(ids)))]);
    let moved = |ids: &[i64]| index(&[1.0, 3.0, 2.5], Some(ids));
    assert_eq!(merged(moved(&[10, 12, 11]), &[10, 11]), None);
    // Of ids that number the memories, those of one side are in order.
    assert_eq!(merged(moved(&[0, 2, 1]), &[0, 1]), None);
    let [swapped, whole] = [&[11, 10], &[10, 11]].map(|ids| {
        merged_index([
            (&here, index(&[1.0, 2.5, 3.0], Some(&[10, 11, 12]))),
            (&there, index(if ids[0] == 10 { &[1.0, 2.0] } else { &[2.0, 1.0] }, Some(ids))),
        ])
    });
    assert_eq!((swapped, whole), (None, Some(index(&[1.0, 2.0, 3.0], Some(&[10, 11, 12])))));
    // Without ids, or with the numbers of the rows, only the order of the corpus makes sense: such
    // an index may hold vectors of the same direction, but of length 1.
    let scaled = |ids| (&here, index(&[0.1, 0.25, 0.3], ids));
    let row_numbers = merged_index([scaled(Some(&[0, 1, 2])), (&there, index(&[0.1, 0.2], Some(&[0, 1])))]);
    assert_eq!(row_numbers, Some(index(&[0.1, 0.2, 0.3], Some(&[0, 1, 2]))));
    assert!(merged_index([scaled(None), (&there, index(&[0.1, 0.2], None))]).is_some());
}
