//! A disk that records calls, and fails where it is told to.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::disk::Disk;
use crate::fs::{Fs, ReadFile, WriteFile};
use crate::model::{FileKind, FileStat};

/// A call that fails: its name, how its path ends (of two the second), how many such calls pass
/// before, and how.
pub struct Fault(pub &'static str, pub &'static str, pub usize, pub io::ErrorKind);

pub struct Watched<'a> {
    disk: Disk<'a>,
    faults: Mutex<Vec<Fault>>,
    /// Folders whose names changed since they were synced last.
    volatile: Mutex<BTreeSet<PathBuf>>,
    /// Folders that were removed while their names were not durable.
    torn: Mutex<Vec<PathBuf>>,
    synced: Mutex<BTreeSet<PathBuf>>,
}

impl std::fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl<'a> Watched<'a> {
    pub fn new(disk: Disk<'a>, faults: Vec<Fault>) -> Self {
        Self {
            disk,
            faults: Mutex::new(faults),
            volatile: Mutex::default(),
            torn: Mutex::default(),
            synced: Mutex::default(),
        }
    }

    /// Folders that are still there and whose names are not durable.
    pub fn volatile(&self) -> Vec<PathBuf> {
        self.volatile.lock().unwrap().iter().filter(|folder| folder.is_dir()).cloned().collect()
    }

    pub fn torn(&self) -> Vec<PathBuf> {
        self.torn.lock().unwrap().clone()
    }

    pub fn has_synced(&self, folder: &Path) -> bool {
        self.synced.lock().unwrap().contains(folder)
    }

    fn ask(&self, call: &str, path: &Path) -> io::Result<()> {
        let mut faults = self.faults.lock().unwrap();
        let fits = |fault: &Fault| fault.0 == call && path.ends_with(fault.1);
        let Some(at) = faults.iter().position(fits) else { return Ok(()) };
        if faults[at].2 > 0 {
            faults[at].2 -= 1;
            return Ok(());
        }
        // Only once: the later calls show how the program dealt with it.
        Err(faults.remove(at).3.into())
    }

    fn changed(&self, paths: &[&Path]) {
        let folders = paths.iter().filter_map(|path| path.parent().map(Path::to_owned));
        self.volatile.lock().unwrap().extend(folders);
    }
}

impl Fs for Watched<'_> {
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        self.disk.lstat(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        self.disk.read_dir(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.ask("open", path)?;
        self.disk.open(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.changed(&[path]);
        self.disk.create(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let above = path.ancestors().take_while(|folder| !folder.is_dir()).collect::<Vec<_>>();
        self.changed(&above);
        self.disk.create_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask("rename", to)?;
        self.changed(&[from, to]);
        self.disk.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask("rename_new", to)?;
        self.disk.rename_new(from, to)?;
        self.changed(&[from, to]);
        Ok(())
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.ask("exchange", other)?;
        self.disk.exchange(one, other)?;
        self.changed(&[one, other]);
        Ok(())
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask("hard_link", to)?;
        self.disk.hard_link(from, to)?;
        self.changed(&[to]);
        Ok(())
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)?;
        self.changed(&[path]);
        Ok(())
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.ask("remove_dir", path)?;
        self.disk.remove_dir(path)?;
        if self.volatile.lock().unwrap().contains(path) {
            self.torn.lock().unwrap().push(path.to_owned());
        }
        self.changed(&[path]);
        Ok(())
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.ask("sync_dir", path)?;
        self.disk.sync_dir(path)?;
        self.volatile.lock().unwrap().remove(path);
        self.synced.lock().unwrap().insert(path.to_owned());
        Ok(())
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_space(path)
    }
}
