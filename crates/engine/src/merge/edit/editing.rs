//! Changes that are taken one after the other, each against the state that those before it leave.

use std::collections::{HashMap, HashSet};

use super::vector::{self, Form, refused};
use super::{Edit, Editable, Edited, Expectation, Place, Put, Unedited};
use crate::merge::document::{Entry, ID, Id, Shape, unread};
use crate::merge::fields::Object;
use crate::merge::rows::Rows;
use crate::merge::table::Source;
use crate::merge::value::{Member, Unread, digest_of_members};
use crate::merge::{Unmerged, Version};
use crate::model::Digest;

/// A corpus that is being changed.
pub struct Editing<'d> {
    of: &'d Editable<'d>,
    /// Place of each entry that stands in the files.
    places: HashMap<&'d Id, usize>,
    /// State of each memory that was changed. None for a deleted one.
    changed: HashMap<Id, Option<Now>>,
    /// Bytes of a row, and the type of its elements. None if no memory has a vector.
    row: Option<Form>,
    /// Number of memories now.
    count: usize,
    /// Number of memories that were added, with those that are gone again.
    added: usize,
}

/// State of a memory.
#[derive(Debug, Clone)]
struct Now {
    content: Digest,
    /// Its text. None for the one that stands in the corpus.
    text: Option<String>,
    /// Its row. None for the one that stands in the array.
    row: Option<Vec<u8>>,
    /// Its number among those that come at the end. None if it stands in the corpus.
    order: Option<usize>,
}

/// A change that can be made.
pub struct Step {
    states: Vec<(Id, Option<Now>)>,
    row: Option<Form>,
    count: usize,
    added: usize,
    /// What it changes.
    pub touched: Touched,
}

/// What a change changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touched {
    /// The corpus.
    pub corpus: bool,
    /// The files of rows.
    pub rows: bool,
}

impl<'a> Editable<'a> {
    /// Begins to change it.
    ///
    /// # Errors
    /// If two entries have one id.
    pub fn editing(&'a self) -> Result<Editing<'a>, Unedited> {
        let row = self.array.as_ref().and_then(Rows::of_matrix);
        let (places, count) = (self.document.places()?, self.document.entries.len());
        Ok(Editing { of: self, places, changed: HashMap::new(), row, count, added: 0 })
    }
}

impl<'d> Editing<'d> {
    /// Looks whether a change can be made now.
    ///
    /// # Errors
    /// See [`Unedited`].
    pub fn look(&self, expected: &[Expectation], edits: &[Edit]) -> Result<Step, Unedited> {
        self.meet(expected)?;
        let begins = self.count == 0 && self.of.matrix().is_some();
        let row = self.row.clone().or_else(|| vector::first(edits).filter(|_| begins));
        let (states, touched) = (Vec::new(), Touched::default());
        let mut step = Step { states, row, count: self.count, added: self.added, touched };
        let mut ids = HashSet::new();
        for edit in edits {
            if !ids.insert(&edit.id) {
                return Err(refused(edit, "it is changed twice"));
            }
            let state = match (self.now(&edit.id)?, &edit.put) {
                (None, None) => continue,
                (Some(_), None) => {
                    self.may_go(&edit.id, step.added > 0)?;
                    step.count -= 1;
                    step.touched = Touched { corpus: true, rows: true };
                    None
                }
                (Some(now), Some(put)) => Some(self.replaced(now, edit, put, &mut step)?),
                (None, Some(put)) => Some(added(edit, put, self.of.document.shape, &mut step)?),
            };
            step.states.push((edit.id.clone(), state));
        }
        Ok(step)
    }

    /// Makes a change that [`Editing::look`] has found can be made, with no other in between.
    pub fn take(&mut self, step: Step) {
        self.changed.extend(step.states);
        (self.row, self.count, self.added) = (step.row, step.count, step.added);
    }

    /// The files as they are after all changes.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn finish(self) -> Result<Edited<'d>, Unedited> {
        let entries = &self.of.document.entries;
        let (mut texts, mut places) = (Vec::with_capacity(self.count), Vec::with_capacity(self.count));
        let Self { mut changed, .. } = self;
        for (at, Entry { id, .. }) in entries.iter().enumerate() {
            let is_back = |now: &Option<Now>| now.as_ref().is_some_and(|now| now.order.is_some());
            match changed.get(id) {
                None => {
                    texts.push(Source::There(at));
                    places.push(Place::Old(at));
                    continue;
                }
                // It was deleted and comes again, at the end.
                Some(now) if is_back(now) => continue,
                Some(_) => {}
            }
            let Some(Some(Now { text, row, .. })) = changed.remove(id) else { continue };
            texts.push(text.map_or(Source::There(at), |text| Source::Built(at, text)));
            places.push(row.map_or(Place::Old(at), Place::New));
        }
        let mut new: Vec<(Id, Now)> = changed.into_iter().filter_map(|(id, now)| Some((id, now?))).collect();
        new.sort_unstable_by_key(|(_, now)| now.order);
        for (id, Now { text, row, .. }) in new {
            let text = text.unwrap_or_default();
            texts.push(Source::New(match self.of.document.shape {
                Shape::List => text,
                Shape::Map => format!("{}: {text}", serde_json::Value::from(id.told())),
            }));
            places.push(Place::New(row.unwrap_or_default()));
        }
        Edited::new(self.of, texts, places)
    }

    /// State of a memory. None if there is none.
    fn now(&self, id: &Id) -> Result<Option<Now>, Unedited> {
        if let Some(state) = self.changed.get(id) {
            return Ok(state.clone());
        }
        let Some((_, entry)) = self.entry(id) else { return Ok(None) };
        let content = self.of.document.said(entry)?.content;
        Ok(Some(Now { content, text: None, row: None, order: None }))
    }

    fn entry(&self, id: &Id) -> Option<(usize, &'d Entry)> {
        let at = *self.places.get(id)?;
        Some((at, self.of.document.entries.get(at)?))
    }

    /// Refuses to delete a memory where a field of those that follow says their places. Some follow
    /// the last one, too, where memories were added.
    fn may_go(&self, id: &Id, has_added: bool) -> Result<(), Unmerged> {
        let is_last = |(at, _): (usize, _)| at + 1 == self.of.document.entries.len();
        if self.entry(id).is_none_or(|entry| is_last(entry) && !has_added) {
            return Ok(());
        }
        // An id stays what it is.
        self.of.document.must_not_number(|field| field != ID)
    }

    /// Refuses a change that was made for another state.
    fn meet(&self, expected: &[Expectation]) -> Result<(), Unedited> {
        for Expectation { id, field, digest } in expected {
            let now = self.now(id)?;
            let text = match (&now, self.entry(id)) {
                (Some(Now { text: Some(text), .. }), _) => Some(text.clone()),
                (Some(_), Some((_, entry))) => Some(self.of.document.text(&entry.value)?),
                _ => None,
            };
            let (found, current) = match (field, text) {
                (None, text) => (now.map(|now| now.content), text),
                (Some(_), None) => (None, None),
                (Some(field), Some(text)) => {
                    let object = Object::read(text).map_err(|error| unread(error, Version::Now))?;
                    let value = object.as_ref().and_then(|object| object.value(field).map(ToOwned::to_owned));
                    (object.as_ref().and_then(|object| object.member(field)).map(|one| one.digest), value)
                }
            };
            if found != *digest {
                let (id, field) = (id.told().to_owned(), field.clone());
                return Err(Unedited::Changed { id, field, current });
            }
        }
        Ok(())
    }

    /// State of a memory that is put where one stands.
    fn replaced(&self, mut now: Now, edit: &Edit, put: &Put, step: &mut Step) -> Result<Now, Unedited> {
        let Said { content, bare } = said(edit, put, self.of.document.shape)?;
        // In a map the id may stand beside the entry alone.
        if content != now.content && bare != now.content {
            step.touched.corpus = true;
            (now.content, now.text) = (content, Some(put.entry.clone()));
        }
        if let Some(vector) = &put.vector {
            let row = vector::bytes(edit, vector, step.row.as_ref())?;
            let stands = match (&now.row, self.entry(&edit.id), &self.of.array) {
                (Some(row), ..) => Some(row.clone()),
                (None, Some((at, _)), Some(array)) => Some(array.row(at).map_err(Unmerged::from)?),
                _ => None,
            };
            if stands.as_ref() != Some(&row) {
                step.touched.rows = true;
                now.row = Some(row);
            }
        }
        Ok(now)
    }
}

/// State of a memory that is new.
fn added(edit: &Edit, put: &Put, shape: Shape, step: &mut Step) -> Result<Now, Unedited> {
    let Said { content, .. } = said(edit, put, shape)?;
    let row = match (&put.vector, &step.row) {
        (Some(vector), row) => vector::bytes(edit, vector, row.as_ref())?,
        (None, Some(_)) => return Err(refused(edit, "it is new and needs a vector, as the others have")),
        (None, None) => Vec::new(),
    };
    let order = Some(step.added);
    step.added += 1;
    step.count += 1;
    step.touched = Touched { corpus: true, rows: true };
    Ok(Now { content, text: Some(put.entry.clone()), row: Some(row), order })
}

/// Content of an entry that is put.
struct Said {
    /// Its digest, as that of an entry which stands there.
    content: Digest,
    /// Digest of all but the id.
    bare: Digest,
}

/// Content of an entry that is put, which must be an object with its id.
fn said(edit: &Edit, put: &Put, shape: Shape) -> Result<Said, Unedited> {
    let object = Object::read(put.entry.clone()).map_err(|error| match error {
        Unread::Twice(name) => refused(edit, &format!("it has two members named {name:?}")),
        Unread::Other(why) => refused(edit, &why),
    })?;
    let object = object.ok_or_else(|| refused(edit, "it is no object"))?;
    let id = object.value(ID).and_then(Id::read);
    if id.as_ref() != Some(&edit.id) {
        return Err(refused(edit, "its member `id` is another one"));
    }
    let digest = |with_id: bool| {
        let members = object.members.iter().filter(|one: &&Member| with_id || one.name != ID);
        digest_of_members(members.map(|one| (one.name.as_str(), one.digest)))
    };
    Ok(Said { content: digest(shape == Shape::Map), bare: digest(false) })
}
