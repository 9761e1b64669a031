//! Reads `clusters.json`, the assignment of nodes to clusters.
//!
//! Apps write it in several forms. Two are understood: one number per node (an array of numbers,
//! alone or under `assign`, `assignments` or `labels`; or there an object by node), and lists of
//! node numbers (under `members`, `nodes` or `node_ids` of each cluster). Any other form says
//! nothing about the nodes and is only checked to be JSON.

use std::fmt;
use std::io::BufReader;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::ExamineError;
use super::block::Block;
use super::corpus::{ended, not_utf8};
use super::text::Text;
use crate::model::Facts;

const ASSIGNED: [&str; 3] = ["assign", "assignments", "labels"];
const MEMBERS: [&str; 3] = ["members", "nodes", "node_ids"];

pub(super) fn clusters(block: Block<'_>) -> Result<Facts, ExamineError> {
    let mut text = Text::new(block);
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(&mut text));
    let found = ClustersVisitor { section: Section::Top }
        .deserialize(&mut json)
        .and_then(|found| json.end().map(|()| found));
    drop(json);
    // The parser does not check texts that it skips.
    if let Some(at) = text.wrong() {
        return Err(not_utf8(at));
    }
    match found {
        Ok(Assignment { assigned, highest }) => Ok(Facts::Clusters { assigned, highest }),
        Err(error) if error.is_io() => Err(ExamineError::Io(error.into())),
        Err(error) if error.is_eof() => Err(ended(block)),
        Err(error) => Err(ExamineError::broken(error.to_string())),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// The document.
    Top,
    /// A collection with one entry per node.
    Assigned,
    /// The clusters, or one of them.
    Cluster,
    /// The nodes of one cluster.
    Members,
}

#[derive(Debug, Default)]
struct Assignment {
    assigned: Option<u64>,
    highest: Option<u64>,
}

impl Assignment {
    fn take(&mut self, other: &Self) {
        self.assigned = self.assigned.or(other.assigned);
        self.highest = self.highest.max(other.highest);
    }
}

struct ClustersVisitor {
    section: Section,
}

impl<'de> DeserializeSeed<'de> for ClustersVisitor {
    type Value = Assignment;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Assignment, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ClustersVisitor {
    type Value = Assignment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clusters as an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Assignment, A::Error> {
        let mut assignment = Assignment::default();
        let (mut entries, mut numbers) = (0, 0);
        if self.section == Section::Assigned {
            while list.next_element::<IgnoredAny>()?.is_some() {
                entries += 1;
            }
            return Ok(Assignment { assigned: Some(entries), highest: None });
        }
        let members = self.section == Section::Members;
        while let Some(entry) = list.next_element_seed(ArrayEntry)? {
            entries += 1;
            match entry {
                EntryValue::Number(number) if members => {
                    assignment.highest = assignment.highest.max(Some(number));
                }
                EntryValue::Number(_) => numbers += 1,
                EntryValue::Cluster(inside) => assignment.take(&inside),
                EntryValue::Other => {}
            }
        }
        // An array that holds only numbers has one per node.
        if self.section == Section::Top && numbers == entries && entries > 0 {
            assignment.assigned = Some(entries);
        }
        Ok(assignment)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Assignment, A::Error> {
        let mut assignment = Assignment::default();
        let mut entries = 0;
        while let Some(section) = map.next_key_seed(MemberName { inside: self.section })? {
            entries += 1;
            match section {
                Some(section) => {
                    if let Some(inside) = map.next_value_seed(MemberValue { section })? {
                        assignment.take(&inside);
                    }
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if self.section == Section::Assigned {
            assignment.assigned = Some(entries);
        }
        Ok(assignment)
    }
}

/// Meaning of a name.
struct MemberName {
    inside: Section,
}

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Option<Section>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for MemberName {
    type Value = Option<Section>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(match self.inside {
            Section::Top if ASSIGNED.contains(&name) => Some(Section::Assigned),
            Section::Top if name == "clusters" => Some(Section::Cluster),
            Section::Top | Section::Cluster if MEMBERS.contains(&name) => Some(Section::Members),
            Section::Cluster => Some(Section::Cluster),
            _ => None,
        })
    }
}

/// A value that may be of no interest.
struct MemberValue {
    section: Section,
}

/// Entry of an array.
struct ArrayEntry;

enum EntryValue {
    Number(u64),
    Cluster(Assignment),
    Other,
}

impl<'de> DeserializeSeed<'de> for MemberValue {
    type Value = Option<Assignment>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(ValueVisitor { section: self.section }).map(|found| match found {
            EntryValue::Cluster(assignment) => Some(assignment),
            EntryValue::Number(_) | EntryValue::Other => None,
        })
    }
}

impl<'de> DeserializeSeed<'de> for ArrayEntry {
    type Value = EntryValue;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<EntryValue, D::Error> {
        json.deserialize_any(ValueVisitor { section: Section::Cluster })
    }
}

struct ValueVisitor {
    section: Section,
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = EntryValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<EntryValue, E> {
        Ok(EntryValue::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<EntryValue, E> {
        // A negative number means no cluster, as in HDBSCAN, but it is still the entry of a node.
        Ok(EntryValue::Number(0))
    }

    fn visit_u64<E>(self, number: u64) -> Result<EntryValue, E> {
        Ok(EntryValue::Number(number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<EntryValue, E> {
        Ok(EntryValue::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<EntryValue, E> {
        Ok(EntryValue::Other)
    }

    fn visit_unit<E>(self) -> Result<EntryValue, E> {
        Ok(EntryValue::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<EntryValue, A::Error> {
        ClustersVisitor { section: self.section }.visit_seq(list).map(EntryValue::Cluster)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EntryValue, A::Error> {
        ClustersVisitor { section: self.section }.visit_map(map).map(EntryValue::Cluster)
    }
}
