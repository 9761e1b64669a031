//! Looking into the files of a group: do a corpus, its vectors and its index belong together?
//!
//! Two steps. [`examine`] reads one file, in one known state, and finds [`Facts`]; each kind of file has its own module
//! (`corpus`, `npy`, `faiss`, `clusters`). [`check`] is a pure function over the facts of all members. Facts belong to a
//! content, so the caller remembers them by digest and a file is looked into once.
//!
//! Invariants: a file is taken as hostile, so nothing is allocated by what a header claims and no number is trusted before the
//! file's length bears it out; memory stays at a few buffers whatever the length of a file; a file that moves under the read
//! has no facts. What is wrong with a file is a fact ([`Facts::Broken`]), only a disk that fails is an error. Nothing is
//! written, so a crash leaves nothing behind. What follows from a fault (holding back, warning) is not decided here.

mod block;
mod clusters;
mod corpus;
mod faiss;
mod group;
mod json;
mod npy;
mod text;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

pub use group::{Fault, check};

use super::Moved;
use crate::fs::Fs;
use crate::model::{Facts, FileStat, Role, VaultPath, stem};
use block::Block;

/// How much of a matrix is searched for what is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Search {
    /// All of it.
    #[default]
    Full,
    /// Some blocks, evenly spread; the first and the last among them.
    Sample,
    /// None of it: only whether it is whole.
    None,
}

/// What a file is expected to be, by its name and its place in the group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A corpus: a JSON array, an object with a member of this name, or a map by id.
    Corpus(String),
    /// An array of numpy.
    Matrix,
    /// A FAISS index.
    Index,
    /// Clusters of nodes.
    Clusters,
}

impl Kind {
    /// The kind of a member; none for a file that is not looked into.
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

    /// Names the kind, and how it is searched, where facts are remembered: the same bytes are other facts under another kind.
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

/// Looks into the file at `relative` below `root`, which must still be as `seen`; none where it moved.
///
/// # Errors
/// As the system reports them.
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
        let facts = look(Block::new(file.as_ref(), seen.size), kind, search)?;
        Ok((file.stat()? == *seen && fs.lstat(&path)? == *seen).then_some(facts))
    };
    match found() {
        // A file that became shorter, or went away.
        Err(error) if Moved::is(&error) || error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        other => other,
    }
}

fn look(block: Block<'_>, kind: &Kind, search: Search) -> io::Result<Facts> {
    let found = match kind {
        Kind::Corpus(key) => corpus::count(block, key).map(|count| Facts::Corpus { count }),
        Kind::Matrix => npy::matrix(block, search),
        Kind::Index => faiss::index(block),
        Kind::Clusters => clusters::clusters(block),
    };
    match found {
        Ok(facts) => Ok(facts),
        Err(Unfit::Broken(why)) => Ok(Facts::Broken { why }),
        Err(Unfit::Io(error)) => Err(error),
    }
}

/// Why a file yields no facts.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    /// It is not what it should be.
    #[error("{0}")]
    Broken(String),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Unfit {
    fn broken(why: impl Into<String>) -> Self {
        Self::Broken(why.into())
    }
}
