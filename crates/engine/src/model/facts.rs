//! What a look into a file of a group has found: plain numbers, from which it is decided whether the group fits together.
//!
//! A fact belongs to a *content*, so it is found once and remembered by digest. Nothing here reads a file.

use serde::{Deserialize, Serialize};

use super::VaultPath;

/// What one file of a group holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Facts {
    /// A corpus: so many entries (nodes, episodes).
    Corpus {
        /// Entries.
        count: u64,
    },
    /// An array of numpy.
    Matrix {
        /// Its shape; rows first.
        shape: Vec<u64>,
        /// Its type of element as numpy writes it, such as `<f4`.
        dtype: String,
        /// The first element that is no finite number.
        unreal: Option<Unreal>,
    },
    /// A FAISS index.
    Index {
        /// Its families from the outside in, such as `IDMap,Flat`; nothing where the kind is unknown, and so are the numbers.
        family: Option<String>,
        /// Dimensions of a vector.
        dim: u64,
        /// Vectors.
        rows: u64,
    },
    /// An assignment of nodes to clusters.
    Clusters {
        /// How many nodes have one, where it says so for each.
        assigned: Option<u64>,
        /// The highest number of a node that a cluster names.
        highest: Option<u64>,
    },
    /// It is not what its name says.
    Broken {
        /// What is wrong, and at which byte or row.
        why: String,
    },
}

/// An element that is no finite number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreal {
    /// Its row, from 0.
    pub row: u64,
    /// Its place in the row, from 0.
    pub column: u64,
    /// What stands there: `NaN`, `inf` or `-inf`.
    pub value: String,
}

impl Facts {
    /// Entries, rows or vectors, where the file has such.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        match self {
            Self::Corpus { count } => Some(*count),
            Self::Matrix { shape, .. } => shape.first().copied(),
            Self::Index { family: Some(_), rows, .. } => Some(*rows),
            Self::Index { .. } | Self::Clusters { .. } | Self::Broken { .. } => None,
        }
    }
}

/// What a vault holds, for people: the `content` of a status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holdings {
    /// Nodes of the corpus.
    pub nodes: Option<u64>,
    /// Episodes of the corpus.
    pub episodes: Option<u64>,
    /// The matrices.
    pub embeddings: Vec<Embeddings>,
    /// The indexes.
    pub indexes: Vec<Index>,
}

/// A matrix of embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embeddings {
    /// Which file.
    pub path: VaultPath,
    /// Vectors.
    pub rows: u64,
    /// Dimensions of a vector.
    pub dim: u64,
    /// Its type of element as numpy writes it.
    pub dtype: String,
}

/// A FAISS index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Which file.
    pub path: VaultPath,
    /// Its families from the outside in; `unknown` where this program does not know the kind.
    pub family: String,
    /// Vectors.
    pub rows: u64,
    /// Dimensions of a vector.
    pub dim: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
}

impl Holdings {
    /// Takes in a file of `bytes` length.
    pub fn add(&mut self, path: &VaultPath, bytes: u64, facts: &Facts) {
        match facts {
            Facts::Corpus { count } => match stem(path) {
                "nodes" => self.nodes = Some(*count),
                "episodes" => self.episodes = Some(*count),
                _ => {}
            },
            Facts::Matrix { shape, dtype, .. } => {
                let [rows, dim] = shape.as_slice() else { return };
                let (path, dtype) = (path.clone(), dtype.clone());
                self.embeddings.push(Embeddings { path, rows: *rows, dim: *dim, dtype });
            }
            Facts::Index { family, dim, rows } => {
                let family = family.clone().unwrap_or_else(|| "unknown".to_owned());
                self.indexes.push(Index { path: path.clone(), family, rows: *rows, dim: *dim, bytes });
            }
            Facts::Clusters { .. } | Facts::Broken { .. } => {}
        }
    }
}

/// The last name of a path without its ending.
#[must_use]
pub fn stem(path: &VaultPath) -> &str {
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
