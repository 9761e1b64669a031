//! The real disk of a vault, which notes the files that are opened to be read.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cogzy_engine::fs::{Databases, Flush, Fs, Like, ReadFile, RootedFs, WriteFile};
use cogzy_engine::model::{FileKind, FileStat};

/// The paths that were opened, in order, and the bytes read of them one after the other. Clones are
/// the same.
#[derive(Debug, Clone, Default)]
pub struct Opened(Arc<Mutex<Vec<PathBuf>>>, Arc<AtomicU64>);

impl Opened {
    /// Paths that were opened since this was asked last.
    pub fn take(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Bytes that were read since this was asked last.
    pub fn take_bytes(&self) -> u64 {
        self.1.swap(0, Ordering::Relaxed)
    }
}

/// Number of files whose mode was changed when they came into their places: each of them costs a
/// flush of its own. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Dressed(Arc<AtomicU64>);

impl Dressed {
    /// Files since this was asked last.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// A file whose bytes are counted.
struct CountedFile {
    bytes: Arc<AtomicU64>,
    file: Box<dyn ReadFile>,
}

impl Read for CountedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl ReadFile for CountedFile {
    fn stat(&self) -> io::Result<FileStat> {
        self.file.stat()
    }
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

#[derive(Debug)]
pub struct Counted {
    pub opened: Opened,
    pub dressed: Dressed,
    pub disk: RootedFs,
}

impl Fs for Counted {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.opened.0.lock().unwrap().push(path.to_owned());
        Ok(Box::new(CountedFile { bytes: Arc::clone(&self.opened.1), file: self.disk.open(path)? }))
    }
    fn lstat_each(&self, folder: &Path, names: &[&OsStr]) -> io::Result<Vec<io::Result<FileStat>>> {
        self.disk.lstat_each(folder, names)
    }
    fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.disk.open_lock(path)
    }
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        self.disk.lstat(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        self.disk.read_dir(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.disk.create(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename_new(from, to)
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.disk.exchange(one, other)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.hard_link(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }
    fn mode_of_new(&self, mode: u32) -> u32 {
        self.disk.mode_of_new(mode)
    }
    fn dress(&self, file: &Path, like: Like) -> io::Result<Vec<&'static str>> {
        let before = self.disk.lstat(file)?.mode;
        let left = self.disk.dress(file, like)?;
        if self.disk.lstat(file)?.mode != before {
            self.dressed.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(left)
    }
    fn begin_flush(&self, folder: &Path, files: usize) -> io::Result<Option<Box<dyn Flush>>> {
        self.disk.begin_flush(folder, files)
    }
    fn may_place(&self, path: &Path) -> io::Result<()> {
        self.disk.may_place(path)
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_space(path)
    }
    fn databases(&self) -> Option<&dyn Databases> {
        self.disk.databases()
    }
}
