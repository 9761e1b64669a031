//! Derived members that the newest generation lacks, because they did not belong to its memories: a
//! merge leaves them out, and so does a push of memories for which an index was not computed.
//!
//! Noted here, in the cache database: which members of which group they are, since when, and
//! whether this device made that generation. The note is dropped once they stand in the newest
//! generation again. Nothing of what is synced depends on it: it is for the status, and for the
//! program that computes them again. Without it, nobody is told.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::cycle::Survey;
use super::session::Context;
use super::{Engine, served};
use crate::log::Snapshot;
use crate::model::{Entry, Groups, Item, VaultPath};

/// Where the database notes groups without some of their derived members.
const NOTES: &str = "left-out/";

/// Derived members of a group that the newest generation lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// The group's name.
    pub group: String,
    /// The members.
    pub paths: BTreeSet<VaultPath>,
    /// Time of the last generation here that left some out, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// True if this device made that generation.
    pub ours: bool,
    /// True if that generation stands here.
    #[serde(skip)]
    pub is_here: bool,
}

/// A file of a group, before and after a change.
pub(super) type Moved<'a> = (&'a VaultPath, Option<&'a Entry>, Option<&'a Entry>);

impl Engine {
    /// Groups of which the newest generation lacks derived members, as far as this device has
    /// noted.
    #[must_use]
    pub fn left_out(&self) -> Vec<LeftOut> {
        let mut left_out = self.context.left_out();
        if left_out.is_empty() {
            return left_out;
        }
        let record = self.context.record().ok().flatten();
        for one in &mut left_out {
            // Members that were agreed on and have not gone here yet are an exception of the
            // record.
            let goes = |path| one.paths.contains(path);
            let waits = record.iter().flat_map(|record| &record.exceptions).any(|other| goes(&other.path));
            one.is_here = record.is_some() && !waits;
        }
        left_out
    }
}

impl Context {
    pub(super) fn left_out(&self) -> Vec<LeftOut> {
        let database = &self.ports.database;
        let keys = served(database.object_keys(NOTES)).unwrap_or_default();
        let notes = keys.iter().filter_map(|key| served(database.object(key)).flatten());
        notes.filter_map(|note| serde_json::from_slice(&note).ok()).collect()
    }

    /// Notes the derived members that go with a change of the memories beside them. `ours`: this
    /// device makes that change.
    pub(super) fn note_left_out<'a>(
        &self,
        groups: &Groups,
        moved: impl Iterator<Item = Moved<'a>>,
        ours: bool,
    ) {
        let mut gone: BTreeMap<String, BTreeSet<VaultPath>> = BTreeMap::new();
        let mut changed = BTreeSet::new();
        for (path, was, is) in moved {
            let Item::Group(name) = groups.item(path) else { continue };
            match (groups.is_derived(path), was, is) {
                (true, Some(_), None) => drop(gone.entry(name).or_default().insert(path.clone())),
                (false, _, Some(_)) => drop(changed.insert(name)),
                _ => {}
            }
        }
        gone.retain(|group, _| changed.contains(group));
        if gone.is_empty() {
            return;
        }
        let known = self.left_out();
        for (group, mut paths) in gone {
            let known = known.iter().find(|known| known.group == group);
            paths.extend(known.iter().flat_map(|known| known.paths.iter().cloned()));
            // This device's own generation comes here as that of another one does.
            let same = known.filter(|known| !ours && known.ours && known.paths == paths);
            let (since_ms, ours) =
                same.map_or_else(|| (self.ports.clock.now_ms(), ours), |known| (known.since_ms, true));
            self.keep_note(&LeftOut { group, paths, since_ms, ours, is_here: false });
        }
    }

    /// Notes what the steps of a survey take from groups: those that are `done` here, and those
    /// that were sent.
    pub(super) fn note_left_out_by(&self, survey: &Survey, done: &BTreeSet<Item>, sent: bool) {
        let steps = survey.plan.steps.iter();
        let of = |outgoing: bool| {
            let steps = steps.clone().filter(move |step| match outgoing {
                true => sent && step.outgoing(),
                false => step.incoming() && done.contains(&step.item),
            });
            // Of an index that was never agreed on nobody else knows.
            let files = steps.flat_map(|step| &step.files);
            files.map(|file| (&file.path, survey.base.get(&file.path), file.to.as_ref()))
        };
        self.note_left_out(&survey.remote.groups, of(false), false);
        self.note_left_out(&survey.remote.groups, of(true), true);
    }

    /// Forgets the members that stand in a state again, or of which nobody knows any more.
    pub(super) fn forget_left_out(&self, state: &Snapshot) {
        for mut note in self.left_out() {
            let known = note.paths.len();
            let is_member = |path: &VaultPath| {
                state.groups.is_derived(path) && state.groups.item(path) == Item::Group(note.group.clone())
            };
            let kept = note.paths.iter().filter(|path| !state.tree.contains_key(*path) && is_member(path));
            note.paths = kept.cloned().collect();
            if note.paths.is_empty() {
                served(self.ports.database.remove_object(&name(&note.group)));
            } else if note.paths.len() < known {
                self.keep_note(&note);
            }
        }
    }

    fn keep_note(&self, note: &LeftOut) {
        if let Ok(bytes) = serde_json::to_vec(note) {
            served(self.ports.database.put_object(&name(&note.group), &bytes));
        }
    }
}

fn name(group: &str) -> String {
    format!("{NOTES}{group}")
}
