//! Finds memories of a corpus, each with what a change of it may expect.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, Entry, Id};
use super::fields::Object;
use super::rows::{self, Rows};
use super::{File, Names, Unmerged, Version};
use crate::model::Digest;
use crate::vault::validate::{Block, Kind};

/// A memory as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its id.
    pub id: Id,
    /// Its JSON.
    pub entry: String,
    /// Digest of what it says but its id, however it is spelled.
    pub digest: Digest,
    /// Digest of each field.
    pub fields: BTreeMap<String, Digest>,
    /// Its vector, if it has one and was asked for, of floats of 32 or 64 bits.
    pub vector: Option<Vec<f64>>,
}

/// The memories of a corpus, in its order. In memory are the ids and digests of all, and the text
/// and the vector of the one that is read.
pub struct Walk<'a> {
    document: Document<'a>,
    rows: Option<Rows<'a>>,
    at: usize,
}

impl<'a> Walk<'a> {
    /// Begins with the first one. `array` is the file of the vectors, with its name; without it
    /// none is read.
    ///
    /// # Errors
    /// If the files cannot be read as memories, or do not fit together.
    pub fn begin(names: &Names, corpus: File<'a>, array: Option<(&str, File<'a>)>) -> Result<Self, Unmerged> {
        let version = Version::Now;
        let document = Document::read(Block::new(corpus.file, corpus.len), names, version)?;
        let entries = document.entries.len();
        let rows = array.map(|(name, file)| {
            Rows::of_entries(Block::new(file.file, file.len), &Kind::Matrix, (version, name), entries)
        });
        Ok(Self { rows: rows.transpose()?, document, at: 0 })
    }

    fn found(&self, at: usize, entry: &Entry) -> Result<Found, Unmerged> {
        let text = self.document.text(&entry.value)?;
        // The reader of the corpus has seen that it can be read.
        let object = Object::read(text.clone()).ok().flatten();
        let members = object.iter().flat_map(|object| &object.members);
        Ok(Found {
            id: entry.id.clone(),
            digest: self.document.said(entry)?.content,
            fields: members.map(|one| (one.name.clone(), one.digest)).collect(),
            vector: self.rows.as_ref().map(|rows| rows.numbers(at)).transpose()?.flatten(),
            entry: text,
        })
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Found, Unmerged>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.found(self.at, self.document.entries.get(self.at)?);
        self.at += 1;
        Some(found)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.document.entries.len().saturating_sub(self.at);
        (left, Some(left))
    }
}

/// Finds the memories with these ids, in the order of the corpus. `array` is the file of their
/// vectors, with its name; without it none is read.
///
/// # Errors
/// If the files cannot be read as memories, or do not fit together.
pub fn find(
    names: &Names,
    corpus: File<'_>,
    array: Option<(&str, File<'_>)>,
    ids: &BTreeSet<Id>,
) -> Result<Vec<Found>, Unmerged> {
    let walk = Walk::begin(names, corpus, array)?;
    let wanted = walk.document.entries.iter().enumerate().filter(|(_, entry)| ids.contains(&entry.id));
    wanted.map(|(at, entry)| walk.found(at, entry)).collect()
}

/// Digest of each memory together with its vector, without its id. `array` is the file of the
/// vectors, with its name.
///
/// # Errors
/// If the files cannot be read as memories, or do not fit together.
pub fn digests(
    names: &Names,
    corpus: File<'_>,
    array: Option<(&str, File<'_>)>,
) -> Result<BTreeMap<Id, Digest>, Unmerged> {
    let Walk { document, rows, .. } = Walk::begin(names, corpus, array)?;
    let vectors = rows::digests(rows.iter(), document.entries.len())?;
    let both = |content: Digest, vector: Digest| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(content.as_bytes()).update(vector.as_bytes());
        Digest::from(hasher.finalize())
    };
    let entries = document.entries.iter().zip(vectors);
    entries
        .map(|(entry, vector)| Ok((entry.id.clone(), both(document.said(entry)?.content, vector))))
        .collect()
}

/// Digest of each memory, without its id and its quiet members.
///
/// # Errors
/// If the corpus cannot be read as memories that could be merged.
pub fn essences(names: &Names, corpus: File<'_>) -> Result<BTreeMap<Id, Digest>, Unmerged> {
    let document = Document::read(Block::new(corpus.file, corpus.len), names, Version::Now)?;
    document.must_not_number(|_| true)?;
    let entries = document.entries.iter();
    entries.map(|entry| Ok((entry.id.clone(), document.said(entry)?.essence))).collect()
}
