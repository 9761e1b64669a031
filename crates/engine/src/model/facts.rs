//! Facts about the files of a group: plain numbers that tell if the group fits together.
//!
//! A fact belongs to a *content*, so it is found once and remembered by digest. This module reads
//! no file.

use serde::{Deserialize, Serialize};

use super::VaultPath;

/// Facts about one file of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Facts {
    /// A corpus.
    Corpus {
        /// Number of entries (nodes or episodes).
        count: u64,
    },
    /// A numpy array.
    Matrix {
        /// Shape, rows first.
        shape: Vec<u64>,
        /// Element type as numpy writes it, such as `<f4`.
        dtype: String,
        /// First element that is not a finite number.
        unreal: Option<Unreal>,
    },
    /// A FAISS index.
    Index {
        /// Index types from the outside in, such as `IDMap,Flat`. `None` if the type is unknown;
        /// the numbers are unknown too in that case.
        family: Option<String>,
        /// Dimensions of a vector.
        dim: u64,
        /// Number of vectors.
        rows: u64,
    },
    /// An assignment of nodes to clusters.
    Clusters {
        /// Number of nodes with a cluster, if the file lists them one by one.
        assigned: Option<u64>,
        /// Highest node number that a cluster names.
        highest: Option<u64>,
    },
    /// A file that is not what its name says.
    Broken {
        /// Cause, with the byte or row where it was found.
        why: String,
    },
}

/// Element that is not a finite number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreal {
    /// Row of the element, from 0.
    pub row: u64,
    /// Column of the element, from 0.
    pub column: u64,
    /// Value of the element: `NaN`, `inf` or `-inf`.
    pub value: String,
}

impl Facts {
    /// Number of entries, rows or vectors, if the file has any.
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

/// Contents of a vault, for people: the `content` of a status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holdings {
    /// Number of nodes in the corpus.
    pub nodes: Option<u64>,
    /// Number of episodes in the corpus.
    pub episodes: Option<u64>,
    /// Matrices of embeddings.
    pub embeddings: Vec<Embeddings>,
    /// FAISS indexes.
    pub indexes: Vec<Index>,
}

/// A matrix of embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embeddings {
    /// Path of the file.
    pub path: VaultPath,
    /// Number of vectors.
    pub rows: u64,
    /// Dimensions of a vector.
    pub dim: u64,
    /// Element type as numpy writes it.
    pub dtype: String,
}

/// A FAISS index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Path of the file.
    pub path: VaultPath,
    /// Index types from the outside in; `unknown` if this program does not know the type.
    pub family: String,
    /// Number of vectors.
    pub rows: u64,
    /// Dimensions of a vector.
    pub dim: u64,
    /// Length of the file in bytes.
    pub bytes: u64,
}

impl Holdings {
    /// Adds a file of `bytes` bytes.
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

/// Last name of a path without its extension.
#[must_use]
pub fn stem(path: &VaultPath) -> &str {
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
