//! A corpus of nodes or episodes, each kept as it was written.
//!
//! The document may be an array, an object whose member `nodes` (or `episodes`) holds an array or a
//! map, or a map by id. Its form is kept, and so are its other members and every unknown field of
//! an entry.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::LocalVaultError;
use cogzy_engine::model::Digest;

/// The entries of a corpus file.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// Members of the document beside the entries, in order; `None` marks the place of the entries.
    frame: Option<Vec<(String, Option<Box<RawValue>>)>>,
    /// The entries, with their ids where the document is a map by id.
    entries: Vec<(Option<String>, Box<RawValue>)>,
    by_id: bool,
    /// The digest of the file when it was read.
    pub(super) read: Option<Digest>,
}

impl Corpus {
    /// Reads a document; `key` is the member that holds the entries, in an object that has it.
    pub(super) fn parse(bytes: &[u8], key: &str) -> Result<Self, serde_json::Error> {
        let digest = Some(Digest::of(bytes));
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'[') {
            let list: Vec<Box<RawValue>> = serde_json::from_slice(bytes)?;
            let entries = list.into_iter().map(|entry| (None, entry)).collect();
            return Ok(Self { entries, read: digest, ..Self::default() });
        }
        let members: RawMembers = serde_json::from_slice(bytes)?;
        let Some(at) = members.0.iter().position(|(name, _)| name == key) else {
            let entries = members.0.into_iter().map(|(id, entry)| (Some(id), entry)).collect();
            return Ok(Self { frame: None, entries, by_id: true, read: digest });
        };
        let mut frame = Vec::new();
        let mut entries = Vec::new();
        let mut by_id = false;
        for (index, (name, value)) in members.0.into_iter().enumerate() {
            if index != at {
                frame.push((name, Some(value)));
                continue;
            }
            frame.push((name, None));
            by_id = value.get().starts_with('{');
            entries = if by_id {
                let inner: RawMembers = serde_json::from_str(value.get())?;
                inner.0.into_iter().map(|(id, entry)| (Some(id), entry)).collect()
            } else {
                let inner: Vec<Box<RawValue>> = serde_json::from_str(value.get())?;
                inner.into_iter().map(|entry| (None, entry)).collect()
            };
        }
        Ok(Self { frame: Some(frame), entries, by_id, read: digest })
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at `index` as the caller's type, which may leave out fields; none where there is
    /// no such entry.
    ///
    /// # Errors
    /// If the entry is not of that type.
    pub fn get<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, LocalVaultError> {
        let entry = self.entries.get(index);
        Ok(entry.map(|(_, raw)| serde_json::from_str(raw.get())).transpose()?)
    }

    /// All entries as the caller's type.
    ///
    /// # Errors
    /// If one is not of that type.
    pub fn all<T: DeserializeOwned>(&self) -> Result<Vec<T>, LocalVaultError> {
        let entries = self.entries.iter().map(|(_, raw)| serde_json::from_str(raw.get()));
        Ok(entries.collect::<Result<_, _>>()?)
    }

    /// The id of the entry at `index`: its name in a map by id, else its field `id`.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Named {
            id: Value,
        }
        let (name, raw) = self.entries.get(index)?;
        let own = || match serde_json::from_str::<Named>(raw.get()).ok()?.id {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        name.clone().or_else(own)
    }

    /// Adds an entry at the end. In a map by id its field `id` is its name.
    ///
    /// # Errors
    /// If it has no JSON form, or no id where one is needed.
    pub fn push<T: Serialize>(&mut self, entry: &T) -> Result<(), LocalVaultError> {
        let raw = to_raw_value(entry)?;
        self.entries.push((None, raw));
        if self.by_id {
            let index = self.entries.len() - 1;
            let id = self.id(index);
            let Some((mut_name, Some(id))) = self.entries.get_mut(index).map(|(name, _)| name).zip(Some(id))
            else {
                self.entries.pop();
                let why = "an entry of a map by id needs a field `id` of its own";
                return Err(LocalVaultError::Json(serde::de::Error::custom(why)));
            };
            *mut_name = Some(id);
        }
        Ok(())
    }

    /// Updates the entry at `index`: fields of `entry` replace those of the same name, all others
    /// stay as they were written. Returns false where there is no such entry.
    ///
    /// # Errors
    /// If one of the two is not an object.
    pub fn update<T: Serialize>(&mut self, index: usize, entry: &T) -> Result<bool, LocalVaultError> {
        let Some((_, raw)) = self.entries.get_mut(index) else { return Ok(false) };
        let known: Map<String, Value> = serde_json::from_value(serde_json::to_value(entry)?)?;
        let mut members: RawMembers = serde_json::from_str(raw.get())?;
        let mut fresh = BTreeMap::new();
        for (name, value) in known {
            fresh.insert(name, to_raw_value(&value)?);
        }
        for (name, value) in &mut members.0 {
            if let Some(value_now) = fresh.remove(name) {
                *value = value_now;
            }
        }
        members.0.extend(fresh);
        *raw = RawValue::from_string(members.text()?)?;
        Ok(true)
    }

    /// Removes the entry at `index`. Returns false where there is none.
    pub fn remove(&mut self, index: usize) -> bool {
        let there = index < self.entries.len();
        if there {
            self.entries.remove(index);
        }
        there
    }

    /// The document as bytes.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let entries = if self.by_id {
            let named = self.entries.iter().map(|(id, raw)| (id.clone().unwrap_or_default(), raw.clone()));
            RawMembers(named.collect()).text()?
        } else {
            let parts: Vec<&str> = self.entries.iter().map(|(_, raw)| raw.get()).collect();
            format!("[{}]", parts.join(",\n"))
        };
        let Some(frame) = &self.frame else { return Ok(entries.into_bytes()) };
        let mut entries = Some(RawValue::from_string(entries)?);
        let members = frame.iter().map(|(name, value)| {
            let value = value.clone().or_else(|| entries.take());
            (name.clone(), value.unwrap_or_else(|| RawValue::NULL.to_owned()))
        });
        RawMembers(members.collect()).text().map(String::into_bytes)
    }
}

/// The members of an object in order, each as it was written.
struct RawMembers(Vec<(String, Box<RawValue>)>);

impl RawMembers {
    fn text(&self) -> Result<String, serde_json::Error> {
        let member = |(name, value): &(String, Box<RawValue>)| {
            Ok(format!("{}: {}", serde_json::to_string(name)?, value.get()))
        };
        let members: Vec<String> = self.0.iter().map(member).collect::<Result<_, serde_json::Error>>()?;
        Ok(format!("{{{}}}", members.join(",\n")))
    }
}

impl<'de> serde::Deserialize<'de> for RawMembers {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> serde::de::Visitor<'de> for MembersVisitor {
            type Value = RawMembers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array or an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<RawMembers, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawMembers(members))
            }
        }
        json.deserialize_map(MembersVisitor)
    }
}
