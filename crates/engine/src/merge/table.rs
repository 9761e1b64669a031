//! The table: what becomes of each entry, by its id.
//!
//! | here / there | result |
//! |---|---|
//! | added on one side | kept, with its vector |
//! | added on both, equal | once |
//! | added on both, different | the one there; the one here is a clash |
//! | changed on one side | that one |
//! | changed on both | field by field (`fields`) |
//! | deleted on one side, unchanged on the other | deleted |
//! | deleted here, changed there | the one there |
//! | changed here, deleted there | deleted; the one here is a clash |
//!
//! A quiet field alone makes no change of a memory that is deleted on the other side, and no clash.
//! Without a base nothing counts as deleted, and entries with equal ids and different contents are
//! clashes. The order is that of the side that stands, then what is new here in its own order.

use std::collections::HashMap;

use super::document::{Document, Entry, Id, unread};
use super::fields::{self, Apart, Object, Vectors};
use super::{Clash, Names, Ranks, Rules, Unmerged, Version};
use crate::model::Digest;
use crate::planted::{Bug, planted};

/// One version of a corpus with the digests of its rows.
pub(super) struct Table<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) rows: &'a [Digest],
    pub(super) places: HashMap<&'a Id, usize>,
}

/// Entry of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) text: Source,
    /// Version that its vector is taken from, and the row there.
    pub(super) row: (Version, usize),
}

/// Where the text of an entry is taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The entry at this place here.
    Here(usize),
    /// The entry at this place there.
    There(usize),
    /// The entry at this place there, with another value.
    Built(usize, String),
    /// An entry of neither side, with its name in a map.
    New(String),
}

/// All three versions.
pub(super) struct Tables<'a> {
    pub(super) base: Option<Table<'a>>,
    pub(super) here: Table<'a>,
    pub(super) there: Table<'a>,
    pub(super) names: &'a Names,
}

/// Result of a merge of entries.
#[derive(Debug, Default)]
pub(super) struct Picked {
    pub(super) picks: Vec<Pick>,
    pub(super) clashes: Vec<Clash>,
    /// Entries that lost a clash, by version and place.
    pub(super) lost: Vec<(Version, usize)>,
}

impl<'a> Table<'a> {
    pub(super) fn new(document: &'a Document<'a>, rows: &'a [Digest]) -> Result<Self, Unmerged> {
        Ok(Self { document, rows, places: document.places()? })
    }

    /// Content and vector of an entry. None if there is none with that id.
    fn find(&self, id: &Id) -> Option<Found> {
        let at = *self.places.get(id)?;
        let Entry { content, essence, .. } = *self.document.entries.get(at)?;
        Some(Found { at, content, essence, row: *self.rows.get(at)? })
    }

    fn text(&self, at: usize) -> Result<String, Unmerged> {
        let entry = self.document.entries.get(at);
        entry.map_or_else(|| Ok(String::new()), |entry| self.document.text(&entry.value))
    }

    fn object(&self, at: usize) -> Result<Result<Object, String>, Unmerged> {
        let text = self.text(at)?;
        let object = Object::read(text.clone()).map_err(|error| unread(error, self.document.version))?;
        Ok(object.ok_or(text))
    }
}

#[derive(Clone, Copy)]
struct Found {
    at: usize,
    content: Digest,
    essence: Digest,
    row: Digest,
}

impl Found {
    fn is(&self, other: &Self) -> bool {
        (self.content, self.row) == (other.content, other.row)
    }
}

impl Tables<'_> {
    /// Decides about all entries.
    pub(super) fn pick(&self) -> Result<Picked, Unmerged> {
        self.must_not_be_embedded_anew()?;
        let mut picked = Picked::default();
        let mut rescued = self.deleted_there();
        for (at, entry) in self.there.document.entries.iter().enumerate() {
            let Some(there) = self.there.find(&entry.id) else { continue };
            let base = self.base.as_ref().map(|base| base.find(&entry.id));
            let stays = Pick { text: Source::There(at), row: (Version::There, at) };
            match (base, self.here.find(&entry.id)) {
                (_, Some(here)) if here.content == there.content => {
                    // Of two vectors for one content, a new one here is taken if it is the only
                    // one.
                    let is_new = |base: Found| base.row == there.row && here.row != there.row;
                    let only_here = base.flatten().is_some_and(is_new);
                    let row = if only_here { (Version::Here, here.at) } else { stays.row };
                    picked.picks.push(Pick { row, ..stays });
                }
                (Some(Some(base)), Some(here)) if here.is(&base) => picked.picks.push(stays),
                (Some(Some(base)), Some(here)) if there.is(&base) => {
                    let (text, row) = (Source::Here(here.at), (Version::Here, here.at));
                    picked.picks.push(Pick { text, row });
                }
                (Some(Some(base)), Some(here)) => {
                    let pick = self.mix(&entry.id, [base, here, there], &mut picked)?;
                    picked.picks.push(pick);
                }
                (_, Some(here)) => {
                    if here.essence != there.essence {
                        self.clash(&entry.id, (here.at, Some(at)), &mut picked)?;
                    }
                    picked.picks.push(stays);
                }
                // Whoever deleted it here has seen it as it stands.
                (_, None) if self.is_seen(&entry.id, there) => {}
                // A new vector of the same memory is no change that would bring it back.
                (Some(Some(base)), None) if there.essence == base.essence && !rescued.take(base.essence) => {}
                (_, None) => picked.picks.push(stays),
            }
        }
        for (at, entry) in self.here.document.entries.iter().enumerate() {
            if self.there.places.contains_key(&entry.id) {
                continue;
            }
            let base = self.base.as_ref().and_then(|base| base.find(&entry.id));
            match (base, self.here.find(&entry.id)) {
                (_, Some(here)) if self.is_seen(&entry.id, here) => {}
                (None, _) => {
                    let row = if planted(Bug::FirstRow) { 0 } else { at };
                    picked.picks.push(Pick { text: Source::Here(at), row: (Version::Here, row) });
                }
                (Some(base), Some(here)) if here.essence != base.essence => {
                    self.clash(&entry.id, (at, None), &mut picked)?;
                }
                _ => {}
            }
        }
        picked.lost.sort_unstable();
        picked.lost.dedup();
        Ok(picked)
    }

    /// True if both sides have had an entry as it is in one of them.
    fn is_seen(&self, id: &Id, found: Found) -> bool {
        self.names.seen.get(id).is_some_and(|seen| seen.contains(&found.essence))
    }

    /// An entry that both sides changed.
    fn mix(&self, id: &Id, [base, here, there]: [Found; 3], picked: &mut Picked) -> Result<Pick, Unmerged> {
        let stays = Pick { text: Source::There(there.at), row: (Version::There, there.at) };
        let objects = match &self.base {
            Some(table) => [table.object(base.at)?, self.here.object(here.at)?, self.there.object(there.at)?],
            None => return Ok(stays),
        };
        let [Ok(old), Ok(ours), Ok(theirs)] = objects else {
            // Values without fields: all of it is one.
            self.clash(id, (here.at, Some(there.at)), picked)?;
            return Ok(stays);
        };
        let vectors = Vectors {
            here: here.row != base.row,
            there: there.row != base.row,
            differ: here.row != there.row,
        };
        let Rules { quiet, no_embed, rank } = &self.names.rules;
        let apart = Apart { same: &[], quiet, no_embed };
        let mut taken = fields::merge(&old, &ours, &theirs, vectors, apart);
        let ranks = rank.as_ref().map(|rank| {
            let value = |entry: &Object| serde_json::from_str(entry.value(&rank.field)?).ok();
            let (here, there): (Option<String>, Option<String>) = (value(&ours), value(&theirs));
            Ranks { here_wins: rank.is_higher(here.as_deref(), there.as_deref()), here, there }
        });
        let here_wins = ranks.as_ref().is_some_and(|ranks| ranks.here_wins);
        if here_wins && !taken.lost.is_empty() {
            taken = fields::merge_as_higher(&old, &ours, &theirs, vectors, apart);
        }
        for field in &taken.lost {
            let clash = Clash::new(id.told(), Some(field), Some(&ours.text), Some(&theirs.text))?;
            picked.clashes.push(Clash { ranks: ranks.clone(), ..clash });
            picked.lost.push(if here_wins { (Version::There, there.at) } else { (Version::Here, here.at) });
        }
        let text = if taken.fields.is_empty() {
            stays.text
        } else {
            Source::Built(there.at, theirs.with(&ours, &taken.fields))
        };
        let row = if taken.vector { (Version::Here, here.at) } else { stays.row };
        Ok(Pick { text, row })
    }

    /// Notes a clash of an entry, between its place here and the one there, which stands.
    fn clash(
        &self,
        id: &Id,
        (here, there): (usize, Option<usize>),
        picked: &mut Picked,
    ) -> Result<(), Unmerged> {
        let ours = self.here.text(here)?;
        let theirs = there.map(|at| self.there.text(at)).transpose()?;
        picked.clashes.push(Clash::new(id.told(), None, Some(&ours), theirs.as_deref())?);
        picked.lost.push((Version::Here, here));
        Ok(())
    }

    /// Contents of entries that are still here, as they were, and were deleted there. Where an
    /// equal one was deleted here, it stays: of two equal memories, each side deleted another.
    fn deleted_there(&self) -> Counted {
        let mut counted = Counted::default();
        let Some(base) = &self.base else { return counted };
        let gone = base.document.entries.iter().filter(|entry| !self.there.places.contains_key(&entry.id));
        for entry in gone {
            let is_here = self.here.find(&entry.id).is_some_and(|here| here.essence == entry.essence);
            *counted.0.entry(entry.essence).or_default() += usize::from(is_here);
        }
        counted
    }

    /// Refuses a merge where most vectors of entries that a side left alone are new: it embedded
    /// anew, and vectors of two models are no neighbours of each other.
    fn must_not_be_embedded_anew(&self) -> Result<(), Unmerged> {
        let mut sides = vec![(&self.there, &self.here, Version::There)];
        if let Some(base) = &self.base {
            sides = vec![(base, &self.here, Version::Here), (base, &self.there, Version::There)];
        }
        for (old, new, version) in sides {
            let (mut alone, mut anew) = (0_usize, 0_usize);
            for entry in &old.document.entries {
                let both = old.find(&entry.id).zip(new.find(&entry.id));
                let Some((old, new)) = both.filter(|(old, new)| old.essence == new.essence) else { continue };
                alone += 1;
                anew += usize::from(old.row != new.row);
            }
            if anew * 2 > alone {
                return Err(Unmerged::EmbeddedAnew { version });
            }
        }
        Ok(())
    }
}

/// Contents, each with a number.
#[derive(Default)]
struct Counted(HashMap<Digest, usize>);

impl Counted {
    /// Takes one of this content. False if there is none left.
    fn take(&mut self, content: Digest) -> bool {
        match self.0.get_mut(&content) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}
