//! Adds a memory with its vector to a vault, in one transaction, and counts what is there.
//!
//!     cargo run --example remember -- ~/.local/share/cogzy "the meeting moved to Thursday"

use std::error::Error;

use cogzy_client::local_vault::{Corpus, LocalVault, LocalVaultError};
use ndarray::{Array1, Array2, Axis};
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
    // Both of one generation: while this lives, nothing is put in place.
    let reading = vault.reading()?;
    let mut nodes = or_else(reading.nodes(), Corpus::default)?;
    let mut vectors = or_else(reading.embeddings("nodes"), || Array2::zeros((0, DIMENSIONS)))?;
    drop(reading);

    nodes.push(&json!({ "id": format!("n{}", nodes.len()), "content": text }))?;
    vectors.push(Axis(0), embed(&text, vectors.ncols()).view())?;

    let mut transaction = vault.transaction();
    transaction.nodes(&nodes)?.embeddings("nodes", &vectors)?;
    transaction.commit()?;
    println!("{} nodes, {} vectors of {} dimensions", vault.node_count()?, vectors.nrows(), vectors.ncols());
    Ok(())
}

fn or_else<T>(read: Result<T, LocalVaultError>, none: impl FnOnce() -> T) -> Result<T, LocalVaultError> {
    match read {
        Err(LocalVaultError::Missing(_)) => Ok(none()),
        other => other,
    }
}

/// Stands for a model: the same text always has the same vector, of length 1.
fn embed(text: &str, dimensions: usize) -> Array1<f32> {
    let letter = |n: usize| text.bytes().skip(n % 7).step_by(dimensions).map(f32::from).sum::<f32>() + 1.0;
    let vector = Array1::from_iter((0..dimensions).map(letter));
    let length = vector.dot(&vector).sqrt();
    vector / length
}
