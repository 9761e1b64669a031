//! One JSON value in memory: its members as spans of its text, and a digest of what it says.
//!
//! Two values are equal if they say the same: numbers by exact decimal value, texts by their
//! characters, objects whatever the order of their members. White space and spelling do not count.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::Digest;

/// Maximum nesting: each level is read once more for the one around it.
const DEPTH: usize = 64;

/// Member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Name and value in the text of the object.
    pub(super) text: Range<usize>,
    /// Value in the text of the object.
    pub(super) value: Range<usize>,
    /// Digest of the value.
    pub(super) digest: Digest,
}

/// Cause for which a value cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    /// An object names this member twice.
    Twice(String),
    /// It is no JSON that can be read, or too deeply nested.
    Other(String),
}

impl From<serde_json::Error> for Unread {
    fn from(error: serde_json::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// Members of the object that `text` is. None if it is no object.
pub(super) fn members(text: &str) -> Result<Option<Vec<Member>>, Unread> {
    if !is_object(text) {
        return Ok(None);
    }
    let Pairs(pairs) = pairs(text)?;
    let (mut members, mut at) = (Vec::with_capacity(pairs.len()), 0);
    for (name, value) in pairs {
        // A raw value is a part of the text that it was read from.
        let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
        let value_at = start..start + value.get().len();
        let digest = digest_of(value.get(), DEPTH)?;
        let skipped = text.get(at..).unwrap_or_default().find('"').unwrap_or_default();
        members.push(Member { name, text: at + skipped..value_at.end, value: value_at.clone(), digest });
        at = value_at.end;
    }
    Ok(Some(members))
}

/// Digest of what a value says.
pub(super) fn digest(text: &str) -> Result<Digest, Unread> {
    digest_of(text, DEPTH)
}

/// Digest of an object with these members: that of its text, unless one is left out.
pub(super) fn digest_of_members<'a>(members: impl Iterator<Item = (&'a str, Digest)>) -> Digest {
    let mut sorted: Vec<(&str, Digest)> = members.collect();
    sorted.sort_unstable();
    // In one piece: what is hashed part by part is hashed several times as slowly.
    let mut said = b"{".to_vec();
    for (name, digest) in sorted {
        said.extend((name.len() as u64).to_le_bytes());
        said.extend(name.as_bytes());
        said.extend(digest.as_bytes());
    }
    Digest::of(&said)
}

fn digest_of(text: &str, deep: usize) -> Result<Digest, Unread> {
    let Some(deeper) = deep.checked_sub(1) else {
        return Err(Unread::Other(format!("a value is nested more than {DEPTH} times")));
    };
    let text = text.trim_matches([' ', '\n', '\r', '\t']);
    let kind = text.bytes().next();
    if kind == Some(b'{') {
        let Pairs(pairs) = pairs(text)?;
        let digests = pairs.iter().map(|(name, value)| Ok((name.as_str(), digest_of(value.get(), deeper)?)));
        return Ok(digest_of_members(digests.collect::<Result<Vec<_>, Unread>>()?.into_iter()));
    }
    let mut said = Vec::new();
    match kind {
        Some(b'[') => {
            said.push(b'[');
            for value in serde_json::from_str::<Vec<&RawValue>>(text)? {
                said.extend(digest_of(value.get(), deeper)?.as_bytes());
            }
        }
        Some(b'"') => {
            said.push(b'"');
            said.extend(serde_json::from_str::<String>(text)?.as_bytes());
        }
        Some(b'-' | b'0'..=b'9') => {
            said.push(b'0');
            said.extend(number(text).as_bytes());
        }
        _ => said.extend(text.as_bytes()),
    }
    Ok(Digest::of(&said))
}

/// A number in the one form that all spellings of its value have. A number whose exponent is beyond
/// all use is only equal to the same text.
pub(super) fn number(text: &str) -> String {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let Ok(exponent) = exponent.trim_start_matches('+').parse::<i64>() else { return text.to_owned() };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{part}");
    let digits = digits.trim_start_matches('0');
    let short = digits.trim_end_matches('0');
    if short.is_empty() {
        return "0".to_owned();
    }
    let dropped = i64::try_from(digits.len() - short.len()).unwrap_or(i64::MAX);
    let behind = i64::try_from(part.len()).unwrap_or(i64::MAX);
    match exponent.checked_add(dropped).and_then(|exponent| exponent.checked_sub(behind)) {
        Some(exponent) => format!("{sign}{short}e{exponent}"),
        None => text.to_owned(),
    }
}

/// True if a value, without white space around it, is a number.
pub(super) fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

pub(super) fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\n', '\r', '\t']).starts_with('{')
}

/// Members of an object, in order, each name once.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

fn pairs(text: &str) -> Result<Pairs<'_>, Unread> {
    let mut json = serde_json::Deserializer::from_str(text);
    let pairs = json.deserialize_map(PairsVisitor)?;
    json.end()?;
    let mut names: Vec<&str> = pairs.0.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find_map(|two| two.first().filter(|one| Some(*one) == two.get(1)));
    match twice {
        Some(name) => Err(Unread::Twice((*name).to_owned())),
        None => Ok(pairs),
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests;
