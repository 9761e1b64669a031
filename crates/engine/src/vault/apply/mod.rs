//! Puts a generation in place.
//!
//! Everything that will become visible is staged, checked and durable before. Then, under the
//! journal, every *unit* (an item, or items whose names get in each other's way) is looked at once
//! more and renamed into place, deletes first. Each displaced file is looked at again; if it is not
//! as the plan saw it, the unit's renames are undone and it is planned again. Displaced files are
//! in the trash, or are copies of the conflict that they lost.
//!
//! A database is not renamed; see [`database`].
//!
//! Invariants: a visible file is wholly old or wholly new. A unit is all old or all new when
//! [`apply()`] or [`recover`] returns, unless its files were edited on both sides of a crash.
//! Visible bytes are never unlinked, only renamed.
//!
//! A crash leaves the journal behind. [`recover`] looks at each file's digest in its three places
//! (visible, staged, aside) and goes on from there, so that it may itself be cut short anywhere. A
//! unit of which nothing was moved yet is planned again: the plan is old by now, and programs may
//! have written to files that it does not name. Once all units have come to rest their results are
//! noted ([`ended`]), and the disk is asked no more. The journal stays until the caller has saved
//! the new base and calls [`conclude`].

mod back;
mod database;
mod ended;
mod forward;
mod hand;
mod look;
mod outcome;
mod respell;
mod unit;

#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use super::journal::{Entry, Journal, Keeping, Outline, Purpose, Staged, Step};
use super::{ApplyId, FileLock, JournalError, Layout, Mounts, trash};
use crate::fs::{At, Fs, IoAt, found, remove_below, remove_tree};
use crate::model::{Content, FileKind, FileStat, Item, VaultPath};
use ended::Ended;
use hand::Hand;
use look::Way;
use outcome::Outcome;
use unit::{Task, Unit, Units};

/// Files to put in place.
#[derive(Debug, Clone)]
pub struct ApplyPlan {
    /// Name of this apply, and of its stage.
    pub id: ApplyId,
    /// Purpose, which [`recover`] hands back.
    pub purpose: Purpose,
    /// True if [`recover`] finishes even units that were not begun, because no cycle would plan
    /// them again.
    pub finish: bool,
    /// Items, no path twice.
    pub items: Vec<ApplyItem>,
}

/// One item of the plan: it is put in place as a whole or not at all.
#[derive(Debug, Clone)]
pub struct ApplyItem {
    /// The item.
    pub item: Item,
    /// Conflict that it lost, if it did: the displaced files become this conflict's copy.
    pub keep: Option<Keeping>,
    /// Its files.
    pub steps: Vec<ApplyStep>,
}

/// Step for one file.
#[derive(Debug, Clone)]
pub struct ApplyStep {
    /// Path of the file.
    pub path: VaultPath,
    /// Spelling on disk, if it differs ([`super::Names::on_disk`]).
    pub on_disk: Option<String>,
    /// File that the plan saw there. None for a new file.
    pub old: Option<Seen>,
    /// File that will stand there. None for a delete.
    pub new: Option<Staged>,
}

/// A file as the scan found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its content.
    pub content: Content,
    /// Its state.
    pub stat: FileStat,
}

/// Result of an apply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Items that are in place, in the order of the plan.
    pub done: Vec<Item>,
    /// Items that were left, or put back, as they were, with the cause: they are to be planned
    /// again.
    pub retry: Vec<(Item, String)>,
    /// Items among them that the disk did not let be put in place.
    pub failed: BTreeSet<Item>,
    /// Items among them whose file is neither put in place nor put back: it was taken out of its
    /// folder, and something else stands where that was. Their users have deleted nothing.
    pub stranded: BTreeSet<Item>,
    /// Attributes of files that were replaced which could not be passed on, each with one of them.
    pub left: Vec<(&'static str, VaultPath)>,
    /// Files that the items in place displaced.
    pub displaced: Vec<Displaced>,
    /// Files of these items that now stand in place.
    pub placed: usize,
    /// Files of these items that are gone.
    pub removed: usize,
}

/// A displaced file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displaced {
    /// Its path in the vault.
    pub path: VaultPath,
    /// Its present place: in the trash, or in a conflict's folder.
    pub place: PathBuf,
}

/// An apply that a crash had cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Id of the apply.
    pub id: ApplyId,
    /// Its purpose.
    pub purpose: Purpose,
    /// Its result.
    pub applied: Applied,
}

/// An apply that stopped. Visible files are whole, and [`recover`] goes on from here.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An earlier apply is not concluded.
    #[error("{} exists: an earlier apply must be recovered first", .0.display())]
    Unfinished(PathBuf),
    /// Our own folder is a link or a file.
    #[error("{} is no real folder: move it away, nothing is written through it", .0.display())]
    NotAFolder(PathBuf),
    /// The disk of files that were being put in place is away.
    #[error("files on the disk at {} were being put in place when it went away: mount it again", .0.display())]
    DiskAway(PathBuf),
    /// Something else stands in the place of a folder of which files were being put in place.
    #[error("files in {} were being put in place when something else took its place: put the folder back", .0.display())]
    FolderAway(PathBuf),
    /// The same happened to the folder of a file that belongs to no others: [`recover`] goes on
    /// without it.
    #[error("the folder of {0} was moved away while the file was being replaced")]
    Stranded(Item),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoAt),
}

/// Puts a plan in place, and passes each placed path to `on_step`. Durable when it returns. An item
/// that cannot be put in place is no error. Other programs wait for `_lock`
/// ([`Layout::apply_lock`]); a simulated disk has none.
///
/// # Errors
/// An error if the disk fails so that even the begun steps cannot be undone; or if an earlier apply
/// is unfinished: [`recover`] first.
pub fn apply(
    fs: &dyn Fs,
    layout: &Layout,
    plan: ApplyPlan,
    lock: Option<&FileLock>,
    on_step: &mut dyn FnMut(&VaultPath),
) -> Result<Applied, ApplyError> {
    apply_unless(fs, layout, plan, lock, &|_| Ok(None), on_step)
}

/// Puts a plan in place, except items for which `moved` gives a cause to plan them again. It is
/// asked right before the first rename.
///
/// # Errors
/// See [`apply()`].
pub fn apply_unless(
    fs: &dyn Fs,
    layout: &Layout,
    plan: ApplyPlan,
    _lock: Option<&FileLock>,
    moved: &dyn Fn(&Item) -> Result<Option<String>, IoAt>,
    on_step: &mut dyn FnMut(&VaultPath),
) -> Result<Applied, ApplyError> {
    let path = layout.applying();
    if found(fs.lstat(&path)).at("look at", &path)?.is_some() {
        return Err(ApplyError::Unfinished(path));
    }
    check_ours(fs, layout)?;
    let mounts = Mounts::load(fs, layout)?;
    let (journal, seen) = split(plan, &mounts);
    let pins = mounts.pin(fs, layout, journal.homes());
    // The stages are durable before the journal names them, the journal before the first rename.
    // The folders of stages may be just as new: a stage that a power cut takes away looks as if all
    // of it had been put in place.
    let stages = journal.stages(layout);
    let (sync, levels) = (layout.sync(), stages.iter().flat_map(|stage| stage.ancestors().take(3)));
    // The inner ones first.
    for folder in levels.chain([sync.as_path()]).collect::<BTreeSet<_>>().into_iter().rev() {
        found(fs.sync_dir(folder)).at("sync", folder)?;
    }
    journal.write(fs, layout)?;
    let mut hand = Hand::new(fs, layout, &journal.id).with_disks(stages, pins);
    let mut applied = Outcome::new(&journal);
    for mut unit in Units::of(&journal.items).iter() {
        for task in &mut unit.tasks {
            task.seen = seen.get(&(task.item, task.at)).copied();
        }
        let outcome = match first_moved(&journal, &unit, moved) {
            Ok(None) => hand.forward(&mut unit, on_step),
            Ok(Some(why)) => Err(hand::Halt::Moved(why)),
            Err(error) => Err(error.into()),
        };
        applied.close(&mut hand, &unit, outcome)?;
        // Only a recovery is followed by a plan that knows of it.
        applied.refuse_stranded()?;
    }
    applied.finish(&mut hand)
}

/// Finishes an apply that a crash or an error of [`apply()`] cut short. None if there was none. To
/// be called with the vault locked and no stage in use: all stages but the journal's are removed.
/// Durable when it returns.
///
/// # Errors
/// See [`apply()`]; this may then be called again.
pub fn recover(
    fs: &dyn Fs,
    layout: &Layout,
    _lock: Option<&FileLock>,
) -> Result<Option<Recovered>, ApplyError> {
    check_ours(fs, layout)?;
    let mounts = Mounts::load(fs, layout)?;
    let Some(journal) = Journal::read(fs, &layout.applying())? else {
        remove_below(fs, &layout.staging())?;
        mounts.clear_stages(fs, layout)?;
        return Ok(None);
    };
    // Without its disk nobody can tell how far a unit has come.
    let pins = mounts.pin(fs, layout, journal.homes());
    if let Some(folder) = mounts.first_away(layout, &pins) {
        return Err(ApplyError::DiskAway(folder));
    }
    let mut hand = Hand::new(fs, layout, &journal.id).with_disks(journal.stages(layout), pins);
    let mut applied = Outcome::new(&journal);
    let recovered =
        |applied| Ok(Some(Recovered { id: journal.id.clone(), purpose: journal.purpose.clone(), applied }));
    if let Some(ended) = Ended::read(fs, layout, &journal)? {
        return recovered(applied.after(ended).tell(&hand)?);
    }
    let units = Units::of(&journal.items);
    // The disk must show the same after the next power cut as now: the moves below build on it.
    let sync = layout.sync();
    fs.sync_dir(&sync).at("sync", &sync)?;
    units.iter().for_each(|unit| hand.touch_all(&unit));
    hand.sync()?;
    for mut unit in units.iter() {
        let outcome = match hand.way(&mut unit, journal.finish)? {
            Way::Forward => hand.forward(&mut unit, &mut |_| {}),
            Way::Back(why) => Err(hand::Halt::Moved(why)),
            Way::Leave(why) => Err(hand::Halt::Again(why)),
        };
        applied.close(&mut hand, &unit, outcome)?;
    }
    recovered(applied.finish(&mut hand)?)
}

/// Drops the journal and the stage, once the new base is saved. If files were displaced, the
/// journal goes to the trash with them, so that they can be looked at again.
///
/// # Errors
/// Errors of the system; the apply then counts as unfinished.
pub fn conclude(fs: &dyn Fs, layout: &Layout) -> Result<(), ApplyError> {
    conclude_if(fs, layout, |_| true)
}

/// [`conclude()`] of a pull or a repair. The journal of a transaction, which its command may have
/// left half-way, stays for [`recover()`].
///
/// # Errors
/// See [`conclude()`].
pub fn conclude_pull(fs: &dyn Fs, layout: &Layout) -> Result<(), ApplyError> {
    conclude_if(fs, layout, |purpose| !matches!(purpose, Purpose::Transaction(_)))
}

fn conclude_if(fs: &dyn Fs, layout: &Layout, is_ours: fn(&Purpose) -> bool) -> Result<(), ApplyError> {
    let path = layout.applying();
    let Some(journal) = Outline::read(fs, &path)?.filter(|journal| is_ours(&journal.purpose)) else {
        return Ok(());
    };
    if journal.displaces() {
        trash::file_journal(fs, layout, &journal.id)?;
    } else {
        fs.remove_file(&path).at("remove", &path)?;
    }
    let sync = layout.sync();
    fs.sync_dir(&sync).at("sync", &sync)?;
    Ok(journal.stages(layout).iter().try_for_each(|stage| remove_tree(fs, stage))?)
}

fn first_moved(
    journal: &Journal,
    unit: &Unit,
    moved: &dyn Fn(&Item) -> Result<Option<String>, IoAt>,
) -> Result<Option<String>, IoAt> {
    for entry in unit.items.iter().filter_map(|&item| journal.items.get(item)) {
        if let Some(why) = moved(&entry.item)? {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

/// Splits off the states that the plan saw, by item and step: the journal names contents, the
/// states stay in memory.
fn split(plan: ApplyPlan, mounts: &Mounts) -> (Journal, HashMap<(usize, usize), FileStat>) {
    let mut seen = HashMap::new();
    let entries =
        plan.items.into_iter().enumerate().map(|(item, ApplyItem { item: of, keep, mut steps })| {
            // After a crash such a step would look both undone and done; there is nothing to do.
            steps.retain(|step| step.old.map(|old| old.content) != step.new.map(|new| new.content));
            let stats = steps.iter().enumerate().filter_map(|(at, step)| Some(((item, at), step.old?.stat)));
            seen.extend(stats);
            // A list of its own: one made in the place of the other would keep its room.
            let mut left = Vec::with_capacity(steps.len());
            left.extend(steps.into_iter().map(|ApplyStep { path, on_disk, old, new }| Step {
                home: mounts.home(on_disk.as_deref().unwrap_or(path.as_str())),
                path,
                on_disk,
                old: old.map(|old| old.content),
                new,
            }));
            Entry { item: of, keep, steps: left }
        });
    (Journal::new(plan.id, plan.purpose, plan.finish, entries.collect()), seen)
}

/// Checks that our own folders are no links: nothing written there may leave the vault.
fn check_ours(fs: &dyn Fs, layout: &Layout) -> Result<(), ApplyError> {
    for folder in [layout.sync(), layout.staging(), layout.trash(), layout.conflicts()] {
        match found(fs.lstat(&folder)).at("look at", &folder)? {
            Some(stat) if stat.kind != FileKind::Folder => return Err(ApplyError::NotAFolder(folder)),
            _ => {}
        }
    }
    Ok(())
}
