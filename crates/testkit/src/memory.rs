//! Corpora, matrices and indexes as an app writes them, and how many entries they have.

/// A corpus of `count` nodes; `text` makes one version differ from another.
#[must_use]
pub fn corpus(count: usize, text: &str) -> String {
    let node =
        |n| format!("{{\"id\": \"n{n}\", \"content\": \"{text} {n}\", \"own\": {{\"of\": \"the app\"}}}}");
    let nodes: Vec<String> = (0..count).map(node).collect();
    format!("{{\"version\": 1, \"nodes\": [{}]}}", nodes.join(", "))
}

/// A `.npy` of `rows` × `dim` 32-bit floats.
#[must_use]
pub fn matrix(rows: usize, dim: usize, seed: f32) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
    let pad = 63 - (10 + header.len()) % 64;
    let header = format!("{header}{}\n", " ".repeat(pad));
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(floats(rows * dim, seed));
    bytes
}

/// A flat FAISS index of `rows` vectors of `dim` dimensions.
#[must_use]
pub fn index(rows: usize, dim: usize, seed: f32) -> Vec<u8> {
    let mut bytes = b"IxFI".to_vec();
    bytes.extend(i32::try_from(dim).unwrap().to_le_bytes());
    bytes.extend((rows as u64).to_le_bytes());
    bytes.extend((1_u64 << 20).to_le_bytes());
    bytes.extend((1_u64 << 20).to_le_bytes());
    bytes.push(1);
    bytes.extend(0_i32.to_le_bytes());
    bytes.extend(((rows * dim) as u64).to_le_bytes());
    bytes.extend(floats(rows * dim, seed));
    bytes
}

fn floats(count: usize, seed: f32) -> impl Iterator<Item = u8> {
    (0..count).flat_map(move |n| (seed + n as f32 / 7.0).to_le_bytes())
}

/// Entries of a corpus.
#[must_use]
pub fn entries(json: &[u8]) -> usize {
    let document: serde_json::Value = serde_json::from_slice(json).unwrap();
    document["nodes"].as_array().unwrap().len()
}

/// Rows of a matrix that [`matrix`] made.
#[must_use]
pub fn rows(npy: &[u8]) -> usize {
    let header = String::from_utf8_lossy(&npy[10..74]).into_owned();
    let shape = header.split("'shape': (").nth(1).unwrap();
    shape.split(',').next().unwrap().parse().unwrap()
}

/// Vectors of an index that [`index`] made.
#[must_use]
pub fn vectors(index: &[u8]) -> usize {
    usize::try_from(u64::from_le_bytes(index[8..16].try_into().unwrap())).unwrap()
}
