//! Reads a document once, from its beginning to its end, for the entries in it.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;

use super::{Entry, ID, Id, Shape};
use crate::merge::value::{is_number, number};
use crate::merge::{Unmerged, Version};
use crate::vault::validate::{Json, JsonError, Name};

/// Longest id in the text of a map, in bytes.
const LONGEST_ID: usize = 64 << 10;

/// Search of a document for its entries.
#[derive(Clone, Copy)]
pub(super) struct Scan<'s> {
    /// Member that holds the entries, if the document has it.
    pub(super) key: &'s str,
    /// Members that make no change.
    pub(super) quiet: &'s BTreeSet<String>,
    pub(super) version: Version,
}

/// The list or map with the entries.
pub(super) struct Container {
    pub(super) entries: Entries,
    pub(super) shape: Shape,
    /// Between the brackets.
    pub(super) inside: Range<u64>,
    /// True if a member of the document holds it.
    pub(super) nested: bool,
}

/// Entries up to the first one that cannot be taken: that only counts if nothing else holds the
/// entries.
#[derive(Default)]
pub(super) struct Entries {
    entries: Vec<Entry>,
    wrong: Option<Unmerged>,
    numbered: Numbered,
}

impl Scan<'_> {
    /// Finds the entries. None if the member [`Scan::key`] stands there twice.
    pub(super) fn read(self, json: &mut Json<'_>) -> Result<Option<Container>, JsonError> {
        let found = match json.token()? {
            b'[' => Some(self.container(json, false)?),
            b'{' => self.object(json)?,
            _ => {
                let key = self.key;
                return json.wrong(format!("expected an array, an object with `{key}`, or a map by id"));
            }
        };
        match json.token() {
            Err(JsonError::Ended) => Ok(found),
            Ok(_) => json.wrong("trailing characters"),
            Err(other) => Err(other),
        }
    }

    /// The document is an object: its member holds the entries, or it is a map of them.
    fn object(self, json: &mut Json<'_>) -> Result<Option<Container>, JsonError> {
        let start = json.text().position();
        let (mut inner, mut twice, mut entries) = (None, false, Entries::default());
        json.members(LONGEST_ID, |json, name| {
            json.token()?;
            if name.is(self.key) {
                twice |= inner.is_some();
                inner = Some(self.container(json, true)?);
            } else if inner.is_none() {
                self.of_map(json, name, &mut entries)?;
            } else {
                must_be_short(json, name.text)?;
                json.skip()?;
            }
            Ok(())
        })?;
        let inside = start + 1..json.text().position() - 1;
        let whole = Container { entries, shape: Shape::Map, inside, nested: false };
        Ok((!twice).then(|| inner.unwrap_or(whole)))
    }

    fn container(self, json: &mut Json<'_>, nested: bool) -> Result<Container, JsonError> {
        let mut entries = Entries::default();
        let start = json.text().position();
        let shape = match json.token()? {
            b'[' => {
                json.array(|json| self.of_list(json, &mut entries))?;
                Shape::List
            }
            b'{' => {
                json.members(LONGEST_ID, |json, name| self.of_map(json, name, &mut entries))?;
                Shape::Map
            }
            _ => return json.wrong("expected an array or an object"),
        };
        let inside = start + 1..json.text().position() - 1;
        Ok(Container { entries, shape, inside, nested })
    }

    fn of_list(self, json: &mut Json<'_>, entries: &mut Entries) -> Result<(), JsonError> {
        let (seen, value) = self.value(json, entries.entries.len(), Shape::List, &entries.numbered)?;
        entries.push(seen, value.clone(), value, self.version);
        Ok(())
    }

    /// The value of the entry of this name.
    fn of_map(self, json: &mut Json<'_>, name: Name<'_>, entries: &mut Entries) -> Result<(), JsonError> {
        must_be_short(json, name.text)?;
        let id = match name.plain() {
            Ok(id) => id,
            Err(why) => return json.wrong(why),
        };
        let (mut seen, value) = self.value(json, entries.entries.len(), Shape::Map, &entries.numbered)?;
        seen.id = Some(Id::text(&id));
        entries.push(seen, name.at..value.end, value, self.version);
        Ok(())
    }

    /// Passes the value of an entry, and notes what is in it and where it stands.
    fn value(
        self,
        json: &mut Json<'_>,
        at: usize,
        shape: Shape,
        numbered: &Numbered,
    ) -> Result<(Seen, Range<u64>), JsonError> {
        let first = json.token()?;
        json.mark();
        let start = json.text().position();
        let mut seen = Seen::default();
        if first == b'{' {
            let mut names: Vec<String> = Vec::new();
            json.members(usize::MAX, |json, name| {
                json.token()?;
                let from = json.text().position() - start;
                json.skip()?;
                let value = json.text().marked().and_then(|all| all.get(usize::try_from(from).ok()?..));
                let value = value.unwrap_or_default();
                let name = match name.plain() {
                    Ok(name) => name,
                    Err(why) => {
                        seen.wrong = Some(why);
                        return Ok(());
                    }
                };
                if shape == Shape::List && name == ID {
                    seen.id = std::str::from_utf8(value).ok().and_then(Id::read);
                }
                if numbered.wants(&name, at) && !self.quiet.contains(&name) && is_row(value, at) {
                    seen.numbers.push(name.clone());
                }
                names.push(name);
                Ok(())
            })?;
            names.sort_unstable();
            let same = |two: &[String]| two.first().filter(|one| Some(*one) == two.get(1)).cloned();
            seen.twice = names.windows(2).find_map(same);
        } else {
            json.skip()?;
        }
        seen.too_long = json.text().marked().is_none();
        Ok((seen, start..json.text().position()))
    }
}

/// Findings in an entry.
#[derive(Default)]
struct Seen {
    id: Option<Id>,
    /// A name that stands there twice.
    twice: Option<String>,
    /// Members that are the number of the entry.
    numbers: Vec<String>,
    /// Cause for which it cannot be read.
    wrong: Option<String>,
    too_long: bool,
}

impl Entries {
    fn push(&mut self, seen: Seen, text: Range<u64>, value: Range<u64>, version: Version) {
        let Seen { id, twice, numbers, wrong, too_long } = seen;
        let at = self.entries.len();
        let found = match (id, twice, wrong) {
            _ if too_long => Err(Unmerged::TooLong { version, at: value.start }),
            (_, _, Some(why)) => Err(Unmerged::Damaged { version, why }),
            (_, Some(name), None) => Err(Unmerged::NamedTwice { version, name }),
            (None, None, None) => Err(Unmerged::NoId { version, at }),
            (Some(id), None, None) => Ok(id),
        };
        match found {
            Ok(id) if self.wrong.is_none() => {
                self.numbered.look(at, numbers);
                self.entries.push(Entry { id, text, value, said: OnceCell::new() });
            }
            Ok(_) => {}
            Err(error) => drop(self.wrong.get_or_insert(error)),
        }
    }

    /// All of them, if each can be taken, and the members that are the number of each.
    pub(super) fn all(self) -> Result<(Vec<Entry>, Vec<String>), Unmerged> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        let numbers = self.numbered.fields(self.entries.len());
        Ok((self.entries, numbers))
    }
}

/// Members that are the number of their entry, counted from 0, in every entry so far.
#[derive(Default)]
struct Numbered(Vec<String>);

impl Numbered {
    /// True if it matters whether this member of an entry is its number.
    fn wants(&self, name: &String, at: usize) -> bool {
        at == 0 || self.0.contains(name)
    }

    fn look(&mut self, at: usize, found: Vec<String>) {
        if at == 0 {
            self.0 = found;
        } else if !self.0.is_empty() {
            self.0.retain(|name| found.contains(name));
        }
    }

    /// Such members. One entry alone says nothing: many fields begin at 0.
    fn fields(self, entries: usize) -> Vec<String> {
        if entries > 1 { self.0 } else { Vec::new() }
    }
}

/// True if a value is this number.
fn is_row(value: &[u8], at: usize) -> bool {
    let text = std::str::from_utf8(value).ok().filter(|text| is_number(text));
    text.is_some_and(|text| number(text) == number(&at.to_string()))
}

fn must_be_short(json: &Json<'_>, name: &[u8]) -> Result<(), JsonError> {
    if name.len() > LONGEST_ID {
        return json.wrong(format!("a name of more than {LONGEST_ID} bytes"));
    }
    Ok(())
}
