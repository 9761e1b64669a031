//! Differences between two versions of a JSON file, told by node: for people who have to choose
//! between the two. Pure.
//!
//! Lists whose elements all carry an `id` of their own are compared by it, so that an inserted node
//! does not make all later ones differ. Long texts and rows of numbers are cut: the result tells
//! where to look.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

/// Fields that name an element of a list.
const NAMES: [&str; 4] = ["id", "node_id", "uuid", "key"];
/// Longest value, in characters. Longer ones are cut.
const LONGEST: usize = 200;
/// Depth of the comparison. Deeper values are compared as a whole.
const DEEPEST: usize = 32;

/// One place at which two versions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The innermost named element around it, if there is one.
    pub node: Option<String>,
    /// Place in the document, such as `nodes[n17].text`.
    pub at: String,
    /// Value in the version that lost, if it has one there.
    pub mine: Option<Value>,
    /// Value in the version that stands, if it has one there.
    pub remote: Option<Value>,
}

/// Differences of `mine` and `remote`, in their order, at most `limit` of them; and their number in
/// all.
#[must_use]
pub fn differences(mine: &Value, remote: &Value, limit: usize) -> (Vec<Difference>, usize) {
    let mut found = Found { list: Vec::new(), limit, count: 0 };
    found.compare(&Place::default(), Some(mine), Some(remote));
    (found.list, found.count)
}

#[derive(Debug, Clone, Default)]
struct Place {
    at: String,
    node: Option<String>,
    depth: usize,
}

impl Place {
    fn field(&self, name: &str) -> Self {
        let dot = if self.at.is_empty() { "" } else { "." };
        Self { at: format!("{}{dot}{name}", self.at), node: self.node.clone(), depth: self.depth + 1 }
    }

    fn element(&self, name: &str) -> Self {
        Self { at: format!("{}[{name}]", self.at), node: Some(name.to_owned()), depth: self.depth + 1 }
    }

    fn index(&self, index: usize) -> Self {
        Self { at: format!("{}[{index}]", self.at), node: self.node.clone(), depth: self.depth + 1 }
    }
}

struct Found {
    list: Vec<Difference>,
    limit: usize,
    count: usize,
}

impl Found {
    fn compare(&mut self, place: &Place, mine: Option<&Value>, remote: Option<&Value>) {
        if mine == remote {
            return;
        }
        match (mine, remote) {
            _ if place.depth >= DEEPEST => self.note(place, mine, remote),
            (Some(Value::Object(mine)), Some(Value::Object(remote))) => {
                let names: BTreeSet<&String> = mine.keys().chain(remote.keys()).collect();
                for name in names {
                    self.compare(&place.field(name), mine.get(name), remote.get(name));
                }
            }
            (Some(Value::Array(mine)), Some(Value::Array(remote))) => self.lists(place, mine, remote),
            _ => self.note(place, mine, remote),
        }
    }

    fn lists(&mut self, place: &Place, mine: &[Value], remote: &[Value]) {
        if let (Some(mine), Some(remote)) = (by_name(mine), by_name(remote)) {
            let names: BTreeSet<&String> = mine.keys().chain(remote.keys()).collect();
            let same = self.count;
            for name in names {
                self.compare(&place.element(name), mine.get(name).copied(), remote.get(name).copied());
            }
            if self.count > same {
                return;
            }
        } else if mine.iter().chain(remote).any(|value| value.is_object() || value.is_array()) {
            for index in 0..mine.len().max(remote.len()) {
                self.compare(&place.index(index), mine.get(index), remote.get(index));
            }
            return;
        }
        // Plain values, or the same elements in another order.
        self.count += 1;
        if self.list.len() < self.limit {
            let told = |list: &[Value]| Some(cut(&Value::Array(list.to_vec())));
            let (mine, remote) = (told(mine), told(remote));
            self.list.push(Difference { node: place.node.clone(), at: place.at.clone(), mine, remote });
        }
    }

    fn note(&mut self, place: &Place, mine: Option<&Value>, remote: Option<&Value>) {
        self.count += 1;
        if self.list.len() < self.limit {
            let (mine, remote) = (mine.map(cut), remote.map(cut));
            self.list.push(Difference { node: place.node.clone(), at: place.at.clone(), mine, remote });
        }
    }
}

/// Elements by their names. None if one has no name, or two have the same.
fn by_name(list: &[Value]) -> Option<BTreeMap<String, &Value>> {
    let named: Option<BTreeMap<String, &Value>> =
        list.iter().map(|value| Some((name_of(value)?, value))).collect();
    named.filter(|named| named.len() == list.len())
}

fn name_of(value: &Value) -> Option<String> {
    let field = NAMES.iter().find_map(|name| value.get(name))?;
    match field {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A value, cut to a length that a person wants to read.
fn cut(value: &Value) -> Value {
    match value {
        Value::String(text) if text.chars().count() > LONGEST => {
            let start: String = text.chars().take(LONGEST).collect();
            Value::String(format!("{start}… ({} characters)", text.chars().count()))
        }
        Value::Array(list) if value.to_string().len() > LONGEST => {
            Value::String(format!("a list of {} values", list.len()))
        }
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), cut(value))).collect(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests;
