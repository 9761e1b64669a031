//! Changes single memories of a corpus, by id: puts and deletions, each with its vector.
//!
//! Pure, like the merge, and by the same means: untouched entries keep their very bytes, and a row
//! goes with its entry. An index whose rows are those of the array follows it; another one is left
//! as it is, for nobody knows what it was computed from.

mod changes;

use std::io::{self, Read, Write};

use super::document::{Document, Id, unread};
use super::fields::Object;
use super::frame::Around;
use super::rows::{FLOATS, Rows, Run};
use super::table::Source;
use super::{Names, Unmerged, Version, rows, write};
use crate::fs::ReadFile;
use crate::model::{Digest, FileStat};
use crate::vault::validate::{Block, Kind};
use changes::Changes;

/// A corpus that does not exist yet.
const NONE_YET: &[u8] = b"[]";

/// Change of one memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// Its id.
    pub id: Id,
    /// Its new state. None deletes it.
    pub put: Option<Put>,
}

/// A memory as it shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// A JSON object. Its member `id` is the memory's id.
    pub entry: String,
    /// Its vector. None leaves the one that it has.
    pub vector: Option<Vector>,
}

/// Vector of a memory.
#[derive(Debug, Clone, PartialEq)]
pub enum Vector {
    /// Its elements, which become elements of the array's type.
    Numbers(Vec<f64>),
    /// Its bytes in the array.
    Bytes(Vec<u8>),
}

/// State that a memory, or one of its fields, must be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Id of the memory.
    pub id: Id,
    /// The field. None for the whole memory.
    pub field: Option<String>,
    /// Its digest ([`super::Found`]). None if it must not exist.
    pub digest: Option<Digest>,
}

/// Cause for which memories are not changed.
#[derive(Debug, thiserror::Error)]
pub enum Unedited {
    /// The files cannot be read as memories, or do not fit together.
    #[error(transparent)]
    Unread(#[from] Unmerged),
    /// A memory or a field is not what was expected.
    #[error("memory {id:?}{} is no longer what was expected", .field.as_ref().map(|field| format!(", field {field:?},")).unwrap_or_default())]
    Changed {
        /// Id of the memory.
        id: String,
        /// The field. None for the whole memory.
        field: Option<String>,
        /// JSON of what stands there. None if there is nothing.
        current: Option<String>,
    },
    /// A change cannot be made as it is.
    #[error("memory {id:?}: {why}")]
    Refused {
        /// Id of the memory.
        id: String,
        /// Cause.
        why: String,
    },
}

/// The files of a corpus as they stand.
#[derive(Clone)]
pub struct Stood<'a> {
    /// The corpus, with its length in bytes. None if there is none yet.
    pub corpus: Option<super::File<'a>>,
    /// Files of rows, in the order of [`Names::rows`]. None for one that does not exist.
    pub rows: Vec<Option<super::File<'a>>>,
}

/// Changed files, ready to be written.
pub struct Edited<'a> {
    document: Document<'a>,
    around: Around,
    texts: Vec<Source>,
    places: Vec<Place>,
    files: Vec<Followed<'a>>,
    corpus_differs: bool,
    rows_differ: bool,
}

/// Row of an entry of the result.
#[derive(Debug, Clone, PartialEq)]
enum Place {
    /// The row that the entry has.
    Old(usize),
    New(Vec<u8>),
}

/// A file of rows.
enum Followed<'a> {
    /// It is written anew.
    Rows(Rows<'a>, Option<Vec<i64>>),
    /// An array that does not exist yet, of so many columns.
    Begun(u64),
    /// It stays as it is.
    Left,
}

/// Changes memories.
///
/// # Errors
/// See [`Unedited`]. Nothing is changed then.
pub fn edit<'a>(
    names: &Names,
    stood: &Stood<'a>,
    expected: &[Expectation],
    edits: &[Edit],
) -> Result<Edited<'a>, Unedited> {
    let none_yet = super::File { file: &NoneYet, len: NONE_YET.len() as u64 };
    let corpus = stood.corpus.unwrap_or(none_yet);
    let document = Document::read(Block::new(corpus.file, corpus.len), names, Version::Now)?;
    let array = array(names, stood, document.entries.len())?;
    meet(&document, expected)?;
    let (texts, places) = Changes::of(&document, array.as_ref(), edits)?.apply()?;
    let files = follow(names, stood, array, &places)?;
    let around = Around::counted(&document, texts.len())?;
    let is_old = |(at, text): (usize, &Source)| *text == Source::There(at);
    let fewer = texts.len() != document.entries.len();
    let corpus_differs = fewer || !texts.iter().enumerate().all(is_old);
    let rows_differ = fewer || places.iter().any(|place| matches!(place, Place::New(_)));
    Ok(Edited { document, around, texts, places, files, corpus_differs, rows_differ })
}

impl Edited<'_> {
    /// True if the corpus is another one now.
    #[must_use]
    pub const fn changes_corpus(&self) -> bool {
        self.corpus_differs
    }

    /// True if the file of rows at this place of [`Names::rows`] is another one now.
    #[must_use]
    pub fn changes_rows(&self, at: usize) -> bool {
        self.rows_differ && !matches!(self.files.get(at), None | Some(Followed::Left))
    }

    /// Writes the corpus.
    ///
    /// # Errors
    /// Errors of reading and writing.
    pub fn write_corpus(&self, out: &mut dyn Write) -> Result<(), Unmerged> {
        let documents = [&self.document, &self.document];
        write::corpus(self.texts.iter(), documents, &self.around, out)
    }

    /// Writes the file of rows at this place of [`Names::rows`].
    ///
    /// # Errors
    /// Errors of reading and writing.
    pub fn write_rows(&self, at: usize, out: &mut dyn Write) -> io::Result<()> {
        let count = self.places.len() as u64;
        match self.files.get(at) {
            Some(Followed::Rows(file, ids)) => {
                let runs = self.places.iter().map(|place| match place {
                    Place::Old(at) => Run::Of(file, *at, 1),
                    Place::New(row) => Run::New(row),
                });
                rows::write(file, count, runs, ids.as_ref(), out)
            }
            Some(Followed::Begun(columns)) => {
                out.write_all(&rows::matrix_head(FLOATS, count, *columns))?;
                self.places.iter().try_for_each(|place| match place {
                    Place::New(row) => out.write_all(row),
                    Place::Old(_) => Ok(()),
                })
            }
            Some(Followed::Left) | None => Ok(()),
        }
    }
}

/// The array beside the corpus. None if there is none.
fn array<'a>(names: &Names, stood: &Stood<'a>, entries: usize) -> Result<Option<Rows<'a>>, Unmerged> {
    let version = Version::Now;
    let mut named = names.rows.iter().zip(&stood.rows);
    let Some(((kind, name), file)) = named.find(|((kind, _), _)| *kind == Kind::Matrix) else {
        return Ok(None);
    };
    let Some(file) = file else {
        let missing = Unmerged::Missing { version, name: name.clone() };
        return if entries > 0 { Err(missing) } else { Ok(None) };
    };
    Rows::of_entries(Block::new(file.file, file.len), kind, (version, name), entries).map(Some)
}

/// Refuses a change that was made for another state.
fn meet(document: &Document<'_>, expected: &[Expectation]) -> Result<(), Unedited> {
    let places = document.places()?;
    for Expectation { id, field, digest } in expected {
        let entry = places.get(id).and_then(|at| document.entries.get(*at));
        let text = entry.map(|entry| document.text(&entry.value)).transpose()?;
        let (found, current) = match (field, entry) {
            (None, entry) => (entry.map(|entry| entry.content), text),
            (Some(_), None) => (None, None),
            (Some(field), Some(_)) => {
                let object = object(&text.unwrap_or_default())?;
                let value = object.as_ref().and_then(|object| object.value(field).map(ToOwned::to_owned));
                (object.as_ref().and_then(|object| object.member(field)).map(|one| one.digest), value)
            }
        };
        if found != *digest {
            let (id, field) = (id.told().to_owned(), field.clone());
            return Err(Unedited::Changed { id, field, current });
        }
    }
    Ok(())
}

fn object(text: &str) -> Result<Option<Object>, Unmerged> {
    Object::read(text.to_owned()).map_err(|error| unread(error, Version::Now))
}

/// Fate of each file of rows.
fn follow<'a>(
    names: &Names,
    stood: &Stood<'a>,
    array: Option<Rows<'a>>,
    places: &[Place],
) -> Result<Vec<Followed<'a>>, Unmerged> {
    let mut files = Vec::with_capacity(names.rows.len());
    for ((kind, name), file) in names.rows.iter().zip(&stood.rows) {
        if *kind == Kind::Matrix {
            files.push(Followed::Left);
            continue;
        }
        let read = file.map(|file| Rows::read(Block::new(file.file, file.len), kind, Version::Now, name));
        let index = match (read, &array) {
            (Some(Err(Unmerged::Io(error))), _) => return Err(error.into()),
            (Some(Ok(index)), Some(array)) if index.has_rows_of(array)? => index,
            _ => {
                files.push(Followed::Left);
                continue;
            }
        };
        files.push(
            match index.ids_after(places.iter().map(|place| match place {
                Place::Old(at) => Some(*at),
                Place::New(_) => None,
            })) {
                Some(ids) => Followed::Rows(index, ids),
                None => Followed::Left,
            },
        );
    }
    let at = names.rows.iter().position(|(kind, _)| *kind == Kind::Matrix);
    let new = places.iter().find_map(|place| match place {
        Place::New(row) if !row.is_empty() => Some(row.len() / size_of::<f32>()),
        _ => None,
    });
    if let Some(place) = at.and_then(|at| files.get_mut(at)) {
        *place = match (array, new) {
            (Some(array), _) => Followed::Rows(array, None),
            (None, Some(columns)) => Followed::Begun(columns as u64),
            (None, None) => Followed::Left,
        };
    }
    Ok(files)
}

/// File with [`NONE_YET`] in it.
struct NoneYet;

impl Read for NoneYet {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl ReadFile for NoneYet {
    fn stat(&self) -> io::Result<FileStat> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = NONE_YET.get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
