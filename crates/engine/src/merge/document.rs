//! A corpus as spans: where each entry stands, what identifies it, and the frame around them.
//!
//! The document is read twice: once by the reader that validates it, for the spans, and once entry
//! by entry, for ids and digests. Nothing of it stays in memory but the frame, which is the text
//! outside of the list.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::value::{Unread, digest, digest_of_members, members};
use super::{Names, Unmerged, Version};
use crate::model::Digest;
use crate::vault::validate::{Block, Json, JsonError, Text};

/// Longest entry, and the longest frame, in bytes.
const LONGEST: u64 = 64 << 20;
/// Longest id in the text of a map, in bytes.
const LONGEST_ID: usize = 64 << 10;
/// Bytes read at once.
const AHEAD: u64 = 256 << 10;
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
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: Id,
    /// All of its text; in a map with its name.
    pub(super) text: Range<u64>,
    /// Its value alone.
    pub(super) value: Range<u64>,
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
}

impl<'a> Document<'a> {
    /// Reads a corpus, whose entries the names tell how to find and to compare.
    pub(super) fn read(block: Block<'a>, names: &Names, version: Version) -> Result<Self, Unmerged> {
        let key = names.key.as_str();
        let damaged = |why: String| Unmerged::Damaged { version, why };
        let mut json = Json::new(Text::new(block));
        let found = Found::read(&mut json, key);
        if let Some(at) = json.text().wrong() {
            return Err(damaged(format!("it is not UTF-8 at byte {at}")));
        }
        let Found { spans, shape, inside, nested } = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Err(Unmerged::NamedTwice { version, name: key.to_owned() }),
            Err(JsonError::Io(error)) => return Err(error.into()),
            Err(JsonError::Ended) => return Err(damaged("it ends inside of what it says".to_owned())),
            Err(JsonError::At(at, why)) => return Err(damaged(format!("{why} at byte {at}"))),
        };
        let mut reader = Reader::new(block);
        let frame = frame(&mut reader, version, &inside, nested.then_some(key))?;
        let mut entries = Vec::with_capacity(spans.len());
        let mut numbered = Numbered::default();
        for (at, Spans { text, value, name }) in spans.into_iter().enumerate() {
            let bytes = reader.text(&value, version)?;
            let unread = |error| unread(error, version);
            let members = members(bytes).map_err(unread)?;
            let is_id = |name: &str| shape == Shape::List && name == ID;
            let id = match &name {
                Some(name) => Some(Id::text(name)),
                None => members
                    .iter()
                    .flatten()
                    .find(|one| is_id(&one.name))
                    .and_then(|one| Id::read(bytes.get(one.value.clone()).unwrap_or_default())),
            };
            let id = id.ok_or(Unmerged::NoId { version, at })?;
            let (content, essence) = match &members {
                Some(all) => {
                    let loud = all.iter().filter(|one| !names.rules.quiet.contains(&one.name));
                    numbered.look(at, loud.map(|one| (one.name.as_str(), one.digest)));
                    let without = |is_out: &dyn Fn(&str) -> bool| {
                        let rest = all.iter().filter(|one| !is_id(&one.name) && !is_out(&one.name));
                        digest_of_members(rest.map(|one| (one.name.as_str(), one.digest)))
                    };
                    (without(&|_| false), without(&|name| names.rules.quiet.contains(name)))
                }
                None => {
                    numbered.look(at, std::iter::empty());
                    let whole = digest(bytes).map_err(unread)?;
                    (whole, whole)
                }
            };
            entries.push(Entry { id, text, value, content, essence });
        }
        if let Some(field) = numbered.field(entries.len()) {
            return Err(Unmerged::RowNumber { version, field });
        }
        let document = Self { version, block, shape, inside, entries, frame };
        document.places()?;
        Ok(document)
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
        Ok(Reader::new(self.block).text(span, self.version)?.to_owned())
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

/// Members that are the number of their entry, counted from 0, in every entry so far.
#[derive(Default)]
struct Numbered(Vec<String>);

impl Numbered {
    fn look<'m>(&mut self, at: usize, members: impl Iterator<Item = (&'m str, Digest)>) {
        let Ok(wanted) = digest(&at.to_string()) else { return };
        let found = members.filter(|(_, digest)| *digest == wanted).map(|(name, _)| name);
        if at == 0 {
            self.0 = found.map(ToOwned::to_owned).collect();
        } else if !self.0.is_empty() {
            let found: Vec<&str> = found.collect();
            self.0.retain(|name| found.contains(&name.as_str()));
        }
    }

    /// Such a member. One entry alone says nothing: many fields begin at 0.
    fn field(self, entries: usize) -> Option<String> {
        self.0.into_iter().next().filter(|_| entries > 1)
    }
}

/// Spans of one entry.
struct Spans {
    text: Range<u64>,
    value: Range<u64>,
    /// Its name in a map.
    name: Option<String>,
}

/// Spans of a document.
struct Found {
    spans: Vec<Spans>,
    shape: Shape,
    inside: Range<u64>,
    /// True if a member of the document holds the list.
    nested: bool,
}

impl Found {
    /// Finds the entries. None if the member `key` stands there twice.
    fn read(json: &mut Json<'_>, key: &str) -> Result<Option<Self>, JsonError> {
        let found = match json.token()? {
            b'[' => Some(Self::container(json, false)?),
            b'{' => {
                let start = json.text().position();
                let (mut inner, mut twice, mut spans) = (None, false, Vec::new());
                json.members(LONGEST_ID, |json, name| {
                    json.token()?;
                    if name.is(key) {
                        twice |= inner.is_some();
                        inner = Some(Self::container(json, true)?);
                        return Ok(());
                    }
                    spans.extend(entry(json, name.at, name.text, inner.is_none())?);
                    Ok(())
                })?;
                let inside = start + 1..json.text().position() - 1;
                let whole = Self { spans, shape: Shape::Map, inside, nested: false };
                (!twice).then(|| inner.unwrap_or(whole))
            }
            _ => return json.wrong(format!("expected an array, an object with `{key}`, or a map by id")),
        };
        match json.token() {
            Err(JsonError::Ended) => Ok(found),
            Ok(_) => json.wrong("trailing characters"),
            Err(other) => Err(other),
        }
    }

    fn container(json: &mut Json<'_>, nested: bool) -> Result<Self, JsonError> {
        let mut spans = Vec::new();
        let start = json.text().position();
        let shape = match json.token()? {
            b'[' => {
                json.array(|json| {
                    json.token()?;
                    let at = json.text().position();
                    json.skip()?;
                    let value = at..json.text().position();
                    spans.push(Spans { text: value.clone(), value, name: None });
                    Ok(())
                })?;
                Shape::List
            }
            b'{' => {
                json.members(LONGEST_ID, |json, name| {
                    json.token()?;
                    spans.extend(entry(json, name.at, name.text, true)?);
                    Ok(())
                })?;
                Shape::Map
            }
            _ => return json.wrong("expected an array or an object"),
        };
        Ok(Self { spans, shape, inside: start + 1..json.text().position() - 1, nested })
    }
}

/// Skips the value of a map's entry. None if it is not `wanted`.
fn entry(json: &mut Json<'_>, at: u64, name: &[u8], wanted: bool) -> Result<Option<Spans>, JsonError> {
    let start = json.text().position();
    if name.len() > LONGEST_ID {
        return json.wrong(format!("a name of more than {LONGEST_ID} bytes"));
    }
    let quoted = [b"\"", name, b"\""].concat();
    json.skip()?;
    let end = json.text().position();
    if !wanted {
        return Ok(None);
    }
    match serde_json::from_slice::<String>(&quoted) {
        Ok(name) => Ok(Some(Spans { text: at..end, value: start..end, name: Some(name) })),
        Err(error) => json.wrong(error.to_string()),
    }
}

fn frame(
    reader: &mut Reader<'_>,
    version: Version,
    inside: &Range<u64>,
    key: Option<&str>,
) -> Result<Frame, Unmerged> {
    let before = reader.text(&(0..inside.start - 1), version)?.to_owned();
    let after = reader.text(&(inside.end + 1..reader.block.len()), version)?;
    let text = format!("{before}{HOLE}{after}");
    Ok(Frame { text, hole: before.len(), key: key.map(ToOwned::to_owned) })
}

/// Texts of a document that is read from its beginning to its end.
struct Reader<'a> {
    block: Block<'a>,
    ahead: Vec<u8>,
    from: u64,
}

impl<'a> Reader<'a> {
    const fn new(block: Block<'a>) -> Self {
        Self { block, ahead: Vec::new(), from: 0 }
    }

    fn text(&mut self, span: &Range<u64>, version: Version) -> Result<&str, Unmerged> {
        let len = span.end - span.start;
        if len > LONGEST {
            return Err(Unmerged::TooLong { version, at: span.start });
        }
        let there = self.from..self.from + self.ahead.len() as u64;
        if len == 0 {
            return Ok("");
        }
        if span.start < there.start || span.end > there.end {
            // A single text is read by itself: nothing says that more will be wanted.
            let more = if self.ahead.is_empty() { len } else { len.max(AHEAD) };
            let wanted = more.min(self.block.len() - span.start);
            self.ahead.resize(usize::try_from(wanted).map_err(io::Error::other)?, 0);
            self.block.fill(&mut self.ahead, span.start)?;
            self.from = span.start;
        }
        let start = usize::try_from(span.start - self.from).map_err(io::Error::other)?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let bytes = self.ahead.get(start..start + len).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|error| Unmerged::Damaged { version, why: error.to_string() })
    }
}
