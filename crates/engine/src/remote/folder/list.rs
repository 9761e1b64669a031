//! Listing of a folder in the key order of a bucket.
//!
//! Keys are in byte order over the *whole* key, which is not the order of names: `a-b` comes before
//! `a/c`, although `a` comes before `a-b`. So a folder sorts by its name with a slash.

use std::fs;
use std::io;
use std::path::Path;

use super::super::{Object, PAGE, Page};
use super::{MARKER, TEMPORARY, object_at};

/// Entry still to visit: the key of a file, or of a folder with a trailing slash (empty for the
/// root).
type Key = String;

/// Lists one page of the objects below `root`.
pub(super) fn page(root: &Path, prefix: &str, after: Option<&str>) -> io::Result<Page> {
    let mut objects = Vec::new();
    // The smallest key is on top. Keys outside the page are never pushed, so whole folders stay
    // unread.
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

/// Entries of a folder that may belong to the page, the greatest key first.
fn children(root: &Path, folder: &str, prefix: &str, after: Option<&str>) -> io::Result<Vec<Key>> {
    let mut keys = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        // This program only writes names in UTF-8.
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

/// True if the key, or a key below it if it is a folder's, starts with `prefix` and comes after
/// `after`.
fn may_hold(key: &str, prefix: &str, after: Option<&str>) -> bool {
    let folder = key.ends_with('/');
    let within = key.starts_with(prefix) || (folder && prefix.starts_with(key));
    within && after.is_none_or(|after| key > after || (folder && after.starts_with(key)))
}
