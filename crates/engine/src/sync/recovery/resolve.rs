//! Decides a conflict, on any device: the losing version is put back, or given up, or kept beside
//! the other.
//!
//! The bytes of both are in the bucket, so a decision is only a commit. The losing version's files
//! on a disk go to that device's trash once it has seen the decision. A decision stays: it beats
//! the same conflict listed open by a fork. A crash leaves what [`super::rewrite`] says.

use std::collections::BTreeMap;

use super::{Rewrite, Rewritten};
use crate::log::{Log, Snapshot};
use crate::model::{
    CommitKind, Conflict, ConflictId, Entry, Item, Keep, MAX_NAME_BYTES, MAX_PATH_BYTES, Resolution, Role,
    VaultPath,
};
use crate::sync::session::Context;
use crate::sync::{Engine, Refusal, SyncError, Watcher};
use crate::vault::{ApplyId, trash};

type Wanted = BTreeMap<VaultPath, Option<Entry>>;

/// Characters of a device's name that go into a file's name.
const NAME_CHARS: usize = 40;

/// Bytes from which on the end of a name, after its last dot, is no type of file.
const LONGEST_END: usize = 32;

/// Folder for files that have no place beside what they are a version of.
const ELSEWHERE: &str = "conflicts";

impl Engine {
    /// Decides a conflict, for all devices.
    ///
    /// # Errors
    /// See [`SyncError`]; a [`Refusal`] if it is not open, or if the losing version would take away
    /// most of the present files and `yes` is not given.
    pub async fn resolve(
        &mut self,
        id: ConflictId,
        keep: Keep,
        yes: bool,
        watcher: &dyn Watcher,
    ) -> Result<Rewritten, SyncError> {
        self.resolve_all(&[Resolution { id, keep }], yes, watcher).await
    }

    /// Decides several conflicts, for all devices and in one generation. Of several over one item
    /// whose losing versions are to be put back, the newest is.
    ///
    /// # Errors
    /// See [`Engine::resolve`]; nothing is decided then.
    pub async fn resolve_all(
        &mut self,
        decisions: &[Resolution],
        yes: bool,
        watcher: &dyn Watcher,
    ) -> Result<Rewritten, SyncError> {
        let make = async |_: &mut Log, head: &Snapshot| {
            let (wanted, beside) = wanted(decisions, head)?;
            let mut resolved = decisions.to_vec();
            resolved.sort_by_key(|resolution| resolution.id);
            resolved.dedup_by_key(|resolution| resolution.id);
            Ok((Rewrite { kind: CommitKind::Resolve, wanted, resolved, ..Rewrite::default() }, beside))
        };
        self.rewritten(make, yes, watcher).await
    }
}

/// The files that `decisions` ask for, and the names of second copies among them.
fn wanted(decisions: &[Resolution], head: &Snapshot) -> Result<(Wanted, Vec<VaultPath>), Refusal> {
    let conflict = |&Resolution { id, keep }: &Resolution| Ok((open_conflict(head, id)?, keep));
    let mut decided = decisions.iter().map(conflict).collect::<Result<Vec<_>, Refusal>>()?;
    // A version without an origin was never committed: it is the newest.
    let age =
        |conflict: &Conflict| (conflict.origin.is_none(), conflict.origin.as_ref().map(|origin| origin.txn));
    decided.sort_by_key(|(conflict, _)| age(conflict));
    let (mut whole, mut names) = (Wanted::new(), Vec::new());
    for (conflict, keep) in decided {
        match keep {
            Keep::Remote => {}
            Keep::Mine => {
                must_be_whole(conflict, head)?;
                // Names beside the files are not of the item.
                whole.retain(|path, _| names.contains(path) || head.groups.item(path) != conflict.item);
                whole.extend(put_back(conflict, head));
            }
            Keep::Both => {
                let beside = beside(conflict, head, &whole)?;
                names.extend(beside.keys().cloned());
                whole.extend(beside);
            }
        }
    }
    Ok((whole, names))
}

/// The open conflict of this id.
pub(super) fn open_conflict(head: &Snapshot, id: ConflictId) -> Result<&Conflict, Refusal> {
    match (head.conflicts.get(&id), head.resolved.get(&id)) {
        (Some(conflict), _) => Ok(conflict),
        (None, Some(&keep)) => Err(Refusal::Decided { id, keep }),
        (None, None) => Err(Refusal::NoConflict(id)),
    }
}

/// The group that the losing version holds a file of without being a version of that group. A
/// program that writes on into a file after it was replaced leaves such a version: the other
/// members' bytes of that moment are unknown.
pub(in crate::sync) fn part_of<'a>(
    conflict: &'a Conflict,
    head: &Snapshot,
) -> Option<(&'a VaultPath, String)> {
    let group = |path| match head.groups.item(path) {
        item if item == conflict.item => None,
        Item::Group(name) => Some((path, name)),
        Item::File(_) => None,
    };
    conflict.files.iter().filter(|file| !file.is_count()).find_map(|file| group(&file.path))
}

/// Refuses a version that would tear a group in two.
pub(super) fn must_be_whole(conflict: &Conflict, head: &Snapshot) -> Result<(), Refusal> {
    match part_of(conflict, head) {
        Some((path, group)) => Err(Refusal::PartOf { id: conflict.id, path: path.clone(), group }),
        None => Ok(()),
    }
}

impl Context {
    /// Moves this disk's files of decided conflicts to trashes with names from `trash`.
    pub(crate) fn clear_resolved(
        &self,
        agreed: &Snapshot,
        trash: &dyn Fn() -> ApplyId,
    ) -> Result<(), SyncError> {
        let here = self.local_conflicts()?.into_keys();
        let resolved: Vec<_> = here.filter(|id| agreed.resolved.contains_key(id)).collect();
        if resolved.is_empty() {
            return Ok(());
        }
        // What is discarded is not looked at again: it stays until it has been.
        let unchecked = trash::unchecked_conflicts(self.fs(), &self.layout)?;
        for id in resolved.into_iter().filter(|id| !unchecked.contains(id)) {
            trash::discard_conflict(self.fs(), &self.layout, &trash(), id)?;
        }
        Ok(())
    }
}

/// The item as in the losing version. Members that it did not have go too: a group is never half of
/// one side.
fn put_back(conflict: &Conflict, head: &Snapshot) -> Wanted {
    let stands = head.tree.keys().filter(|path| head.groups.item(path) == conflict.item);
    let mut wanted: Wanted = stands.map(|path| (path.clone(), None)).collect();
    wanted.extend(conflict.files.iter().map(|file| (file.path.clone(), file.entry)));
    wanted
}

/// Files of the losing version under names of their own, which tell their origin. Indexes are left
/// out: they are computed again, and beside the others they would belong to nothing.
fn beside(conflict: &Conflict, head: &Snapshot, taken: &Wanted) -> Result<Wanted, Refusal> {
    let whence = whence(conflict);
    let role = |path| head.groups.find(path).map(|(_, role)| role);
    let files = conflict.files.iter().filter(|file| role(&file.path) != Some(Role::Derived));
    let (mut wanted, mut taken) = (Wanted::new(), taken.clone());
    for (path, entry) in files.filter_map(|file| file.entry.map(|entry| (&file.path, entry))) {
        if head.tree.get(path) == Some(&entry) {
            continue; // The same version stands already: nothing to keep beside it.
        }
        let is_taken = head.tree.contains_key(path) || taken.contains_key(path);
        let alone = head.groups.find(path).is_none();
        let told = alone && !is_taken && path.file_name().contains(&format!("({whence}"));
        let name = if told { Some(path.clone()) } else { free_name(path, &whence, head, &taken) };
        let name = name.ok_or_else(|| Refusal::NoPlaceBeside(path.clone()))?;
        taken.insert(name.clone(), Some(entry));
        wanted.insert(name, Some(entry));
    }
    Ok(wanted)
}

/// A free name for a part of a conflict's losing version of `path`.
pub(super) fn name_beside(
    path: &VaultPath,
    conflict: &Conflict,
    head: &Snapshot,
) -> Result<VaultPath, Refusal> {
    let name = free_name(path, &whence(conflict), head, &Wanted::new());
    name.ok_or_else(|| Refusal::NoPlaceBeside(path.clone()))
}

/// Origin of a conflict, such as `laptop 2026-11-21 101502`. The conflict's id if the origin is
/// unknown.
fn whence(conflict: &Conflict) -> String {
    let Some(origin) = &conflict.origin else { return format!("conflict {}", conflict.id.short()) };
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | ' ') { c } else { '_' };
    let device: String = origin.device.chars().map(safe).take(NAME_CHARS).collect();
    let seconds = i64::try_from(origin.txn.wall_ms / 1000).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds).map(|time| time.strftime("%Y-%m-%d %H%M%S").to_string());
    format!("{} {}", device.trim(), time.unwrap_or_default()).trim().to_owned()
}

/// A free name, such as `corpus/nodes (laptop 2026-11-21 101502).json`: no file has it in any
/// letter case, and it is in no group. Where every name of the folder is in one, the file goes to
/// the vault's root or to [`ELSEWHERE`]. Of a long name the end is cut off.
fn free_name(path: &VaultPath, whence: &str, head: &Snapshot, taken: &Wanted) -> Option<VaultPath> {
    let (folder, name) =
        path.as_str().rsplit_once('/').map_or(("", path.as_str()), |(folder, name)| (folder, name));
    let (stem, end) = match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() && end.len() < LONGEST_END => (stem, format!(".{end}")),
        _ => (name, String::new()),
    };
    let used = |key: &str| head.tree.keys().chain(taken.keys()).any(|other| other.fold_key() == key);
    let named = |folder: &str, number: u32| {
        let number = if number == 1 { String::new() } else { format!(" {number}") };
        let end = format!(" ({whence}{number}){end}");
        let slash = if folder.is_empty() { "" } else { "/" };
        let room = MAX_NAME_BYTES.min(MAX_PATH_BYTES.saturating_sub(folder.len() + slash.len()));
        let stem = stem.get(..stem.floor_char_boundary(room.saturating_sub(end.len())));
        let stem = stem.filter(|stem| !stem.is_empty())?;
        let path = VaultPath::new(&format!("{folder}{slash}{stem}{end}")).ok();
        path.filter(|path| head.groups.find(path).is_none())
    };
    let mut folders = vec![folder, "", ELSEWHERE];
    folders.dedup();
    folders.into_iter().find_map(|folder| {
        let mut names = (1..1000_u32).filter_map(|number| named(folder, number));
        names.find(|name| !used(&name.fold_key()))
    })
}

#[cfg(test)]
mod tests;
