//! Saves that take back what pulls have brought: an app held a corpus in memory, another device's
//! memories came, and the app saved what it held.
//!
//! Such a save was made from the version that the app knew, and not from the one that it replaces.
//! So that version is its base: the save becomes the losing side of a conflict, which is merged
//! ([`super::merging`]), and nothing that came is lost.
//!
//! A pull notes which memories it brings, changes or removes, before it puts them in place; later
//! pulls add to that until something is written here ([`super::brought`]). A save that has none of
//! these memories as they came, and some as they were before, is taken for one of these. One that
//! does nothing else is taken for it once: if the same is saved again, a person has deleted what
//! came. One with nothing at all of what was there before, and with a memory that only came with the
//! pull, was made by an app that has read what came. The same holds for the pulls since any moment at
//! which the app may have read: a save that has something of the first pulls, and nothing of the
//! later ones, comes from the version in between.
//!
//! Decided here: which saves those are. Without the note, or with `[conflict] merge = "off"`, a
//! save is what it says. The note counts once the pull has come to its end. A crash in between
//! leaves it to the recovery, which finishes the pull or forgets it.

use std::collections::BTreeMap;
use std::io;

use super::brought::{Brought, Lines, Reverted, Table, difference, is_empty};
use super::cycle::{Incoming, Local, Wanted, kind};
use super::session::{Context, Session};
use super::{Merge, SyncError};
use crate::fs::{self, At, ReadFile, each, found};
use crate::merge::{File, Names, essences};
use crate::model::{ConflictId, Content, Entry, Groups, Item, Kept, Tree, VaultPath, stem};
use crate::plan::{Action, Unfit};
use crate::vault::validate::Kind;
use crate::vault::{ApplyItem, ApplyStep, Stage, hash_stable};

/// Longest note, in bytes.
const MAX_NOTE: u64 = 64 << 20;
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
        let (mut wrote, mut lines) = (BTreeMap::new(), Lines::new());
        for step in &item.steps {
            let Some(Kind::Corpus(key)) = kind(groups, &step.path) else { continue };
            let Some([before, after]) = context.tables(step, &key, wanted, stage)? else { return Ok(()) };
            lines.insert(step.path.clone(), difference(&before, &after));
            wrote.insert(step.path.clone(), before);
        }
        let (here, base) = (members(groups, name, &incoming.local.tree), members(groups, name, base));
        let agreed = members(groups, name, &incoming.remote.tree);
        let goes_on = |note: &Brought| alike(groups, &note.agreed, &base) && alike(groups, &here, &base);
        let mut note = match context.note_of(name)?.filter(goes_on) {
            // If no memory differs, other contents stand there all the same.
            Some(last) => last.and_then(agreed, lines, wrote),
            None if is_empty(&lines) => return Ok(()),
            None => {
                let earlier = incoming.reverted.get(&item.item);
                let aside = earlier.map(|earlier| earlier.aside.clone()).unwrap_or_default();
                let merged = earlier.is_some();
                Brought { origin: base, agreed, wrote, lines, merged, aside, later: Vec::new() }
            }
        };
        note.aside = set_aside(incoming, &item.item).into_iter().chain(note.aside).collect();
        if note.is_too_long() {
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
            let Some(here) = self.tables_here(groups, &note, local)? else { continue };
            let Some((knew, found)) = note.judge(&here) else { continue };
            tracing::info!(group = name, "a program saved what it held before the last pull; it is merged");
            for file in &agreed {
                base.remove(&file.path);
            }
            base.extend(knew.iter().filter_map(|file| Some((file.path.clone(), file.entry?))));
            reverted.insert(item, found);
        }
        Ok(reverted)
    }

    /// Memories here, of the corpora that are noted. None if one of them cannot be read as memories,
    /// or is written at this moment.
    fn tables_here(
        &self,
        groups: &Groups,
        note: &Brought,
        local: &Local,
    ) -> Result<Option<BTreeMap<VaultPath, Table>>, SyncError> {
        let mut tables = BTreeMap::new();
        for corpus in note.corpora() {
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
            tables.insert(corpus.clone(), here);
        }
        Ok(Some(tables))
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
