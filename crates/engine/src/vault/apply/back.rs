//! Takes a unit from new to old, as far as the new files were not edited.
//!
//! The state of the disk decides, not a memory of the steps. So this serves an apply that met a
//! change as well as a recovery that does not know how far the apply had come.

use std::io;
use std::path::Path;

use super::hand::{Halt, Hand};
use super::look::What;
use super::{Task, Unit};
use crate::fs::{At, IoAt, move_new};
use crate::model::FileKind;

impl Hand<'_> {
    /// Puts the unit's old files back and its new ones into the stage, the last one placed first.
    pub fn back(&mut self, unit: &Unit) -> Result<(), IoAt> {
        for task in unit.tasks.iter().rev().filter(|task| !task.deletes()) {
            if task.step.old.is_some() {
                self.unreplace(task)?;
            } else {
                self.uncreate(task)?;
            }
        }
        for task in unit.tasks.iter().rev().filter(|task| task.deletes()) {
            self.return_old(task)?;
        }
        Ok(())
    }

    fn uncreate(&mut self, task: &Task) -> Result<(), IoAt> {
        let Some(staged) = self.staged(task.step) else { return Ok(()) };
        if self.what_visible(task.step)? != What::New {
            return Ok(());
        }
        let visible = self.visible(task.step);
        self.show(&visible);
        if self.is_same(&visible, &staged)? {
            return self.fs.remove_file(&visible).at("remove", &visible);
        }
        if self.lstat(&staged)?.is_some() {
            // The new bytes are both visible and staged: another program put the visible ones
            // there.
            return Ok(());
        }
        self.fs.rename_new(&visible, &staged).at("take back", &visible)?;
        if self.what(&staged, task.step)? != What::New {
            // Edited between the look and the rename.
            self.give_back(&staged, &visible)?;
        }
        Ok(())
    }

    fn unreplace(&mut self, task: &Task) -> Result<(), IoAt> {
        let Some(staged) = self.staged(task.step) else { return Ok(()) };
        if self.hand_back(task)? {
            return Ok(());
        }
        if self.what_staged(task.step)? == What::New {
            let deleted = self.what_visible(task.step)? == What::Nothing && !self.is_away(task.step)?;
            // The user's deletion is not taken back with the rest.
            return if deleted { Ok(()) } else { self.return_old(task) };
        }
        if self.what_visible(task.step)? != What::New {
            // Edited after it was put in place: the edit stays, and the old file stays aside.
            return Ok(());
        }
        let visible = self.visible(task.step);
        self.show(&visible);
        if self.lstat(&staged)?.is_none() {
            // Kept for its conflict already, on a disk that forgot later moves.
            let Some(old) = self.place_of(task.entry, task.step)? else { return Ok(()) };
            // One place for the displaced file, so that the exchange below always ends with the new
            // file staged.
            move_new(self.fs, &old, &staged).at("take back", &old)?;
        }
        match self.fs.exchange(&staged, &visible) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.set_aside(&staged, task.step)?;
                self.note_away(task.step)?;
                self.fs.rename_new(&visible, &staged).at("take back", &visible)?;
                self.return_old(task)
            }
            // If the file that the exchange brought out was edited meanwhile, it is tidied into the
            // trash.
            done => done.at("take back", &visible),
        }
    }

    /// Gives a displaced file its visible name again, if that name is free. On a disk that forgot
    /// later moves it may be kept for its conflict already.
    fn return_old(&mut self, task: &Task) -> Result<(), IoAt> {
        let (visible, aside) = (self.visible(task.step), self.aside(task.step));
        if self.lstat(&aside)?.is_none() {
            let Some(kept) = self.place_of(task.entry, task.step)? else { return Ok(()) };
            // Conflicts are kept on the vault's own disk; the trash is on the file's.
            self.make_room(&aside)?;
            move_new(self.fs, &kept, &aside).at("take back", &kept)?;
        }
        if self.is_same(&aside, &visible)? {
            return self.fs.remove_file(&aside).at("remove", &aside);
        }
        match self.make_folders(task.step) {
            Ok(()) => {}
            Err(Halt::Io(error)) => return Err(error),
            // Another file stands in the way: this one stays in the trash.
            Err(_) => return Ok(()),
        }
        let stands = self.lstat(&visible)?;
        if stands.is_some_and(|stat| stat.kind == FileKind::Folder) && self.is_hollow(&visible)? {
            // It was made for files that were to come, and none has.
            self.remove_hollow(&visible)?;
        }
        self.show(&visible);
        self.give_back(&aside, &visible)
    }

    fn give_back(&self, from: &Path, visible: &Path) -> Result<(), IoAt> {
        match self.fs.rename_new(from, visible) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory) =>
            {
                Ok(())
            }
            done => done.at("put back", visible),
        }
    }

    /// Moves everything in the stage that is not a new file to the trash, before the stage is
    /// removed. `done`: what was still to be done for the unit is done, so that a file which nothing
    /// had to make way for has left the stage.
    pub fn tidy(&mut self, unit: &Unit, done: bool) -> Result<(), IoAt> {
        for task in &unit.tasks {
            if done && task.todo && task.step.old.is_none() {
                continue;
            }
            let Some(staged) = self.staged(task.step) else { continue };
            if self.lstat(&staged)?.is_none() || self.what(&staged, task.step)? == What::New {
                continue;
            }
            if self.is_same(&staged, &self.visible(task.step))? {
                // A rename in two steps was cut short, and the file has been edited since.
                self.fs.remove_file(&staged).at("remove", &staged)?;
            } else {
                self.set_aside(&staged, task.step)?;
            }
        }
        Ok(())
    }
}
