//! Listing a folder as a bucket lists its keys.
//!
//! Keys are in byte order over the *whole* key, which is not the order of names: `a-b` comes before `a/c`, though `a`
//! comes before `a-b`. So a folder sorts as its name with a slash.

use std::fs;
use std::io;
use std::path::Path;

use super::super::{Object, PAGE, Page};
use super::{MARKER, TEMPORARY, object_at};

/// Something still to be looked at: the key of a file, or of a folder with a slash at its end (empty for the root).
type Key = String;

/// One page of the objects below `root`.
pub(super) fn page(root: &Path, prefix: &str, after: Option<&str>) -> io::Result<Page> {
    let mut objects = Vec::new();
    // The smallest key lies on top. What is no longer needed is never put there, so whole folders stay unread.
    let mut ahead = children(root, "", prefix, after)?;
    while let Some(key) = ahead.pop() {
        if key.ends_with('/') {
            ahead.append(&mut children(root, &key, prefix, after)?);
        } else if let Some((size, modified_ms)) = object_at(&root.join(&key))? {
            if objects.len() == PAGE {
                return Ok(Page { objects, more: true });
            }
            objects.push(Object { key, size, modified_ms });
        }
    }
    Ok(Page { objects, more: false })
}

/// What lies in a folder and may belong to the page, the greatest key first.
fn children(root: &Path, folder: &str, prefix: &str, after: Option<&str>) -> io::Result<Vec<Key>> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        // A name that is not UTF-8 is none of ours.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name == MARKER || name.starts_with(TEMPORARY) {
            continue;
        }
        let kind = entry.file_type()?;
        let key = format!("{folder}{name}{}", if kind.is_dir() { "/" } else { "" });
        if (kind.is_dir() || kind.is_file()) && may_hold(&key, prefix, after) {
            keys.push(key);
        }
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    Ok(keys)
}

/// Whether the key, or one below it where it is a folder's, begins with `prefix` and comes after `after`.
fn may_hold(key: &str, prefix: &str, after: Option<&str>) -> bool {
    let folder = key.ends_with('/');
    let within = key.starts_with(prefix) || (folder && prefix.starts_with(key));
    within && after.is_none_or(|after| key > after || (folder && after.starts_with(key)))
}
