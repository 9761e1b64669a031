//! Finds memories of a corpus, each with what a change of it may expect.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, Id};
use super::fields::Object;
use super::rows::Rows;
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
    let version = Version::Now;
    let document = Document::read(Block::new(corpus.file, corpus.len), names, version)?;
    let entries = document.entries.len();
    let rows = array.map(|(name, file)| {
        Rows::of_entries(Block::new(file.file, file.len), &Kind::Matrix, (version, name), entries)
    });
    let rows = rows.transpose()?;
    let wanted = document.entries.iter().enumerate().filter(|(_, entry)| ids.contains(&entry.id));
    let found = wanted.map(|(at, entry)| {
        let text = document.text(&entry.value)?;
        // The reader of the corpus has seen that it can be read.
        let object = Object::read(text.clone()).ok().flatten();
        let members = object.iter().flat_map(|object| &object.members);
        Ok(Found {
            id: entry.id.clone(),
            digest: entry.content,
            fields: members.map(|one| (one.name.clone(), one.digest)).collect(),
            vector: rows.as_ref().map(|rows| rows.numbers(at)).transpose()?.flatten(),
            entry: text,
        })
    });
    found.collect()
}

/// Digest of each memory, without its id and its quiet members.
///
/// # Errors
/// If the corpus cannot be read as memories.
pub fn essences(names: &Names, corpus: File<'_>) -> Result<BTreeMap<Id, Digest>, Unmerged> {
    let document = Document::read(Block::new(corpus.file, corpus.len), names, Version::Now)?;
    Ok(document.entries.into_iter().map(|entry| (entry.id, entry.essence)).collect())
}
