//! The trash: displaced files, kept for a while.
//!
//! `sync/trash/<apply id>/` holds the files that one apply displaced, below `files/`, and that
//! apply's journal. A program may still hold a displaced file open and write to it. So each trash
//! is looked at again after the settle window ([`recheck`]); changed files are to become conflict
//! copies, and only then ([`acknowledge`]) may the trash [`expire`].
//!
//! The journal's name tells the two states apart, so a crash in between only repeats the look. Only
//! one program at a time looks ([`in_turn`]).

mod replaced;

use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use replaced::clear_replaced;

use super::database::hash_as_it_is;
use super::journal::{Journal, Purpose};
use super::read::{hash_file, is_locked, quiet};
use super::{ApplyId, FileLock, JournalError, Layout, Mounts};
use crate::fs::{self, At, Fs, IoAt, each, files_below, found, in_blocks, remove_tree, takes_no_file};
use crate::model::{ConflictId, Content, FileKind, VaultPath};

/// Journal of an apply whose displaced files are still to be looked at again.
const UNCHECKED: &str = "applying.json";
/// Journal of an apply whose displaced files were looked at again.
const CHECKED: &str = "applied.json";

/// The trash of one apply, looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rechecked {
    /// Id of the apply.
    pub id: ApplyId,
    /// Files that a program wrote to after they were displaced.
    pub changed: Vec<Changed>,
    /// True if a program displaced them by a transaction: it meant to replace them, as by
    /// overwriting.
    pub meant: bool,
}

/// A displaced file with another content than the plan saw: a local edit, to be kept as a conflict
/// copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its path in the vault. None if its name in the trash does not tell.
    pub path: Option<VaultPath>,
    /// Its present place.
    pub place: PathBuf,
    /// Its present content.
    pub content: Content,
}

/// Failure of the trash.
#[derive(Debug, thiserror::Error)]
pub enum TrashError {
    /// A journal in it cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoAt),
}

/// Ids of all applies that displaced files, oldest first.
///
/// # Errors
/// Errors of the system.
pub fn list(fs: &dyn Fs, layout: &Layout) -> Result<Vec<ApplyId>, TrashError> {
    let trash = layout.trash();
    let names = found(fs.read_dir(&trash)).at("list", &trash)?.unwrap_or_default();
    // Other names were put there by another program, and are left alone.
    let ids = names.into_iter().filter_map(|(name, _)| name.to_str()?.parse().ok());
    let mut ids: Vec<ApplyId> = ids.collect();
    ids.sort();
    Ok(ids)
}

/// Looks again at displaced files: in every trash that is not acknowledged and in which nothing has
/// moved for the settle window.
///
/// # Errors
/// An error if a trash cannot be read.
pub fn recheck(
    fs: &dyn Fs,
    layout: &Layout,
    now_ns: i64,
    settle: Duration,
    threads: NonZeroUsize,
) -> Result<Vec<Rechecked>, TrashError> {
    let mut rechecked = Vec::new();
    for id in list(fs, layout)? {
        let Some(journal) = Journal::read(fs, &layout.trash_of(&id).join(UNCHECKED))? else { continue };
        if let Some(changed) = changes(fs, layout, &journal, (now_ns, settle), threads)? {
            let meant = matches!(journal.purpose, Purpose::Transaction(_));
            rechecked.push(Rechecked { id, changed, meant });
        }
    }
    Ok(rechecked)
}

/// Runs `look` while no other program looks at the trash or removes what it has looked at. None if
/// another one does.
///
/// # Errors
/// Errors of `look`, and of the system.
pub fn in_turn<T, E: From<IoAt>>(
    fs: &dyn Fs,
    layout: &Layout,
    look: impl FnOnce() -> Result<T, E>,
) -> Result<Option<T>, E> {
    if !fs.is_shared() {
        return look().map(Some);
    }
    let _lock = match FileLock::try_take(fs, &layout.trash_lock()) {
        // Where the file cannot be made, no other program has made it either.
        Err(error) if takes_no_file(&error.source) => None,
        taken => match taken? {
            Some(lock) => Some(lock),
            None => return Ok(None),
        },
    };
    look().map(Some)
}

/// Records that everything [`recheck`] found in a trash is dealt with.
///
/// # Errors
/// Errors of the system.
pub fn acknowledge(fs: &dyn Fs, layout: &Layout, id: &ApplyId) -> Result<(), TrashError> {
    let folder = layout.trash_of(id);
    let from = folder.join(UNCHECKED);
    fs.rename(&from, &folder.join(CHECKED)).at("rename", &from)?;
    Ok(fs.sync_dir(&folder).at("sync", &folder)?)
}

/// Result of [`expire`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Trashes removed.
    pub removed: Vec<ApplyId>,
    /// Trashes that are old enough and not acknowledged yet.
    pub waiting: Vec<ApplyId>,
}

/// Removes every acknowledged trash of an apply that started before `older_than_ms`.
///
/// # Errors
/// Errors of the system.
pub fn expire(fs: &dyn Fs, layout: &Layout, older_than_ms: u64) -> Result<Expired, TrashError> {
    let mut expired = Expired::default();
    let all = list(fs, layout)?;
    Mounts::load(fs, layout)?.sweep(fs, layout, older_than_ms, &all)?;
    for id in all.into_iter().filter(|id| id.ms() < older_than_ms) {
        let folder = layout.trash_of(&id);
        let checked = folder.join(CHECKED);
        if found(fs.lstat(&checked)).at("look at", &checked)?.is_some() {
            remove(fs, layout, &id)?;
            expired.removed.push(id);
        } else if is_left_over(fs, &folder)? {
            expired.removed.push(id);
        } else {
            expired.waiting.push(id);
        }
    }
    Ok(expired)
}

/// Removes acknowledged trashes, the oldest first, until `wanted` bytes are free that were not on
/// the disk of `folder`: the vault's root, or where a disk is mounted in it. None where all of them
/// together would not do. Gives the number that went.
///
/// # Errors
/// As the system reports them.
pub fn yields(fs: &dyn Fs, layout: &Layout, folder: &Path, wanted: u64) -> Result<usize, TrashError> {
    let sizes = sizes(fs, layout, folder)?;
    let all = sizes.iter().map(|(_, bytes)| bytes).sum::<u64>();
    if all < wanted { Ok(0) } else { remove_oldest(fs, layout, sizes, wanted) }
}

/// Removes acknowledged trashes, the oldest first, until those that are left hold at most `most`
/// bytes of the disk of `folder`. Gives the number that went.
///
/// # Errors
/// As the system reports them.
pub fn limit(fs: &dyn Fs, layout: &Layout, folder: &Path, most: u64) -> Result<usize, TrashError> {
    let sizes = sizes(fs, layout, folder)?;
    let all = sizes.iter().map(|(_, bytes)| bytes).sum::<u64>();
    remove_oldest(fs, layout, sizes, all.saturating_sub(most))
}

fn remove_oldest(
    fs: &dyn Fs,
    layout: &Layout,
    sizes: Vec<(ApplyId, u64)>,
    wanted: u64,
) -> Result<usize, TrashError> {
    let (mut freed, mut gone) = (0, 0);
    for (id, bytes) in sizes.into_iter().filter(|(_, bytes)| *bytes > 0) {
        if freed >= wanted {
            break;
        }
        remove(fs, layout, &id)?;
        freed += bytes;
        gone += 1;
    }
    Ok(gone)
}

/// The acknowledged trashes, oldest first, and the bytes that each holds of the disk of `folder`.
fn sizes(fs: &dyn Fs, layout: &Layout, folder: &Path) -> Result<Vec<(ApplyId, u64)>, TrashError> {
    let mut sizes = Vec::new();
    let (home, block) = (Mounts::load(fs, layout)?.home_at(layout, folder), fs.block_size(folder));
    for id in list(fs, layout)? {
        let checked = layout.trash_of(&id).join(CHECKED);
        if found(fs.lstat(&checked)).at("look at", &checked)?.is_none() {
            continue;
        }
        let mut bytes = 0;
        let files = home.as_deref().map(|home| layout.trash_files_on(home, &id));
        for file in files_below(fs, &files.unwrap_or_else(|| layout.trash_files(&id)))? {
            bytes +=
                found(fs.lstat(&file)).at("look at", &file)?.map_or(0, |stat| in_blocks(stat.size, block));
        }
        sizes.push((id, bytes));
    }
    Ok(sizes)
}

/// Removes an acknowledged trash. If this is cut short, the rest goes when the trash [`expire`]s.
///
/// # Errors
/// Errors of the system.
pub fn remove(fs: &dyn Fs, layout: &Layout, id: &ApplyId) -> Result<(), TrashError> {
    // The journal goes last, after a power cut, too: what has none is not known to be due.
    Mounts::load(fs, layout)?.remove_trash(fs, layout, id)?;
    remove_tree(fs, &layout.trash_files(id))?;
    let folder = layout.trash_of(id);
    found(fs.sync_dir(&folder)).at("sync", &folder)?;
    Ok(remove_tree(fs, &folder)?)
}

/// Removes a folder that an interrupted removal has left, with the empty folders in it. True if
/// that was all there was.
fn is_left_over(fs: &dyn Fs, folder: &Path) -> Result<bool, IoAt> {
    let Ok(names) = found(fs.read_dir(folder)) else { return Ok(false) };
    for (name, kind) in names.unwrap_or_default() {
        if kind != FileKind::Folder || !is_left_over(fs, &folder.join(name))? {
            return Ok(false);
        }
    }
    match found(fs.remove_dir(folder)) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        done => done.at("remove", folder).map(|_| true),
    }
}

/// Conflicts whose losing files were not looked at again since an apply displaced them: a program
/// may still write to one, or has.
///
/// # Errors
/// An error if a trash cannot be read.
pub fn unchecked_conflicts(fs: &dyn Fs, layout: &Layout) -> Result<BTreeSet<ConflictId>, TrashError> {
    let mut unchecked = BTreeSet::new();
    for id in list(fs, layout)? {
        let journal = Journal::read(fs, &layout.trash_of(&id).join(UNCHECKED))?;
        let items = journal.into_iter().flat_map(|journal| journal.items);
        unchecked.extend(items.filter_map(|item| item.keep).map(|keeping| keeping.id));
    }
    Ok(unchecked)
}

/// Moves the files that `sync/conflicts/` keeps of a decided conflict to a trash of their own. If
/// this is cut short, it may be called again: then the rest goes to another trash.
///
/// # Errors
/// Errors of the system.
pub fn discard_conflict(
    fs: &dyn Fs,
    layout: &Layout,
    id: &ApplyId,
    conflict: ConflictId,
) -> Result<(), TrashError> {
    let folder = layout.trash_of(id);
    fs.create_dir_all(&folder).at("create", &folder)?;
    // Nothing is to be looked at again: no program knows these files by their old names.
    let journal = folder.join(CHECKED);
    fs::replace(fs, &journal, b"{}", 0o600).at("write", &journal)?;
    let kept = layout.conflicts().join(conflict.to_string());
    let (from, to) = (kept.join("files"), layout.trash_files(id));
    found(fs.rename_new(&from, &to)).at("move to the trash", &from)?;
    for folder in [&folder, &layout.trash(), &kept] {
        fs.sync_dir(folder).at("sync", folder)?;
    }
    // The record goes last: while it is there, this is done again.
    remove_tree(fs, &kept)?;
    let conflicts = layout.conflicts();
    Ok(fs.sync_dir(&conflicts).at("sync", &conflicts)?)
}

/// Moves the journal of a concluded apply to its trash.
pub(super) fn file_journal(fs: &dyn Fs, layout: &Layout, id: &ApplyId) -> Result<(), IoAt> {
    let (from, folder) = (layout.applying(), layout.trash_of(id));
    fs.create_dir_all(&folder).at("create", &folder)?;
    fs.rename(&from, &folder.join(UNCHECKED)).at("move to the trash", &from)?;
    [folder, layout.trash()].iter().try_for_each(|folder| fs.sync_dir(folder).at("sync", folder))
}

/// Displaced files whose contents the journal does not know. None while one of them changes. The
/// journal also knows the contents that the apply was to put in place: they are in the backup, or
/// the caller was told that it failed. Losers of conflicts that are still here count too: an apply
/// has left them that could neither keep them nor put them back, since another file had taken their
/// place.
fn changes(
    fs: &dyn Fs,
    layout: &Layout,
    journal: &Journal,
    (now_ns, settle): (i64, Duration),
    threads: NonZeroUsize,
) -> Result<Option<Vec<Changed>>, TrashError> {
    let steps = || journal.items.iter().flat_map(|entry| entry.steps.iter().map(move |step| (entry, step)));
    let known: BTreeSet<Content> =
        steps().flat_map(|(_, step)| [step.old, step.new.map(|new| new.content)]).flatten().collect();
    let elsewhere = journal.homes().into_iter().map(|home| layout.root().join(home));
    let elsewhere = elsewhere.map(|home| layout.trash_files_on(&home, &journal.id));
    let mut places: Vec<(PathBuf, String)> = Vec::new();
    for files in elsewhere.chain([layout.trash_files(&journal.id)]) {
        // Names in the trash are those of vault paths.
        let name = |place: &Path| Some(place.strip_prefix(&files).ok()?.to_str()?.to_owned());
        let there = files_below(fs, &files)?.into_iter();
        places.extend(there.filter_map(|place| name(&place).map(|name| (place, name))));
    }
    let mut left = BTreeSet::new();
    for (entry, step) in steps().filter(|(_, step)| step.old.is_some()) {
        let Some(keeping) = &entry.keep else { continue };
        let kept = layout.conflict_file(keeping.id, &step.path);
        if found(fs.lstat(&kept)).at("look at", &kept)?.is_none() {
            let files = match &step.home {
                Some(home) => layout.trash_files_on(&layout.root().join(home), &journal.id),
                None => layout.trash_files(&journal.id),
            };
            left.insert(step.path.below(&files));
        }
        places.push((kept, step.path.as_str().to_owned()));
    }
    let mut there = Vec::new();
    for (place, name) in places {
        let Some(stat) = found(fs.lstat(&place)).at("look at", &place)? else { continue };
        if !quiet(&stat, now_ns, settle) {
            return Ok(None);
        }
        there.push((place, name, stat));
    }
    let hashed = each(threads, &there, |(place, _, stat)| hash_file(fs, place, stat));
    let mut changed = Vec::new();
    for ((place, name, stat), content) in there.into_iter().zip(hashed) {
        let content = match content {
            // The user has locked it: nothing can be told of it, and it stays.
            Err(error) if is_locked(&error, &stat) => continue,
            content => content.at("read", &place)?,
        };
        let Some(content) = content else { return Ok(None) };
        // Older versions took the bytes of a database for its content.
        let is_known = |digest| known.contains(&Content { digest, ..content });
        let raw = || hash_as_it_is(fs, &place).at("read", &place);
        if left.contains(&place) || !(is_known(content.digest) || is_known(raw()?)) {
            changed.push(Changed { path: VaultPath::new(&name).ok(), place, content });
        }
    }
    Ok(Some(changed))
}

#[cfg(test)]
mod tests;
