//! Bases from which both sides begin: without memories, or without vectors.

use super::*;

/// The same, where the base may have no array.
fn from(
    base: (&str, Option<Vec<u8>>),
    here: &Vault,
    there: &Vault,
) -> Result<(String, Vec<f32>, usize), Unmerged> {
    let bytes = |vault: &Vault| [Bytes(vault.corpus.clone().into_bytes()), Bytes(vault.matrix.clone())];
    let (corpus, array) = (Bytes(base.0.as_bytes().to_vec()), base.1.map(Bytes));
    let base = Side { corpus: file(&corpus), rows: array.iter().map(file).collect() };
    let sides = [bytes(here), bytes(there)];
    let [here, there] =
        sides.each_ref().map(|[corpus, rows]| Side { corpus: file(corpus), rows: vec![file(rows)] });
    let merged = merge(&names(), Some(&base), &here, &there)?;
    let (mut corpus, mut matrix) = (Vec::new(), Vec::new());
    merged.write_corpus(&mut corpus)?;
    merged.write_rows(0, &mut matrix)?;
    let corpus = String::from_utf8(corpus).unwrap();
    let rows = numbers(&Vault { corpus: corpus.clone(), matrix });
    Ok((corpus, rows, merged.clashes().len()))
}

#[test]
fn first_memories_come_together_whatever_an_empty_corpus_had_for_vectors() {
    let (here, there) = (vault(r#"[{"id":"a","t":1}]"#, &[1.0]), vault(r#"[{"id":"b","t":2}]"#, &[2.0]));
    let expected = (r#"[{"id":"b","t":2},{"id":"a","t":1}]"#.to_owned(), vec![2.0, 1.0], 0);
    for array in [None, Some(matrix("<f8", 4, &[])), Some(matrix("<f4", 0, &[])), Some(b"none".to_vec())] {
        assert_eq!(from(("[]", array), &here, &there).unwrap(), expected);
    }
    // In another shape it tells nothing.
    for corpus in ["{}", r#"{"nodes": []}"#] {
        assert_eq!(from((corpus, None), &here, &there).unwrap(), expected);
    }
    // Around the list an empty one tells as ever.
    let [here, there] = [(2, 1, "a"), (1, 5, "b")].map(|(x, y, id)| {
        vault(&format!(r#"{{"x": {x}, "y": {y}, "nodes": [{{"id":"{id}","t":7}}]}}"#), &[1.0])
    });
    let (corpus, _, clashes) = from((r#"{"x": 1, "y": 1, "nodes": []}"#, None), &here, &there).unwrap();
    assert!(corpus.starts_with(r#"{"x": 2, "y": 5, "#) && clashes == 0, "{corpus}: {clashes}");
}

#[test]
fn memories_that_had_no_vectors_yet_are_merged_with_those_that_both_sides_made() {
    let base = r#"[{"id":"a","t":1},{"id":"b","t":2},{"id":"c","t":3}]"#;
    // Here: b deleted, d new. There: c changed, e new.
    let here = vault(r#"[{"id":"a","t":1},{"id":"c","t":3},{"id":"d","t":4}]"#, &[1.0, 3.0, 4.0]);
    let there = vault(
        r#"[{"id":"a","t":1},{"id":"b","t":2},{"id":"c","t":9},{"id":"e","t":5}]"#,
        &[1.0, 2.0, 9.0, 5.0],
    );
    let (corpus, rows, clashes) = from((base, None), &here, &there).unwrap();
    let expected = r#"[{"id":"a","t":1},{"id":"c","t":9},{"id":"e","t":5},{"id":"d","t":4}]"#;
    assert_eq!((corpus.as_str(), rows, clashes), (expected, vec![1.0, 9.0, 5.0, 4.0], 0));
    // Vectors alone are something, too.
    let only_vectors = vault(base, &[1.0, 2.0, 3.0]);
    let (corpus, rows, _) = from((base, None), &only_vectors, &only_vectors).unwrap();
    assert_eq!((corpus.as_str(), rows), (base, vec![1.0, 2.0, 3.0]));
    // Two models made them.
    let other = vault(base, &[7.0, 8.0, 9.0]);
    let why = from((base, None), &only_vectors, &other).unwrap_err().to_string();
    assert!(why.contains("embedded anew"), "{why}");
}
