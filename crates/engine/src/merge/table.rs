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

mod anew;

use std::collections::HashMap;

use super::document::{Document, Entry, Id, Said, unread};
use super::fields::{self, Apart, Object, Vectors};
use super::places::{Elsewhere, Places};
use super::versions::{Pair, Read};
use super::{Clash, Names, Ranks, Rules, Unmerged, Version};
use crate::model::Digest;
use crate::planted::{Bug, planted};

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
    base: Option<&'a Document<'a>>,
    here: &'a Document<'a>,
    there: &'a Document<'a>,
    places: Places,
    /// How each entry there is against the one here.
    alike: Vec<Alike>,
    /// For each entry of the base whether the one here, and the one there, has its rows. Not known
    /// for those that both sides have alike. None if the base has no rows.
    old_rows: Option<[Vec<bool>; 2]>,
    names: &'a Names,
}

/// How an entry is in two versions.
#[derive(Debug, Clone, Copy, Default)]
struct Alike {
    /// True if the bytes of its text are the same.
    text: bool,
    /// True if its rows are the same in all arrays.
    rows: bool,
}

/// Result of a merge of entries.
#[derive(Debug, Default)]
pub(super) struct Picked {
    pub(super) picks: Vec<Pick>,
    pub(super) clashes: Vec<Clash>,
    /// Entries that lost a clash, by version and place.
    pub(super) lost: Vec<(Version, usize)>,
}

/// Entry of a version.
#[derive(Clone, Copy)]
struct Found<'t> {
    document: &'t Document<'t>,
    at: usize,
    entry: &'t Entry,
}

impl<'t> Found<'t> {
    fn of(document: &'t Document<'t>, at: usize) -> Option<Self> {
        Some(Self { document, at, entry: document.entries.get(at)? })
    }

    fn said(&self) -> Result<Said, Unmerged> {
        self.document.said(self.entry)
    }

    fn text(&self) -> Result<String, Unmerged> {
        self.document.text(&self.entry.value)
    }

    /// The entry as an object. None if it is another value.
    fn object(&self) -> Result<Option<Object>, Unmerged> {
        Object::read(self.text()?).map_err(|error| unread(error, self.document.version))
    }

    /// True if the bytes of both are the same: then both say the same.
    fn is_spelled_as(&self, other: &Found<'_>) -> Result<bool, Unmerged> {
        Ok(self.document.spells(self.entry, other.document, other.entry)?)
    }

    /// True if both have the same content, whatever their ids.
    fn says_as(&self, other: &Found<'_>) -> Result<bool, Unmerged> {
        Ok(self.is_spelled_as(other)? || self.said()?.content == other.said()?.content)
    }

    /// True if both say the same but for quiet members.
    fn is_in_essence(&self, other: &Found<'_>) -> Result<bool, Unmerged> {
        Ok(self.is_spelled_as(other)? || self.said()?.essence == other.said()?.essence)
    }
}

impl<'a> Tables<'a> {
    pub(super) fn new(
        base: Option<&'a Read<'a>>,
        [here, there]: [&'a Read<'a>; 2],
        names: &'a Names,
    ) -> Result<Self, Unmerged> {
        let places = Places::of(base.map(|base| &base.document), &here.document, &there.document)?;
        let both: Vec<Pair> =
            places.there.iter().enumerate().map(|(at, [_, here])| here.map(|here| [here, at])).collect();
        let texts = here.texts_alike(there, &both)?;
        let rows = here.rows_alike(there, &both)?;
        let alike: Vec<Alike> =
            texts.into_iter().zip(rows).map(|(text, rows)| Alike { text, rows }).collect();
        let mut old_rows = None;
        if let Some(base) = base.filter(|base| base.has_arrays()) {
            let is_known = |there: &usize| alike.get(*there).is_some_and(|alike| alike.text && alike.rows);
            let both = old_rows.insert(<[Vec<bool>; 2]>::default());
            for (at, (side, rows)) in [here, there].into_iter().zip(both).enumerate() {
                let asked = |(old, sides): (usize, &Elsewhere)| {
                    let [_, there] = sides;
                    let place =
                        sides.get(at).copied().flatten().filter(|_| !there.is_some_and(|at| is_known(&at)));
                    place.map(|place| [place, old])
                };
                let pairs: Vec<Pair> = places.base.iter().enumerate().map(asked).collect();
                *rows = side.rows_alike(base, &pairs)?;
            }
        }
        let base = base.map(|base| &base.document);
        Ok(Self { base, here: &here.document, there: &there.document, places, alike, old_rows, names })
    }

    fn old(&self, at: Option<usize>) -> Option<Found<'a>> {
        Found::of(self.base?, at?)
    }
}

impl Tables<'_> {
    /// Decides about all entries.
    pub(super) fn pick(&self) -> Result<Picked, Unmerged> {
        self.must_not_be_embedded_anew()?;
        let mut picked = Picked::default();
        let mut rescued = self.deleted_there()?;
        for (at, [base, here]) in self.places.there.iter().enumerate() {
            let Some(there) = Found::of(self.there, at) else { continue };
            let (base, id) = (self.old(*base), &there.entry.id);
            let pick = match here.and_then(|here| Found::of(self.here, here)) {
                Some(here) => Some(self.of_both(id, base, [here, there], &mut picked)?),
                None => self.stays(id, base, there, &mut rescued)?.then(|| Pick::there(at)),
            };
            picked.picks.extend(pick);
        }
        for (at, [base, there]) in self.places.here.iter().enumerate() {
            let Some(here) = Found::of(self.here, at).filter(|_| there.is_none()) else { continue };
            let id = &here.entry.id;
            match self.old(*base) {
                _ if self.is_seen(id, here)? => {}
                None => {
                    let row = if planted(Bug::FirstRow) { 0 } else { at };
                    picked.picks.push(Pick { text: Source::Here(at), row: (Version::Here, row) });
                }
                Some(base) if !here.is_in_essence(&base)? => {
                    self.clash(id, here, None, &mut picked)?;
                }
                Some(_) => {}
            }
        }
        picked.lost.sort_unstable();
        picked.lost.dedup();
        Ok(picked)
    }

    fn alike(&self, at: usize) -> Alike {
        self.alike.get(at).copied().unwrap_or_default()
    }

    /// True if a version, here or there, has the rows of an entry of the base.
    fn has_old_rows(&self, version: Version, base: Found<'_>) -> bool {
        let Some([here, there]) = &self.old_rows else { return false };
        let rows = if version == Version::Here { here } else { there };
        rows.get(base.at).is_some_and(|same| *same)
    }

    /// True if a version, here or there, has an entry as it is in the base.
    fn is_old(&self, version: Version, found: Found<'_>, base: Found<'_>) -> Result<bool, Unmerged> {
        Ok(self.has_old_rows(version, base) && found.says_as(&base)?)
    }

    /// True if an entry has the same content on both sides.
    fn say_the_same(&self, [here, there]: [Found<'_>; 2]) -> Result<bool, Unmerged> {
        Ok(self.alike(there.at).text || here.said()?.content == there.said()?.content)
    }

    /// An entry that both sides have.
    fn of_both(
        &self,
        id: &Id,
        base: Option<Found<'_>>,
        [here, there]: [Found<'_>; 2],
        picked: &mut Picked,
    ) -> Result<Pick, Unmerged> {
        let stays = Pick::there(there.at);
        let alike = self.alike(there.at);
        if self.say_the_same([here, there])? {
            // Of two vectors for one content, a new one here is taken if it is the only one.
            let is_new = !alike.rows;
            let only_here = is_new && base.is_some_and(|base| self.has_old_rows(Version::There, base));
            let row = if only_here { (Version::Here, here.at) } else { stays.row };
            return Ok(Pick { row, ..stays });
        }
        let Some(base) = base else {
            if !here.is_in_essence(&there)? {
                self.clash(id, here, Some(there), picked)?;
            }
            return Ok(stays);
        };
        if self.is_old(Version::Here, here, base)? {
            return Ok(stays);
        }
        if self.is_old(Version::There, there, base)? {
            return Ok(Pick { text: Source::Here(here.at), row: (Version::Here, here.at) });
        }
        self.mix(id, [base, here, there], picked)
    }

    /// True if an entry that is not here stays.
    fn stays(
        &self,
        id: &Id,
        base: Option<Found<'_>>,
        there: Found<'_>,
        rescued: &mut Counted,
    ) -> Result<bool, Unmerged> {
        // Whoever deleted it here has seen it as it stands.
        if self.is_seen(id, there)? {
            return Ok(false);
        }
        // A new vector of the same memory is no change that would bring it back.
        let Some(base) = base else { return Ok(true) };
        Ok(!there.is_in_essence(&base)? || rescued.take(base.said()?.essence))
    }

    /// True if both sides have had an entry as it is in one of them.
    fn is_seen(&self, id: &Id, found: Found<'_>) -> Result<bool, Unmerged> {
        self.names.seen.get(id).map_or(Ok(false), |seen| Ok(seen.contains(&found.said()?.essence)))
    }

    /// An entry that both sides changed.
    fn mix(
        &self,
        id: &Id,
        [base, here, there]: [Found<'_>; 3],
        picked: &mut Picked,
    ) -> Result<Pick, Unmerged> {
        let stays = Pick::there(there.at);
        let [Some(old), Some(ours), Some(theirs)] = [base.object()?, here.object()?, there.object()?] else {
            // Values without fields: all of it is one.
            self.clash(id, here, Some(there), picked)?;
            return Ok(stays);
        };
        let vectors = Vectors {
            here: !self.has_old_rows(Version::Here, base),
            there: !self.has_old_rows(Version::There, base),
            differ: !self.alike(there.at).rows,
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

    /// Notes a clash of an entry here with the one there, which stands.
    fn clash(
        &self,
        id: &Id,
        here: Found<'_>,
        there: Option<Found<'_>>,
        picked: &mut Picked,
    ) -> Result<(), Unmerged> {
        let (ours, theirs) = (here.text()?, there.map(|there| there.text()).transpose()?);
        picked.clashes.push(Clash::new(id.told(), None, Some(&ours), theirs.as_deref())?);
        picked.lost.push((Version::Here, here.at));
        Ok(())
    }

    /// Contents of entries that are still here, as they were, and were deleted there. Where an
    /// equal one was deleted here, it stays: of two equal memories, each side deleted another.
    fn deleted_there(&self) -> Result<Counted, Unmerged> {
        let mut counted = Counted::default();
        for (at, [here, there]) in self.places.base.iter().enumerate() {
            let here = here.and_then(|here| Found::of(self.here, here)).filter(|_| there.is_none());
            let Some((old, here)) = self.old(Some(at)).zip(here) else { continue };
            if here.is_in_essence(&old)? {
                *counted.0.entry(old.said()?.essence).or_default() += 1;
            }
        }
        Ok(counted)
    }
}

impl Pick {
    /// The entry at this place there, as it is.
    const fn there(at: usize) -> Self {
        Self { text: Source::There(at), row: (Version::There, at) }
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
