//! Which memories a version of a group's files has, as digests: kept in the cache database, so that
//! an older version need not be read again, or fetched, to tell what has changed since.
//!
//! A table belongs to contents, whichever generation they are of. Without one it is made anew from
//! the files. A crash leaves a table that no list names; the next one that is kept removes it.

use std::collections::BTreeMap;

use crate::merge::Id;
use crate::model::Digest;
use crate::sync::served;
use crate::sync::session::Context;

/// Where the database keeps tables, by group.
const TABLES: &str = "memories/";
/// Tables that are kept for a group, the last used ones.
const KEPT: usize = 3;
/// Memories of a table that is kept.
const MOST: usize = 100_000;

/// Digest of each memory with its vector.
pub(super) type Table = BTreeMap<Id, Digest>;

impl Context {
    /// The table of a group's files with these contents, if it is kept.
    pub(super) fn kept_table(&self, group: &str, contents: Digest) -> Option<Table> {
        let bytes = served(self.ports.database.object(&place(group, contents))).flatten()?;
        let table = serde_json::from_slice(&bytes).ok()?;
        self.use_table(group, contents);
        Some(table)
    }

    /// Keeps a table, and forgets those that were not used for the longest time.
    pub(super) fn keep_table(&self, group: &str, contents: Digest, table: &Table) {
        if table.len() > MOST {
            return;
        }
        if let Ok(bytes) = serde_json::to_vec(table) {
            served(self.ports.database.put_object(&place(group, contents), &bytes));
            self.use_table(group, contents);
        }
    }

    /// Notes that a table was used last.
    fn use_table(&self, group: &str, contents: Digest) {
        let (database, list) = (&self.ports.database, format!("{TABLES}{group}"));
        let known = served(database.object(&list)).flatten().unwrap_or_default();
        let known: Vec<Digest> = serde_json::from_slice(&known).unwrap_or_default();
        if known.first() == Some(&contents) {
            return;
        }
        let others = known.into_iter().filter(|other| *other != contents);
        let used: Vec<Digest> = std::iter::once(contents).chain(others).take(KEPT).collect();
        if let Ok(bytes) = serde_json::to_vec(&used) {
            served(database.put_object(&list, &bytes));
        }
        let stays: Vec<String> = used.iter().map(|contents| place(group, *contents)).collect();
        let kept = served(database.object_keys(&format!("{list}/"))).unwrap_or_default();
        for key in kept.iter().filter(|key| !stays.contains(key)) {
            served(database.remove_object(key));
        }
    }
}

fn place(group: &str, contents: Digest) -> String {
    format!("{TABLES}{group}/{contents}")
}
