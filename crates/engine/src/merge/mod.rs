//! Merges three versions of a corpus by the identity of its entries, with the vectors of each; and
//! finds and changes single entries by the same means. Beside it, logs and texts are merged by
//! lines.
//!
//! Pure functions over files that can be read at any place: the same inputs give the same bytes on
//! every device. *There* is the version that stands, *here* the one that lost to it, *base* the one
//! that both came from, if it is known. The module reads no vault and decides nothing about files;
//! docs/MERGING.md has the rules for people.
//!
//! Invariants:
//! - Identity decides, never position: a row goes with its entry.
//! - Untouched entries keep their very bytes.
//! - No entry that neither side deleted is lost, and what loses a clash is named.
//! - What is not understood is not merged ([`Unmerged`]): a wrong merge is worse than none. An
//!   index that is not understood is left out: it can be computed again.
//! - Ids, spans and digests are in memory; texts and rows are not.

mod document;
mod edit;
mod fields;
mod find;
mod frame;
mod keys;
mod lines;
mod places;
mod rows;
mod table;
mod unmerged;
mod value;
mod versions;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::model::{Rank, Rules};
pub use document::Id;
pub use edit::{
    Edit, Editable, Edited, Editing, Expectation, Put, Row, Step, Stood, Touched, Unedited, Unusable, Vector,
    rows_of,
};
pub use find::{Found, Walk, digests, essences, find};
pub use keys::join_keys;
pub use lines::{append, weave};
pub use unmerged::{Unmerged, Version};

use crate::fs::ReadFile;
use crate::model::Digest;
use crate::vault::validate::{Block, Kind};
use document::Document;
use frame::Around;
use rows::Rows;
use table::{Picked, Tables};
use versions::Read;

/// Characters of an entry or a field that are told.
const TOLD: usize = 80;
/// Members of an entry that say what it is about, the first that there is.
const SAYING: [&str; 6] = ["content", "text", "title", "summary", "name", "label"];

/// An open file of known length.
#[derive(Clone, Copy)]
pub struct File<'a> {
    /// The file.
    pub file: &'a dyn ReadFile,
    /// Its length in bytes.
    pub len: u64,
}

/// One version of a corpus and of the files whose rows follow it.
#[derive(Clone)]
pub struct Side<'a> {
    /// The corpus.
    pub corpus: File<'a>,
    /// Files of rows, in the order of [`Names::rows`]. A base may have none.
    pub rows: Vec<File<'a>>,
}

impl Side<'_> {
    /// Length of all files in bytes.
    fn len(&self) -> u64 {
        self.rows.iter().fold(self.corpus.len, |sum, file| sum.saturating_add(file.len))
    }
}

/// Kinds and names of the files, and of what is in them: the same for all versions.
#[derive(Debug, Clone)]
pub struct Names {
    /// Member of the corpus that holds the entries, if it has it.
    pub key: String,
    /// Kind and name of each file of rows. A merge needs at least one [`Kind::Matrix`].
    pub rows: Vec<(Kind, String)>,
    /// Wishes of the device.
    pub rules: Rules,
    /// Entries that both sides have had although the base does not have them, or not so, each as it
    /// was ([`essences`]): whichever side lacks one has deleted it. It goes, unless it has changed
    /// since.
    pub seen: BTreeMap<Id, BTreeSet<Digest>>,
}

/// A clash: both sides changed the same, and one was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Clash {
    /// Id of the entry. None for a member of the document itself.
    pub id: Option<String>,
    /// First words of the entry.
    pub words: String,
    /// Field that clashes. None if the whole entry does.
    pub field: Option<String>,
    /// Beginning of its value in the version that lost. None if that has none.
    pub here: Option<String>,
    /// Beginning of its value in the version that stands. None if that has none.
    pub there: Option<String>,
    /// Ranks of the two sides, where the configuration has some and the entry was changed field by
    /// field. The higher one was taken, and that of the version that stands where they are equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<Ranks>,
}

/// Ranks of the two sides of an entry: the values of the field that ranks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ranks {
    /// That of the version that was set aside.
    pub here: Option<String>,
    /// That of the version that stands.
    pub there: Option<String>,
    /// True if the one here is higher, so that its value was taken.
    pub here_wins: bool,
}

/// A merge, decided and ready to be written.
pub struct Merged<'a> {
    documents: [Document<'a>; 2],
    sides: [Side<'a>; 2],
    /// Files of rows. None for an index that is left out.
    rows: Vec<Option<Joined<'a>>>,
    /// The version that the result is, if only one side changed anything.
    whole: Option<Version>,
    around: Around,
    picked: Picked,
}

/// A file of rows on both sides, here and there, and the ids of the rows that it will have, if it
/// has any.
struct Joined<'a> {
    sides: [Rows<'a>; 2],
    ids: Option<Vec<i64>>,
}

/// Merges three versions.
///
/// # Errors
/// If they cannot be merged, with the cause.
pub fn merge<'a>(
    names: &Names,
    base: Option<&Side<'a>>,
    here: &Side<'a>,
    there: &Side<'a>,
) -> Result<Merged<'a>, Unmerged> {
    let (old, ours, theirs) = Read::all(names, base, here, there)?;
    ours.must_be_like(&theirs, names)?;
    // Of memories that begin in another way the frame tells nothing.
    let old = old.filter(|old| !old.document.entries.is_empty() || old.has_shape_of(&theirs));
    if let Some(old) = &old {
        old.must_be_like(&theirs, names)?;
    }
    let whole = match base {
        Some(base) if same(base, here)? => Some(Version::There),
        Some(base) if same(base, there)? => Some(Version::Here),
        _ => None,
    };
    let mut picked = Picked::default();
    if whole.is_none() {
        picked = Tables::new(old.as_ref(), [&ours, &theirs], names)?.pick()?;
    }
    let base_document = old.as_ref().map(|old| &old.document);
    let documents = (&ours.document, &theirs.document);
    let count = picked.picks.len();
    let around = Around::merged(base_document, documents, count, &names.rules.quiet)?;
    picked.clashes.extend(around.clashes.iter().cloned());
    let ids = (0..names.rows.len()).map(|at| ids_of([&ours, &theirs], at, &picked, names));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let rows = ours.rows.into_iter().zip(theirs.rows).zip(ids);
    let rows = rows.map(|((here, there), ids)| Some(Joined { sides: [here?, there?], ids: ids? }));
    Ok(Merged {
        rows: rows.collect(),
        documents: [ours.document, theirs.document],
        sides: [here.clone(), there.clone()],
        whole,
        around,
        picked,
    })
}

/// Ids of the rows of the result in a file of rows: none within if it has none. None if it is an
/// index of which nobody knows what the result would be.
#[expect(clippy::option_option, reason = "an index without ids is not one whose ids are unknown")]
fn ids_of(
    sides: [&Read<'_>; 2],
    at: usize,
    picked: &Picked,
    names: &Names,
) -> Result<Option<Option<Vec<i64>>>, Unmerged> {
    let [ours, theirs] = sides;
    let both = sides.map(|side| side.rows.get(at).and_then(Option::as_ref));
    let ([Some(here), Some(there)], Some((kind, name))) = (both, names.rows.get(at)) else { return Ok(None) };
    if *kind == Kind::Index {
        if here.must_be_alike(there, name).is_err() {
            return Ok(None);
        }
        // Faiss puts a vector that is changed by its id at the end of the index, and leaves it at
        // its place in the array.
        let in_any_order = here.has_ids_of_its_own() || there.has_ids_of_its_own();
        if in_any_order && !ours.has_array_of(here, theirs, there)? {
            return Ok(None);
        }
    }
    Ok(rows::ids([here, there], picked.picks.iter().map(|pick| pick.row)))
}

impl Merged<'_> {
    /// Clashes of entries and fields.
    #[must_use]
    pub fn clashes(&self) -> &[Clash] {
        &self.picked.clashes
    }

    /// True if entries or members of this version lost a clash.
    #[must_use]
    pub fn loses(&self, version: Version) -> bool {
        let of = |(loser, _): &(Version, usize)| *loser == version;
        self.picked.lost.iter().any(of) || version == Version::Here && !self.around.lost.is_empty()
    }

    /// True if the result has no file at this place of [`Names::rows`]: an index that is not flat,
    /// or of which the versions do not fit together. It has to be computed again.
    #[must_use]
    pub fn leaves_out(&self, at: usize) -> bool {
        self.whole.is_none() && self.rows.get(at).is_none_or(Option::is_none)
    }

    /// Writes what lost a clash of this version, here or there, as it was: the entries as a list or
    /// a map by id, and the members of the document around it.
    ///
    /// # Errors
    /// Errors of reading and writing.
    pub fn write_lost(&self, version: Version, out: &mut dyn Write) -> Result<(), Unmerged> {
        let [here, there] = &self.documents;
        let lost = self.picked.lost.iter().filter(|(loser, _)| *loser == version);
        let places: Vec<usize> = lost.map(|(_, at)| *at).collect();
        let (document, members) =
            if version == Version::Here { (here, self.around.lost.as_slice()) } else { (there, &[][..]) };
        Ok(write::some(&places, members, document, out)?)
    }

    /// Writes the corpus.
    ///
    /// # Errors
    /// Errors of reading and writing.
    pub fn write_corpus(&self, out: &mut dyn Write) -> Result<(), Unmerged> {
        let [here, there] = &self.documents;
        match self.whole {
            Some(version) => {
                let block = if version == Version::Here { here.block() } else { there.block() };
                Ok(block.copy(0..block.len(), &mut Vec::new(), out)?)
            }
            None => {
                let texts = self.picked.picks.iter().map(|pick| &pick.text);
                write::corpus(texts, [here, there], &self.around, out)
            }
        }
    }

    /// Writes the file of rows at this place of [`Names::rows`], unless it is left out.
    ///
    /// # Errors
    /// Errors of reading and writing.
    pub fn write_rows(&self, at: usize, out: &mut dyn Write) -> io::Result<()> {
        if let Some(version) = self.whole {
            let [here, there] = &self.sides;
            let side = if version == Version::Here { here } else { there };
            let file = side.rows.get(at);
            return file.map_or(Ok(()), |file| {
                Block::new(file.file, file.len).copy(0..file.len, &mut Vec::new(), out)
            });
        }
        let Some(Some(Joined { sides: [here, there], ids })) = self.rows.get(at) else { return Ok(()) };
        write::rows(&self.picked.picks, [here, there], ids.as_ref(), out)
    }
}

impl Clash {
    /// Clash of an entry with these values, or of one of its fields.
    fn new(id: &str, field: Option<&str>, here: Option<&str>, there: Option<&str>) -> Result<Self, Unmerged> {
        let read =
            |text: Option<&str>| text.and_then(|text| fields::Object::read(text.to_owned()).ok().flatten());
        let objects = [read(here), read(there)];
        let saying = objects.iter().flatten().find_map(|object| {
            let texts = SAYING.iter().filter_map(|name| object.value(name));
            texts.filter_map(|text| serde_json::from_str::<String>(text).ok()).next()
        });
        let of = |object: &Option<fields::Object>, whole: Option<&str>| match field {
            Some(field) => object.as_ref().and_then(|object| object.value(field)).map(begin),
            None => whole.map(begin),
        };
        let [ours, theirs] = &objects;
        Ok(Self {
            id: Some(id.to_owned()),
            words: begin(&saying.unwrap_or_default()),
            field: field.map(ToOwned::to_owned),
            here: of(ours, here),
            there: of(theirs, there),
            ranks: None,
        })
    }

    fn of_the_document(field: &str, here: Option<&str>, there: Option<&str>) -> Self {
        let (here, there) = (here.map(begin), there.map(begin));
        Self { id: None, words: String::new(), field: Some(field.to_owned()), here, there, ranks: None }
    }
}

/// Beginning of a text, in one line.
fn begin(text: &str) -> String {
    let mut short: String = text.chars().take(TOLD).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(TOLD).is_some() {
        short.push('…');
    }
    short
}

/// True if all files of two versions have the same bytes.
fn same(one: &Side<'_>, other: &Side<'_>) -> io::Result<bool> {
    if one.rows.is_empty() {
        return Ok(false);
    }
    for (one, other) in files(one).into_iter().zip(files(other)) {
        if !document::same([one, other], [0..one.len(), 0..other.len()])? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn files<'a>(side: &Side<'a>) -> Vec<Block<'a>> {
    let all = std::iter::once(&side.corpus).chain(&side.rows);
    all.map(|file| Block::new(file.file, file.len)).collect()
}
