//! The moves on the disk, and the places where each file can be.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::{ApplyId, Entry, Layout, Step, Unit};
use crate::fs::{self, At, Fs, IoAt, Linked, MOUNT_FOLDER, found};
use crate::model::{FileKind, FileStat, VaultPath};
use crate::vault::layout::APP_FOLDERS;
use crate::vault::pins::Pins;

/// Cause why a unit is not in place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// The vault is not as the plan saw it: begun steps are undone.
    #[error("{0}")]
    Moved(String),
    /// The unit stays as it is.
    #[error("{0}")]
    Again(String),
    /// The disk failed: begun steps are undone.
    #[error(transparent)]
    Io(#[from] IoAt),
}

impl Halt {
    pub const fn undo(&self) -> bool {
        !matches!(self, Self::Again(_))
    }
}

/// Mover of one apply's files, which remembers the folders that must be synced.
pub(super) struct Hand<'a> {
    pub fs: &'a dyn Fs,
    pub layout: &'a Layout,
    id: &'a ApplyId,
    /// Folders that took displaced files.
    kept: BTreeSet<PathBuf>,
    /// Folders below `sync/` whose own names are durable.
    room: BTreeSet<PathBuf>,
    /// Folders of visible files.
    shown: BTreeSet<PathBuf>,
    /// Folders of new files.
    stages: BTreeSet<PathBuf>,
    /// Disks that stay until the apply is done.
    pins: Pins,
    /// Folder of a visible file that was found to be a real one, or made, since ours last changed
    /// any. A look for each of its files would say no more: whoever moves it away meanwhile, nothing
    /// is written through a link that comes in its place.
    real: Option<String>,
    /// Folders whose letter case is that of their new files, durably.
    pub respelled: BTreeSet<PathBuf>,
    /// Owners, modes and attributes that could not be passed on to files in their places.
    pub left: BTreeSet<(&'static str, VaultPath)>,
}

impl<'a> Hand<'a> {
    pub fn new(fs: &'a dyn Fs, layout: &'a Layout, id: &'a ApplyId) -> Self {
        let [kept, room, shown, respelled] = [const { BTreeSet::new() }; 4];
        let (stages, left) = (BTreeSet::from([layout.staging_of(id)]), BTreeSet::new());
        let (pins, real) = (Pins::default(), None);
        Self { fs, layout, id, kept, room, shown, stages, pins, real, respelled, left }
    }

    /// The same, with the stages of an apply that has to do with other disks, too.
    pub fn with_disks(self, stages: BTreeSet<PathBuf>, pins: Pins) -> Self {
        Self { stages, pins, ..self }
    }

    /// Place where the file is visible.
    pub fn visible(&self, step: &Step) -> PathBuf {
        self.layout.root().join(step.relative())
    }

    /// Place where the new file waits, and where an exchange puts the old one.
    pub fn staged(&self, step: &Step) -> Option<PathBuf> {
        step.new.map(|new| Layout::slot_in(&self.stage_folder(step), new.slot))
    }

    /// The stage on the disk that a step's file stands on.
    pub fn stage_folder(&self, step: &Step) -> PathBuf {
        self.home(step)
            .map_or_else(|| self.layout.staging_of(self.id), |home| self.layout.stage_on(&home, self.id))
    }

    fn home(&self, step: &Step) -> Option<PathBuf> {
        step.home.as_ref().map(|home| self.layout.root().join(home))
    }

    /// True where the disk that a step's file is to stand on went away after the scan, or after its
    /// file was staged.
    pub fn lacks_disk(&self, step: &Step) -> Result<bool, IoAt> {
        let Some(home) = &step.home else { return Ok(false) };
        let staged = step.new.is_none() || self.lstat(&self.stage_folder(step))?.is_some();
        Ok(self.pins.lack(home) || !staged)
    }

    /// Place where the old file is put.
    pub fn aside(&self, step: &Step) -> PathBuf {
        let files = self.home(step).map_or_else(
            || self.layout.trash_files(self.id),
            |home| self.layout.trash_files_on(&home, self.id),
        );
        step.path.below(&files)
    }

    /// Notes, durably, that this program is about to empty a step's place. Any other missing file
    /// was deleted by the user.
    pub fn note_away(&self, step: &Step) -> Result<(), IoAt> {
        let Some(note) = self.away(step) else { return Ok(()) };
        self.fs.create_dir_all(&note).at("create", &note)?;
        let staging = self.stage_folder(step);
        self.fs.sync_dir(&staging).at("sync", &staging)
    }

    /// True if this program may have emptied a step's place.
    pub fn is_away(&self, step: &Step) -> Result<bool, IoAt> {
        self.away(step).map_or(Ok(false), |note| Ok(self.lstat(&note)?.is_some()))
    }

    fn away(&self, step: &Step) -> Option<PathBuf> {
        self.staged(step).map(|staged| staged.with_extension("away"))
    }

    /// Metadata of a path. No file of the unit can stand behind a link; for a visible file, a look
    /// at the folders above it tells.
    pub fn lstat(&self, path: &Path) -> Result<Option<FileStat>, IoAt> {
        match self.fs.lstat(path) {
            Err(error) if Linked::is(&error) => Ok(None),
            looked => found(looked).at("look at", path),
        }
    }

    /// Notes that a visible name changes.
    pub fn show(&mut self, visible: &Path) {
        let root = self.layout.root();
        // With a folder, those above it are in the list.
        if visible.parent().is_some_and(|folder| self.shown.contains(folder)) {
            return;
        }
        self.shown
            .extend(visible.ancestors().skip(1).take_while(|at| at.starts_with(root)).map(Path::to_owned));
    }

    /// Makes the folders for a file below `sync/`, durable before the move: a disk may remember the
    /// move and forget the folder.
    pub fn make_room(&mut self, place: &Path) -> Result<(), IoAt> {
        let Some(folder) = place.parent() else { return Ok(()) };
        if !self.room.contains(folder) {
            let sync = self.layout.sync();
            let base = self.ours(folder).last().unwrap_or(&sync);
            // It is there, or the disk that it is on went away: none is made where that was.
            self.fs.lstat(base).at("look for", base)?;
            fs::create_dir_durable(self.fs, folder, base).at("create", folder)?;
            self.room.extend(self.ours(folder).map(Path::to_owned));
        }
        self.kept.extend(self.ours(folder).map(Path::to_owned));
        Ok(())
    }

    /// A folder of ours and those above it, up to `sync/` or to our folder on another disk.
    fn ours<'f>(&self, folder: &'f Path) -> impl Iterator<Item = &'f Path> + use<'f> {
        let (sync, root) = (self.layout.sync(), self.layout.root().to_owned());
        let on_mount = move |at: &Path| {
            at.strip_prefix(&root).is_ok_and(|below| below.iter().any(|name| name == MOUNT_FOLDER))
        };
        folder.ancestors().take_while(move |at| at.starts_with(&sync) || on_mount(at))
    }

    /// Marks every folder that a unit's files may be in as touched: a crashed process may have
    /// moved them and synced none.
    pub fn touch_all(&mut self, unit: &Unit) {
        for task in &unit.tasks {
            self.show(&self.visible(task.step));
            let lost = task.entry.keep.as_ref();
            let lost = lost.map(|keeping| self.layout.conflict_file(keeping.id, &task.step.path));
            for place in [Some(self.aside(task.step)), lost].into_iter().flatten() {
                let above: Vec<PathBuf> = self.ours(&place).skip(1).map(Path::to_owned).collect();
                self.kept.extend(above);
            }
        }
    }

    /// Moves a displaced file to the trash, and returns its place.
    pub fn set_aside(&mut self, from: &Path, step: &Step) -> Result<PathBuf, IoAt> {
        let wanted = self.aside(step);
        self.make_room(&wanted)?;
        let mut place = wanted.clone();
        for number in 1..u32::MAX {
            match self.fs.rename_new(from, &place) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                done => return done.at("move to the trash", from).map(|()| place),
            }
            // An interrupted run may have put it there already: under two names or, if a disk
            // forgot a rename, as a copy.
            if self.is_same(from, &place)? {
                self.fs.remove_file(from).at("remove", from)?;
                return Ok(place);
            }
            let mut name = wanted.as_os_str().to_owned();
            name.push(format!(".{number}"));
            place = PathBuf::from(name);
        }
        Ok(place)
    }

    /// True if two names stand for one file.
    pub fn is_same(&self, one: &Path, other: &Path) -> Result<bool, IoAt> {
        let (one, other) = (self.lstat(one)?, self.lstat(other)?);
        Ok(one.zip(other).is_some_and(|(one, other)| (one.dev, one.ino) == (other.dev, other.ino)))
    }

    /// Makes the folders for a visible file, never through a link.
    pub fn make_folders(&mut self, step: &Step) -> Result<(), Halt> {
        if self.is_real_folder_of(step) {
            return Ok(());
        }
        for (at, _) in step.relative().match_indices('/') {
            let folder = step.relative().get(..at).unwrap_or_default();
            let path = self.layout.root().join(folder);
            match self.lstat(&path)? {
                None => {
                    self.fs.create_dir_all(&path).at("create", &path)?;
                    // A file put back there must not be forgotten with the folder.
                    let above = path.parent().unwrap_or(&path);
                    self.fs.sync_dir(above).at("sync", above)?;
                }
                Some(stat) if stat.kind == FileKind::Folder => {}
                Some(_) => return Err(Halt::Moved(format!("{folder} is in the way of {}", step.path))),
            }
        }
        self.note_real_folder_of(step);
        Ok(())
    }

    /// True if the folder of a visible file is known to be a real one.
    pub fn is_real_folder_of(&self, step: &Step) -> bool {
        self.real.as_deref() == Some(folder_of(step))
    }

    /// Notes that the folder of a visible file is a real one.
    pub fn note_real_folder_of(&mut self, step: &Step) {
        self.real = Some(folder_of(step).to_owned());
    }

    /// Removes the folders above a deleted file that are empty now and that `wanted` accepts; never
    /// the app's own.
    pub fn remove_emptied(&mut self, step: &Step, wanted: &dyn Fn(&str) -> bool) -> Result<(), IoAt> {
        let relative = step.relative();
        for (at, _) in relative.rmatch_indices('/') {
            let folder = relative.get(..at).unwrap_or_default();
            if APP_FOLDERS.contains(&folder) || !wanted(folder) {
                break;
            }
            let path = self.layout.root().join(folder);
            // A disk must not remember that the folder went and forget that its files did.
            if self.shown.remove(&path) {
                match found(self.fs.sync_dir(&path)) {
                    // It is no folder any more, and so not ours to remove.
                    Err(error) if error.kind() == io::ErrorKind::NotADirectory => break,
                    synced => synced.map(drop).at("sync", &path)?,
                }
            }
            self.real = None;
            match self.fs.remove_dir(&path) {
                Ok(()) => self.show(&path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // With other files in it, or with protection, the folder simply stays.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::DirectoryNotEmpty
                            | io::ErrorKind::NotADirectory
                            | io::ErrorKind::PermissionDenied
                            | io::ErrorKind::ResourceBusy
                    ) =>
                {
                    break;
                }
                Err(error) => return Err(error).at("remove", &path),
            }
        }
        Ok(())
    }

    /// True if a folder has only folders below it.
    pub fn is_hollow(&self, folder: &Path) -> Result<bool, IoAt> {
        for (name, kind) in self.fs.read_dir(folder).at("list", folder)? {
            if kind != FileKind::Folder || !self.is_hollow(&folder.join(name))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes a folder and those below it, and stops where one is not empty.
    pub fn remove_hollow(&mut self, folder: &Path) -> Result<(), IoAt> {
        for (name, kind) in self.fs.read_dir(folder).at("list", folder)? {
            if kind == FileKind::Folder {
                self.remove_hollow(&folder.join(name))?;
            }
        }
        self.show(folder);
        self.real = None;
        self.fs.remove_dir(folder).at("remove", folder)
    }

    /// Makes copies of the lost conflicts from the files that a unit displaced.
    pub fn keep(&mut self, unit: &Unit) -> Result<(), IoAt> {
        for task in &unit.tasks {
            let Some(keeping) = task.entry.keep.as_ref().filter(|_| task.step.old.is_some()) else {
                continue;
            };
            let record = self.layout.conflict_record(keeping.id);
            let (from, to) = (self.aside(task.step), self.layout.conflict_file(keeping.id, &task.step.path));
            self.make_room(&to)?;
            match fs::move_new(self.fs, &from, &to) {
                // Moved before a crash, wholly or so far that it has two names. Or the same version
                // lost before and is kept already; then this one stays in the trash.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if self.is_same(&from, &to)? {
                        self.fs.remove_file(&from).at("remove", &from)?;
                    }
                }
                done => done.at("keep for the conflict", &from)?,
            }
            if self.lstat(&to)?.is_some() && self.lstat(&record)?.is_none() {
                fs::replace(self.fs, &record, keeping.record.as_bytes(), 0o600).at("write", &record)?;
            }
        }
        Ok(())
    }

    /// Present place of the file that a step displaced.
    pub fn place_of(&self, entry: &Entry, step: &Step) -> Result<Option<PathBuf>, IoAt> {
        let aside = self.aside(step);
        if step.old.is_none() {
            return Ok(None);
        }
        if self.lstat(&aside)?.is_some() {
            return Ok(Some(aside));
        }
        let kept = entry.keep.as_ref().map(|keeping| self.layout.conflict_file(keeping.id, &step.path));
        match kept {
            Some(kept) => Ok(self.lstat(&kept)?.map(|_| kept)),
            None => Ok(None),
        }
    }

    /// Makes the names of displaced files durable.
    pub fn sync_kept(&self) -> Result<(), IoAt> {
        self.kept.iter().try_for_each(|folder| self.fs.sync_dir(folder).at("sync", folder))
    }

    /// Makes all names durable: displaced files first, so that a disk that forgets the rest still
    /// has them.
    pub fn sync(&mut self) -> Result<(), IoAt> {
        let (kept, shown) = (std::mem::take(&mut self.kept), std::mem::take(&mut self.shown));
        if kept.is_empty() && shown.is_empty() {
            return Ok(());
        }
        for folder in kept.iter().chain(&shown).chain(&self.stages) {
            match self.fs.sync_dir(folder) {
                // It is removed: the folder above it, touched as well, tells the disk so.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                done => done.at("sync", folder)?,
            }
        }
        Ok(())
    }

    /// Message for a file that is not as the plan saw it.
    pub fn moved(path: &VaultPath) -> Halt {
        Halt::Moved(format!("{path} changed after it was scanned"))
    }
}

/// Folder of a step's visible file, relative to the root; empty for the root.
fn folder_of(step: &Step) -> &str {
    step.relative().rsplit_once('/').map_or("", |(folder, _)| folder)
}
