//! Vectors as rows of an array.

use super::{Edit, Row, Unedited, Vector};
use crate::merge::rows::FLOATS;
use crate::vault::validate::npy::Dtype;

/// Bytes of a row of the array, and the type of its elements.
pub(super) type Form = (usize, String);

/// Row of the first vector among these changes, which tells how long all of them are.
pub(super) fn first(edits: &[Edit]) -> Option<Form> {
    let width = edits.iter().find_map(|edit| match edit.put.as_ref()?.vector.as_ref()? {
        Vector::Numbers(numbers) => Some(numbers.len() * size_of::<f32>()),
        Vector::Bytes(bytes) => Some(bytes.len()),
        Vector::Row(row) => usize::try_from(row.columns).ok()?.checked_mul(size_of::<f32>()),
    });
    width.map(|width| (width, FLOATS.to_owned()))
}

/// Bytes of a vector in the array.
pub(super) fn bytes(edit: &Edit, vector: &Vector, form: Option<&Form>) -> Result<Vec<u8>, Unedited> {
    let Some((width, dtype)) = form else {
        return Err(refused(edit, "it has a vector, and the memories beside it have none"));
    };
    let size = match dtype.as_str() {
        FLOATS => size_of::<f32>(),
        "<f8" => size_of::<f64>(),
        _ => 1,
    };
    let bytes = match vector {
        Vector::Bytes(bytes) => bytes.clone(),
        Vector::Row(row) if row.dtype == *dtype && row.bytes.len() == *width => row.bytes.clone(),
        Vector::Row(row) => return Err(other_form(edit, row, *width, dtype)),
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
        Some(at) => {
            let of = if let Vector::Row(row) = vector { format!(", {},", row.of) } else { String::new() };
            Err(refused(edit, &format!("element {at} of its vector{of} is no finite number")))
        }
        None => Ok(bytes),
    }
}

/// The error of a row that comes from an array of another type or dimension.
fn other_form(edit: &Edit, row: &Row, width: usize, dtype: &str) -> Unedited {
    let size = Dtype::of(dtype).map_or(1, |dtype| dtype.size.max(1));
    let (Row { dtype: found, columns, of, .. }, wanted) = (row, width as u64 / size);
    let why = format!(
        "its vector is {of}, with {columns} elements of {found}, and the others have {wanted} of {dtype}"
    );
    refused(edit, &why)
}

pub(super) fn refused(edit: &Edit, why: &str) -> Unedited {
    Unedited::Refused { id: edit.id.told().to_owned(), why: why.to_owned() }
}
