//! Causes for which versions are not merged.

use std::fmt;
use std::io;

/// One of the versions that meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The one that both came from.
    Base,
    /// The one that lost.
    Here,
    /// The one that stands.
    There,
    /// The only one, in which memories are looked up or changed.
    Now,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "the version that both came from",
            Self::Here => "the version that was set aside",
            Self::There => "the version that stands",
            Self::Now => "the vault",
        })
    }
}

/// Cause for which versions are not merged.
#[derive(Debug, thiserror::Error)]
pub enum Unmerged {
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There are no vectors beside the corpus.
    #[error("{version} has no vectors beside its corpus")]
    NoVectors {
        /// The version.
        version: Version,
    },
    /// A file is missing.
    #[error("{version} has no {name}")]
    Missing {
        /// The version.
        version: Version,
        /// Name of the file.
        name: String,
    },
    /// A file that is no corpus and follows none is other on both sides.
    #[error("both versions changed {name}, which is no list of memories")]
    ChangedByBoth {
        /// Name of the file.
        name: String,
    },
    /// A file is not what it should be.
    #[error("{version} cannot be read: {why}")]
    Damaged {
        /// The version.
        version: Version,
        /// Cause.
        why: String,
    },
    /// The corpora hold their entries in different ways.
    #[error("one version holds its memories as a list, another one as a map, or under another name")]
    OtherShape,
    /// Rows of different kinds cannot stand in one file.
    #[error("the vectors in {name} are of different kinds: {why}")]
    OtherVectors {
        /// Name of the file.
        name: String,
        /// The kinds.
        why: String,
    },
    /// A file has another number of rows than its corpus has entries.
    #[error("{version} does not fit together: {name} has {rows} rows for {entries} memories")]
    OtherCount {
        /// The version.
        version: Version,
        /// Name of the file.
        name: String,
        /// Its rows.
        rows: u64,
        /// Entries of the corpus.
        entries: usize,
    },
    /// Most vectors are new although their entries are not.
    #[error(
        "in {version} most vectors are new although their memories are the same: they were embedded anew"
    )]
    EmbeddedAnew {
        /// The version.
        version: Version,
    },
    /// An array is stored by columns.
    #[error("in {version} {name} is stored by columns (Fortran order)")]
    Fortran {
        /// The version.
        version: Version,
        /// Name of the file.
        name: String,
    },
    /// An entry has no id.
    #[error("in {version} memory {at}, counted from 0, has no `id` that is a text or a whole number")]
    NoId {
        /// The version.
        version: Version,
        /// Its place.
        at: usize,
    },
    /// Two entries have one id.
    #[error("in {version} two memories have the id {id:?}")]
    IdTwice {
        /// The version.
        version: Version,
        /// The id.
        id: String,
    },
    /// An object names a member twice.
    #[error("in {version} an object has two members named {name:?}")]
    NamedTwice {
        /// The version.
        version: Version,
        /// The name.
        name: String,
    },
    /// A field tells the row.
    #[error(
        "in {version} the field {field:?} is the row number of each memory, which would be wrong afterwards"
    )]
    RowNumber {
        /// The version.
        version: Version,
        /// The field.
        field: String,
    },
    /// An entry is too long to be merged.
    #[error("in {version} the text at byte {at} is too long to be merged")]
    TooLong {
        /// The version.
        version: Version,
        /// Position in the corpus.
        at: u64,
    },
    /// A log has other lines where both versions had the same.
    #[error("{version} has changed what was there before: only a log that grows at its end is merged")]
    NotAppended {
        /// The version.
        version: Version,
    },
    /// Both sides changed the same lines of a text.
    #[error("both versions changed line {line} of the version that both came from, or lines beside it")]
    SameLines {
        /// The line, counted from 1.
        line: usize,
    },
    /// Both sides gave a key of an object another value.
    #[error("both versions changed {path} in another way")]
    SameKey {
        /// The keys down to it, with dots between.
        path: String,
    },
    /// A file is no object.
    #[error("{version} is no JSON object")]
    NoObject {
        /// The version.
        version: Version,
    },
    /// A text is too long to be merged.
    #[error("{version} has more than {mib} MiB or {lines} lines that would have to be compared")]
    LongText {
        /// The version.
        version: Version,
        /// Longest text, in MiB.
        mib: u64,
        /// Most lines.
        lines: usize,
    },
    /// A file is no text.
    #[error("{version} is no text: it has a byte 0")]
    NoText {
        /// The version.
        version: Version,
    },
    /// A derived file has to be computed again.
    #[error("its index must be built anew: {name} is no flat index that could be merged row for row")]
    ToBuildAnew {
        /// Name of the file.
        name: String,
    },
}
