//! Vectors as rows of an array.

use super::{Edit, Unedited, Vector};
use crate::merge::rows::FLOATS;

/// Bytes of a row, and the type of its elements.
pub(super) type Row = (usize, String);

/// Row of the first vector among these changes, which tells how long all of them are.
pub(super) fn first(edits: &[Edit]) -> Option<Row> {
    let width = edits.iter().find_map(|edit| match edit.put.as_ref()?.vector.as_ref()? {
        Vector::Numbers(numbers) => Some(numbers.len() * size_of::<f32>()),
        Vector::Bytes(bytes) => Some(bytes.len()),
    });
    width.map(|width| (width, FLOATS.to_owned()))
}

/// Bytes of a vector in the array.
pub(super) fn bytes(edit: &Edit, vector: &Vector, row: Option<&Row>) -> Result<Vec<u8>, Unedited> {
    let Some((width, dtype)) = row else {
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

pub(super) fn refused(edit: &Edit, why: &str) -> Unedited {
    Unedited::Refused { id: edit.id.told().to_owned(), why: why.to_owned() }
}
