//! Adds a memory with its vector to a vault, and counts what is there.
//!
//!     cargo run --example remember -- ~/.local/share/cogzy "the meeting moved to Thursday"

use std::error::Error;

use cogzy_client::local_vault::{LocalVault, LocalVaultError};
use serde_json::json;

/// Dimensions of the first vector, where the vault has none yet.
const DIMENSIONS: usize = 8;

#[expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(root), Some(text)) = (args.next(), args.next()) else {
        return Err("usage: remember VAULT TEXT".into());
    };
    let vault = LocalVault::open(root)?;
    let (nodes, dimensions) = match vault.map_embeddings("nodes") {
        Ok(vectors) => vectors.view()?.dim(),
        Err(LocalVaultError::Missing(_)) => (0, DIMENSIONS),
        Err(other) => return Err(other.into()),
    };
    // The memory and its vector come into the files beside what other programs write.
    let entry = json!({ "id": format!("n{nodes}"), "content": text });
    vault.upsert("nodes", &entry, Some(&embed(&text, dimensions)))?;
    println!("{} nodes, with vectors of {dimensions} dimensions", vault.node_count()?);
    Ok(())
}

/// Stands for a model: the same text always has the same vector, of length 1.
fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let letter = |n: usize| text.bytes().skip(n % 7).step_by(dimensions).map(f32::from).sum::<f32>() + 1.0;
    let vector: Vec<f32> = (0..dimensions).map(letter).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.into_iter().map(|x| x / length).collect()
}
