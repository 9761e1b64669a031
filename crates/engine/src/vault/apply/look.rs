//! State of a unit, told by digests alone: after a crash, no file state from before can be trusted.
//! Only reads.

use std::path::{Path, PathBuf};

use super::hand::Hand;
use super::{Content, Entry, Step, Task, Unit};
use crate::fs::{At, IoAt};
use crate::model::{FileKind, Item};
use crate::vault::database::hash_as_it_is;
use crate::vault::read::{Folders, check_folders, hash_file, is_locked};

/// Content of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Nothing,
    Old,
    New,
    /// Something else: edited, a folder, a link, or being written.
    Other,
}

/// State of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Done,
    Todo,
    /// The old file was changed before it was displaced.
    EditedOld,
    /// The new file was changed after it was put in place.
    EditedNew,
    /// The old file was changed and displaced all the same: the apply was about to notice and go
    /// back.
    Caught,
    /// Not done, and the new file is gone from the stage.
    Lost,
}

/// Direction in which a unit goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    Forward,
    Back(String),
    /// None is right: files were edited on both sides of the crash.
    Leave(String),
}

impl Hand<'_> {
    /// Content of `path`.
    pub fn what(&self, path: &Path, step: &Step) -> Result<What, IoAt> {
        let Some(stat) = self.lstat(path)? else { return Ok(What::Nothing) };
        let known = [step.old, step.new.map(|new| new.content)];
        if stat.kind != FileKind::File || !known.iter().flatten().any(|content| content.size == stat.size) {
            return Ok(What::Other);
        }
        match hash_file(self.fs, path, &stat) {
            Ok(Some(content)) if known[0] == Some(content) => Ok(What::Old),
            Ok(Some(content)) if known[1] == Some(content) => Ok(What::New),
            // Older versions took the bytes of a database for its content.
            Ok(Some(content)) if self.is_database(path)? => {
                let digest = hash_as_it_is(self.fs, path).at("read", path)?;
                let raw = Some(Content { digest, ..content });
                Ok(if known[1] == raw { What::New } else { What::Other })
            }
            Ok(_) => Ok(What::Other),
            // The user has locked it. A disk that merely fails must not pass for an edit: half a
            // unit would stay as it is.
            Err(error) if is_locked(&error, &stat) => Ok(What::Other),
            Err(error) => Err(error).at("read", path),
        }
    }

    /// Visible content at the step's path; no link is followed.
    pub fn what_visible(&self, step: &Step) -> Result<What, IoAt> {
        let visible = self.visible(step);
        let by_folders = || -> Result<Option<What>, IoAt> {
            let folders = check_folders(self.fs, self.layout.root(), step.relative())
                .at("look at the folders of", &visible)?;
            Ok(match folders {
                Folders::Real => None,
                Folders::Missing | Folders::Blocked(_, FileKind::File) => Some(What::Nothing),
                Folders::Blocked(..) => Some(What::Other),
            })
        };
        if let Some(what) = by_folders()? {
            return Ok(what);
        }
        match self.what(&self.whole(&visible, step)?, step)? {
            // Behind a link that has come since the look at the folders, nothing is seen.
            What::Nothing => Ok(by_folders()?.unwrap_or(What::Nothing)),
            found => Ok(found),
        }
    }

    pub fn what_staged(&self, step: &Step) -> Result<What, IoAt> {
        self.staged(step).map_or(Ok(What::Nothing), |staged| self.what(&staged, step))
    }

    /// True if this program displaced the old file: it lies in the stage, in the trash or in its
    /// conflict.
    fn displaced(&self, task: &Task) -> Result<bool, IoAt> {
        let kept = task.entry.keep.as_ref();
        let kept = kept.map(|keeping| self.layout.conflict_file(keeping.id, &task.step.path));
        let places = [self.staged(task.step), Some(self.aside(task.step)), kept];
        for place in places.iter().flatten() {
            if self.what(place, task.step)? == What::Old {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn stand(&self, unit: &Unit, task: &Task) -> Result<Stand, IoAt> {
        let (visible, staged) = (self.what_visible(task.step)?, self.what_staged(task.step)?);
        Ok(match (task.step.old.is_some(), task.deletes(), visible) {
            // On a disk that ignores case, the file that will make way may hold the very bytes that
            // will replace it.
            (false, false, What::New) if staged == What::New && self.in_the_way(unit, task)? => Stand::Todo,
            (_, false, What::New) | (_, true, What::Nothing) => self.done(task, staged)?,
            (_, true, _) if self.gave_way(unit, task)? => self.done(task, staged)?,
            (_, true, What::Old) => Stand::Todo,
            (true, false, What::Old) if staged == What::New => Stand::Todo,
            (true, false, What::Old) => Stand::Lost,
            // Between two renames, on a disk without exchange and links.
            (true, false, What::Nothing)
                if staged == What::New && self.is_away(task.step)? && self.displaced(task)? =>
            {
                Stand::Todo
            }
            (true, ..) if staged == What::New => Stand::EditedOld,
            (true, ..) if self.displaced(task)? => Stand::EditedNew,
            (true, ..) => Stand::EditedOld,
            (false, _, What::Nothing) if staged == What::New => Stand::Todo,
            (false, _, What::Nothing) => Stand::Lost,
            (false, ..) if staged != What::New => Stand::EditedNew,
            (false, ..) if unit.makes_way(task) => Stand::Todo,
            (false, ..) => Stand::EditedOld,
        })
    }

    /// A step is done if the plan saw the file that it displaced.
    fn done(&self, task: &Task, staged: What) -> Result<Stand, IoAt> {
        if task.step.old.is_none() {
            return Ok(Stand::Done);
        }
        let aside = self.place_of(task.entry, task.step)?;
        let aside = aside.map_or(Ok(What::Nothing), |place| self.what(&place, task.step))?;
        Ok(if [staged, aside].contains(&What::Other) { Stand::Caught } else { Stand::Done })
    }

    /// True if the file at the place of a delete is the unit's own: a new file under a name that
    /// differs only in case, or the folder of one.
    fn gave_way(&self, unit: &Unit, task: &Task) -> Result<bool, IoAt> {
        for other in unit.tasks.iter().filter(|other| !other.deletes()) {
            let own = if other.key == task.key {
                self.what_visible(other.step)? == What::New
                    && self.what_staged(other.step)? != What::New
                    && self.is_same(&self.visible(task.step), &self.visible(other.step))?
            } else {
                let below = other.key.strip_prefix(&task.key).is_some_and(|rest| rest.starts_with('/'));
                below
                    && self.lstat(&self.visible(task.step))?.is_some_and(|stat| stat.kind == FileKind::Folder)
            };
            if own {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if a file to be created seems to exist, because the unit has not yet deleted the file
    /// that makes way for it.
    fn in_the_way(&self, unit: &Unit, task: &Task) -> Result<bool, IoAt> {
        let staged = self.staged(task.step);
        let linked = staged.map_or(Ok(false), |staged| self.is_same(&staged, &self.visible(task.step)))?;
        Ok(unit.makes_way(task) && !linked)
    }

    /// True if any file of the unit was moved.
    fn begun(&self, unit: &Unit) -> Result<bool, IoAt> {
        for task in &unit.tasks {
            let moved_in = !task.deletes() && self.what_staged(task.step)? != What::New;
            if moved_in || self.is_away(task.step)? || self.place_of(task.entry, task.step)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if nothing of the unit has to go back: no file was moved, and none has a second name in
    /// its place, as a rename in two steps gives it.
    pub fn is_untouched(&self, unit: &Unit) -> Result<bool, IoAt> {
        for task in unit.tasks.iter().filter(|task| !task.deletes()) {
            let staged = self.staged(task.step);
            if staged.map_or(Ok(false), |staged| self.is_same(&staged, &self.visible(task.step)))? {
                return Ok(false);
            }
        }
        Ok(!self.begun(unit)?)
    }

    /// A folder with a file that this program has moved and that belongs to others, if a link or the
    /// like stands in its place by now. Until it is back that file can be neither looked at nor
    /// moved: what it belongs to cannot go back, and must not be left as it is. `stays`: it would be
    /// left so, and a file that was not moved counts, too. Once its folder is back, all may go
    /// forward.
    pub fn shut_out(&self, unit: &Unit, stays: bool) -> Result<Option<PathBuf>, IoAt> {
        for task in unit.tasks.iter().filter(|task| is_one_of_many(task.entry)) {
            let folder = self.replaced_folder(task.step)?;
            if folder.is_some() && (stays || self.has_moved(task)?) {
                return Ok(folder);
            }
        }
        Ok(None)
    }

    /// Items of one file that this program has taken away, and that stands neither in its place nor
    /// in a folder that was moved away. Before the new one comes, the place is empty for a moment.
    pub fn stranded<'u>(&self, unit: &Unit<'u>) -> Result<Vec<&'u Item>, IoAt> {
        let mut stranded = Vec::new();
        for Task { entry, step, .. } in unit.tasks.iter().filter(|task| !is_one_of_many(task.entry)) {
            let taken = self.is_away(step)? && self.place_of(entry, step)?.is_some();
            if taken && self.replaced_folder(step)?.is_some() {
                stranded.push(&entry.item);
            }
        }
        Ok(stranded)
    }

    /// A folder of the step's file in whose place a link or the like stands. Whoever puts a file there
    /// has removed the folder.
    fn replaced_folder(&self, step: &Step) -> Result<Option<PathBuf>, IoAt> {
        let root = self.layout.root();
        let folders = check_folders(self.fs, root, step.relative())
            .at("look at the folders of", &self.visible(step))?;
        Ok(match folders {
            Folders::Blocked(_, FileKind::File) | Folders::Real | Folders::Missing => None,
            Folders::Blocked(folder, _) => Some(root.join(folder)),
        })
    }

    /// True if a file of the step is not where it was before. An old file that has only got a second
    /// name in the trash still is.
    fn has_moved(&self, task: &Task) -> Result<bool, IoAt> {
        if !task.deletes() && self.what_staged(task.step)? != What::New {
            return Ok(true);
        }
        let emptied = task.deletes() || self.is_away(task.step)?;
        Ok(emptied && self.place_of(task.entry, task.step)?.is_some())
    }

    /// Decides the direction of a unit, and marks the steps still to do. `finish`: forward, even if
    /// nothing was done.
    pub fn way(&self, unit: &mut Unit, finish: bool) -> Result<Way, IoAt> {
        if !finish && !self.begun(unit)? {
            return Ok(Way::Back("the sync was cut short before its turn came".into()));
        }
        let mut stands = Vec::with_capacity(unit.tasks.len());
        for task in &unit.tasks {
            stands.push(self.stand(unit, task)?);
        }
        for (task, stand) in unit.tasks.iter_mut().zip(&stands) {
            task.todo = *stand == Stand::Todo;
        }
        let first = |wanted: &[Stand]| {
            let mut both = unit.tasks.iter().zip(&stands);
            both.find(|(_, stand)| wanted.contains(stand)).map(|(task, _)| task.step.path.as_str())
        };
        if let Some(path) = first(&[Stand::Caught]) {
            return Ok(Way::Back(format!("{path} changed before it was replaced")));
        }
        let edited_new = first(&[Stand::EditedNew]);
        Ok(match (first(&[Stand::EditedOld, Stand::Lost]), edited_new) {
            // A new file that was edited since was in place: from now on it is an edit of the
            // agreed version.
            (None, _) => Way::Forward,
            (Some(path), None) => Way::Back(format!("{path} changed before it could be replaced")),
            (Some(path), Some(other)) => Way::Leave(format!("{path} and {other} changed during a crash")),
        })
    }
}

/// True for a group, and for a transaction, which goes by the name of its first file.
fn is_one_of_many(entry: &Entry) -> bool {
    matches!(entry.item, Item::Group(_)) || entry.steps.len() > 1
}
