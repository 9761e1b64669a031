//! Takes a unit from old to new.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::hand::{Halt, Hand};
use super::look::What;
use super::{Content, FileStat, Step, Task, Unit};
use crate::fs::{At, IoAt, Like};
use crate::model::{FileKind, VaultPath};
use crate::planted::{Bug, planted};
use crate::vault::never::never;
use crate::vault::read::{Folders, check_folders, hash_file};

impl Hand<'_> {
    /// Puts the rest of a unit in place: first a look at every file, then deletes, then the other
    /// steps.
    pub fn forward(&mut self, unit: &mut Unit, on_step: &mut dyn FnMut(&VaultPath)) -> Result<(), Halt> {
        let mut states = Vec::new();
        for task in unit.tasks.iter().filter(|task| task.todo) {
            states.push(self.check(unit, task)?);
        }
        for (task, state) in unit.tasks.iter_mut().filter(|task| task.todo).zip(states) {
            task.seen = state;
        }
        for task in unit.tasks.iter().filter(|task| task.todo && task.deletes()) {
            self.take_away(task)?;
            on_step(&task.step.path);
        }
        self.clear_folders(unit)?;
        let mut databases = Vec::new();
        for task in unit.tasks.iter().filter(|task| task.todo && !task.deletes()) {
            if self.is_taken_over(task.step)? {
                databases.push(task);
                continue;
            }
            if task.step.old.is_some() {
                self.replace(task)?;
            } else {
                self.respell_folders(unit, task)?;
                self.create(task)?;
            }
            on_step(&task.step.path);
        }
        // Last, since another program may keep one from being replaced.
        for task in databases {
            if !self.take_over(task)? {
                self.replace(task)?;
            }
            on_step(&task.step.path);
        }
        Ok(())
    }

    /// Looks once more if a file is as the plan saw it, and returns its state.
    fn check(&mut self, unit: &Unit, task: &Task) -> Result<Option<FileStat>, Halt> {
        let step = task.step;
        if never(&step.path) {
            return Err(Halt::Moved(format!("{} is never synced, so it is not written", step.path)));
        }
        if self.lacks_disk(step)? {
            return Err(Halt::Moved(format!("the disk that {} stands on was unmounted", step.path)));
        }
        let visible = self.visible(step);
        let folders = if self.is_real_folder_of(step) {
            Folders::Real
        } else {
            check_folders(self.fs, self.layout.root(), step.relative())
                .at("look at the folders of", &visible)?
        };
        match folders {
            Folders::Real => self.note_real_folder_of(step),
            Folders::Missing => {}
            Folders::Blocked(folder, FileKind::File)
                if VaultPath::new(&folder).is_ok_and(|folder| unit.deletes_at(&folder.fold_key())) => {}
            Folders::Blocked(folder, kind) => {
                let what = if kind == FileKind::Symlink { "a symbolic link" } else { "no folder" };
                return Err(Halt::Moved(format!("{folder} is {what}: nothing is written through it")));
            }
        }
        match (self.lstat(&visible)?, step.old) {
            (None, None) => self.refuse_stale(step).map(|()| None),
            (Some(_), None) if unit.makes_way(task) => Ok(None),
            // Folders are not synced: an empty one may be left where files were deleted.
            (Some(stat), None) if stat.kind == FileKind::Folder && self.is_hollow(&visible)? => Ok(None),
            (Some(stat), None) if stat.kind == FileKind::Folder => Err(Halt::Moved(format!(
                "{} is a folder with files that are not synced: move it away",
                step.path
            ))),
            (Some(_), None) => Err(Halt::Moved(format!("{} appeared after the scan", step.path))),
            // Only after a crash on a disk without exchange and links: it is on its way.
            (None, Some(_)) if self.is_on_its_way(step)? => Ok(None),
            (None, Some(_)) => Err(Halt::Moved(format!("{} was deleted after the scan", step.path))),
            (Some(stat), Some(old)) if self.is_known_database(&visible)? => {
                self.check_database(task, stat, old).map(Some)
            }
            (Some(stat), Some(_)) if Some(stat) == task.seen => Ok(Some(stat)),
            // Touched, but perhaps the same bytes.
            (Some(stat), Some(old)) if self.holds(&visible, &stat, old)? => Ok(Some(stat)),
            (Some(stat), Some(_)) if planted(Bug::SkipRecheck) => Ok(Some(stat)),
            (Some(_), Some(_)) => Err(Self::moved(&step.path)),
        }
    }

    /// True if an apply was cut short after the old file had left and before the new one came.
    fn is_on_its_way(&self, step: &Step) -> Result<bool, Halt> {
        Ok(self.is_away(step)? && self.what(&self.aside(step), step)? == What::Old)
    }

    pub fn holds(&self, path: &Path, stat: &FileStat, content: Content) -> Result<bool, Halt> {
        Ok(stat.size == content.size && hash_file(self.fs, path, stat).at("read", path)? == Some(content))
    }

    /// Checks that the file moved to `place` is the one that was seen. Renames and links change
    /// only its ctime.
    fn confirm(&self, place: &Path, task: &Task) -> Result<(), Halt> {
        let known = |stat: &FileStat| (stat.kind, stat.dev, stat.ino, stat.size, stat.mtime_ns);
        match (self.lstat(place)?, task.step.old) {
            _ if planted(Bug::SkipRecheck) => Ok(()),
            (Some(stat), _) if task.seen.as_ref().map(known) == Some(known(&stat)) => Ok(()),
            (Some(stat), Some(old)) if self.holds(place, &stat, old)? => Ok(()),
            _ => Err(Self::moved(&task.step.path)),
        }
    }

    fn take_away(&mut self, task: &Task) -> Result<(), Halt> {
        let visible = self.visible(task.step);
        self.show(&visible);
        let place = self.set_aside(&visible, task.step)?;
        self.confirm(&place, task)?;
        self.confirm_alone(task.step)
    }

    /// Removes the folders emptied by the unit's deletes, if a file is to stand in their place.
    fn clear_folders(&mut self, unit: &Unit) -> Result<(), Halt> {
        let files: BTreeSet<&str> =
            unit.tasks.iter().filter(|task| !task.deletes()).map(|task| task.key.as_str()).collect();
        let in_the_way = |folder: &str| {
            let key = VaultPath::new(folder).map(|folder| folder.fold_key()).unwrap_or_default();
            key.match_indices('/')
                .filter_map(|(at, _)| key.get(..at))
                .chain([&*key])
                .any(|key| files.contains(key))
        };
        for task in unit.tasks.iter().filter(|task| task.deletes()) {
            self.remove_emptied(task.step, &in_the_way)?;
        }
        Ok(())
    }

    fn create(&mut self, task: &Task) -> Result<(), Halt> {
        let Some(staged) = self.staged(task.step) else { return Ok(()) };
        let visible = self.visible(task.step);
        self.make_folders(task.step)?;
        self.show(&visible);
        let folder = visible.parent().unwrap_or(&visible);
        self.dress(&task.step.path, &staged, Like::Folder(folder))?;
        match self.put_new(task, &staged, &visible) {
            // A look at each name before would cost more than a rename that fails now and then.
            Err(Halt::Moved(_)) if self.is_folder(&visible)? => {
                self.remove_hollow(&visible)?;
                self.put_new(task, &staged, &visible)
            }
            done => done,
        }
    }

    fn is_folder(&self, place: &Path) -> Result<bool, IoAt> {
        Ok(self.lstat(place)?.is_some_and(|stat| stat.kind == FileKind::Folder))
    }

    fn replace(&mut self, task: &Task) -> Result<(), Halt> {
        let Some(staged) = self.staged(task.step) else { return Ok(()) };
        let visible = self.visible(task.step);
        self.make_folders(task.step)?;
        self.show(&visible);
        if self.lstat(&visible)?.is_none() {
            // See [`Self::check`]; or it was deleted since.
            return if self.is_on_its_way(task.step)? {
                self.dress(&task.step.path, &staged, Like::File(&self.aside(task.step)))?;
                self.put_new(task, &staged, &visible)
            } else {
                Err(Halt::Moved(format!("{} was deleted after the scan", task.step.path)))
            };
        }
        self.dress(&task.step.path, &staged, Like::File(&visible))?;
        let dressed = self.rights(&staged)?;
        match self.fs.exchange(&staged, &visible) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.replace_by_link(task, [&staged, &visible], dressed)
            }
            done => {
                done.at("put in place", &visible)?;
                self.confirm(&staged, task)?;
                self.dress_again(&task.step.path, [&visible, &staged], dressed)?;
                self.set_aside(&staged, task.step)?;
                Ok(())
            }
        }
    }

    /// Gives the new file what belongs to its place.
    fn dress(&mut self, path: &VaultPath, staged: &Path, like: Like) -> Result<(), Halt> {
        if planted(Bug::ReplaceTheMode) {
            return Ok(());
        }
        let left = self.fs.dress(staged, like).at("pass on owner and rights to", staged)?;
        self.left.extend(left.into_iter().map(|what| (what, path.clone())));
        Ok(())
    }

    /// Dresses a file that is in place already, if somebody has changed the rights of the one that
    /// it replaced since it was `dressed` like that. What somebody has done to the new file since
    /// stays.
    fn dress_again(
        &mut self,
        path: &VaultPath,
        [visible, old]: [&Path; 2],
        dressed: u32,
    ) -> Result<(), Halt> {
        let is_as_before = self.lstat(old)?.is_none_or(|replaced| replaced.mode == dressed);
        // Its folder may have been moved away since, with the new file in it: that is no longer
        // ours.
        if is_as_before || self.lstat(visible)?.is_none() {
            return Ok(());
        }
        self.dress(path, visible, Like::File(old))
    }

    /// Rights of a staged file.
    fn rights(&self, staged: &Path) -> Result<u32, Halt> {
        Ok(self.lstat(staged)?.map_or(0, |stat| stat.mode))
    }

    /// Replaces a file without an exchange: the old file gets a second name before the new one
    /// takes the first.
    fn replace_by_link(
        &mut self,
        task: &Task,
        [staged, visible]: [&Path; 2],
        dressed: u32,
    ) -> Result<(), Halt> {
        let aside = self.aside(task.step);
        self.make_room(&aside)?;
        let linked = match self.fs.hard_link(visible, &aside) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => false,
            // A crash came after the link; or a disk forgot a rename, and it is a copy.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.is_same(visible, &aside)?,
            done => done.at("link to the trash", visible).map(|()| true)?,
        };
        if !linked {
            // The file is away for a moment.
            self.note_away(task.step)?;
            let place = self.set_aside(visible, task.step)?;
            self.confirm(&place, task)?;
            return self.put_new(task, staged, visible);
        }
        // A disk may remember the rename and forget the link: then the old file would have no name.
        let folder = aside.parent().unwrap_or(&aside);
        self.fs.sync_dir(folder).at("sync", folder)?;
        self.confirm(&aside, task)?;
        if !self.is_same(visible, &aside)? {
            return Err(Self::moved(&task.step.path));
        }
        self.fs.rename(staged, visible).at("put in place", visible)?;
        // A program may have written to it until its name was gone.
        self.confirm(&aside, task)?;
        self.dress_again(&task.step.path, [visible, &aside], dressed)
    }

    /// Makes the new file visible at a free name.
    fn put_new(&self, task: &Task, staged: &Path, visible: &Path) -> Result<(), Halt> {
        match self.fs.rename_new(staged, visible) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Halt::Moved(format!("{} appeared after the scan", task.step.path)))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(Halt::Moved(format!("the folder of {} was moved", task.step.path)))
            }
            done => Ok(done.at("put in place", visible)?),
        }
    }
}
