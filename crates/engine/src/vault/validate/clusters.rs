//! `clusters.json`: which node is in which cluster.
//!
//! Apps write it in several forms. Understood are one number for each node (an array of numbers, alone or under `assign`,
//! `assignments` or `labels`; or there an object by node), and lists of node numbers (under `members`, `nodes` or `node_ids` of
//! each cluster). Anything else says nothing about the nodes and is only checked to be JSON.

use std::fmt;
use std::io::BufReader;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Unfit;
use super::block::Block;
use super::corpus::{ended, not_utf8};
use super::text::Text;
use crate::model::Facts;

const ASSIGNED: [&str; 3] = ["assign", "assignments", "labels"];
const MEMBERS: [&str; 3] = ["members", "nodes", "node_ids"];

pub(super) fn clusters(block: Block<'_>) -> Result<Facts, Unfit> {
    let mut text = Text::new(block);
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(&mut text));
    let found =
        Look { place: Place::Top }.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    drop(json);
    // The parser does not look into texts that it skips.
    if let Some(at) = text.wrong() {
        return Err(not_utf8(at));
    }
    match found {
        Ok(Seen { assigned, highest }) => Ok(Facts::Clusters { assigned, highest }),
        Err(error) if error.is_io() => Err(Unfit::Io(error.into())),
        Err(error) if error.is_eof() => Err(ended(block)),
        Err(error) => Err(Unfit::broken(error.to_string())),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The document.
    Top,
    /// What should have one entry for each node.
    Assigned,
    /// The clusters, or one of them.
    Cluster,
    /// Nodes of one cluster.
    Members,
}

#[derive(Debug, Default)]
struct Seen {
    assigned: Option<u64>,
    highest: Option<u64>,
}

impl Seen {
    fn take(&mut self, other: &Self) {
        self.assigned = self.assigned.or(other.assigned);
        self.highest = self.highest.max(other.highest);
    }
}

struct Look {
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Look {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Seen, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clusters as an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Seen, A::Error> {
        let mut seen = Seen::default();
        let (mut entries, mut numbers) = (0, 0);
        if self.place == Place::Assigned {
            while list.next_element::<IgnoredAny>()?.is_some() {
                entries += 1;
            }
            return Ok(Seen { assigned: Some(entries), highest: None });
        }
        let members = self.place == Place::Members;
        while let Some(entry) = list.next_element_seed(Entry)? {
            entries += 1;
            match entry {
                Found::Number(number) if members => seen.highest = seen.highest.max(Some(number)),
                Found::Number(_) => numbers += 1,
                Found::Cluster(inside) => seen.take(&inside),
                Found::Else => {}
            }
        }
        // An array of nothing but numbers has one for each node.
        if self.place == Place::Top && numbers == entries && entries > 0 {
            seen.assigned = Some(entries);
        }
        Ok(seen)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Seen, A::Error> {
        let mut seen = Seen::default();
        let mut entries = 0;
        while let Some(place) = map.next_key_seed(Name { inside: self.place })? {
            entries += 1;
            match place {
                Some(place) => {
                    if let Some(inside) = map.next_value_seed(Maybe { place })? {
                        seen.take(&inside);
                    }
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if self.place == Place::Assigned {
            seen.assigned = Some(entries);
        }
        Ok(seen)
    }
}

/// What stands under a name.
struct Name {
    inside: Place,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<Place>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<Place>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(match self.inside {
            Place::Top if ASSIGNED.contains(&name) => Some(Place::Assigned),
            Place::Top if name == "clusters" => Some(Place::Cluster),
            Place::Top | Place::Cluster if MEMBERS.contains(&name) => Some(Place::Members),
            Place::Cluster => Some(Place::Cluster),
            _ => None,
        })
    }
}

/// A value that may also be none that is looked into.
struct Maybe {
    place: Place,
}

/// An entry of an array.
struct Entry;

enum Found {
    Number(u64),
    Cluster(Seen),
    Else,
}

impl<'de> DeserializeSeed<'de> for Maybe {
    type Value = Option<Seen>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(Any { place: self.place }).map(|found| match found {
            Found::Cluster(seen) => Some(seen),
            Found::Number(_) | Found::Else => None,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Entry {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Found, D::Error> {
        json.deserialize_any(Any { place: Place::Cluster })
    }
}

struct Any {
    place: Place,
}

impl<'de> Visitor<'de> for Any {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Else)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        // A negative number stands for no cluster, as from HDBSCAN; it is a number for a node all the same.
        Ok(Found::Number(0))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found, E> {
        Ok(Found::Number(number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Else)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::Else)
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Else)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Found, A::Error> {
        Look { place: self.place }.visit_seq(list).map(Found::Cluster)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Found, A::Error> {
        Look { place: self.place }.visit_map(map).map(Found::Cluster)
    }
}
