//! Validation of groups: checks that a corpus, its vectors and its index belong together.
//!
//! It has two steps. [`examine`] reads one file, in one known state, and finds its [`Facts`]; each
//! type of file has its own module (`corpus`, `npy`, `faiss`, `clusters`). [`check`] is a pure
//! function over the facts of all members. Facts belong to a content, so the caller remembers them
//! by digest and each file is examined once.
//!
//! Invariants:
//! - Files are treated as hostile: nothing is allocated by what a header claims, and no number is
//!   trusted before the file's length confirms it.
//! - Memory stays at a few buffers for a file of any length.
//! - A file that changes during the read has no facts.
//! - A damaged file is a fact ([`Facts::Broken`]). Only a failing disk is an error.
//!
//! Nothing is written, so a crash leaves nothing behind. The consequences of a fault (hold back,
//! warn) are decided elsewhere.

mod block;
mod clusters;
mod corpus;
mod faiss;
pub(crate) mod flat;
mod group;
mod json;
pub(crate) mod npy;
mod text;

#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::path::Path;

pub use group::{Fault, check};

use super::FileChanged;
use crate::fs::Fs;
use crate::model::{Facts, FileStat, Role, VaultPath, stem};
pub(crate) use block::{Block, LONGEST_MARKED};
pub(crate) use json::{Json, JsonError, Name};
pub(crate) use text::Text;

/// Part of a matrix that is searched for elements that are not finite numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// The whole matrix.
    #[default]
    Full,
    /// Some evenly spread blocks, including the first and the last.
    Sample,
    /// No elements. Only the file's length is checked.
    None,
}

/// Expected type of a file, by its name and its role in the group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A corpus: a JSON array, an object with a member of this name, or a map by id.
    Corpus(String),
    /// A numpy array.
    Matrix,
    /// A FAISS index.
    Index,
    /// Clusters of nodes.
    Clusters,
}

impl Kind {
    /// Kind of a member. `None` for a file that is not examined.
    #[must_use]
    pub fn of(path: &VaultPath, role: Role) -> Option<Self> {
        let name = path.as_str().rsplit('/').next().unwrap_or_default();
        match name.rsplit_once('.').map(|(_, end)| end)? {
            "npy" => Some(Self::Matrix),
            "index" | "faiss" => Some(Self::Index),
            "json" if name == "clusters.json" => Some(Self::Clusters),
            "json" if role == Role::Primary => Some(Self::Corpus(stem(path).to_owned())),
            _ => None,
        }
    }

    /// Name of the kind and the search, for remembered facts: the same bytes have other facts as
    /// another kind.
    #[must_use]
    pub fn tag(&self, search: Search) -> String {
        match self {
            Self::Corpus(key) => format!("corpus:{key}"),
            Self::Matrix if search == Search::Sample => "matrix:sample".to_owned(),
            Self::Matrix if search == Search::None => "matrix:none".to_owned(),
            Self::Matrix => "matrix".to_owned(),
            Self::Index => "index".to_owned(),
            Self::Clusters => "clusters".to_owned(),
        }
    }
}

/// Examines the file at `relative` below `root`, which must still be in the state `seen`. Returns
/// `None` if it changed.
///
/// # Errors
/// Errors of the system.
pub fn examine(
    fs: &dyn Fs,
    root: &Path,
    relative: &str,
    seen: &FileStat,
    kind: &Kind,
    search: Search,
) -> io::Result<Option<Facts>> {
    let found = || {
        let path = root.join(relative);
        let file = fs.open(&path)?;
        if file.stat()? != *seen {
            return Ok(None);
        }
        let facts = read_facts(Block::new(file.as_ref(), seen.size), kind, search)?;
        Ok((file.stat()? == *seen && fs.lstat(&path)? == *seen).then_some(facts))
    };
    match found() {
        // The file became shorter, or is gone.
        Err(error) if FileChanged::is(&error) || error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        other => other,
    }
}

/// Reads the facts of a file that the caller holds open.
pub(crate) fn read_facts(block: Block<'_>, kind: &Kind, search: Search) -> io::Result<Facts> {
    let found = match kind {
        Kind::Corpus(key) => corpus::count(block, key).map(|count| Facts::Corpus { count }),
        Kind::Matrix => npy::matrix(block, search),
        Kind::Index => faiss::index(block),
        Kind::Clusters => clusters::clusters(block),
    };
    match found {
        Ok(facts) => Ok(facts),
        Err(ExamineError::Broken(why)) => Ok(Facts::Broken { why }),
        Err(ExamineError::Io(error)) => Err(error),
    }
}

/// Reason why a file has no facts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExamineError {
    /// The file is not what it should be.
    #[error("{0}")]
    Broken(String),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ExamineError {
    fn broken(why: impl Into<String>) -> Self {
        Self::Broken(why.into())
    }
}
