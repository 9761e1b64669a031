//! The content of a vault: the number of its memories, and the matrices and indexes beside them.
//! The same JSON as the engine's own [`Holdings`].

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use cogzy_engine::model::{Embeddings, Holdings, Index, VaultPath};

/// The content of a vault, as far as its files were looked into.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ContentDocument {
    /// Nodes of the corpus.
    pub nodes: Option<u64>,
    /// Episodes of the corpus.
    pub episodes: Option<u64>,
    /// The matrices.
    pub embeddings: Vec<EmbeddingsDocument>,
    /// The indexes.
    pub indexes: Vec<IndexDocument>,
}

/// A matrix of embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingsDocument {
    /// The file.
    #[schema(value_type = String)]
    pub path: VaultPath,
    /// Vectors.
    pub rows: u64,
    /// Dimensions of a vector.
    pub dim: u64,
    /// The type of an element, as numpy writes it.
    pub dtype: String,
}

/// A FAISS index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexDocument {
    /// The file.
    #[schema(value_type = String)]
    pub path: VaultPath,
    /// The index's families from the outside in; `unknown` where this program does not know the
    /// kind.
    pub family: String,
    /// Vectors.
    pub rows: u64,
    /// Dimensions of a vector.
    pub dim: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
}

impl From<&Holdings> for ContentDocument {
    fn from(holdings: &Holdings) -> Self {
        Self {
            nodes: holdings.nodes,
            episodes: holdings.episodes,
            embeddings: holdings.embeddings.iter().map(EmbeddingsDocument::from).collect(),
            indexes: holdings.indexes.iter().map(IndexDocument::from).collect(),
        }
    }
}

impl From<&Embeddings> for EmbeddingsDocument {
    fn from(matrix: &Embeddings) -> Self {
        let Embeddings { path, rows, dim, dtype } = matrix.clone();
        Self { path, rows, dim, dtype }
    }
}

impl From<&Index> for IndexDocument {
    fn from(index: &Index) -> Self {
        let Index { path, family, rows, dim, bytes } = index.clone();
        Self { path, family, rows, dim, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogzy_engine::model::Facts;

    #[test]
    fn a_content_document_has_the_json_of_the_holdings_and_reads_it() {
        let mut holdings = Holdings { episodes: Some(3), ..Holdings::default() };
        let path = |text| VaultPath::new(text).unwrap();
        let matrix = Facts::Matrix { shape: vec![2, 4], dtype: "<f4".to_owned(), unreal: None };
        holdings.add(&path("vectors/nodes.npy"), 160, &matrix);
        let index = Facts::Index { family: Some("IDMap,Flat".to_owned()), dim: 4, rows: 2 };
        holdings.add(&path("indexes/faiss.index"), 99, &index);
        let document = ContentDocument::from(&holdings);
        assert_eq!((document.embeddings.len(), document.indexes.len()), (1, 1));
        let json = serde_json::to_string(&document).unwrap();
        assert_eq!(json, serde_json::to_string(&holdings).unwrap());
        assert_eq!(serde_json::from_str::<ContentDocument>(&json).unwrap(), document);
    }
}
