//! A corpus as spans: where each entry stands, what identifies it, and the frame around them.
//!
//! The document is read once ([`scan`]). What an entry says is only read where somebody asks for it:
//! entries of the same bytes say the same. Nothing of the document stays in memory but the frame,
//! which is the text outside of the list.

mod ahead;
mod scan;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::value::{Unread, digest, digest_of_members, members};
use super::{Names, Unmerged, Version};
use crate::model::Digest;
use crate::vault::validate::{Block, Json, JsonError, LONGEST_MARKED, Text};
use ahead::Ahead;
pub(super) use ahead::{alike, same};
use scan::{Container, Scan};

/// Longest entry, and the longest frame, in bytes.
const LONGEST: u64 = LONGEST_MARKED as u64;
/// Stands for the list in a frame.
pub(super) const HOLE: &str = "null";
/// Member of an entry that identifies it.
pub(super) const ID: &str = "id";

/// How a corpus holds its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Objects with an id each.
    List,
    /// Values by id.
    Map,
}

/// Identity of an entry: a text, with a quotation mark before it, or a whole number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Id(String);

impl Id {
    /// An id that is a text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(format!("\"{text}"))
    }

    /// The id that a JSON value says. None if it is neither a text nor a whole number.
    #[must_use]
    pub fn read(json: &str) -> Option<Self> {
        if json.starts_with('"') {
            return serde_json::from_str::<String>(json).ok().map(|text| Self::text(&text));
        }
        let is_whole = json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && json != "-0";
        (is_whole && !json.is_empty()).then(|| Self(json.to_owned()))
    }

    /// The text of a whole number. None of an id that is a text.
    #[must_use]
    pub fn number(&self) -> Option<&str> {
        (!self.0.starts_with('"')).then_some(self.0.as_str())
    }

    /// The id as people write it.
    #[must_use]
    pub fn told(&self) -> &str {
        self.0.strip_prefix('"').unwrap_or(&self.0)
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<i64> for Id {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

/// Entry of a corpus.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Id,
    /// All of its text; in a map with its name.
    pub(super) text: Range<u64>,
    /// Its value alone.
    pub(super) value: Range<u64>,
    said: OnceCell<Said>,
}

/// Content of an entry, however it is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// Digest of its content, without the id.
    pub(super) content: Digest,
    /// The same without quiet members.
    pub(super) essence: Digest,
}

/// Text outside of the list, which a [`HOLE`] stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) text: String,
    /// Position of the hole.
    pub(super) hole: usize,
    /// Name of the member that holds the list. None if the document is the list.
    pub(super) key: Option<String>,
}

/// A corpus.
pub(super) struct Document<'a> {
    pub(super) version: Version,
    block: Block<'a>,
    pub(super) shape: Shape,
    /// Between the brackets.
    pub(super) inside: Range<u64>,
    pub(super) entries: Vec<Entry>,
    pub(super) frame: Frame,
    /// Members that are the number of their entry, counted from 0, in every entry.
    numbers: Vec<String>,
    /// Members that make no change.
    quiet: BTreeSet<String>,
    ahead: RefCell<Ahead>,
}

impl<'a> Document<'a> {
    /// Reads a corpus, whose entries the names tell how to find and to compare.
    pub(super) fn read(block: Block<'a>, names: &Names, version: Version) -> Result<Self, Unmerged> {
        let key = names.key.as_str();
        let quiet = names.rules.quiet.clone();
        let damaged = |why: String| Unmerged::Damaged { version, why };
        let mut json = Json::new(Text::new(block));
        let found = Scan { key, quiet: &quiet, version }.read(&mut json);
        if let Some(at) = json.text().wrong() {
            return Err(damaged(format!("it is not UTF-8 at byte {at}")));
        }
        let container = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Err(Unmerged::NamedTwice { version, name: key.to_owned() }),
            Err(JsonError::Io(error)) => return Err(error.into()),
            Err(JsonError::Ended) => return Err(damaged("it ends inside of what it says".to_owned())),
            Err(JsonError::At(at, why)) => return Err(damaged(format!("{why} at byte {at}"))),
        };
        let Container { entries, shape, inside, nested } = container;
        let frame = frame(block, version, &inside, nested.then_some(key))?;
        let ((entries, numbers), ahead) = (entries.all()?, RefCell::default());
        let document = Self { version, block, shape, inside, entries, frame, numbers, quiet, ahead };
        document.places()?;
        Ok(document)
    }

    /// Refuses a corpus with a member that is the number of each entry, if it `matters`: entries
    /// change their places.
    pub(super) fn must_not_number(&self, matters: impl Fn(&str) -> bool) -> Result<(), Unmerged> {
        let field = self.numbers.iter().find(|field| matters(field.as_str()));
        let version = self.version;
        field.map_or(Ok(()), |field| Err(Unmerged::RowNumber { version, field: field.clone() }))
    }

    /// Place of each id.
    pub(super) fn places(&self) -> Result<HashMap<&Id, usize>, Unmerged> {
        let mut places = HashMap::with_capacity(self.entries.len());
        for (at, entry) in self.entries.iter().enumerate() {
            if places.insert(&entry.id, at).is_some() {
                return Err(Unmerged::IdTwice { version: self.version, id: entry.id.told().to_owned() });
            }
        }
        Ok(places)
    }

    /// Text of a part of the document.
    pub(super) fn text(&self, span: &Range<u64>) -> Result<String, Unmerged> {
        Ok(self.ahead.borrow_mut().text(self.block, span, self.version)?.to_owned())
    }

    /// Content of an entry, which is read when it is first asked for.
    pub(super) fn said(&self, entry: &Entry) -> Result<Said, Unmerged> {
        if let Some(said) = entry.said.get() {
            return Ok(*said);
        }
        let said = self.read_said(&entry.value)?;
        Ok(*entry.said.get_or_init(|| said))
    }

    fn read_said(&self, value: &Range<u64>) -> Result<Said, Unmerged> {
        let mut ahead = self.ahead.borrow_mut();
        let text = ahead.text(self.block, value, self.version)?;
        let unread = |error| unread(error, self.version);
        let Some(members) = members(text).map_err(unread)? else {
            let whole = digest(text).map_err(unread)?;
            return Ok(Said { content: whole, essence: whole });
        };
        let is_id = |name: &str| self.shape == Shape::List && name == ID;
        let without = |is_out: &dyn Fn(&str) -> bool| {
            let rest = members.iter().filter(|one| !is_id(&one.name) && !is_out(&one.name));
            digest_of_members(rest.map(|one| (one.name.as_str(), one.digest)))
        };
        let content = without(&|_| false);
        let has_quiet = members.iter().any(|one| self.quiet.contains(&one.name));
        let essence = if has_quiet { without(&|name| self.quiet.contains(name)) } else { content };
        Ok(Said { content, essence })
    }

    /// True if an entry has the same bytes as one of another version.
    pub(super) fn spells(&self, entry: &Entry, other: &Document<'_>, there: &Entry) -> io::Result<bool> {
        let len = |entry: &Entry| entry.value.end - entry.value.start;
        if len(entry) != len(there) {
            return Ok(false);
        }
        let (mut ours, mut theirs) = (self.ahead.borrow_mut(), other.ahead.borrow_mut());
        Ok(ours.bytes(self.block, &entry.value)? == theirs.bytes(other.block, &there.value)?)
    }

    pub(super) const fn block(&self) -> Block<'a> {
        self.block
    }
}

/// Error of a version of which a value cannot be compared.
pub(super) fn unread(error: Unread, version: Version) -> Unmerged {
    match error {
        Unread::Twice(name) => Unmerged::NamedTwice { version, name },
        Unread::Other(why) => Unmerged::Damaged { version, why },
    }
}

fn frame(
    block: Block<'_>,
    version: Version,
    inside: &Range<u64>,
    key: Option<&str>,
) -> Result<Frame, Unmerged> {
    let mut ahead = Ahead::default();
    let before = ahead.text(block, &(0..inside.start - 1), version)?.to_owned();
    let after = ahead.text(block, &(inside.end + 1..block.len()), version)?;
    let text = format!("{before}{HOLE}{after}");
    Ok(Frame { text, hole: before.len(), key: key.map(ToOwned::to_owned) })
}

#[cfg(test)]
mod tests;
