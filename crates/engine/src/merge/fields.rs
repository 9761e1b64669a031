//! The fields of one entry: three versions become one, field by field.
//!
//! The vector counts as a field. Where a side changed it, it is one with all fields that this side
//! changed, but those that no vector is computed from: nobody knows which of the others it was
//! computed from. Where both sides changed the same field, the one that stands wins, unless the one
//! here ranks higher.

use std::collections::{BTreeMap, BTreeSet};

use super::value::{Member, Unread, members};
use crate::model::Digest;

/// Object in memory, with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) text: String,
    pub(super) members: Vec<Member>,
}

/// Vectors of an entry that differ between its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Vectors {
    /// True if the vector here is not that of the base.
    pub(super) here: bool,
    /// True if the vector there is not that of the base.
    pub(super) there: bool,
    /// True if here and there have different ones.
    pub(super) differ: bool,
}

/// Fields to take from here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Taken {
    /// Names of fields that are here as here, or absent as here.
    pub(super) fields: BTreeSet<String>,
    /// True if the vector is the one from here.
    pub(super) vector: bool,
    /// Fields whose version here lost.
    pub(super) lost: BTreeSet<String>,
}

impl Object {
    /// Reads an object. None if the text is another value.
    pub(super) fn read(text: String) -> Result<Option<Self>, Unread> {
        Ok(members(&text)?.map(|members| Self { text, members }))
    }

    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Text of a value.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.member(name).and_then(|member| self.text.get(member.value.clone()))
    }

    /// True if a member says the same in both, or is in neither.
    pub(super) fn has_equal(&self, other: &Self, name: &str) -> bool {
        self.member(name).map(|one| one.digest) == other.member(name).map(|one| one.digest)
    }

    fn digests(&self) -> BTreeMap<&str, Digest> {
        self.members.iter().map(|member| (member.name.as_str(), member.digest)).collect()
    }

    /// Names of members that are other than in `base`, or in only one of the two.
    pub(super) fn changed<'a>(&'a self, base: &'a Self) -> BTreeSet<&'a str> {
        let (ours, theirs) = (self.digests(), base.digests());
        let names: BTreeSet<&str> = ours.keys().chain(theirs.keys()).copied().collect();
        names.into_iter().filter(|name| ours.get(name) != theirs.get(name)).collect()
    }

    /// This object with `fields` as they are in `other`, in its own text.
    pub(super) fn with(&self, other: &Self, fields: &BTreeSet<String>) -> String {
        let text = |object: &'_ Self, span: std::ops::Range<usize>| {
            object.text.get(span).unwrap_or_default().to_owned()
        };
        let start = self.text.find('{').map_or(0, |at| at + 1);
        let mut leads = Vec::new();
        let mut end = start;
        for member in &self.members {
            leads.push(text(self, end..member.text.start));
            end = member.text.end;
        }
        let first = leads.first().cloned().unwrap_or_default();
        let next = leads
            .get(1)
            .cloned()
            .unwrap_or_else(|| format!(",{}", if first.is_empty() { " " } else { &first }));
        let mut parts: Vec<(Option<&String>, String)> = Vec::new();
        for (member, lead) in self.members.iter().zip(&leads) {
            let lead = Some(lead).filter(|_| !parts.is_empty());
            if !fields.contains(&member.name) {
                parts.push((lead, text(self, member.text.clone())));
            } else if let Some(value) = other.value(&member.name) {
                let name = text(self, member.text.start..member.value.start);
                parts.push((lead, format!("{name}{value}")));
            }
        }
        let new =
            other.members.iter().filter(|one| fields.contains(&one.name) && self.member(&one.name).is_none());
        for member in new {
            let lead = Some(&next).filter(|_| !parts.is_empty());
            parts.push((lead, text(other, member.text.clone())));
        }
        let mut whole = text(self, 0..start);
        for (lead, part) in parts {
            whole.push_str(lead.unwrap_or(&first));
            whole.push_str(&part);
        }
        whole.push_str(&text(self, end..self.text.len()));
        whole
    }
}

/// Members that never clash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Apart<'a> {
    /// They count as equal.
    pub(super) same: &'a [&'a str],
    /// Where both sides changed one, the version that stands has it.
    pub(super) quiet: &'a BTreeSet<String>,
    /// No vector is computed from them.
    pub(super) no_embed: &'a BTreeSet<String>,
}

/// Decides which fields of an entry that both sides changed are taken from here.
pub(super) fn merge(
    base: &Object,
    here: &Object,
    there: &Object,
    vectors: Vectors,
    Apart { same, quiet, no_embed }: Apart<'_>,
) -> Taken {
    let (ours, theirs) = (here.changed(base), there.changed(base));
    let agreed = |name: &&str| {
        same.contains(name) || here.has_equal(there, name) || quiet.contains(*name) && theirs.contains(name)
    };
    let all: BTreeSet<String> =
        ours.into_iter().filter(|name| !agreed(name)).map(ToOwned::to_owned).collect();
    let clash: BTreeSet<String> = all.iter().filter(|name| theirs.contains(name.as_str())).cloned().collect();
    // Fields that are one with the vector from here, if it has one.
    let unit: BTreeSet<String> = all.difference(no_embed).cloned().collect();
    let single = |names: &BTreeSet<String>| -> BTreeSet<String> {
        names.iter().filter(|name| no_embed.contains(*name)).cloned().collect()
    };
    let vectors = if vectors.differ { vectors } else { Vectors::default() };
    if !vectors.here {
        return Taken { fields: all.difference(&clash).cloned().collect(), vector: false, lost: clash };
    }
    if !vectors.there && clash.is_disjoint(&unit) {
        return Taken { fields: all.difference(&clash).cloned().collect(), vector: true, lost: clash };
    }
    // The vector from here and its fields are one, and it clashes.
    let lost = unit.difference(quiet).cloned().chain(single(&clash)).collect();
    Taken { fields: single(&all).difference(&clash).cloned().collect(), vector: false, lost }
}

/// The same where the side here ranks higher, and stands.
pub(super) fn merge_as_higher(
    base: &Object,
    here: &Object,
    there: &Object,
    vectors: Vectors,
    apart: Apart<'_>,
) -> Taken {
    let turned = Vectors { here: vectors.there, there: vectors.here, differ: vectors.differ };
    let from_there = merge(base, there, here, turned, apart);
    let changed = there.changed(base);
    // Quiet fields are those of the version that stands for everybody.
    let stays = |name: &&str| {
        from_there.fields.contains(*name) || apart.quiet.contains(*name) && changed.contains(name)
    };
    let other = here.changed(there);
    let fields = other.into_iter().filter(|name| !stays(name)).map(ToOwned::to_owned).collect();
    let vector = vectors.differ && !from_there.vector;
    Taken { fields, vector, lost: from_there.lost }
}

#[cfg(test)]
mod tests;
