//! Merges two versions of a JSON object key by key, at every depth.
//!
//! A member that one side changed is taken from there, and an object that both changed is merged in
//! its turn. Nothing is guessed: where both gave the same key another value, the file is not
//! merged. The result is the text of the version that stands with changed members put in.

use std::collections::BTreeSet;
use std::io::Write;

use super::document::unread;
use super::fields::Object;
use super::lines::text;
use super::{File, Unmerged, Version};

/// Writes the object there with the changes of the one here. No `base`: both began it.
///
/// # Errors
/// [`Unmerged::SameKey`] if both changed the same key; [`Unmerged::NoObject`] if a version is none.
pub fn join_keys(
    base: Option<&File<'_>>,
    here: &File<'_>,
    there: &File<'_>,
    out: &mut dyn Write,
) -> Result<(), Unmerged> {
    let read = |file: &File<'_>, version| -> Result<String, Unmerged> {
        let text = String::from_utf8(text(file, 0, version)?);
        text.map_err(|_| Unmerged::NoObject { version })
    };
    let base = base.map(|base| read(base, Version::Base)).transpose()?;
    let texts =
        [base.unwrap_or_else(|| "{}".to_owned()), read(here, Version::Here)?, read(there, Version::There)?];
    let merged = joined(texts, "")?;
    Ok(out.write_all(merged.as_bytes())?)
}

/// The object at a path of keys: in the base, here and there.
fn joined([base, here, there]: [String; 3], path: &str) -> Result<String, Unmerged> {
    let object = |text: String, version| {
        let object = Object::read(text).map_err(|error| unread(error, version))?;
        object.ok_or(Unmerged::NoObject { version })
    };
    let base = object(base, Version::Base)?;
    let (here, there) = (object(here, Version::Here)?, object(there, Version::There)?);
    let theirs = there.changed(&base);
    let (mut taken, mut mixed) = (BTreeSet::new(), Vec::new());
    for name in here.changed(&base) {
        if !theirs.contains(name) {
            taken.insert(name.to_owned());
        } else if !here.has_equal(&there, name) {
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let values = [base.value(name).or(Some("{}")), here.value(name), there.value(name)];
            let [Some(old), Some(ours), Some(other)] = values else { return Err(Unmerged::SameKey { path }) };
            if ![old, ours, other].into_iter().all(|value| value.trim_start().starts_with('{')) {
                return Err(Unmerged::SameKey { path });
            }
            let value = joined([old, ours, other].map(ToOwned::to_owned), &path)?;
            mixed.push((name.to_owned(), value));
        }
    }
    let mut text = there.with(&here, &taken);
    for (name, value) in mixed {
        let one = format!("{{{}:{value}}}", serde_json::Value::from(name.as_str()));
        let (whole, one) = (object(text, Version::There)?, object(one, Version::There)?);
        text = whole.with(&one, &BTreeSet::from([name]));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
