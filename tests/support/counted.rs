//! The real file system, which notes what is opened to be read.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cogzy_engine::fs::{Fs, ReadFile, RealFs, WriteFile};
use cogzy_engine::model::{FileKind, FileStat};

/// The paths that were opened, in order. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Opened(Arc<Mutex<Vec<PathBuf>>>);

impl Opened {
    /// Paths that were opened since this was asked last.
    pub fn take(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[derive(Debug)]
pub struct Counted(pub Opened);

impl Fs for Counted {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.0.0.lock().unwrap().push(path.to_owned());
        RealFs.open(path)
    }
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        RealFs.lstat(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        RealFs.read_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        RealFs.create(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealFs.create_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename_new(from, to)
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        RealFs.exchange(one, other)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.hard_link(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.sync_dir(path)
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        RealFs.free_space(path)
    }
}
