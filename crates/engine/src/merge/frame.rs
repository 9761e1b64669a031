//! The text around the entries: its members merge like the fields of an entry, and one that counts
//! the entries is set to their new number.

use std::collections::BTreeSet;

use super::document::{Document, Frame, HOLE, unread};
use super::fields::{self, Apart, Object, Vectors};
use super::{Clash, Unmerged};

/// Words in the name of a member that counts.
const COUNTS: [&str; 5] = ["count", "total", "number", "size", "len"];

/// Text before and after the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Around {
    pub(super) before: String,
    pub(super) after: String,
    pub(super) clashes: Vec<Clash>,
    /// Members of the version here that lost a clash, as they are there: name and value.
    pub(super) lost: Vec<String>,
}

impl Around {
    /// The frame of the result, which has `entries` entries.
    pub(super) fn merged(
        base: Option<&Document<'_>>,
        (here, there): (&Document<'_>, &Document<'_>),
        entries: usize,
        quiet: &BTreeSet<String>,
    ) -> Result<Self, Unmerged> {
        let Some(key) = &there.frame.key else {
            return Ok(Self::split(&there.frame.text, there.frame.hole));
        };
        let old = base.map_or_else(|| Ok(empty()), object)?;
        let (ours, theirs) = (object(here)?, object(there)?);
        let mut counted = vec![(&ours, here.entries.len()), (&theirs, there.entries.len())];
        counted.extend(base.map(|base| (&old, base.entries.len())));
        let counters = counters(&counted);
        let same: Vec<&str> = counters.iter().map(String::as_str).collect();
        let taken = fields::merge(
            &old,
            &ours,
            &theirs,
            Vectors::default(),
            Apart { same: &same, quiet, no_embed: &BTreeSet::new() },
        );
        let clash = |field: &String| Clash::of_the_document(field, ours.value(field), theirs.value(field));
        let (clashes, members) = (taken.lost.iter().map(clash), taken.lost.iter());
        let lost = members.filter_map(|field| ours.text.get(ours.member(field)?.text.clone()));
        let mixed = read(theirs.with(&ours, &taken.fields), there)?;
        let split = Self::with_counters(&mixed, &counters, entries, (there, key))?;
        Ok(Self { clashes: clashes.collect(), lost: lost.map(ToOwned::to_owned).collect(), ..split })
    }

    /// The frame of a document that has `entries` entries now.
    pub(super) fn counted(document: &Document<'_>, entries: usize) -> Result<Self, Unmerged> {
        let Frame { text, hole, key } = &document.frame;
        let Some(key) = key else { return Ok(Self::split(text, *hole)) };
        let object = object(document)?;
        let counters = counters(&[(&object, document.entries.len())]);
        Self::with_counters(&object, &counters, entries, (document, key))
    }

    /// The frame in which these members are the number of entries.
    fn with_counters(
        object: &Object,
        counters: &BTreeSet<String>,
        entries: usize,
        (document, key): (&Document<'_>, &str),
    ) -> Result<Self, Unmerged> {
        let numbers: Vec<String> = counters.iter().map(|name| counter(name, entries)).collect();
        let numbers = read(format!("{{{}}}", numbers.join(",")), document)?;
        let text = object.with(&numbers, counters);
        let hole = read(text.clone(), document)?.member(key).map(|member| member.value.start);
        Ok(Self::split(&text, hole.unwrap_or_default()))
    }

    fn split(text: &str, hole: usize) -> Self {
        let (before, after) = text.split_at_checked(hole).unwrap_or_default();
        let after = after.strip_prefix(HOLE).unwrap_or(after);
        Self { before: before.to_owned(), after: after.to_owned(), clashes: Vec::new(), lost: Vec::new() }
    }
}

fn counter(name: &str, entries: usize) -> String {
    format!("{}:{entries}", serde_json::Value::from(name))
}

fn empty() -> Object {
    Object { text: "{}".to_owned(), members: Vec::new() }
}

fn object(document: &Document<'_>) -> Result<Object, Unmerged> {
    let Frame { text, .. } = &document.frame;
    read(text.clone(), document)
}

fn read(text: String, document: &Document<'_>) -> Result<Object, Unmerged> {
    let version = document.version;
    let object = Object::read(text).map_err(|error| unread(error, version))?;
    object.ok_or_else(|| Unmerged::Damaged { version, why: "it is no object".to_owned() })
}

/// Names of the members that count the entries of each version. Where all versions have as many, a
/// number may be anything: then only a name tells.
fn counters(frames: &[(&Object, usize)]) -> BTreeSet<String> {
    let counts: BTreeSet<usize> = frames.iter().map(|(_, count)| *count).collect();
    let Some((first, _)) = frames.first() else { return BTreeSet::new() };
    let counts_it = |name: &str| {
        let is_told = COUNTS.iter().any(|word| name.contains(word));
        let fits = |(frame, count): &(&Object, usize)| frame.value(name) == Some(count.to_string().as_str());
        (is_told || counts.len() > 1) && frames.iter().all(fits)
    };
    first.members.iter().map(|one| one.name.clone()).filter(|name| counts_it(name)).collect()
}
