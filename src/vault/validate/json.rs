//! Counting the entries of a corpus without holding it: an array, an object with a member of the corpus's name, or a map by id.
//!
//! The whole file is read and must be one JSON document in UTF-8. Nothing of it is kept, so a file of a gigabyte needs a buffer.

use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Unfit;
use super::block::Block;

/// How many entries the corpus has; `key` is the member that holds them, in an object that has it.
pub(super) fn count(block: Block<'_>, key: &str) -> Result<u64, Unfit> {
    read(block, Corpus { key })
}

/// Reads the document with `seed`.
pub(super) fn read<T>(
    block: Block<'_>,
    seed: impl for<'de> DeserializeSeed<'de, Value = T>,
) -> Result<T, Unfit> {
    let mut text = Utf8::new(block.stream(0, block.len()));
    let mut json = serde_json::Deserializer::from_reader(io::BufReader::with_capacity(64 << 10, &mut text));
    let value = seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    drop(json);
    let wrong = text.wrong;
    match value {
        Ok(value) if wrong.is_none() => Ok(value),
        _ if wrong.is_some() => {
            Err(Unfit::broken(format!("it is not UTF-8 at byte {}", wrong.unwrap_or_default())))
        }
        Ok(value) => Ok(value),
        Err(error) if error.is_io() => Err(Unfit::Io(error.into())),
        Err(error) if error.is_eof() => {
            Err(Unfit::broken(format!("it ends at byte {}, inside of what it says", block.len())))
        }
        Err(error) => Err(Unfit::broken(error.to_string())),
    }
}

struct Corpus<'a> {
    key: &'a str,
}

impl<'de> DeserializeSeed<'de> for Corpus<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<u64, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Corpus<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array, an object with `{}`, or a map by id", self.key)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<u64, A::Error> {
        entries(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let (mut members, mut inside) = (0, None);
        while let Some(is_key) = map.next_key_seed(IsKey(self.key))? {
            members += 1;
            if is_key {
                inside = Some(map.next_value_seed(Entries(self.key))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(inside.unwrap_or(members))
    }
}

/// Whether a member's name is the one that is looked for; the name itself is not kept.
pub(super) struct IsKey<'a>(pub(super) &'a str);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// The entries of an array or an object.
pub(super) struct Entries<'a>(pub(super) &'a str);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<u64, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array or an object in `{}`", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<u64, A::Error> {
        entries(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let mut members = 0;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            members += 1;
        }
        Ok(members)
    }
}

fn entries<'de, A: SeqAccess<'de>>(mut list: A) -> Result<u64, A::Error> {
    let mut count = 0;
    while list.next_element::<IgnoredAny>()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Passes bytes on and notes where they stop being UTF-8. The JSON reader skips over texts without looking into them.
struct Utf8<R> {
    from: R,
    at: u64,
    /// Bytes at the end of the last block that may begin a character.
    open: Vec<u8>,
    wrong: Option<u64>,
}

impl<R> Utf8<R> {
    fn new(from: R) -> Self {
        Self { from, at: 0, open: Vec::with_capacity(8), wrong: None }
    }

    fn check(&mut self, block: &[u8]) {
        if self.wrong.is_some() {
            return;
        }
        let start = self.at - self.open.len() as u64;
        let mut rest = block;
        let mut base = self.at;
        // A character that began in the block before is completed byte by byte.
        while !self.open.is_empty() {
            let Some((&byte, after)) = rest.split_first() else { return };
            self.open.push(byte);
            (rest, base) = (after, base + 1);
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    self.wrong = Some(start);
                    return;
                }
            }
        }
        if let Err(error) = std::str::from_utf8(rest) {
            let valid = error.valid_up_to();
            match error.error_len() {
                Some(_) => self.wrong = Some(base + valid as u64),
                None => self.open = rest.get(valid..).unwrap_or_default().to_vec(),
            }
        }
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(out)?;
        let block = out.get(..count).unwrap_or_default();
        self.check(block);
        self.at += count as u64;
        if count == 0 && !out.is_empty() && !self.open.is_empty() && self.wrong.is_none() {
            self.wrong = Some(self.at - self.open.len() as u64);
        }
        // Nothing after that place says anything.
        Ok(if self.wrong.is_some() { 0 } else { count })
    }
}
