//! Texts and rows of the result of a change.

use std::collections::HashMap;

use super::{Edit, Place, Put, Unedited, Vector};
use crate::merge::Unmerged;
use crate::merge::document::{Document, ID, Id, Shape};
use crate::merge::fields::Object;
use crate::merge::rows::{FLOATS, Rows};
use crate::merge::table::Source;
use crate::merge::value::{Member, Unread, digest_of_members};
use crate::model::Digest;

/// Changes by id, against what stands.
pub(super) struct Changes<'d> {
    document: &'d Document<'d>,
    /// Bytes of a row, and the type of its elements. None if no memory has a vector.
    row: Option<(usize, String)>,
    array: Option<&'d Rows<'d>>,
    edits: Vec<&'d Edit>,
    by_id: HashMap<&'d Id, &'d Edit>,
}

impl<'d> Changes<'d> {
    pub fn of(
        document: &'d Document<'d>,
        array: Option<&'d Rows<'d>>,
        edits: &'d [Edit],
    ) -> Result<Self, Unedited> {
        let mut by_id = HashMap::new();
        for edit in edits {
            if by_id.insert(&edit.id, edit).is_some() {
                return Err(refused(edit, "it is changed twice"));
            }
        }
        // The first vectors of a corpus tell how long they are.
        let first = edits.iter().find_map(|edit| match edit.put.as_ref()?.vector.as_ref()? {
            Vector::Numbers(numbers) => Some(numbers.len() * size_of::<f32>()),
            Vector::Bytes(bytes) => Some(bytes.len()),
        });
        let first = first.filter(|_| document.entries.is_empty()).map(|width| (width, FLOATS.to_owned()));
        let row = array.and_then(Rows::of_matrix).or(first);
        Ok(Self { document, row, edits: edits.iter().collect(), by_id, array })
    }

    /// Texts and rows of the result.
    pub fn apply(&self) -> Result<(Vec<Source>, Vec<Place>), Unedited> {
        let (mut texts, mut places) = (Vec::new(), Vec::new());
        for (at, entry) in self.document.entries.iter().enumerate() {
            match self.by_id.get(&entry.id) {
                None => {
                    texts.push(Source::There(at));
                    places.push(Place::Old(at));
                }
                Some(Edit { put: None, .. }) => {}
                Some(edit @ Edit { put: Some(put), .. }) => {
                    let is_same = content(edit, put)? == entry.content;
                    texts.push(if is_same {
                        Source::There(at)
                    } else {
                        Source::Built(at, put.entry.clone())
                    });
                    let row = put.vector.as_ref().map(|vector| self.bytes(edit, vector)).transpose()?;
                    let had = self.array.map(|array| array.row(at)).transpose().map_err(Unmerged::from)?;
                    places
                        .push(row.filter(|row| had.as_ref() != Some(row)).map_or(Place::Old(at), Place::New));
                }
            }
        }
        let stands = self.document.places()?;
        for edit in self.edits.iter().filter(|edit| !stands.contains_key(&edit.id)) {
            let Some(put) = &edit.put else { continue };
            content(edit, put)?;
            texts.push(Source::New(match self.document.shape {
                Shape::List => put.entry.clone(),
                Shape::Map => format!("{}: {}", serde_json::Value::from(edit.id.told()), put.entry),
            }));
            let row = match (&put.vector, &self.row) {
                (Some(vector), _) => self.bytes(edit, vector)?,
                (None, Some(_)) => {
                    return Err(refused(edit, "it is new and needs a vector, as the others have"));
                }
                (None, None) => Vec::new(),
            };
            places.push(Place::New(row));
        }
        Ok((texts, places))
    }

    /// Bytes of a vector in the array.
    fn bytes(&self, edit: &Edit, vector: &Vector) -> Result<Vec<u8>, Unedited> {
        let Some((width, dtype)) = &self.row else {
            return Err(refused(edit, "it has a vector, and the memories beside it have none"));
        };
        let size = match dtype.as_str() {
            FLOATS => size_of::<f32>(),
            "<f8" => size_of::<f64>(),
            _ => 1,
        };
        let bytes = match vector {
            Vector::Bytes(bytes) => bytes.clone(),
            Vector::Numbers(numbers) if size == size_of::<f32>() =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "the array holds no more")]
                numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect()
            }
            Vector::Numbers(numbers) if size == size_of::<f64>() => {
                numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
            }
            Vector::Numbers(_) => {
                let why = format!("its vector must come as bytes: the array holds {dtype}");
                return Err(refused(edit, &why));
            }
        };
        if bytes.len() != *width || *width == 0 {
            let (has, wants) = (bytes.len() / size, width / size);
            let what = if size > 1 { "elements" } else { "bytes" };
            return Err(refused(edit, &format!("its vector has {has} {what}, and the others {wants}")));
        }
        let is_finite = |element: &[u8]| match (size, element) {
            (4, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]).is_finite(),
            (8, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]).is_finite(),
            _ => true,
        };
        match bytes.chunks(size).position(|element| !is_finite(element)) {
            Some(at) => Err(refused(edit, &format!("element {at} of its vector is no finite number"))),
            None => Ok(bytes),
        }
    }
}

/// Content of an entry that is put, which must be an object with its id.
fn content(edit: &Edit, put: &Put) -> Result<Digest, Unedited> {
    let object = Object::read(put.entry.clone()).map_err(|error| match error {
        Unread::Twice(name) => refused(edit, &format!("it has two members named {name:?}")),
        Unread::Other(why) => refused(edit, &why),
    })?;
    let object = object.ok_or_else(|| refused(edit, "it is no object"))?;
    let id = object.value(ID).and_then(Id::read);
    if id.as_ref() != Some(&edit.id) {
        return Err(refused(edit, "its member `id` is another one"));
    }
    let members = object.members.iter().filter(|one: &&Member| one.name != ID);
    Ok(digest_of_members(members.map(|one| (one.name.as_str(), one.digest))))
}

fn refused(edit: &Edit, why: &str) -> Unedited {
    Unedited::Refused { id: edit.id.told().to_owned(), why: why.to_owned() }
}
