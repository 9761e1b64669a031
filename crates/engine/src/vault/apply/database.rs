//! Databases: replaced in one transaction of their own library, not by a rename.
//!
//! A program that has a database open would go on in the file that a rename displaced, and pages of
//! the old one would stand beside the new one. So the new state is written *into* the database,
//! with other writers locked out. Under that lock the old state is read once more, compared with
//! what the plan saw, and put aside, durably, before the transaction commits: a snapshot, as every
//! version of a database in the vault is. The staged file stays where it is until then, and is
//! removed after.
//!
//! A crash before the commit leaves the old state, and perhaps its copy aside; after it, the new
//! one. The library itself takes back a transaction that was cut short, so the digest tells which.

use std::io;
use std::path::{Path, PathBuf};

use super::hand::{Halt, Hand};
use super::look::What;
use super::{Content, FileStat, Step, Task};
use crate::fs::{At, DatabaseFault, IoAt, found};
use crate::vault::database::{
    in_parts, is_database, is_whole_database, remove_companions, snapshot_to, stale_companion,
};
use crate::vault::read::is_locked;

impl Hand<'_> {
    /// True for a database that another version of itself replaces.
    pub fn is_taken_over(&self, step: &Step) -> Result<bool, IoAt> {
        let Some(staged) = self.staged(step).filter(|_| step.old.is_some()) else { return Ok(false) };
        Ok(self.is_known_database(&self.visible(step))? && self.is_known_database(&staged)?)
    }

    /// True for a database; fails for a file that nobody may read, which must not be moved as if it
    /// were none.
    pub fn is_known_database(&self, place: &Path) -> Result<bool, IoAt> {
        is_database(self.fs, place).at("read", place)
    }

    /// True for a database that may be read. A file that may not is left as it is by whoever asks.
    pub fn is_database(&self, place: &Path) -> Result<bool, IoAt> {
        match is_database(self.fs, place) {
            Err(error) if self.lstat(place)?.is_some_and(|stat| is_locked(&error, &stat)) => Ok(false),
            known => known.at("read", place),
        }
    }

    /// Looks at a database before it is replaced or taken away. What takes its place in a
    /// transaction is looked at under that transaction's lock; anything else must find it in one
    /// file.
    pub fn check_database(&self, task: &Task, stat: FileStat, old: Content) -> Result<FileStat, Halt> {
        let (step, visible) = (task.step, self.visible(task.step));
        if self.is_taken_over(step)? {
            return Ok(stat);
        }
        if let Some(databases) = self.fs.databases()
            && in_parts(self.fs, &visible, &stat).at("look beside", &visible)?.is_some()
        {
            databases.fold(&visible).map_err(|fault| Self::halt(fault, step, &visible))?;
        }
        let Some(stat) = self.lstat(&visible)? else { return Err(Self::moved(&step.path)) };
        if self.holds(&visible, &stat, old)? { Ok(stat) } else { Err(Self::moved(&step.path)) }
    }

    /// Refuses to put a database beside the WAL or journal of another one.
    pub fn refuse_stale(&self, step: &Step) -> Result<(), Halt> {
        let Some(staged) = self.staged(step) else { return Ok(()) };
        match found(is_whole_database(self.fs, &staged)).at("read", &staged)? {
            Some(true) => {}
            Some(false) | None => return Ok(()),
        }
        let visible = self.visible(step);
        match stale_companion(self.fs, &visible).at("look beside", &visible)? {
            None => Ok(()),
            Some(companion) => {
                let name = companion.file_name().unwrap_or_default().to_string_lossy();
                Err(Halt::Moved(format!(
                    "{name} of another database stands beside {}: move it away",
                    step.path
                )))
            }
        }
    }

    /// Fails if a program has written to a database while it was taken away.
    pub fn confirm_alone(&self, step: &Step) -> Result<(), Halt> {
        if !self.is_known_database(&self.aside(step))? {
            return Ok(());
        }
        let visible = self.visible(step);
        match stale_companion(self.fs, &visible).at("look beside", &visible)? {
            None => Ok(()),
            Some(_) => Err(Self::moved(&step.path)),
        }
    }

    /// Removes what stands empty beside the place of a database that was taken away.
    pub fn remove_companions(&self, step: &Step, aside: Option<&Path>) -> Result<(), IoAt> {
        let visible = self.visible(step);
        match aside {
            Some(aside) if self.lstat(&visible)?.is_none() && self.is_database(aside)? => {
                remove_companions(self.fs, &visible).at("remove what stands beside", &visible)
            }
            _ => Ok(()),
        }
    }

    /// Gives a database its new state. False for one that is damaged, and stands in one file: as
    /// none of its programs can read it, it may be replaced as any file.
    pub fn take_over(&mut self, task: &Task) -> Result<bool, Halt> {
        let (step, visible, aside) = (task.step, self.visible(task.step), self.aside(task.step));
        let (Some(staged), Some(old)) = (self.staged(step), step.old) else { return Ok(true) };
        let kept = self.empty(staged.with_extension("old"))?;
        let fs = self.fs;
        let Some(databases) = fs.databases() else { return Ok(false) };
        let done = databases.replace(&visible, &staged, &kept, &mut || {
            let stat = fs.lstat(&kept)?;
            let agrees = self.holds(&kept, &stat, old).map_err(source_of)?;
            // After a crash the copy may be there.
            if agrees && self.what(&aside, step).map_err(|error| error.source)? != What::Old {
                self.set_aside(&kept, step).map_err(|error| error.source)?;
                self.sync_kept().map_err(|error| error.source)?;
            }
            Ok(agrees)
        });
        match done {
            Ok(true) => {
                self.fs.remove_file(&staged).at("remove", &staged)?;
                Ok(true)
            }
            Ok(false) => Err(Self::moved(&step.path)),
            Err(DatabaseFault::Damaged(_)) if self.stands_alone(&visible, old)? => Ok(false),
            Err(fault) => Err(Self::halt(fault, step, &visible)),
        }
    }

    /// True for a database in one file that holds `content`.
    fn stands_alone(&self, visible: &Path, content: Content) -> Result<bool, Halt> {
        let Some(stat) = self.lstat(visible)? else { return Ok(false) };
        let alone = in_parts(self.fs, visible, &stat).at("look beside", visible)?.is_none();
        Ok(alone && self.holds(visible, &stat, content)?)
    }

    /// Gives a database its old state again, if it has the new one. True if the step is about one
    /// that was taken over, or was to be.
    pub fn hand_back(&mut self, task: &Task) -> Result<bool, IoAt> {
        let (step, visible, aside) = (task.step, self.visible(task.step), self.aside(task.step));
        let Some(staged) = self.staged(step) else { return Ok(false) };
        // The visible file is read only where a database was put aside: one that may not be read
        // would stay new while the rest of its item goes back.
        if !self.is_database(&aside)? || !self.is_known_database(&visible)? {
            return Ok(false);
        }
        if self.what_visible(step)? != What::New {
            return Ok(true);
        }
        let kept = self.empty(staged.with_extension("undone"))?;
        let fs = self.fs;
        let Some(databases) = fs.databases() else { return Ok(false) };
        let done = databases.replace(&visible, &aside, &kept, &mut || {
            Ok(self.what(&kept, step).map_err(|error| error.source)? == What::New)
        });
        match done {
            Ok(true) if self.lstat(&staged)?.is_none() => {
                self.fs.rename_new(&kept, &staged).at("take back", &kept)?;
                Ok(true)
            }
            Ok(_) => Ok(true),
            Err(fault) => Err(io::Error::other(fault)).at("give its old state to", &visible),
        }
    }

    /// The file to look at for the content of a visible name: a snapshot, for a database of which a
    /// part stands beside it.
    pub fn whole(&self, visible: &Path, step: &Step) -> Result<PathBuf, IoAt> {
        let Some(stat) = self.lstat(visible)? else { return Ok(visible.to_owned()) };
        if !self.is_database(visible)?
            || in_parts(self.fs, visible, &stat).at("look beside", visible)?.is_none()
        {
            return Ok(visible.to_owned());
        }
        let slot = self.staged(step).unwrap_or_else(|| self.stage_folder(step).join("gone"));
        let look = slot.with_extension("look");
        if let Some(folder) = look.parent() {
            self.fs.create_dir_all(folder).at("create", folder)?;
        }
        found(self.fs.remove_file(&look)).at("remove", &look)?;
        match snapshot_to(self.fs, visible, &look) {
            Ok(_) => Ok(look),
            Err(DatabaseFault::Disk(error)) => Err(error).at("read", visible),
            Err(fault) => Err(io::Error::new(io::ErrorKind::ResourceBusy, fault)).at("read", visible),
        }
    }

    /// A new empty file of the stage. What a crash left there is a copy.
    fn empty(&self, place: PathBuf) -> Result<PathBuf, IoAt> {
        found(self.fs.remove_file(&place)).at("remove", &place)?;
        drop(self.fs.create(&place).at("create", &place)?);
        Ok(place)
    }

    fn halt(fault: DatabaseFault, step: &Step, visible: &Path) -> Halt {
        let path = &step.path;
        match fault {
            DatabaseFault::Busy => Halt::Moved(format!(
                "{path} is in use: it is replaced once no other program is in the middle of a transaction"
            )),
            DatabaseFault::Damaged(why) => Halt::Moved(format!(
                "{path} is damaged, and a part of it stands beside it: move both away, and it comes anew ({why})"
            )),
            DatabaseFault::BadSource(why) => Halt::Moved(format!(
                "{path}: the version that would replace it is damaged, so it stays as it is ({why})"
            )),
            DatabaseFault::Open(why) => {
                Halt::Moved(format!("{path}: {why}: close the programs that have the database open"))
            }
            DatabaseFault::Disk(source) => {
                Halt::Io(IoAt { operation: "replace", path: visible.to_owned(), source })
            }
        }
    }
}

fn source_of(halt: Halt) -> io::Error {
    match halt {
        Halt::Io(error) => error.source,
        other => io::Error::other(other.to_string()),
    }
}
