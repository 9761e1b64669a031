//! Saves that take back what pulls have brought: an app held a corpus in memory, another device's
//! memories came, and the app saved what it held.
//!
//! Such a save was made from the version that the app knew, and not from the one that it replaces.
//! So that version is its base: the save becomes the losing side of a conflict, which is merged
//! ([`super::merging`]), and nothing that came is lost.
//!
//! A pull notes which memories it brings, changes or removes, before it puts them in place; later
//! pulls add to that until something is written here. A save that has none of these memories as
//! they came, and some as they were before, is taken for one of these. One that does nothing else
//! is taken for it once: if the same is saved again, a person has deleted what came. One with nothing
//! at all of what was there before, and with a memory that only came with the pull, was made by an
//! app that has read what came.
//!
//! Decided here: which saves those are. Without the note, or with `[conflict] merge = "off"`, a
//! save is what it says. The note counts once the pull has come to its end. A crash in between
//! leaves it to the recovery, which finishes the pull or forgets it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::{Deserialize, Serialize};

use super::bases::Gone;
use super::cycle::{Incoming, Local, Wanted, kind};
use super::session::{Context, Session};
use super::{Merge, SyncError};
use crate::fs::{self, At, ReadFile, each, found};
use crate::merge::{File, Id, Names, essences};
use crate::model::{ConflictId, Content, Digest, Entry, Groups, Item, Kept, Tree, VaultPath, stem};
use crate::plan::{Action, Unfit};
use crate::vault::validate::Kind;
use crate::vault::{ApplyItem, ApplyStep, Stage, hash_stable};

/// Longest note, in bytes.
const MAX_NOTE: u64 = 64 << 20;
/// Memories that are noted for a group: a note is written with each pull.
const MOST: usize = 100_000;

/// What pulls have brought to a group since it was last written here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Brought {
    /// Agreed version that whatever was last written here came from, or was.
    origin: Vec<Kept>,
    /// Version that the last of these pulls put in place.
    agreed: Vec<Kept>,
    /// Memories as they were last written here, by corpus.
    wrote: BTreeMap<VaultPath, Table>,
    /// Memories that differ since, by corpus.
    lines: BTreeMap<VaultPath, Vec<Line>>,
    /// True once a save that took them back was merged.
    merged: bool,
    /// Conflicts over what was last written here: a save from the same memory has all of it.
    #[serde(default)]
    aside: Vec<ConflictId>,
}

/// A memory that pulls have brought, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Id,
    /// Digest of what it said before. None if it was not there.
    before: Option<Digest>,
    /// Digest of what it says since. None if it is gone.
    after: Option<Digest>,
}

/// A save that takes back what pulls have brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reverted {
    /// Conflicts over versions of which it has everything, too.
    pub aside: Vec<ConflictId>,
    /// Memories that it deletes of those that were last written here, by corpus.
    pub gone: Gone,
}

/// Digest of each memory.
type Table = BTreeMap<Id, Digest>;

impl Session<'_> {
    /// Notes what a pull is about to bring to groups.
    pub(super) fn note_brought(
        &self,
        incoming: &Incoming<'_>,
        items: &[ApplyItem],
        wanted: &[Wanted],
        stage: &Stage,
    ) -> Result<(), SyncError> {
        let Some(base) = incoming.base.filter(|_| self.context.settings.merge == Merge::Entries) else {
            return Ok(());
        };
        for item in items {
            if let Item::Group(name) = &item.item {
                let place = self.context.layout.bringing(name);
                found(self.context.fs().remove_file(&place)).at("remove", &place)?;
                self.note_group(name, incoming, base, (item, wanted, stage))?;
            }
        }
        Ok(())
    }

    fn note_group(
        &self,
        name: &str,
        incoming: &Incoming<'_>,
        base: &Tree,
        (item, wanted, stage): (&ApplyItem, &[Wanted], &Stage),
    ) -> Result<(), SyncError> {
        let (context, groups) = (self.context, &incoming.remote.groups);
        let (mut wrote, mut brought) = (BTreeMap::new(), BTreeMap::new());
        for step in &item.steps {
            let Some(Kind::Corpus(key)) = kind(groups, &step.path) else { continue };
            let Some([before, after]) = context.tables(step, &key, wanted, stage)? else { return Ok(()) };
            brought.insert(step.path.clone(), difference(&before, &after));
            wrote.insert(step.path.clone(), before);
        }
        if brought.values().all(Vec::is_empty) {
            return Ok(());
        }
        let (here, base) = (members(groups, name, &incoming.local.tree), members(groups, name, base));
        let known = context.note_of(name)?;
        let last = known.as_ref().filter(|note| alike(groups, &note.agreed, &base));
        let is_reverted = incoming.reverted.contains_key(&item.item);
        let mut note = Brought {
            origin: base.clone(),
            agreed: members(groups, name, &incoming.remote.tree),
            wrote,
            lines: brought,
            merged: is_reverted,
            aside: set_aside(incoming, &item.item).into_iter().collect(),
        };
        if alike(groups, &here, &base)
            && let Some(last) = last
        {
            note.origin = last.origin.clone();
            note.merged = last.merged && !last.grows_with(&note.lines);
            note.wrote = last.wrote.clone();
            note.lines = last.and_then(note.lines);
            note.aside.extend(&last.aside);
        } else if let Some(earlier) = incoming.reverted.get(&item.item) {
            note.aside.extend(&earlier.aside);
        }
        let (lines, wrote) = (note.lines.values().map(Vec::len), note.wrote.values().map(Table::len));
        if lines.chain(wrote).sum::<usize>() > MOST {
            return Ok(());
        }
        let place = context.layout.bringing(name);
        if let Some(folder) = place.parent() {
            context.fs().create_dir_all(folder).at("create", folder)?;
        }
        let bytes = serde_json::to_vec(&note).map_err(io::Error::from).at("write", &place)?;
        if bytes.len() as u64 > MAX_NOTE {
            return Ok(());
        }
        match fs::replace(context.fs(), &place, &bytes, 0o600) {
            // There may be room for what is pulled all the same.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                tracing::warn!(%error, group = name, "no note is taken of what a pull brings");
                Ok(())
            }
            done => Ok(done.at("write", &place)?),
        }
    }
}

impl Context {
    /// Takes the version that an app knew for the base of a save that takes back what pulls have
    /// brought. Returns the groups of which that is so.
    pub(super) fn find_reverts(
        &self,
        groups: &Groups,
        local: &Local,
        unfit: &Unfit,
        base: &mut Tree,
    ) -> Result<BTreeMap<Item, Reverted>, SyncError> {
        let mut reverted = BTreeMap::new();
        if self.settings.merge == Merge::Off {
            return Ok(reverted);
        }
        for group in groups.definitions() {
            let (item, name) = (Item::Group(group.name.clone()), group.name.as_str());
            let is_same = primary(groups, groups.members(name, base))
                .eq(primary(groups, groups.members(name, &local.tree)));
            let blocks = |path: &VaultPath| local.tree.contains_key(path) && groups.item(path) == item;
            if is_same || unfit.here.contains_key(&item) || local.blocked.paths().any(blocks) {
                continue;
            }
            let agreed = members(groups, name, base);
            let note = self.note_of(name)?.filter(|note| alike(groups, &note.agreed, &agreed));
            let Some(note) = note else { continue };
            let Some(found) = self.is_reverted(groups, &note, local)? else { continue };
            tracing::info!(group = name, "a program saved what it held before the last pull; it is merged");
            for file in &agreed {
                base.remove(&file.path);
            }
            base.extend(note.origin.iter().filter_map(|file| Some((file.path.clone(), file.entry?))));
            reverted.insert(item, found);
        }
        Ok(reverted)
    }

    /// Judges the files here: a save that takes back what is noted although that was not meant, or
    /// none.
    fn is_reverted(
        &self,
        groups: &Groups,
        note: &Brought,
        local: &Local,
    ) -> Result<Option<Reverted>, SyncError> {
        let (mut is_pure, mut takes_back, mut gone) = (true, false, Gone::new());
        let (mut had, mut has, mut knows_new) = (false, false, false);
        for (corpus, lines) in &note.lines {
            // Only groups with vectors merge.
            let is_array =
                |path: &VaultPath| kind(groups, path) == Some(Kind::Matrix) && stem(path) == stem(corpus);
            let Some(Kind::Corpus(key)) = kind(groups, corpus) else { return Ok(None) };
            let entry = local.tree.get(corpus).zip(local.stats.get(corpus));
            let Some((entry, stat)) = entry.filter(|_| local.tree.keys().any(is_array)) else {
                return Ok(None);
            };
            let on_disk = local.names.on_disk(corpus).unwrap_or_else(|| corpus.to_string());
            let place = self.layout.root().join(&on_disk);
            let content = found(hash_stable(self.fs(), self.layout.root(), &on_disk, stat));
            if content.at("read", &place)?.flatten() != Some(entry.content()) {
                return Ok(None);
            }
            let Some(file) = found(self.fs().open(&place)).at("open", &place)? else { return Ok(None) };
            let Some(here) = self.table(file.as_ref(), entry.content(), &key)? else { return Ok(None) };
            // What is gone may have been deleted here, too.
            let is_known = |line: &Line| line.after.is_some() && here.get(&line.id) == line.after.as_ref();
            if lines.iter().any(is_known) {
                return Ok(None);
            }
            takes_back |= lines.iter().any(|line| here.get(&line.id) == line.before.as_ref());
            had |= lines.iter().any(|line| line.before.is_some());
            let is_new = |line: &Line| line.before.is_none() && line.after.is_some();
            knows_new |= lines.iter().any(|line| is_new(line) && here.contains_key(&line.id));
            has |=
                lines.iter().any(|line| line.before.is_some() && here.get(&line.id) == line.before.as_ref());
            let wrote = note.wrote.get(corpus).cloned().unwrap_or_default();
            is_pure &= wrote == here;
            let deleted = wrote.into_iter().filter(|(id, _)| !here.contains_key(id));
            gone.insert(corpus.clone(), deleted.collect());
        }
        if had && !has && knows_new {
            // It has read what came, and has changed or deleted every memory of it since.
            return Ok(None);
        }
        // Whoever has read again and deleted all that came has nothing of what was there before,
        // and may not have what waits beside.
        let aside = if has { note.aside.clone() } else { Vec::new() };
        let gone = if has || !had { gone } else { Gone::new() };
        Ok((takes_back && !(is_pure && note.merged)).then_some(Reverted { aside, gone }))
    }

    /// What a corpus says here, and what it will say. None if it is new or goes, or cannot be read
    /// as memories.
    fn tables(
        &self,
        step: &ApplyStep,
        key: &str,
        wanted: &[Wanted],
        stage: &Stage,
    ) -> Result<Option<[Table; 2]>, SyncError> {
        let (Some(old), Some(new)) = (step.old, step.new) else { return Ok(None) };
        let place = self.layout.root().join(step.on_disk.as_deref().unwrap_or(step.path.as_str()));
        let staged = stage.path(new.slot);
        if !wanted.iter().any(|file| file.slot == new.slot) {
            return Ok(None);
        }
        let Some(before) = found(self.fs().open(&place)).at("open", &place)? else { return Ok(None) };
        let after = self.fs().open(&staged).at("open", &staged)?;
        let both = [(before, old.content), (after, new.content)];
        let tables =
            each(self.settings.threads, &both, |(file, content)| self.table(file.as_ref(), *content, key));
        let [before, after] = tables.try_into().unwrap_or_else(|_| [Ok(None), Ok(None)]);
        Ok(before?.zip(after?).map(|(before, after)| [before, after]))
    }

    fn table(&self, file: &dyn ReadFile, content: Content, key: &str) -> Result<Option<Table>, SyncError> {
        let rules = self.settings.rules.clone();
        let names = Names { key: key.to_owned(), rows: Vec::new(), rules, seen: BTreeMap::new() };
        match essences(&names, File { file, len: content.size }) {
            Ok(table) => Ok(Some(table)),
            // What cannot be read as memories is not merged either.
            Err(error) => {
                tracing::debug!(%error, "no note is taken of what a pull brings");
                Ok(None)
            }
        }
    }

    /// Note of a group. One that cannot be read counts as none.
    fn note_of(&self, group: &str) -> Result<Option<Brought>, SyncError> {
        let place = self.layout.brought(group);
        let bytes = found(fs::read(self.fs(), &place, MAX_NOTE)).at("read", &place)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Lets the notes of groups count that a pull has put in place.
    pub(super) fn confirm_brought(&self, done: &[Item]) -> Result<(), SyncError> {
        for item in done {
            let Item::Group(name) = item else { continue };
            let (from, to) = (self.layout.bringing(name), self.layout.brought(name));
            if found(self.fs().rename(&from, &to)).at("rename", &from)?.is_some() {
                let folder = to.parent().unwrap_or(&to);
                self.fs().sync_dir(folder).at("sync", folder)?;
            }
        }
        Ok(())
    }
}

impl Brought {
    /// True if a later pull brings memories that this one does not know.
    fn grows_with(&self, lines: &BTreeMap<VaultPath, Vec<Line>>) -> bool {
        let is_new = |corpus: &VaultPath, line: &Line| {
            let wrote = self.lines.get(corpus).is_some_and(|known| known.iter().any(|one| one.id == line.id));
            !wrote && line.after.is_some()
        };
        lines.iter().any(|(corpus, lines)| lines.iter().any(|line| is_new(corpus, line)))
    }

    /// What differs after a later pull, too.
    fn and_then(&self, later: BTreeMap<VaultPath, Vec<Line>>) -> BTreeMap<VaultPath, Vec<Line>> {
        let mut all = self.lines.clone();
        for (corpus, lines) in later {
            let known = all.remove(&corpus).unwrap_or_default();
            let mut both: BTreeMap<Id, Line> =
                known.into_iter().map(|line| (line.id.clone(), line)).collect();
            for line in lines {
                let before = both.get(&line.id).map_or(line.before, |known| known.before);
                both.insert(line.id.clone(), Line { before, ..line });
            }
            all.insert(corpus, both.into_values().filter(|line| line.before != line.after).collect());
        }
        all
    }
}

/// The conflict over what stands here, if a pull sets it aside.
fn set_aside(incoming: &Incoming<'_>, item: &Item) -> Option<ConflictId> {
    let step = incoming.steps.iter().find(|step| step.item == *item)?;
    match &step.action {
        Action::Conflict(conflict) => Some(conflict.id),
        _ => None,
    }
}

fn members(groups: &Groups, name: &str, tree: &Tree) -> Vec<Kept> {
    let kept = |(path, entry): (&VaultPath, &_)| Kept { path: path.clone(), entry: Some(*entry) };
    groups.members(name, tree).map(kept).collect()
}

/// Contents of the primary ones among the members of a group.
fn primary<'f>(
    groups: &Groups,
    members: impl Iterator<Item = (&'f VaultPath, &'f Entry)>,
) -> impl Iterator<Item = (&'f VaultPath, Content)> {
    members.filter(|(path, _)| !groups.is_derived(path)).map(|(path, entry)| (path, entry.content()))
}

/// True if the primary members of two versions have the same contents.
fn alike(groups: &Groups, one: &[Kept], other: &[Kept]) -> bool {
    primary(groups, entries(one)).eq(primary(groups, entries(other)))
}

fn entries(files: &[Kept]) -> impl Iterator<Item = (&VaultPath, &Entry)> {
    files.iter().filter_map(|file| Some((&file.path, file.entry.as_ref()?)))
}

fn difference(before: &Table, after: &Table) -> Vec<Line> {
    let ids: BTreeSet<&Id> = before.keys().chain(after.keys()).collect();
    let line =
        |id: &Id| Line { id: id.clone(), before: before.get(id).copied(), after: after.get(id).copied() };
    ids.into_iter().map(line).filter(|line| line.before != line.after).collect()
}
