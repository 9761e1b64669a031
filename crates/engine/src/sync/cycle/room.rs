//! Room on the disk: what does not fit is left out item by item, and the trash yields before that.
//!
//! Decided here: how much stays free, which items are left out (the largest; those that a disk did
//! not take after all wait a while), and when old trashes go before their time. What is in the
//! trash is in the backup, too, or a person was told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Incoming, Wanted};
use crate::fs::in_blocks;
use crate::model::Item;
use crate::sync::report::{Trouble, Weight};
use crate::sync::session::{Context, Session};
use crate::sync::{SyncError, blocking};
use crate::vault::{ApplyItem, ApplyStep, Mounts, trash};

/// Room that is left free: for the database, the journal and the records of the next cycle.
const RESERVE: u64 = 8 << 20;
/// Bytes of a file's lines in the journal and in the records of an apply.
const RECORD: u64 = 400;
/// Share of the disk that the trash may fill where less than [`PLENTY`] of the disk is free.
const TRASH_SHARE: u64 = 10;
const PLENTY: u64 = 5;

impl Session<'_> {
    /// Leaves out what there is no room for, and names it. Fails where nothing may be left out.
    pub(super) fn fit(
        &mut self,
        incoming: &Incoming<'_>,
        items: &mut Vec<ApplyItem>,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Wanted>, SyncError> {
        let disks = self.context.disks(items)?;
        let mut budgets: BTreeMap<&Path, u64> = BTreeMap::new();
        for (disk, needed) in disks.needs(items) {
            if let Err(error) = self.context.check_free(needed, disk) {
                let missing = error_missing(&error);
                blocking(|| self.context.yield_trash(missing, disk));
                if incoming.whole {
                    self.context.check_free(needed, disk)?;
                }
            }
            if let Ok(free) = self.context.fs().free_space(disk) {
                budgets.insert(disk, free.saturating_sub(RESERVE));
            }
        }
        if let Some(budget) = budgets.get_mut(disks.root) {
            *budget = budget.saturating_sub(of_deletions(items));
        }
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_cached_key(|at| items.get(*at).map_or(0, |item| disks.size(item)));
        let mut left_out = BTreeSet::new();
        for at in order {
            let Some(item) = items.get(at) else { continue };
            let needed = disks.needs(std::slice::from_ref(item));
            let short = needed
                .iter()
                .find(|(disk, needed)| budgets.get(*disk).is_some_and(|budget| *budget < **needed));
            if let Some((disk, needed)) = short {
                let message = format!(
                    "there is no room for it: it needs {needed} bytes at {}, and some must stay free; free some room",
                    disk.display()
                );
                self.report.problems.push(Trouble::of(&item.item, message, Weight::Lasting));
                left_out.insert(item.item.clone());
                continue;
            }
            for (disk, needed) in needed {
                if let Some(budget) = budgets.get_mut(disk) {
                    *budget -= needed;
                }
            }
        }
        if left_out.is_empty() {
            return Ok(wanted);
        }
        items.retain(|item| !left_out.contains(&item.item));
        Ok(wanted_of(items, wanted))
    }

    /// Leaves out the larger half of what could not be staged: the disk was full before it said so,
    /// since another program fills it, or by a quota, or without another inode. It waits a while.
    pub(super) fn halve(
        &mut self,
        incoming: &Incoming<'_>,
        items: &mut Vec<ApplyItem>,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Wanted>, SyncError> {
        let disks = self.context.disks(items)?;
        let mut sizes: Vec<(u64, &Item)> = items.iter().map(|item| (disks.size(item), &item.item)).collect();
        sizes.sort_unstable();
        let all = sizes.iter().map(|(size, _)| size).sum::<u64>();
        let mut sum = 0;
        let kept = sizes.into_iter().take_while(|(size, _)| {
            sum += size;
            all > 0 && sum <= all / 2
        });
        let kept: BTreeSet<Item> = kept.map(|(_, item)| item.clone()).collect();
        let late = items.extract_if(.., |item| !kept.contains(&item.item));
        let late: BTreeSet<Item> = late.map(|item| item.item).collect();
        self.put_off_full(incoming, |item| late.contains(item));
        Ok(wanted_of(items, wanted))
    }

    /// Puts off incoming items that a full disk did not take.
    pub(super) fn put_off_full(&mut self, incoming: &Incoming<'_>, which: impl Fn(&Item) -> bool) {
        for step in incoming.steps.iter().filter(|step| which(&step.item)) {
            self.put_off(step, "the disk is full, or a quota or its inodes are used up: free some room");
        }
    }

    /// Makes room at the beginning of a cycle where there is hardly any: what has served its time
    /// goes first, for a cycle that stops never comes to tidy up.
    pub(super) async fn relieve(&mut self) {
        let context = self.context;
        let Ok(free) = context.fs().free_space(context.layout.root()) else { return };
        if free >= RESERVE {
            return;
        }
        let (age_ms, agreed) = (self.age_ms(), self.agreed_snapshot().await);
        blocking(|| {
            // If the state cannot be read now, the cycle itself says so: nobody knows what is decided.
            let cleared = agreed.map(|agreed| context.clear_trash(age_ms, &agreed.resolved));
            if let Ok(Err(error)) = cleared {
                tracing::warn!(%error, "the disk is full, and the trash could not be looked at again");
            }
            context.yield_trash(RESERVE - free, context.layout.root());
        });
    }

    /// Keeps the trash within its share of each disk that gets full.
    pub(super) fn limit_trash(&self) {
        let (fs, layout) = (self.context.fs(), &self.context.layout);
        let limited = blocking(|| {
            let mounts = Mounts::load(fs, layout)?;
            let mut gone = 0;
            for disk in mounts.disks(layout) {
                let (Ok(free), Ok(total)) = (fs.free_space(&disk), fs.total_space(&disk)) else { continue };
                if free < total / PLENTY {
                    gone += trash::limit(fs, layout, &disk, total / TRASH_SHARE)?;
                }
            }
            Ok::<_, SyncError>(gone)
        });
        match limited {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "old trashes went before their time: the disk gets full"),
            Err(error) => tracing::warn!(%error, "the size of the trash could not be limited"),
        }
    }
}

impl Context {
    /// The disks that slots are staged on.
    fn disks(&self, items: &[ApplyItem]) -> Result<Disks<'_>, SyncError> {
        let (root, mounts) = (self.layout.root(), Mounts::load(self.fs(), &self.layout)?);
        let steps = items.iter().flat_map(|item| &item.steps);
        let elsewhere = |step: &ApplyStep| {
            let folder = mounts.of(step.on_disk.as_deref().unwrap_or(step.path.as_str()))?;
            Some((step.new?.slot, root.join(folder)))
        };
        let elsewhere: BTreeMap<u32, PathBuf> = steps.filter_map(elsewhere).collect();
        let folders: BTreeSet<&Path> = elsewhere.values().map(PathBuf::as_path).chain([root]).collect();
        let blocks = folders.into_iter().map(|disk| (disk.to_owned(), self.fs().block_size(disk)));
        Ok(Disks { root, blocks: blocks.collect(), elsewhere })
    }

    /// Lets old trashes go for so many bytes on a disk.
    fn yield_trash(&self, wanted: u64, disk: &Path) {
        match trash::yields(self.fs(), &self.layout, disk, wanted) {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "old trashes went before their time: there was no room"),
            Err(error) => tracing::warn!(%error, "the trash could not yield"),
        }
    }

    /// Makes sure that the disk of `folder` has room for what is to be staged there.
    pub(crate) fn check_room(&self, wanted: &[Wanted], folder: &Path) -> Result<(), SyncError> {
        let block = self.fs().block_size(folder);
        self.check_free(wanted.iter().map(|file| in_blocks(file.entry.size, block)).sum(), folder)
    }

    /// Makes sure that the disk of `folder` has room for so many bytes.
    pub(crate) fn check_free(&self, needed: u64, folder: &Path) -> Result<(), SyncError> {
        let folder = folder.to_owned();
        match self.fs().free_space(&folder) {
            Ok(free) if free < needed.saturating_add(RESERVE) => {
                Err(SyncError::NoRoom { needed, free, folder })
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the free space is unknown; going on");
                Ok(())
            }
        }
    }
}

/// Disks by a folder of theirs: the vault's own, and those of the slots that are not there.
struct Disks<'c> {
    root: &'c Path,
    elsewhere: BTreeMap<u32, PathBuf>,
    /// Bytes of a block of each.
    blocks: BTreeMap<PathBuf, u64>,
}

impl Disks<'_> {
    /// Bytes that items need on each disk.
    fn needs(&self, items: &[ApplyItem]) -> BTreeMap<&Path, u64> {
        let mut needs = BTreeMap::new();
        for (disk, bytes) in items.iter().flat_map(|item| &item.steps).filter_map(|step| self.need(step)) {
            *needs.entry(disk).or_insert(0) += bytes;
        }
        needs
    }

    /// Bytes that an item needs on all disks together.
    fn size(&self, item: &ApplyItem) -> u64 {
        item.steps.iter().filter_map(|step| self.need(step)).map(|(_, bytes)| bytes).sum()
    }

    /// Disk of the file that a step brings, and the bytes that it needs there.
    fn need(&self, step: &ApplyStep) -> Option<(&Path, u64)> {
        let new = step.new?;
        let disk = self.elsewhere.get(&new.slot).map_or(self.root, PathBuf::as_path);
        let block = self.blocks.get(disk).copied().unwrap_or(1);
        Some((disk, in_blocks(new.content.size, block) + RECORD))
    }
}

/// Bytes that deletions need. They are never left out: they make room.
fn of_deletions(items: &[ApplyItem]) -> u64 {
    let gone = items.iter().flat_map(|item| &item.steps).filter(|step| step.new.is_none());
    gone.map(|_| RECORD).sum()
}

/// The wanted files of which an item is left.
fn wanted_of(items: &[ApplyItem], mut wanted: Vec<Wanted>) -> Vec<Wanted> {
    let steps = items.iter().flat_map(|item| &item.steps);
    let slots: BTreeSet<u32> = steps.filter_map(|step| step.new.map(|new| new.slot)).collect();
    wanted.retain(|file| slots.contains(&file.slot));
    wanted
}

/// Bytes that are missing for what was asked for.
fn error_missing(error: &SyncError) -> u64 {
    match error {
        SyncError::NoRoom { needed, free, .. } => needed.saturating_add(RESERVE).saturating_sub(*free),
        _ => 0,
    }
}
