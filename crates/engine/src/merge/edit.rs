//! Changes single memories of a corpus, by id: puts and deletions, each with its vector.
//!
//! Pure, like the merge, and by the same means: untouched entries keep their very bytes, and a row
//! goes with its entry. An index whose rows are those of the array follows it; another one is left
//! as it is, for nobody knows what it was computed from.
//!
//! Several changes may be taken one after the other ([`Editing`]): each finds the state that those
//! before it leave, and all are written once.

mod editing;
mod staged;
mod vector;

use std::io::{self, Read, Write};

use super::document::{Document, Id};
use super::frame::Around;
use super::rows::{FLOATS, Rows, Run};
use super::table::Source;
use super::{Names, Unmerged, Version, rows, write};
use crate::fs::ReadFile;
use crate::model::{Digest, FileStat};
use crate::vault::validate::{Block, Kind};
pub use editing::{Editing, Step, Touched};
pub use staged::{Unusable, rows_of};

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
    /// A row of another array, which must be of the same type and dimension.
    Row(Row),
}

/// A row of an array that is not the vault's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Type of its elements, in the words of numpy.
    pub dtype: String,
    /// Number of its elements.
    pub columns: u64,
    /// Where it was found, for messages.
    pub of: String,
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

/// A corpus with the files of its rows, read to be changed.
pub struct Editable<'a> {
    names: Names,
    stood: Stood<'a>,
    document: Document<'a>,
    array: Option<Rows<'a>>,
}

/// Changed files, ready to be written.
pub struct Edited<'a> {
    of: &'a Editable<'a>,
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
    /// The array, which is written anew.
    Array,
    /// An index that is written anew.
    Index(Rows<'a>, Option<Vec<i64>>),
    /// An array that does not exist yet, of so many columns.
    Begun(u64),
    /// It stays as it is.
    Left,
}

impl<'a> Editable<'a> {
    /// Reads the files that are to be changed.
    ///
    /// # Errors
    /// If they cannot be read as memories, or do not fit together.
    pub fn read(names: Names, stood: Stood<'a>) -> Result<Self, Unedited> {
        let none_yet = super::File { file: &NoneYet, len: NONE_YET.len() as u64 };
        let corpus = stood.corpus.unwrap_or(none_yet);
        let document = Document::read(Block::new(corpus.file, corpus.len), &names, Version::Now)?;
        let array = array(&names, &stood, document.entries.len())?;
        Ok(Self { names, stood, document, array })
    }

    /// Place of the array among the files of rows.
    fn matrix(&self) -> Option<usize> {
        self.names.rows.iter().position(|(kind, _)| *kind == Kind::Matrix)
    }
}

impl<'a> Edited<'a> {
    fn new(of: &'a Editable<'a>, texts: Vec<Source>, places: Vec<Place>) -> Result<Self, Unedited> {
        let around = Around::counted(&of.document, texts.len())?;
        let is_old = |(at, text): (usize, &Source)| *text == Source::There(at);
        let fewer = texts.len() != of.document.entries.len();
        let corpus_differs = fewer || !texts.iter().enumerate().all(is_old);
        let rows_differ = fewer || places.iter().enumerate().any(|(at, place)| *place != Place::Old(at));
        let files = follow(of, &places, rows_differ)?;
        Ok(Self { of, around, texts, places, files, corpus_differs, rows_differ })
    }

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
        let documents = [&self.of.document, &self.of.document];
        write::corpus(self.texts.iter(), documents, &self.around, out)
    }

    /// Writes the file of rows at this place of [`Names::rows`].
    ///
    /// # Errors
    /// Errors of reading and writing.
    pub fn write_rows(&self, at: usize, out: &mut dyn Write) -> io::Result<()> {
        let count = self.places.len() as u64;
        let (file, ids) = match (self.files.get(at), &self.of.array) {
            (Some(Followed::Index(file, ids)), _) => (file, ids.as_ref()),
            (Some(Followed::Array), Some(array)) => (array, None),
            (Some(Followed::Begun(columns)), _) => {
                out.write_all(&rows::matrix_head(FLOATS, count, *columns))?;
                return self.places.iter().try_for_each(|place| match place {
                    Place::New(row) => out.write_all(row),
                    Place::Old(_) => Ok(()),
                });
            }
            _ => return Ok(()),
        };
        let runs = self.places.chunk_by(next).filter_map(|run| match run.first()? {
            Place::Old(at) => Some(Run::Of(file, *at, run.len())),
            Place::New(row) => Some(Run::New(row)),
        });
        rows::write(file, count, runs, ids, out)
    }
}

/// True if both rows stand one after the other in the old file.
const fn next(one: &Place, other: &Place) -> bool {
    matches!((one, other), (Place::Old(one), Place::Old(other)) if *other == *one + 1)
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

/// Fate of each file of rows.
fn follow<'a>(
    of: &'a Editable<'a>,
    places: &[Place],
    rows_differ: bool,
) -> Result<Vec<Followed<'a>>, Unmerged> {
    let mut files = Vec::with_capacity(of.names.rows.len());
    for ((kind, name), file) in of.names.rows.iter().zip(&of.stood.rows) {
        if *kind == Kind::Matrix || !rows_differ {
            files.push(Followed::Left);
            continue;
        }
        let read = file.map(|file| Rows::read(Block::new(file.file, file.len), kind, Version::Now, name));
        let index = match (read, &of.array) {
            (Some(Err(Unmerged::Io(error))), _) => return Err(error.into()),
            (Some(Ok(index)), Some(array)) if index.has_rows_of(array)? => index,
            _ => {
                files.push(Followed::Left);
                continue;
            }
        };
        let old = places.iter().map(|place| match place {
            Place::Old(at) => Some(*at),
            Place::New(_) => None,
        });
        files.push(index.ids_after(old).map_or(Followed::Left, |ids| Followed::Index(index, ids)));
    }
    let new = places.iter().find_map(|place| match place {
        Place::New(row) if !row.is_empty() => Some(row.len() / size_of::<f32>()),
        _ => None,
    });
    if let Some(place) = of.matrix().and_then(|at| files.get_mut(at)) {
        *place = match (&of.array, new) {
            (Some(_), _) => Followed::Array,
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
