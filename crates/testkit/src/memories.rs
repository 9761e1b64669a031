//! Memories as an app keeps them: a corpus, a vector for each of them, and a flat index.

use std::collections::BTreeMap;

use crate::memory;
use serde_json::{Value, json};

/// Columns of the matrices.
const DIM: usize = 2;

/// Memories by id: text and vector.
pub type Memories = BTreeMap<String, (String, f32)>;

/// A matrix with a vector of this number for each row.
#[must_use]
pub fn matrix(rows: &[f32]) -> Vec<u8> {
    filled(memory::matrix(rows.len(), DIM, 0.0), rows)
}

/// A flat index over the same vectors.
#[must_use]
pub fn index(rows: &[f32]) -> Vec<u8> {
    filled(memory::index(rows.len(), DIM, 0.0), rows)
}

fn filled(mut file: Vec<u8>, rows: &[f32]) -> Vec<u8> {
    let start = file.len() - rows.len() * DIM * 4;
    file.truncate(start);
    rows.iter().for_each(|row| file.extend(std::iter::repeat_n(row.to_le_bytes(), DIM).flatten()));
    file
}

/// The number of each vector in a matrix.
#[must_use]
pub fn rows(matrix: &[u8]) -> Vec<f32> {
    let count = memory::rows(matrix);
    numbers(&matrix[matrix.len() - count * DIM * 4..])
}

/// The number of each of these vectors.
///
/// # Panics
/// If a vector is not of one number.
#[must_use]
pub fn numbers(vectors: &[u8]) -> Vec<f32> {
    let vectors = vectors.chunks(DIM * 4);
    vectors
        .map(|vector| {
            let number = f32::from_le_bytes(vector[..4].try_into().unwrap());
            assert!(vector.chunks(4).all(|one| one == number.to_le_bytes()), "a torn vector");
            number
        })
        .collect()
}

/// The files of a group with these memories.
#[must_use]
pub fn files(memories: &Memories) -> [(&'static str, Vec<u8>); 3] {
    let nodes: Vec<Value> = memories
        .iter()
        .map(|(id, (text, _))| json!({"id": id, "content": text, "own": {"of": "the app"}}))
        .collect();
    let vectors: Vec<f32> = memories.values().map(|(_, vector)| *vector).collect();
    let corpus = json!({"version": 1, "count": nodes.len(), "nodes": nodes});
    [
        ("corpus/nodes.json", corpus.to_string().into_bytes()),
        ("vectors/nodes.npy", matrix(&vectors)),
        ("indexes/nodes.index", index(&vectors)),
    ]
}

/// The memories in the files of a group, each with the vector beside it.
#[must_use]
pub fn read(corpus: &[u8], matrix: &[u8], index: Option<&[u8]>) -> Memories {
    let corpus: Value = serde_json::from_slice(corpus).unwrap();
    let nodes = corpus["nodes"].as_array().unwrap();
    assert_eq!(corpus["count"], nodes.len());
    let vectors = rows(matrix);
    assert_eq!(vectors.len(), nodes.len());
    if let Some(index) = index {
        assert_eq!(memory::vectors(index), nodes.len());
        assert_eq!(numbers(&index[index.len() - nodes.len() * DIM * 4..]), vectors, "the index is another");
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let memories: Memories = nodes
        .iter()
        .zip(vectors)
        .map(|(node, vector)| (text(&node["id"]), (text(&node["content"]), vector)))
        .collect();
    assert_eq!(memories.len(), nodes.len(), "an id stands there twice");
    memories
}
