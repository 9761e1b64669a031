//! Folders whose names change in letter case alone.
//!
//! Folders are not synced, only files are. On a disk that ignores letter case a file that arrives
//! as `notes/x`, for one that goes as `Notes/x`, finds the folder `Notes` and would stay below that
//! name: the next scan would send `Notes/x` again, and two such devices would rename the folder
//! back and forth for ever. So the folder gets the new spelling with the first file that moves so.
//! Files that stay in it are found under the new spelling, too, and are sent so: every device comes
//! to the spelling of the newest generation.
//!
//! The rename moves no file and displaces nothing. A folder that cannot be renamed keeps its
//! spelling. After a crash or an undo the files are the same under either.

use std::path::Path;

use super::hand::Hand;
use super::{Step, Task, Unit};
use crate::fs::{At, IoAt};
use crate::model::FileKind;
use crate::vault::Mounts;

impl Hand<'_> {
    /// Spells the folders of a new file as its path does, where the unit takes the same file away
    /// from folders that differ in letter case only.
    pub fn respell_folders(&mut self, unit: &Unit, task: &Task) -> Result<(), IoAt> {
        let is_twin = |other: &&Task| other.deletes() && other.key == task.key;
        let twins: Vec<&Step> = unit.tasks.iter().filter(is_twin).map(|twin| twin.step).collect();
        for twin in twins {
            self.respell(twin.relative(), task.step.relative())?;
        }
        Ok(())
    }

    fn respell(&mut self, from: &str, to: &str) -> Result<(), IoAt> {
        let names = from.split('/').zip(to.split('/'));
        let depth = to.matches('/').count();
        if from.matches('/').count() != depth {
            return Ok(());
        }
        let mut above = self.layout.root().to_owned();
        for (old, new) in names.take(depth) {
            let wanted = above.join(new);
            if old != new && !self.respelled.contains(&wanted) && self.is_one(&above, [old, new])? {
                if self.is_spelled(&above, [old, new])? && !self.holds_mounts(&wanted)? {
                    match self.fs.rename(&above.join(old), &wanted) {
                        Ok(()) => self.show(&wanted),
                        Err(error) => {
                            let folder = wanted.display();
                            tracing::warn!(%error, %folder, "a folder keeps its letter case");
                        }
                    }
                }
                // A disk must not remember the file and forget this: nobody would do it again. Nor
                // is it known to be durable where a run that was cut short has done it.
                self.fs.sync_dir(&above).at("sync", &above)?;
                self.respelled.insert(wanted.clone());
            }
            above = wanted;
        }
        Ok(())
    }

    /// True where two names stand for one folder: the disk ignores letter case.
    fn is_one(&self, above: &Path, [old, new]: [&str; 2]) -> Result<bool, IoAt> {
        let folder = self.lstat(&above.join(new))?;
        let is_folder = folder.is_some_and(|stat| stat.kind == FileKind::Folder);
        Ok(is_folder && self.is_same(&above.join(old), &above.join(new))?)
    }

    /// True where such a folder stands under the old name.
    fn is_spelled(&self, above: &Path, [old, new]: [&str; 2]) -> Result<bool, IoAt> {
        let listed = self.fs.read_dir(above).at("list", above)?;
        let stands = |name: &str| listed.iter().any(|(spelled, _)| spelled == name);
        Ok(stands(old) && !stands(new))
    }

    /// True where a disk is mounted in a folder: it is known by the folder's name.
    fn holds_mounts(&self, folder: &Path) -> Result<bool, IoAt> {
        let folder = folder.to_string_lossy().to_lowercase();
        let mounts = Mounts::load(self.fs, self.layout)?;
        let root = self.layout.root();
        let inside = mounts
            .folders()
            .any(|mount| Path::new(&root.join(mount).to_string_lossy().to_lowercase()).starts_with(&folder));
        Ok(inside)
    }
}
